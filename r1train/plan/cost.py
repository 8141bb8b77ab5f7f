"""What the steps of a run cost on given GPUs: tokens, operations, hours. The model of it, in full:

Training    a token costs 6 operations for each active parameter (forward and backward), a pass without
            gradient 2. A GPU does TRAINING of its peak. A rollout's tokens are trained on once, and read
            twice more without gradient: by the policy that wrote them, and by the reference.
Writing     each engine is as many GPUs as its weights need (WEIGHTS of their memory). To write one token for
            every sequence it holds, it reads those weights and the sequences' key-value cache once, at
            BANDWIDTH of what the memory gives, and never in less than STEP_S. So a few sequences cost almost
            as much as many.
A rollout   ends when its longest response does, and one of thousands uses all of `max_tokens`: it takes at
            least `max_tokens` such steps, while most GPUs wait. That is what makes long responses expensive,
            far more than their number of tokens.
Sampling    and evaluation have enough prompts to keep every engine full.

Left out: reading prompts, grading, loading weights, checkpoints, start-up. Lengths: `r1train.work`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from r1train.plan.sizes import Size, size_of
from r1train.recipe import Hardware, Recipe, RlStage, SftStage
from r1train.work import Work, count

#: Share of a GPU's peak that training reaches. DeepSeek-V3's own pre-training: 14.8T tokens x 6 x 37e9
#: operations in 2.66M H800-hours are 0.35 (arXiv 2412.19437); the small batches of RL reach less.
TRAINING = 0.3
#: Share of a GPU's bandwidth that decoding reaches, and the shortest time in which an engine writes a token.
BANDWIDTH = 0.5
STEP_S = 0.01
#: Share of a GPU's memory that an engine may fill with weights.
WEIGHTS = 0.6
BYTES = 2  # a weight in bfloat16


@dataclass(frozen=True, slots=True)
class Row:
    """One step of a run.

    generated, trained  tokens
    flops               floating-point operations
    gpus                that are occupied, for `hours` each; None where the model's size is not known
    disk_gb             what it leaves at most: two checkpoints while it runs, then the model
    """

    stage: str
    step: str
    generated: float
    trained: float
    updates: int
    flops: float | None
    gpus: int
    hours: float | None
    disk_gb: float | None = None

    @property
    def gpu_hours(self) -> float | None:
        return None if self.hours is None else self.hours * self.gpus


def rows(recipe: Recipe) -> Iterator[Row]:
    """Every step that writes or trains, in the order in which they run."""
    for path, work in count(recipe).items():
        name, step = path.split("/", 1)
        stage = recipe.stages.get(name)
        model = "$base"
        settings: Any = None
        if isinstance(stage, RlStage) and step.startswith("reward-models/"):
            settings = stage.reward_models[step.split("/")[1]]
            model = settings.model
        elif stage is not None and step == "evaluation":
            model = f"$stage.{name}"
        elif stage is not None and step == "train":
            settings, model = stage, getattr(stage, "model", "$base")
        elif isinstance(stage, RlStage):
            model = stage.model
        elif isinstance(stage, SftStage):
            source = next(traces for traces in stage.data if traces.name == step.split("/")[0])
            judged = step.endswith("/judge") and source.judge is not None
            model = source.judge.model if judged and source.judge else source.model
        hardware = getattr(settings, "hardware", None) or recipe.hardware
        yield _row(
            recipe, stage, name, step, work, size_of(recipe, model), hardware, trains=settings is not None
        )


def _row(
    recipe: Recipe,
    stage: object,
    name: str,
    step: str,
    work: Work,
    size: Size | None,
    hardware: Hardware,
    *,
    trains: bool,
) -> Row:
    row = Row(name, step, work.generated, work.trained, work.updates, None, hardware.total, None)
    if size is None:
        return row
    flops = size.active * (6 * work.trained + 2 * work.generated)
    rl = isinstance(stage, RlStage) and step == "train"
    passes = 2 if rl and work.scored else 1 if rl else 0
    flops += 2 * size.active * passes * work.trained
    if rl:
        assert isinstance(stage, RlStage)
        seconds = rollouts_s(stage, size, hardware) + training_s(size, work.trained, passes, hardware)
    elif trains:
        seconds = training_s(size, work.trained, 0, hardware)
    else:
        seconds = sampling_s(recipe, size, work.generated, hardware)
    disk = size.parameters * (2 * 12 + (8 if rl else 0) + 4) / 1e9 if trains else None
    return Row(
        name,
        step,
        work.generated,
        work.trained,
        work.updates,
        flops,
        hardware.total,
        seconds / 3600,
        disk,
    )


def training_s(size: Size, tokens: float, passes: int, hardware: Hardware) -> float:
    """Seconds of all GPUs for these tokens, forward and backward, and `passes` times forward only."""
    return size.active * tokens * (6 + 2 * passes) / (hardware.tflops * 1e12 * TRAINING * hardware.total)


def rollouts_s(stage: RlStage, size: Size, hardware: Hardware) -> float:
    """Seconds of writing in all rollouts of a stage."""
    from r1train.work import response_length

    rollout, seconds = stage.rollout, 0.0
    outputs = rollout.questions * rollout.group
    for segment in stage.segments:
        longest = segment.max_tokens or rollout.max_tokens
        mean = response_length(longest, trained=stage.model != "$base")
        engines = max(1, hardware.total // engine_gpus(size, hardware))
        together = min(ceil(outputs / engines), capacity(size, hardware, mean))
        rounds = ceil(outputs / engines / together)
        bulk = rounds * mean * step_s(size, hardware, together, mean)
        tail = longest * step_s(size, hardware, max(1, together // 8), longest)
        seconds += segment.steps / rollout.minibatches * max(bulk, tail)
    return seconds


def sampling_s(recipe: Recipe, size: Size, tokens: float, hardware: Hardware) -> float:
    """Seconds to write these tokens with every engine full."""
    mean = recipe.engine.max_length / 4
    together = min(recipe.engine.max_batch, capacity(size, hardware, mean))
    engines = max(1, hardware.total // engine_gpus(size, hardware))
    return tokens / (engines * together) * step_s(size, hardware, together, mean)


def engine_gpus(size: Size, hardware: Hardware) -> int:
    """GPUs that one engine needs for its weights: a power of two."""
    least = size.parameters * BYTES / (hardware.memory_gb * 1e9 * WEIGHTS)
    gpus = 1
    while gpus < least:
        gpus *= 2
    return gpus


def capacity(size: Size, hardware: Hardware, length: float) -> int:
    """Sequences of this length whose cache an engine holds beside its weights."""
    gpus = engine_gpus(size, hardware)
    free = 0.9 * gpus * hardware.memory_gb * 1e9 - size.parameters * BYTES
    return max(1, int(free / (size.cache * max(1.0, length))))


def step_s(size: Size, hardware: Hardware, together: int, length: float) -> float:
    """Seconds in which an engine writes one token of each of `together` sequences of about this length."""
    weights = min(size.parameters, size.active * together) * BYTES
    read = weights + together * length * size.cache
    return max(STEP_S, read / (engine_gpus(size, hardware) * hardware.bandwidth * 1e12 * BANDWIDTH))
