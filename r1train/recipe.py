"""Recipes: what to run, as data.

A recipe is a folder: `pipeline.yaml` (base model, stages, engine, evaluation) and a YAML file for each stage.
This module is the schema; `r1train.recipe_file` reads, checks and writes it. Models
are named by where they come from: `$base`, `$stage.2-reasoning-rl`, `run:runs/r1-zero`, a folder, a hub id.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from r1rewards.core.rows import TASKS

#: The stage folder of the model that everything starts from.
BASE = "base"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Keys(BaseModel):
    """A mapping of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Engine(Keys):
    """The generation engine; see `r1rewards.llm.engine.Engine`."""

    backend: Literal["auto", "vllm", "transformers"] = "auto"
    max_length: PositiveInt = 1024
    max_batch: PositiveInt = 64
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    memory_gb: Positive = 1.0


class Sampling(Keys):
    """How responses are drawn, `samples` for each problem."""

    samples: PositiveInt = 4
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: PositiveInt = 512


class Evaluation(Sampling):
    """R1's protocol: temperature 0.6, top-p 0.95, pass@1 as the mean over samples."""

    temperature: Annotated[float, Field(ge=0)] = 0.6
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    rewards: str


class Problems(Keys):
    """Which training problems: of these tasks (all when empty), at most `count`, from `offset` on."""

    tasks: tuple[str, ...] = ()
    count: PositiveInt | None = None
    offset: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _known(self) -> Problems:
        for task in self.tasks:
            if task not in TASKS:
                raise ValueError(f"there is no task {task!r}; tasks are {', '.join(TASKS)}")
        return self


class Source(Keys):
    """Problems of one source, split into training and held-out ones."""

    name: str
    source: str
    train: Annotated[int, Field(ge=0)] = 0
    heldout: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = {}


class Decontaminate(Keys):
    """Training problems that share word n-grams with held-out ones are dropped (R1: 10-grams)."""

    ngram: PositiveInt = 10
    coverage: Share = 0.5


class DataStage(Keys):
    """Stage 0: problems, disjoint from the held-out ones on which every model is evaluated."""

    kind: Literal["data"]
    sources: tuple[Source, ...]
    decontaminate: Decontaminate = Decontaminate()


class Judge(Keys):
    """A generative judge for items that rules cannot grade (R1, stage 3)."""

    model: str = "$base"
    tasks: tuple[str, ...] = ("general",)
    max_tokens: PositiveInt = 96


class Traces(Keys):
    """Where supervised rows come from.

    worked    training problems worked out step by step by a small program for each kind of problem
    written   chains of thought written by hand
    answers   hand-written answers to general prompts: with a chain of thought, without, or with none at all
    samples   responses of a model to training problems, aligned to the template and curated by rules
    file      a file of chats or traces of your own
    """

    name: str
    source: Literal["worked", "written", "answers", "samples", "file"]
    problems: Problems = Problems()
    model: str = "$base"
    sampling: Sampling = Sampling()
    align: bool = False
    rules: str = "cold-start"
    per_problem: PositiveInt = 1
    judge: Judge | None = None
    path: str | None = None


class Mix(Keys):
    """How many rows of each domain go into the training set: `seed` is 600k reasoning to 200k general.

    total  samples in all; "fit" is the largest number that keeps the proportions
    """

    quota: str = "seed"
    total: PositiveInt | Literal["fit"] = "fit"


class Hardware(Keys):
    """The machines that a recipe is for: a trainer is a process for each GPU, and `plan` reckons with them.

    gpus       of one node
    memory_gb  of one GPU
    tflops     dense bfloat16 operations a second of one GPU, in 10^12 (H100 and H800: 989, A100: 312)
    bandwidth  of its memory, in 10^12 bytes a second (H100 and H800: 3.35, A100: 2.0)
    """

    nodes: PositiveInt = 1
    gpus: PositiveInt = 1
    memory_gb: Positive = 80.0
    tflops: Positive = 989.0
    bandwidth: Positive = 3.35

    @property
    def total(self) -> int:
        """GPUs of all nodes."""
        return self.nodes * self.gpus


class Lora(Keys):
    """Low-rank adapters in place of all weights: less memory, a weaker learner. They are merged at the end.

    targets  "all-linear", or the names of the modules that get one
    """

    rank: PositiveInt = 32
    alpha: PositiveInt = 64
    dropout: Share = 0.0
    targets: str | tuple[str, ...] = "all-linear"


class Optim(Keys):
    """The optimiser: AdamW, a cosine from `learning_rate` to `final_ratio` of it.

    micro_batch  rows that one GPU computes at a time; memory, not the result, depends on it
    """

    learning_rate: Positive
    final_ratio: Share = 0.1
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0
    micro_batch: PositiveInt = 8
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    lora: Lora | None = None


class SftOptim(Optim):
    """Supervised fine-tuning: loss on the completion only.

    packing  "best-fit" lays rows end to end in sequences of `max_length`, each seeing only itself;
             `batch_size` then counts those sequences. Without it, it counts rows
    """

    epochs: Positive = 2.0
    batch_size: PositiveInt = 128
    max_length: PositiveInt = 32768
    packing: Literal["best-fit"] | None = None


class Run(Keys):
    """How often a checkpoint is written; a kill costs at most that many steps."""

    save_steps: PositiveInt = 20


class SftStage(Keys):
    """Stages 1 and 3: collect traces, curate, mix, fine-tune."""

    kind: Literal["sft"]
    model: str = "$base"
    data: tuple[Traces, ...]
    mix: Mix | None = None
    optim: SftOptim
    run: Run = Run()
    trained_by: str | None = None
    hardware: Hardware | None = None
    backend: dict[str, dict[str, Any]] = {}


class RlOptim(Optim):
    """GRPO's own settings. R1: beta 0.001, clip 10, learning rate 3e-6 and no decay of it published."""

    final_ratio: Share = 1.0
    beta: Annotated[float, Field(ge=0)] = 0.001
    clip: Positive = 10.0


Truncated = Literal["score", "zero", "mask"]


class Rollout(Keys):
    """One rollout: `questions` x `group` responses, cut into `minibatches` optimiser steps.

    max_prompt  longest prompt in tokens; longer ones are left out, and counted. None: whatever there is
    truncated   what happens to a response cut by `max_tokens`: it is scored as it is, its total is 0, or it
                is scored and masked out of the loss
    truncated_in  another rule for a domain: {long_text: mask}
    generation  who writes them: the run's own engine, or vLLM beside the trainer ("colocate": on its GPUs,
                "server": `trl vllm-serve` on others)
    """

    questions: PositiveInt = 32
    group: Annotated[int, Field(ge=2)] = 16
    minibatches: PositiveInt = 1
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: PositiveInt = 32768
    max_prompt: PositiveInt | None = None
    truncated: Truncated = "score"
    truncated_in: dict[str, Truncated] | None = None
    generation: Literal["colocate", "server"] | None = None


class Segment(Keys):
    """A stretch of reinforcement learning with its own prompts, rewards, length and reference.

    steps      optimiser steps
    problems   which training problems are asked
    mix        share of each domain among them, {math: 0.5, code: 0.5}: others are left out, none is repeated
    rewards    reward spec, when it is not the stage's
    reference  "keep" the reference model, or "refresh" it with the policy when the segment begins
    """

    steps: PositiveInt
    problems: Problems = Problems()
    mix: dict[str, Positive] | None = None
    rewards: str | None = None
    max_tokens: PositiveInt | None = None
    reference: Literal["keep", "refresh"] = "keep"


class RewardModel(Keys):
    """A reward model trained before the stage: on pairs (helpfulness) or on labels (harmlessness).

    path  rows of your own, {"prompt", "chosen", "rejected"} or {"prompt", "text", "label"}: JSON lines or
          Parquet; one prompt in fifty is held out. None: what was written for this project
    """

    data: Literal["pairs", "labels"]
    path: str | None = None
    scope: Literal["answer", "response"]
    model: str = "$base"
    optim: SftOptim
    run: Run = Run()
    trained_by: str | None = None
    hardware: Hardware | None = None
    backend: dict[str, dict[str, Any]] = {}


class Select(Keys):
    """Prompts by how often the stage's first model solves them: always or never teaches a group nothing.

    count    checkable training problems that are tried, `samples` times each at the rollout's settings
    lowest, highest  pass rates that stay
    """

    count: PositiveInt
    samples: Annotated[int, Field(ge=2)] = 4
    lowest: Share = 0.1
    highest: Share = 0.9


class Guards(Keys):
    """What is watched at every step of reinforcement learning; None is not watched.

    then           "warn" says it, also in `warnings.jsonl`; "stop" saves a checkpoint and ends the run
    zero_variance  share of groups whose responses all score the same: they teach nothing
    length         how many times longer responses have become than in the first steps
    kl             mean divergence from the reference
    nan            a loss or a gradient that is no number
    """

    then: Literal["warn", "stop"] = "warn"
    zero_variance: Share | None = 0.9
    length: Positive | None = 4.0
    kl: Positive | None = 10.0
    nan: bool = True


class RlStage(Keys):
    """Stages 2 and 4: GRPO on a list of segments; `select` narrows their checkable problems down.

    refresh_every  steps after which the reference is replaced by the policy, counted over all segments
    """

    kind: Literal["rl"]
    model: str
    rewards: str
    select: Select | None = None
    reward_models: dict[str, RewardModel] = {}
    segments: tuple[Segment, ...]
    refresh_every: PositiveInt | None = None
    rollout: Rollout
    optim: RlOptim
    guards: Guards = Guards()
    run: Run = Run()
    trained_by: str | None = None
    hardware: Hardware | None = None
    backend: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _whole_rollouts(self) -> RlStage:
        for number, segment in enumerate(self.segments):
            if segment.steps % self.rollout.minibatches:
                raise ValueError(
                    f"segment {number} has {segment.steps} steps, which is not a whole number of rollouts of "
                    f"{self.rollout.minibatches} minibatches"
                )
        if (self.refresh_every or 0) % self.rollout.minibatches:
            raise ValueError(
                f"refresh_every is {self.refresh_every} steps, which is not a whole number of rollouts of "
                f"{self.rollout.minibatches} minibatches"
            )
        if (self.rollout.questions * self.rollout.group) % self.rollout.minibatches:
            raise ValueError("questions x group must divide into the minibatches")
        return self

    @property
    def stretches(self) -> list[tuple[int, Segment]]:
        """The segments, cut where the reference is refreshed, each with the number of the one it is of."""
        cut: list[tuple[int, Segment]] = []
        done = 0
        for number, segment in enumerate(self.segments):
            left, reference = segment.steps, segment.reference
            while left:
                due = bool(self.refresh_every and done and done % self.refresh_every == 0)
                room = self.refresh_every - done % self.refresh_every if self.refresh_every else left
                steps = min(left, room)
                change = {"steps": steps, "reference": "refresh" if due else reference}
                cut.append((number, segment.model_copy(update=change)))
                done, left, reference = done + steps, left - steps, "keep"
        return cut


class PretrainStage(Keys):
    """A base model of its own: a small Llama with its own tokenizer, pre-trained on the training problems."""

    kind: Literal["pretrain"]
    vocabulary: PositiveInt = 512
    hidden: PositiveInt = 128
    layers: PositiveInt = 4
    heads: PositiveInt = 4
    max_length: PositiveInt = 512
    traces: Share = 0.5
    optim: SftOptim
    run: Run = Run()
    trained_by: str | None = None
    hardware: Hardware | None = None
    backend: dict[str, dict[str, Any]] = {}


Stage = Annotated[DataStage | PretrainStage | SftStage | RlStage, Field(discriminator="kind")]


class Recipe(Keys):
    """A whole run: `stages` in order, each under its name.

    backend   who trains; a stage may name another one with `trained_by`
    hardware  on what; a stage may have its own
    trackers  where trainers send their metrics beside `metrics.jsonl`
    threads   of engine and trainer on the CPU; one for each core if not given
    """

    name: str
    model: str
    template: str = "think-answer"
    seed: int = 0
    backend: str = "trl"
    threads: PositiveInt | None = None
    hardware: Hardware = Hardware()
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    engine: Engine = Engine()
    evaluation: Evaluation
    stages: dict[str, Stage]

    @property
    def pretraining(self) -> tuple[str, PretrainStage] | None:
        """The stage that makes `$base`, after its name; None where `$base` is the recipe's `model`."""
        stages = ((name, stage) for name, stage in self.stages.items() if isinstance(stage, PretrainStage))
        return next(stages, None)

    @model_validator(mode="after")
    def _models_exist(self) -> Recipe:
        seen: list[str] = []
        for name, stage in self.stages.items():
            for model in _models_of(stage):
                wanted = model.removeprefix("$stage.")
                if model.startswith("$stage.") and wanted not in seen:
                    near = nearest(wanted, seen) or "the stages before it"
                    raise ValueError(f"{name}: no stage {wanted!r} comes before it; try {near}")
            seen.append(name)
        return self


def _models_of(stage: Any) -> list[str]:
    models = [getattr(stage, "model", "")]
    if isinstance(stage, SftStage):
        models += [traces.model for traces in stage.data] + [t.judge.model for t in stage.data if t.judge]
    return models


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that is most like this one, if any is."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return found[0] if found else None
