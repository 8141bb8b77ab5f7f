# One command each, also on a fresh machine: the first one makes .venv with all that it needs.
#
#   make demo                 the four stages on SmolLM2-135M     make demo RECIPE=tiny
#   make test                 the fast suite, the tiny pipeline included
#   make test-all             also what takes minutes: kills at many moments, fuzzing, browser
#   make check                lint, format, types, import contract
#   make reference            docs/reference anew, from the code
#   make test-backends        our rewards and launches in verl, OpenRLHF and Ray, in environments below .backends
#   make test-browser         report and browser of rollouts in a real Chromium, which it installs
#   make test-load            how the reward server stands 200 clients
#   make bench-env            .bench-env with what cannot share .venv, for bench/math_graders.py and bench/curation.py

RECIPE ?= smollm2-135m
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: setup demo test test-all check format test-browser test-load test-backends bench-env reference clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt tools/setup.sh
	PYTHON=$(PYTHON) VENV=$(VENV) bash tools/setup.sh
	touch $@

demo: setup
	$(BIN)/r1train run recipes/$(RECIPE)

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long"

test-all: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

# installs Playwright into .venv, and Chromium by apt (as root) or from Playwright where there is none
test-browser: setup
	VENV=$(VENV) bash tools/browser.sh
	$(BIN)/python -m pytest tests/r1train/report/test_browser.py tests/r1train/view/test_browser.py

# 200 clients and 20,000 requests against `r1rewards serve`; says how long they waited
test-load: setup
	$(BIN)/python -m pytest -q -s tests/r1rewards/serve/test_load.py

# their own versions of everything, without what only a GPU needs; torch first, as the build for this machine
.backends/verl/ready .backends/openrlhf/ready: .backends/%/ready:
	$(PYTHON) -m venv .backends/$*
	.backends/$*/bin/python -m pip install -q torch==$(TORCH)
	.backends/$*/bin/python -m pip install -q --no-deps $(TRAINER_$*)
	.backends/$*/bin/python -m pip install -q $(NEEDS_$*) -e .
	touch $@

TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
TRAINER_verl := verl==0.9.1
NEEDS_verl := accelerate cachetools codetiming fastapi hydra-core peft pillow 'ray[data,default]==2.55.0' \
	hypothesis pytest 'tensordict<=0.10.0' torchdata 'transformers>=5.5.3,<5.11,!=5.6.0' uvicorn
TRAINER_openrlhf := openrlhf==0.11.2
NEEDS_openrlhf := aiohttp pylatexenc 'ray[default]==2.55.0' transformers==5.15.0

test-backends: setup .backends/verl/ready .backends/openrlhf/ready
	$(BIN)/python -m pytest tests/r1rewards/adapters/test_verl.py tests/r1rewards/adapters/test_openrlhf.py \
		tests/r1train/backends/verl
	.backends/verl/bin/python -m pytest tests/r1rewards/adapters/test_ray.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# docs/reference, from the code
reference: setup
	$(BIN)/python tools/reference.py

# verl's graders and text-dedup's MinHash need only their own files: a trainer, Spark and the like stay out
bench-env:
	$(PYTHON) -m venv .bench-env
	.bench-env/bin/python -m pip install -q --no-deps verl==0.9.1 text-dedup==0.4.0
	.bench-env/bin/python -m pip install -q math-verify==0.9.0 numpy pylatexenc
	.bench-env/bin/python -m pip install -q datatrove==0.10.1 spacy \
		bitarray click click-option-group datasets ftfy orjson psutil regex scipy tokenizers xxhash

clean:
	rm -rf $(VENV) .bench-env .backends build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
