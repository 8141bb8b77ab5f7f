"""The work of a run in tokens, step by step, counted from its recipe alone.

Left out as small beside the rest: prompts read by the engine, curation, grading, checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from r1data import content
from r1rewards.core.rows import CHECKED_TASKS, TASKS
from r1rewards.core.store import read_rows
from r1train.recipe import (
    BASE,
    DataStage,
    PretrainStage,
    Problems,
    Recipe,
    RewardModel,
    RlStage,
    SftOptim,
    SftStage,
    Traces,
)

# Tokens. A prompt in the chat template, and a written or worked-out trace: means over the shipped sources,
# with SmolLM2's tokenizer. A sampled response, as a share of its max_tokens: an untrained model seldom stops.
PROMPT = 64
TRACE = 60
CHARACTERS = 4  # to a token, in a file of one's own
UNTRAINED = 1.0
TRAINED = 0.45
# The same where there is room to think (8,192 tokens or more): R1's SFT data has 5,355 of 32,768.
LONG = 8192
LONG_SHARE = 0.163
# Shares of rows. Sampled responses that the rules keep; reasoning in a mix that "fits" (R1's 600k : 200k).
KEPT = 0.4
REASONING_SHARE = 0.75

REASONING = frozenset(CHECKED_TASKS)
GENERAL = frozenset(TASKS) - REASONING
#: The task of each source that has one of its own; others say it in their options.
SOURCE_TASKS = {
    "arithmetic": "math",
    "choice": "choice",
    "logic": "puzzle",
    "reasoning-gym": "puzzle",
    "small-code": "code",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What a step has to do.

    generated, trained, scored   tokens written, trained on, read without gradient
    updates, loads, trainers     optimiser steps, new weights for the engine, trainers started
    """

    generated: float = 0
    trained: float = 0
    scored: float = 0
    updates: int = 0
    loads: int = 0
    trainers: int = 0


def count(recipe: Recipe) -> dict[str, Work]:
    """The work of each step by its folder in the run, in the order in which they run."""
    steps: dict[str, Work] = {}
    for name, stage in recipe.stages.items():
        made: dict[str, Work] = {}
        if isinstance(stage, PretrainStage):
            rows = _problems(recipe, Problems(), REASONING)
            made = {"train": _training(stage.optim, rows, rows * (PROMPT + stage.traces * TRACE))}
        elif isinstance(stage, SftStage | RlStage):
            steps.setdefault(f"{BASE}/evaluation", _evaluation(recipe, "$base"))
            made = _sft(recipe, stage) if isinstance(stage, SftStage) else _rl(recipe, stage)
            made["evaluation"] = _evaluation(recipe, f"$stage.{name}")
        steps |= {f"{name}/{step}": work for step, work in made.items()}
    return steps


def _evaluation(recipe: Recipe, model: str) -> Work:
    sampling = recipe.evaluation
    heldout = sum(source.heldout for data in _data(recipe) for source in data.sources)
    length = _length(recipe, model, sampling.max_tokens)
    return Work(generated=heldout * sampling.samples * length, loads=1)


def _sft(recipe: Recipe, stage: SftStage) -> dict[str, Work]:
    made: dict[str, Work] = {}
    rows = tokens = reasoning = 0.0
    for traces in stage.data:
        made |= _sampling(recipe, traces)
        number, length = _rows(recipe, traces)
        rows += number
        tokens += number * min(PROMPT + length, stage.optim.max_length)
        reasoning += 0 if traces.source == "answers" else number
    share = 1.0
    if stage.mix is not None and rows:
        total = reasoning / REASONING_SHARE if stage.mix.total == "fit" else stage.mix.total
        share = min(1.0, total / rows)
    return {**made, "train": _training(stage.optim, share * rows, share * tokens)}


def _sampling(recipe: Recipe, traces: Traces) -> dict[str, Work]:
    """The responses of a model and, where they have one, their judge; nothing for other sources."""
    if traces.source != "samples":
        return {}
    samples = traces.sampling.samples
    asked = _problems(recipe, traces.problems) * samples
    length = _length(recipe, traces.model, traces.sampling.max_tokens)
    made = {f"{traces.name}/sample": Work(generated=asked * length, loads=1)}
    if traces.judge is not None:
        judged = _problems(recipe, traces.problems, traces.judge.tasks) * samples * KEPT
        length = _length(recipe, traces.judge.model, traces.judge.max_tokens)
        made[f"{traces.name}/judge"] = Work(generated=judged * length, loads=1)
    return made


def _rows(recipe: Recipe, traces: Traces) -> tuple[float, float]:
    """How many rows a source gives, and the mean length of their responses in tokens."""
    if traces.source == "written":
        return len(content.load("traces")), TRACE
    if traces.source == "file" and not Path(str(traces.path)).is_file():
        return 0, 0.0  # a plan says that it is missing
    if traces.source == "file":
        lengths = [len(str(row.get("text", ""))) / CHARACTERS for row in read_rows(str(traces.path))]
        return len(lengths), sum(lengths) / max(1, len(lengths))
    if traces.source == "samples":
        most = min(traces.per_problem, traces.sampling.samples)
        length = _length(recipe, traces.model, traces.sampling.max_tokens)
        return _problems(recipe, traces.problems) * most * KEPT, length
    tasks = REASONING if traces.source == "worked" else GENERAL
    return _problems(recipe, traces.problems, tasks), TRACE


def _rl(recipe: Recipe, stage: RlStage) -> dict[str, Work]:
    made = {
        f"reward-models/{name}/train": _reward_model(recipe, settings)
        for name, settings in stage.reward_models.items()
    }
    rollout, select = stage.rollout, stage.select
    if select is not None:
        tried = min(select.count, _problems(recipe, Problems(), REASONING)) * select.samples
        length = _length(recipe, stage.model, rollout.max_tokens)
        made = {"select/tried": Work(generated=tried * length, loads=1), **made}
    written = read = 0.0
    rollouts = 0
    for segment in stage.segments:
        number = segment.steps // rollout.minibatches
        length = _length(recipe, stage.model, segment.max_tokens or rollout.max_tokens)
        written += number * rollout.questions * rollout.group * length
        # a group shares its prompt's computation on the CPU; on a GPU this is a little too low
        read += number * rollout.questions * (PROMPT + rollout.group * length)
        rollouts += number
    updates = sum(segment.steps for segment in stage.segments)
    scored = read if stage.optim.beta > 0 else 0.0
    train = Work(generated=written, trained=read, scored=scored, updates=updates, loads=rollouts, trainers=1)
    return {**made, "train": train}


def _reward_model(recipe: Recipe, settings: RewardModel) -> Work:
    """Pairs are two sequences each. Rows of prompts that stage 0 leaves out of training are not there."""
    sequences = 2 if settings.data == "pairs" else 1
    if settings.path is not None:
        rows = sum(1 for _ in read_rows(settings.path)) if Path(settings.path).is_file() else 0
        length = min(
            settings.optim.max_length, PROMPT + response_length(settings.optim.max_length, trained=True)
        )
        return _training(settings.optim, rows, rows * sequences * length)
    every = len(content.load("general")) + len(content.load("safety"))
    share = min(1.0, _problems(recipe, Problems(tasks=tuple(sorted(GENERAL)))) / every)
    whole = len(content.pairs()) if settings.data == "pairs" else len(content.labels())
    return _training(settings.optim, share * whole, share * whole * sequences * (PROMPT + TRACE))


def _training(optim: SftOptim, rows: float, tokens: float) -> Work:
    updates = math.ceil(math.ceil(rows / optim.batch_size) * optim.epochs)
    return Work(trained=tokens * optim.epochs, updates=updates, trainers=1)


def _problems(recipe: Recipe, wanted: Problems, tasks: Collection[str] = TASKS) -> float:
    """How many training problems `wanted` chooses, and of them those of `tasks`."""
    there = _there(recipe, frozenset(wanted.tasks or TASKS))
    chosen = max(0, there - wanted.offset)
    chosen = chosen if wanted.count is None else min(chosen, wanted.count)
    return chosen * _there(recipe, frozenset(wanted.tasks or TASKS).intersection(tasks)) / max(1, there)


def _there(recipe: Recipe, tasks: Collection[str]) -> int:
    """Training problems of these tasks; a source that does not say what it gives counts for every task."""
    number = 0
    for source in (source for data in _data(recipe) for source in data.sources):
        named = source.options.get("set") if source.source == "prompts" else source.options.get("task")
        task = SOURCE_TASKS.get(source.source, named)
        number += source.train if tasks and (task is None or task in tasks) else 0
    return number


def _data(recipe: Recipe) -> Iterator[DataStage]:
    return (stage for stage in recipe.stages.values() if isinstance(stage, DataStage))


def _length(recipe: Recipe, model: str, max_tokens: int) -> float:
    """The expected length of a response of a model that a recipe names."""
    made_here = model == "$base" and recipe.pretraining is not None
    trained = made_here or model.startswith(("$stage.", "run:"))
    return response_length(max_tokens, trained=trained)


def response_length(max_tokens: int, *, trained: bool) -> float:
    """The expected length of a response: a model that nothing here has trained tends to use all it may."""
    if max_tokens >= LONG:
        return max_tokens * LONG_SHARE
    return max_tokens * (TRAINED if trained else UNTRAINED)


def finished(recipe: Recipe, folder: Path) -> frozenset[str]:
    """The steps in a run folder that stand, as `count` names them; call it before the run takes the folder.

    From the first stage on that is not the one of the recipe saved there, everything is made again.
    """
    try:
        before = yaml.safe_load((folder / "recipe.yaml").read_text())
    except OSError:  # a new run; what is wrong with its folder the run itself tells
        return frozenset()
    now = recipe.model_dump(mode="json")
    if any(before.get(key) != now[key] for key in ("model", "template", "seed", "evaluation")):
        return frozenset()
    same = [BASE]
    for name, stage in now["stages"].items():
        if before["stages"].get(name) != stage:
            same = same if stage["kind"] in ("sft", "rl") else same[1:]  # the base model is of stage 0
            break
        same.append(name)
    steps = (step for step in count(recipe) if step.partition("/")[0] in same)
    return frozenset(step for step in steps if (folder / step / "step.json").is_file())
