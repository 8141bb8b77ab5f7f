"""What each shipped recipe launches, word for word; and that no key of a recipe is dropped on the way.

The commands are in `golden/`. After a change that is meant, run this file with R1KIT_GOLDEN=write.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1train.backends import get_backend
from r1train.backends.trl import preset_file
from r1train.commands import commands
from r1train.job import Job
from r1train.jobs import check_jobs, planned_jobs
from r1train.recipe import Recipe
from r1train.recipe_file import load_recipe

RECIPES = Path(__file__).parents[3] / "recipes"
SHIPPED = sorted(path.parent.name for path in RECIPES.glob("*/pipeline.yaml"))
GOLDEN = Path(__file__).with_name("golden")


def load(name: str, *changes: str) -> Recipe:
    return load_recipe(RECIPES / name, changes, files=False)


#: R1-Zero without its refreshes: two launches of verl say what twenty-seven do.
SHORTER = {"r1-zero": ["1-zero-rl.refresh_every=null"]}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_commands_are_those_that_were_read(name: str) -> None:
    said = commands(load(name, *SHORTER.get(name, [])), Path("/RUNS") / name)
    said = said.replace(sys.executable, "PYTHON").replace(str(RECIPES), "RECIPES")
    said = said.replace(str(Path(preset_file("zero3")).parent), "PRESETS")
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("R1KIT_GOLDEN") == "write":
        file.write_text(said)
    assert said == file.read_text()


def test_r1s_numbers_are_in_their_places() -> None:
    said = commands(load("deepseek-r1"), Path("/RUNS/x")).split("# 4-all-scenarios-rl: rl")[0]
    rl = said.split("# 2-reasoning-rl: rl")[1].split("# 3-rejection-sft")[0]
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    for setting in (
        f"{actor}.optim.lr=3e-06",
        f"{actor}.kl_loss_coef=0.001",
        f"{actor}.kl_loss_type=low_var_kl",
        f"{actor}.clip_ratio_high=10.0",
        f"{actor}.clip_ratio_c=1000000000.0",
        f"{rollout}.n=16",
        "data.train_batch_size=512",
        f"{actor}.ppo_mini_batch_size=32",
        "data.max_response_length=32768",
        f"{rollout}.temperature=1.0",
    ):
        assert setting in rl, setting
    sft = said.split("# 3-rejection-sft: sft")[1]
    for setting in ("optim.lr=5e-05", "optim.min_lr=5e-06", "data.train_batch_size=128", "total_epochs=2"):
        assert setting in sft, setting


def test_a_launch_for_each_segment_and_its_reference() -> None:
    """400 steps are 25 rollouts: the reference is the policy at the end of the segment before."""
    jobs = {job.stage: (backend, job) for backend, job in check_jobs(load("deepseek-r1"), Path("/RUNS/x"))}
    backend, job = jobs["2-reasoning-rl"]
    launches = backend.launch(job, Path("/job.json"), resume=False)
    assert [launch.name for launch in launches[:6]] == [
        "prepare", "segment-0", "merge-0", "continue-1", "segment-1", "merge-1",
    ]  # fmt: skip
    told = {launch.name: " ".join(launch.argv) for launch in launches}
    assert "trainer.total_training_steps=25 " in told["segment-0"]
    assert "trainer.total_training_steps=50 " in told["segment-1"]
    assert "model.path=/RUNS/x/1-cold-start/train/model " in told["segment-0"]
    assert "model.path=/RUNS/x/2-reasoning-rl/train/references/segment-0 " in told["segment-1"]
    assert told["merge-0"].endswith("references/segment-0") and told["merge-4"].endswith("train/model")
    kept = jobs["4-all-scenarios-rl"]
    told = {
        launch.name: " ".join(launch.argv) for launch in kept[0].launch(kept[1], Path("/j"), resume=False)
    }
    assert "specs/reasoning.yaml" in told["segment-3"] and "specs/all-scenarios.yaml" in told["segment-4"]
    assert "references/segment-2 " in told["segment-4"], "rewards change there, the reference does not"
    assert "merge-3" not in told, "nobody asks for that one"
    assert "variables.helpfulness=/RUNS/x/4-all-scenarios-rl/reward-models" in told["segment-4"]


# no key is dropped

#: Keys that change no launch, and where it is tested that they are honoured.
ELSEWHERE = {
    "guards": "tests/r1train/test_guards.py: the runner watches",
    "rollout.truncated": "tests/r1train/backends/trl/test_grpo.py: the trainer scores, zeroes or masks",
    "rollout.truncated_in": "the same",
    "rollout.max_prompt": "tests/r1train/stages/test_rl.py: longer prompts reach no backend",
    "segments.problems": "tests/r1train/test_run.py: which prompts are written",
    "optim.max_length": "tests/r1train/stages/test_fit.py: rows are dropped before any backend sees them",
    "scope": "tests/r1train/stages/test_reward_model.py: which part of a response is written",
    "path": "the same: whose rows are written",
    "select": "tests/r1train/test_pipeline.py: which prompts are kept",
    "data": "which rows are written",
    "mix": "which rows are written",
    "rewards": "in the job that the trainer reads",
    "minibatches": "another value needs other steps: golden/deepseek-r1.txt, and test_grpo.py on minibatches",
}


def seen(name: str, job: Job) -> Any:
    """All that a trainer is told: the commands and, for TRL, the arguments that are made of the job."""
    backend = get_backend(name)
    assert not backend.check(job)
    launches = [asdict(launch) for launch in backend.launch(job, Path("/job.json"), resume=False)]
    if name == "verl":
        return launches
    if job.kind == "rl":
        from r1train.backends.trl.grpo import settings
    elif job.kind == "sft" or job.kind == "pretrain":
        from r1train.backends.trl.sft import settings
    else:
        from r1train.backends.trl.reward import settings
    segments = [(s.steps, s.max_tokens, s.refresh_reference, s.rewards) for s in job.segments]
    return launches, settings(job), segments, job.optim.get("lora"), job.rollout.get("dtype"), job.model


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


#: Another value that is as good, where adding or doubling would be wrong.
OTHER: dict[str, list[Any]] = {
    "precision": ["fp32", "bf16"],
    "engine": ["fsdp2", "fsdp"],
    "preset": ["fsdp", "zero2"],
    "generation": ["server"],
    "reference": ["refresh", "keep"],
    "model": ["/another/model"],
    "targets": [["q_proj"]],
    "final_ratio": [0.5],
    "trackers": [["wandb"]],
}


def others(key: str, value: Any) -> list[Any]:
    if key in OTHER:
        return [other for other in OTHER[key] if other != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * 2, value + 1, value / 2 if isinstance(value, float) else max(1, value // 2), 0.5]
    return []


def trained(recipe: Recipe) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """(job, path of the key in the recipe, its value) for every key that a backend is to honour."""
    data = recipe.model_dump(mode="json", exclude_none=True)
    for name, stage in data["stages"].items():
        parts = {name: (("stages", name), stage)}
        for model, settings in stage.get("reward_models", {}).items():
            parts[f"{name}/{model}"] = (("stages", name, "reward_models", model), settings)
        for job, (place, settings) in parts.items():
            if stage["kind"] == "data":
                continue
            for part in (
                "model",
                "optim",
                "rollout",
                "segments",
                "refresh_every",
                "run",
                "backend",
                "hardware",
            ):
                for path, value in leaves({part: settings[part]} if part in settings else {}):
                    yield job, (*place, *path), value
            for part in ("hardware", "trackers", "seed"):
                if part != "hardware" or "hardware" not in settings:
                    for path, value in leaves({part: data[part]}):
                        yield job, path, value


def is_elsewhere(path: tuple[Any, ...]) -> bool:
    names = ".".join(str(part) for part in path if not isinstance(part, int))
    first = path[-3:] == ("segments", 0, "reference")  # it begins with the start model, refreshed or not
    return first or any(f".{key}." in f".{names}." for key in ELSEWHERE)


UNUSED = {"memory_gb", "tflops", "bandwidth"}  # of the hardware: for `plan` only


def changed(recipe: Recipe, path: tuple[Any, ...], value: Any) -> Recipe | None:
    data = recipe.model_dump(mode="json", exclude_none=True)
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    try:
        return Recipe.model_validate(data)
    except ValueError:
        return None


def told(recipe: Recipe) -> dict[str, Any]:
    return {job.stage: (name, job) for name, job in planned_jobs(recipe, Path("/RUNS/x"))}


def differs(recipe: Recipe, stage: str, before: Any) -> bool:
    """Whether the trainer of a stage is told something else than before, or refuses it."""
    name, job = told(recipe)[stage]
    return bool(get_backend(name).check(job)) or seen(name, job) != before


@pytest.mark.parametrize("name", SHIPPED)
def test_no_key_of_a_recipe_is_ignored(name: str) -> None:
    """Each key that a backend is to honour is changed: what the trainer is told changes, or it is refused."""
    recipe = load(name)
    before = {stage: seen(*job) for stage, job in told(recipe).items()}
    tried = 0
    for stage, path, value in trained(recipe):
        if is_elsewhere(path) or path[-1] in UNUSED or not others(str(path[-1]), value):
            continue
        variants = (changed(recipe, path, other) for other in others(str(path[-1]), value))
        answers = (differs(new, stage, before[stage]) for new in variants if new is not None)
        assert any(answers), f"{name}: {'.'.join(map(str, path))} is not honoured by any other value"
        tried += 1
    assert tried > 10


def test_a_key_for_a_backend_that_is_not_there_is_refused() -> None:
    recipe = load("tiny", "2-reasoning-rl.backend={verll: {}}")
    with pytest.raises(
        UserError, match=r"backend.verll is for a backend that is not installed; did you mean 'verl'"
    ):
        check_jobs(recipe, Path("/RUNS/x"))


@pytest.mark.parametrize(
    ("recipe", "change", "told"),
    [
        ("tiny", "2-reasoning-rl.backend={trl: {arg: {}}}", "backend.trl has no key 'arg'"),
        ("tiny", "2-reasoning-rl.backend={trl: {args: {beta: 0.1}}}", "args.beta is the recipe's optim.beta"),
        ("tiny", "2-reasoning-rl.backend={trl: {preset: zero9}}", "backend.trl.preset 'zero9'"),
        ("tiny", "hardware.gpus=8", "say rollout.generation: colocate"),
        ("tiny", "hardware.gpus=7", "does not divide among 7 GPUs"),
        ("tiny", "2-reasoning-rl.optim.lora={rank: 8}", "cannot be refreshed"),
        ("tiny", "0-base.trained_by=verl", "verl trains no pretrain: say trained_by: trl"),
        ("tiny", "2-reasoning-rl.trained_by=verl", "say rollout.max_prompt"),
        ("tiny", "1-cold-start.trained_by=elsewhere", "there is no backend 'elsewhere'"),
        ("r1-zero", "1-zero-rl.rollout.truncated=zero", "can only be score, not zero"),
        ("r1-zero", "1-zero-rl.rollout.truncated_in={long_text: mask}", "can only be score, not mask"),
        ("r1-zero", "1-zero-rl.optim.final_ratio=0.1", "the stage needs a single segment"),
        ("r1-zero", "1-zero-rl.optim.warmup_steps=5", "must be a multiple of 16"),
        ("r1-zero", "1-zero-rl.optim.precision=fp32", "verl computes in bfloat16"),
        ("r1-zero", "1-zero-rl.backend.verl.tensor_parallel=3", "do not divide into vLLM engines"),
        ("r1-zero", "1-zero-rl.backend.verl.engine=fsdp3", "is not one of fsdp, fsdp2, megatron"),
        ("r1-zero", "1-zero-rl.backend.verl.pyton=python", "backend.verl has no key 'pyton'"),
        (
            "r1-zero",
            "1-zero-rl.backend={verl: {args: {actor_rollout_ref.actor.clip_ratio_c: 3.0}}}",
            "which the recipe's own keys decide",
        ),
        ("deepseek-r1", "1-cold-start.optim.epochs=1.5", "verl trains whole epochs"),
        ("deepseek-r1", "1-cold-start.optim.packing=best-fit", "remove optim.packing"),
    ],
)
def test_what_a_backend_cannot_honour_is_refused_by_name(recipe: str, change: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        check_jobs(load(recipe, change), Path("/RUNS/x"))
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_a_spec_that_leaves_a_failed_grader_open_is_refused_by_verl(tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text("rewards: {format: {}}")
    recipe = load("r1-zero", f"1-zero-rl.rewards={tmp_path / 'open.yaml'}")
    with pytest.raises(UserError, match=r"on_error: \{neutral: 0.0\}"):
        check_jobs(recipe, Path("/RUNS/x"))


# the parts of a launch of accelerate


def test_several_nodes_name_the_first_and_their_own(tmp_path: Path) -> None:
    recipe = load(
        "qwen2.5-7b",
        "hardware.nodes=2",
        "2-reasoning-rl.backend.trl.address=node0",
        "2-reasoning-rl.backend.trl.node=1",
    )
    [job] = [job for _, job in check_jobs(recipe, tmp_path) if job.stage == "2-reasoning-rl"]
    [launch] = get_backend("trl").launch(job, tmp_path / "job.json", resume=True)
    text = " ".join(launch.argv)
    assert "--num_processes 16 --num_machines 2 --machine_rank 1 --main_process_ip node0" in text
    assert text.endswith("job.json --resume")
    assert launch.env["TENSORBOARD_LOGGING_DIR"].endswith("2-reasoning-rl/train/tensorboard")
