"""How long a run will take on this machine, said before it begins.

`r1train.work` counts tokens; the model's size turns them into floating-point operations (2 for each parameter
and token forward, 6 forward and backward) and into numbers that are written between the matrix products. Half
a second of both, in the model's own shapes, tells how much this machine does in a second: one whose processor
multiplies matrices three times as fast still moves the rest through its memory no faster.

Every step counts as one of the recipe's base model, that of a judge or a reward model of another size too.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from r1rewards.core.processes import cores
from r1train.models import resolve_model
from r1train.recipe import Recipe
from r1train.work import Work, count

# Measured on 2 idle cores with bfloat16 and SmolLM2-135M, not yet on a GPU. Of the probe's rate of matrix
# products, the share that is left where a step has a few hundred tokens only; and how many times what the
# products of a token write is written in all: by attention, norms, activations, softmax and sampling.
GENERATION = 0.6
GENERATION_PASSES = 9.5
SCORING_PASSES = 5.0
TRAINING_PASSES = 23.0
# What costs the same whatever the model. The starts: measured there. A step of the engine and one of the
# optimiser: what they take in recipes/tiny, whose million parameters cost next to nothing.
ENGINE_START_S = 13.0
TRAINER_START_S = 10.0
ENGINE_STEP_S = 0.015
UPDATE_S = 0.1
# Parameters a second. New weights for the engine: measured, 0.3 s for 135M. An update by AdamW: not measured,
# 28 bytes of weight, gradient and moments for each parameter at the 8 GB/s that two cores move.
LOADED = 450e6
UPDATED = 280e6

#: How long the probe runs, how many tokens go through a matrix, and onto how many words of the vocabulary;
#: and how many tokens it writes for.
PROBE_S = 0.5
PROBE_ROWS = 512
PROBE_WORDS = 4096
PROBE_WRITTEN = 4096

EVALUATIONS = "evaluations"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds by part: all evaluations, then each stage that has anything left to do.

    machine  what it is a forecast for
    resumed  whether a part of the run is done already
    """

    parts: Mapping[str, float]
    machine: str
    resumed: bool

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    def __str__(self) -> str:
        unit = _unit(self.total)
        parts = ", ".join(f"{part} {_figure(seconds, unit)}" for part, seconds in self.parts.items())
        left = " left" if self.resumed else ""
        return f"about {_figure(self.total, unit)} {unit}{left} on this machine ({self.machine}): {parts}"

    def against(self, took: float, spent: Mapping[str, float]) -> str:
        """What came of it: seconds in all and by part, each with its forecast behind it."""
        unit = _unit(max(took, self.total))
        parts = ", ".join(
            f"{part} {_figure(spent.get(part, 0.0), unit)} ({_figure(seconds, unit)})"
            for part, seconds in self.parts.items()
        )
        return f"took {_figure(took, unit)} {unit} (forecast {_figure(self.total, unit)}): {parts}"


def forecast(recipe: Recipe, done: Collection[str] = (), *, speed: Speed | None = None) -> Forecast | None:
    """What the steps that are not `done` will take; None where none is left or nothing can be said.

    speed  the machine's; the probe's where it is not given, and nothing without torch
    """
    work = {step: amount for step, amount in count(recipe).items() if step not in done}
    if not work or (speed is None and find_spec("torch") is None):
        return None
    shape = base_shape(recipe)
    if shape is None:
        return None
    if speed is None:
        speed = probe(shape, recipe.threads)
    parts: dict[str, float] = {}
    starting = ENGINE_START_S  # once, with the first step that needs the engine
    for step, amount in work.items():
        seconds = duration(amount, shape, speed, recipe.engine.max_batch)
        if amount.generated:
            seconds, starting = seconds + starting, 0.0
        part = _part(*step.split("/", 1))
        parts[part] = parts.get(part, 0.0) + seconds
    return Forecast(parts, _machine(recipe), resumed=bool(done))


def duration(work: Work, shape: Shape, speed: Speed, batch: int) -> float:
    """Seconds for this work on a machine of this speed, with `batch` sequences side by side."""
    forward = work.generated / GENERATION + work.scored + 3 * work.trained
    passes = (
        GENERATION_PASSES * work.generated + SCORING_PASSES * work.scored + TRAINING_PASSES * work.trained
    )
    tokens = forward * 2 * shape.parameters / speed.operations + passes * shape.written / speed.numbers
    steps = work.generated / batch * ENGINE_STEP_S + work.updates * (UPDATE_S + shape.parameters / UPDATED)
    starts = work.loads * shape.parameters / LOADED + work.trainers * TRAINER_START_S
    return tokens + steps + starts


def spent(folder: Path) -> dict[str, float]:
    """The seconds that a run folder's steps have taken so far, tries added up, by the parts of a forecast."""
    try:
        state = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return {}
    parts: dict[str, float] = {}
    for stage in state["stages"]:
        for step in stage["steps"]:
            part = _part(stage["name"], step["name"])
            parts[part] = parts.get(part, 0.0) + step["seconds"]
    return parts


def _part(stage: str, step: str) -> str:
    return EVALUATIONS if step == "evaluation" else stage


def _unit(seconds: float) -> str:
    return "s" if seconds < 90 else "min" if seconds < 2 * 3600 else "h"


def _figure(seconds: float, unit: str) -> str:
    value = seconds / {"s": 1, "min": 60, "h": 3600}[unit]
    if unit == "h":
        return f"{value:.1f}"
    return f"{value:.0f}" if value >= 0.5 else "<1"


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine does in a second: operations of matrix products, and numbers written to new memory."""

    operations: float
    numbers: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Llama-like model: gated feed-forward layers, grouped attention."""

    hidden: int
    intermediate: int
    layers: int
    queries: int
    keys: int
    vocabulary: int

    @property
    def matrices(self) -> list[tuple[int, int]]:
        """(outputs, inputs) of the matrices of one layer."""
        attention = [(self.queries + 2 * self.keys, self.hidden), (self.hidden, self.queries)]
        return [*attention, (2 * self.intermediate, self.hidden), (self.hidden, self.intermediate)]

    @property
    def parameters(self) -> int:
        """Those that every token is multiplied with: all layers and the projection onto the vocabulary."""
        layer = sum(outputs * inputs for outputs, inputs in self.matrices)
        return self.layers * layer + self.hidden * self.vocabulary

    @property
    def written(self) -> int:
        """Numbers that the matrix products of one token give."""
        return self.layers * sum(outputs for outputs, _ in self.matrices) + self.vocabulary


def base_shape(recipe: Recipe) -> Shape | None:
    """The base model's shape, the model fetched if need be; None where `read_shape` has none."""
    if (made := recipe.pretraining) is not None:
        stage = made[1]
        hidden = stage.hidden
        return Shape(hidden, 4 * hidden, stage.layers, hidden, hidden, stage.vocabulary)
    config = json.loads((resolve_model(recipe.model) / "config.json").read_text())
    return read_shape(config.get("text_config", config))


def read_shape(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a `config.json` tells; None where it is not that of a Llama-like model."""
    if any("experts" in key for key in config):  # only some of its weights are used for each token
        return None
    try:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        size = config.get("head_dim") or hidden // heads
        return Shape(
            hidden=hidden,
            intermediate=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            queries=heads * size,
            keys=(config.get("num_key_value_heads") or heads) * size,
            vocabulary=config["vocab_size"],
        )
    except KeyError:
        return None


def probe(shape: Shape, threads: int | None = None) -> Speed:
    """The machine's speed in products with these matrices and in what is between, as a trainer here computes.

    The fastest of each counts, so that what else runs in this half second does not.
    """
    import torch

    from r1train.backends.trl.arguments import (
        has_bfloat16,  # the choice where a recipe says `precision: auto`
    )

    gpu = torch.cuda.is_available()
    place: dict[str, Any] = {
        "dtype": torch.bfloat16 if has_bfloat16() else torch.float32,
        "device": "cuda" if gpu else "cpu",
    }
    part = min(shape.vocabulary, PROBE_WORDS)
    weights = [torch.ones(size, **place) for size in [*shape.matrices, (part, shape.hidden)]]
    inputs = {w.shape[1]: torch.ones(PROBE_ROWS, w.shape[1], **place) for w in weights}
    written = torch.ones(PROBE_WRITTEN, shape.intermediate, dtype=torch.float32, device=place["device"])
    jobs: list[Callable[[], Any]] = [
        partial(torch.nn.functional.linear, inputs[w.shape[1]], w) for w in weights
    ]
    jobs.append(partial(torch.add, written, 1.0))
    fastest = [math.inf] * len(jobs)
    with torch.inference_mode(), _threads(threads):
        began = time.perf_counter()
        while time.perf_counter() - began < PROBE_S:
            for number, job in enumerate(jobs):
                start = time.perf_counter()
                job()
                if gpu:
                    torch.cuda.synchronize()
                fastest[number] = min(fastest[number], time.perf_counter() - start)
    times = [*[float(shape.layers)] * len(shape.matrices), shape.vocabulary / part]
    products = sum(often * took for often, took in zip(times, fastest, strict=False))
    return Speed(2 * PROBE_ROWS * shape.parameters / products, written.numel() / fastest[-1])


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _machine(recipe: Recipe) -> str:
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    used = recipe.threads or cores()
    return "1 core" if used == 1 else f"{used} cores"
