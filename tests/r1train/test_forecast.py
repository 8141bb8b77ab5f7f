"""The forecast: what is counted, in which direction it goes, and what is left out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1data import content
from r1train.forecast import Forecast, Shape, Speed, base_shape, forecast, probe, read_shape, spent
from r1train.recipe import Recipe
from r1train.recipe_file import dump_recipe, load_recipe
from r1train.work import KEPT, PROMPT, REASONING_SHARE, TRACE, TRAINED, UNTRAINED, Work, count, finished

RECIPES = Path(__file__).parents[2] / "recipes"
SPEED = Speed(operations=1e11, numbers=1e9)

SMALL: dict[str, Any] = {
    "name": "small",
    "model": "some/model",
    "evaluation": {"rewards": "spec.yaml", "samples": 3, "max_tokens": 100},
    "stages": {
        "0-data": {
            "kind": "data",
            "sources": [
                {"name": "sums", "source": "arithmetic", "train": 80, "heldout": 6},
                {"name": "code", "source": "small-code", "train": 20},
                {
                    "name": "talk",
                    "source": "prompts",
                    "train": 40,
                    "heldout": 4,
                    "options": {"set": "general"},
                },
            ],
        },
        "1-sft": {
            "kind": "sft",
            "data": [
                {"name": "worked", "source": "worked", "problems": {"tasks": ["math", "code"], "count": 50}},
                {
                    "name": "sampled",
                    "source": "samples",
                    "problems": {"tasks": ["math"], "count": 60, "offset": 30},
                    "sampling": {"samples": 4, "max_tokens": 200},
                },
            ],
            "optim": {"learning_rate": 1e-4, "epochs": 2, "batch_size": 8},
        },
        "2-rl": {
            "kind": "rl",
            "model": "$stage.1-sft",
            "rewards": "spec.yaml",
            "segments": [{"steps": 4}, {"steps": 2, "max_tokens": 200}],
            "rollout": {"questions": 8, "group": 16, "minibatches": 2, "max_tokens": 100},
            "optim": {"learning_rate": 1e-5},
        },
    },
}


def small(**stages: dict[str, Any]) -> Recipe:
    """The small recipe with keys of its stages changed; `sft` and `rl` name the stages."""
    names = {"data": "0-data", "sft": "1-sft", "rl": "2-rl"}
    changed = {names[short]: SMALL["stages"][names[short]] | keys for short, keys in stages.items()}
    return Recipe.model_validate(SMALL | {"stages": SMALL["stages"] | changed})


def total(recipe: Recipe) -> float:
    expected = forecast(recipe, speed=SPEED)
    assert expected is not None
    return expected.total


def tiny(*changes: str) -> Recipe:
    return load_recipe(RECIPES / "tiny", changes)


def test_the_work_of_every_step_by_hand() -> None:
    kept = 50 * KEPT  # of 80 sums, 30 are passed over, so 50 are asked and not 60
    tokens = 50 * (PROMPT + TRACE) + kept * (PROMPT + 200 * UNTRAINED)
    read = 2 * 8 * (PROMPT + 16 * 100 * TRAINED) + 8 * (PROMPT + 16 * 200 * TRAINED)
    evaluation = Work(generated=pytest.approx(10 * 3 * 100 * TRAINED), loads=1)
    assert count(small()) == {
        "base/evaluation": Work(generated=10 * 3 * 100 * UNTRAINED, loads=1),
        "1-sft/sampled/sample": Work(generated=50 * 4 * 200 * UNTRAINED, loads=1),
        "1-sft/train": Work(
            trained=pytest.approx(2 * tokens), updates=2 * -(-int(50 + kept) // 8), trainers=1
        ),
        "1-sft/evaluation": evaluation,
        "2-rl/train": Work(
            generated=pytest.approx((2 * 100 + 200) * 8 * 16 * TRAINED),
            trained=pytest.approx(read),
            scored=pytest.approx(read),
            updates=6,
            loads=3,
            trainers=1,
        ),
        "2-rl/evaluation": evaluation,
    }


def test_without_a_reference_nothing_is_scored() -> None:
    optim = SMALL["stages"]["2-rl"]["optim"] | {"beta": 0}
    assert count(small(rl={"optim": optim}))["2-rl/train"].scored == 0


def test_answers_a_judge_and_a_mix() -> None:
    sampled = SMALL["stages"]["1-sft"]["data"][1] | {
        "problems": {"tasks": ["math", "general"], "count": 60},
        "per_problem": 2,
        "judge": {"tasks": ["general"], "max_tokens": 30},
    }
    answers = {"name": "answers", "source": "answers"}
    steps = count(small(sft={"data": [sampled, answers], "mix": {}}))
    # 60 of 120 problems are asked, a third of them general: 20, each with four responses, some of them kept
    assert steps["1-sft/sampled/judge"].generated == pytest.approx(20 * 4 * KEPT * 30 * UNTRAINED)
    reasoning = 60 * 2 * KEPT
    share = min(1.0, reasoning / REASONING_SHARE / (reasoning + 40))
    tokens = reasoning * (PROMPT + 200 * UNTRAINED) + 40 * (PROMPT + TRACE)
    assert steps["1-sft/train"].trained == pytest.approx(2 * share * tokens)
    few = count(small(sft={"data": [sampled, answers], "mix": {"total": 10}}))["1-sft/train"]
    assert few.trained == pytest.approx(2 * tokens * 10 / (reasoning + 40))


def test_a_file_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps({"text": "word" * length}) + "\n" for length in (10, 30)))
    data = [{"name": "mine", "source": "file", "path": str(file)}]
    assert count(small(sft={"data": data}))["1-sft/train"].trained == 2 * (2 * PROMPT + 10 + 30)


def test_reward_models_and_the_base_model_that_a_recipe_makes() -> None:
    steps = count(tiny())
    pairs = steps["4-all-scenarios-rl/reward-models/helpfulness/train"]
    every = len(content.load("general")) + len(content.load("safety"))
    rows = len(content.pairs()) * 110 / every  # 60 general and 50 safety prompts to train on
    assert pairs.trained == pytest.approx(rows * 2 * (PROMPT + TRACE))
    assert steps["0-base/train"].trained == pytest.approx(4 * 1220 * (PROMPT + 0.5 * TRACE))
    assert steps["base/evaluation"].generated == pytest.approx(64 * 2 * 96 * TRAINED)


def test_more_of_anything_takes_longer() -> None:
    base = total(tiny())
    for change in (
        "2-reasoning-rl.segments.0.steps=6",
        "2-reasoning-rl.rollout.group=16",
        "2-reasoning-rl.rollout.max_tokens=192",
        "1-cold-start.optim.epochs=4",
        "1-cold-start.data.0.problems.count=320",
        "1-cold-start.data.2.sampling.samples=8",
        "0-data.sources.0.heldout=48",
        "evaluation.samples=4",
        "0-base.hidden=256",
    ):
        assert total(tiny(change)) > base, change
    for slow in (replace(SPEED, operations=5e10), replace(SPEED, numbers=5e8)):
        slower = forecast(tiny(), speed=slow)
        assert slower is not None and slower.total > base


def test_the_parts_are_those_of_the_run_and_add_up() -> None:
    expected = forecast(tiny("threads=1"), speed=SPEED)
    assert expected is not None
    assert set(expected.parts) == {"evaluations", *tiny().stages} - {"0-data"}
    assert expected.total == pytest.approx(sum(expected.parts.values()))
    assert " on this machine (" in str(expected) and " left" not in str(expected)


def test_it_says_seconds_minutes_and_hours() -> None:
    parts = {"evaluations": 300.0, "1-sft": 20.0, "2-rl": 1300.0}
    expected = Forecast(parts, "2 cores", resumed=False)
    told = "about 27 min on this machine (2 cores): evaluations 5, 1-sft <1, 2-rl 22"
    assert str(expected) == told
    assert expected.against(1800, {"evaluations": 400, "2-rl": 1380}) == (
        "took 30 min (forecast 27): evaluations 7 (5), 1-sft <1 (<1), 2-rl 23 (22)"
    )
    assert str(Forecast({"1-sft": 40.0}, "1 core", resumed=True)) == (
        "about 40 s left on this machine (1 core): 1-sft 40"
    )
    assert str(Forecast({"1-sft": 9000.0}, "a GPU", resumed=False)) == (
        "about 2.5 h on this machine (a GPU): 1-sft 2.5"
    )


def finish(folder: Path, recipe: Recipe, *steps: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe))
    for step in steps:
        (folder / step).mkdir(parents=True)
        (folder / step / "step.json").write_text("{}")


def test_what_is_done_is_left_out(tmp_path: Path) -> None:
    recipe = tiny()
    assert finished(recipe, tmp_path / "none") == frozenset()
    cold = ("1-cold-start/sampled/sample", "1-cold-start/train", "1-cold-start/evaluation")
    steps = ("0-base/train", "base/evaluation", *cold)
    finish(tmp_path / "run", recipe, *steps)
    done = finished(recipe, tmp_path / "run")
    assert done == set(steps)
    expected = forecast(recipe, done, speed=SPEED)
    assert expected is not None and " left on this machine" in str(expected)
    assert not {"0-base", "1-cold-start"} & set(expected.parts) and expected.total < total(recipe)
    assert forecast(recipe, frozenset(count(recipe)), speed=SPEED) is None


def test_what_depends_on_a_change_is_not_done(tmp_path: Path) -> None:
    steps = ("0-base/train", "base/evaluation", "1-cold-start/train", "2-reasoning-rl/train")
    finish(tmp_path / "run", tiny(), *steps)

    def stands(change: str) -> set[str]:
        return set(finished(tiny(change), tmp_path / "run"))

    assert stands("engine.max_batch=7") == set(steps)
    assert stands("2-reasoning-rl.rollout.group=4") == set(steps[:3])
    assert stands("1-cold-start.optim.epochs=3") == set(steps[:2])
    assert stands("0-base.layers=2") == set()
    assert stands("0-data.sources.0.train=9") == set()
    assert stands("seed=1") == set()


def test_seconds_spent_by_part(tmp_path: Path) -> None:
    assert spent(tmp_path) == {}
    steps = [{"name": "train", "seconds": 3.0}, {"name": "evaluation", "seconds": 2.0}]
    stages = [{"name": "1-sft", "steps": steps}, {"name": "base", "steps": steps[1:]}]
    (tmp_path / "state.json").write_text(json.dumps({"stages": stages}))
    assert spent(tmp_path) == {"1-sft": 3.0, "evaluations": 4.0}


def test_parameters_from_shapes(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    norms = sum(p.numel() for p in model.parameters() if p.dim() == 1)
    shape = read_shape(json.loads((tiny_model / "config.json").read_text()))
    assert shape is not None
    assert shape.parameters == sum(p.numel() for p in model.parameters()) - norms
    made = base_shape(tiny())
    assert made == Shape(hidden=128, intermediate=512, layers=4, queries=128, keys=128, vocabulary=640)


def test_no_forecast_for_a_model_of_another_kind(tiny_model: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_model / "config.json").read_text())
    assert read_shape(config | {"num_experts": 8}) is None
    assert read_shape({"n_embd": 64, "n_layer": 2}) is None
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    recipe = load_recipe(RECIPES / "smollm2-135m", [f"model={tmp_path}"])
    assert forecast(recipe, speed=SPEED) is not None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert forecast(recipe, speed=SPEED) is None


def test_the_probe_gives_a_speed_and_the_threads_back() -> None:
    import torch

    before = torch.get_num_threads()
    speed = probe(Shape(64, 128, 2, 64, 32, 5000), threads=1)
    assert speed.operations > 0 and speed.numbers > 0
    assert torch.get_num_threads() == before


#: A dry run where torch cannot be found.
BARE = """
import sys
sys.modules["torch"] = None
from r1train.cli import main
sys.argv = ["r1train", "run", sys.argv[1], "--dry-run"]
main()
"""


def test_a_dry_run_tells_it_beside_the_commands_and_only_with_torch(tmp_path: Path) -> None:
    recipe = str(RECIPES / "tiny")
    for command, lines in (
        (["-m", "r1train", "run", recipe, "--dry-run"], 1),
        (["-c", BARE, recipe], 0),
    ):
        ended = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert ended.stdout.startswith("# tiny: what `r1train run` would launch")
        assert len(ended.stderr.splitlines()) == lines
        assert not lines or ended.stderr.startswith("about ")
    assert not list(tmp_path.iterdir())
