"""What would keep a recipe from running as planned, a sentence each; none of it needs a model or a
trainer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from r1rewards.core.errors import UserError
from r1rewards.core.settings import read_yaml
from r1train.backends import Backend, get_backend
from r1train.backends.trl import Trl
from r1train.job import Job
from r1train.jobs import planned_jobs
from r1train.models import is_here
from r1train.plan.cost import engine_gpus
from r1train.plan.sizes import Size, size_of
from r1train.recipe import DataStage, PretrainStage, Recipe, RlStage, SftStage


def warnings(recipe: Recipe, folder: Path) -> list[str]:
    """Every failed check, each once, in the order of the stages."""
    found = chain(_models(recipe), _files(recipe), _templates(recipe), _engine(recipe), _jobs(recipe, folder))
    return list(dict.fromkeys(found))


def _models(recipe: Recipe) -> Iterator[str]:
    if size_of(recipe, "$base") is None:
        yield (
            f"the size of {recipe.model} is not known here, so its cost is not: give a folder with its "
            "config.json, or fetch it once"
        )
    if not is_here(recipe):
        yield f"{recipe.model} is not a folder here: it will come out of the hub's cache, or be fetched"
    for stage in recipe.stages.values():
        for traces in stage.data if isinstance(stage, SftStage) else ():
            if not traces.model.startswith("run:"):
                continue
            run = Path(traces.model.removeprefix("run:"))
            if not list(run.glob("*/train/model")):
                yield f"{traces.model}: there is no finished run in {run}; this needs it"


def _files(recipe: Recipe) -> Iterator[str]:
    for name, stage in recipe.stages.items():
        wanted: list[tuple[str, str | None]] = []
        if isinstance(stage, DataStage):
            wanted = [(source.name, source.options.get("path")) for source in stage.sources]
        elif isinstance(stage, SftStage):
            wanted = [(traces.name, traces.path) for traces in stage.data]
        elif isinstance(stage, RlStage):
            wanted = [(model, settings.path) for model, settings in stage.reward_models.items()]
        for what, path in wanted:
            if path is not None and not Path(path).exists():
                yield f"{name}: {what} reads {path}, and there is no such file yet; here it counts as empty"


def _templates(recipe: Recipe) -> Iterator[str]:
    """A response is taken apart by the template of the spec, and asked for in that of the recipe."""
    specs = [recipe.evaluation.rewards]
    for stage in recipe.stages.values():
        if isinstance(stage, RlStage):
            specs += [stage.rewards, *(segment.rewards for segment in stage.segments if segment.rewards)]
    for spec in dict.fromkeys(specs):
        template = read_yaml(spec).get("template", "think-answer")
        if template != recipe.template:
            yield (
                f"{spec} reads responses as {template}, and the recipe asks for {recipe.template}: "
                "nothing would be well formed"
            )


def _engine(recipe: Recipe) -> Iterator[str]:
    size, most = size_of(recipe, "$base"), recipe.engine.max_length
    if recipe.evaluation.max_tokens >= most:
        yield (
            f"evaluation.max_tokens is {recipe.evaluation.max_tokens}, and engine.max_length {most} "
            "has to hold the prompt as well"
        )
    if size is None:
        return
    if size.context and most > size.context:
        yield (
            f"engine.max_length is {most}, and the configuration of {recipe.model} allows {size.context} "
            "tokens: lower it, or take a copy of the model with another configuration"
        )
    needed = engine_gpus(size, recipe.hardware)
    if needed > 1:
        yield (
            f"the run's own engine, which samples and evaluates, is on one GPU, and {recipe.model} needs "
            f"{needed} GPUs of {recipe.hardware.memory_gb:g} GB: serve it, sample with `r1data sample "
            "--url`, and give the files to `source: file`"
        )


def _jobs(recipe: Recipe, folder: Path) -> Iterator[str]:
    for name, job in planned_jobs(recipe, folder):
        try:
            backend = get_backend(name)
        except UserError as error:
            yield f"{job.stage}: {error}"
            continue
        yield from (f"{job.stage}: {problem}" for problem in [*backend.check(job), *backend.missing(job)])
        size = _size(recipe, job)
        if size is not None:
            yield from _context(job, size)
            yield from _memory(recipe, backend, job, size)


def _size(recipe: Recipe, job: Job) -> Size | None:
    name, _, model = job.stage.partition("/")
    stage = recipe.stages[name]
    if model and isinstance(stage, RlStage):
        return size_of(recipe, stage.reward_models[model].model)
    return size_of(recipe, "$base" if isinstance(stage, PretrainStage) else getattr(stage, "model", "$base"))


def longest(job: Job) -> int:
    """The longest sequence that a job computes, in tokens."""
    if job.kind == "rl":
        return int(job.rollout.get("max_prompt", 0)) + max(segment.max_tokens for segment in job.segments)
    return int(job.optim["max_length"])


def _context(job: Job, size: Size) -> Iterator[str]:
    if size.context and longest(job) > size.context:
        yield (
            f"{job.stage}: sequences have up to {longest(job)} tokens, and the model's configuration allows "
            f"{size.context}"
        )


def _memory(recipe: Recipe, backend: Backend, job: Job, size: Size) -> Iterator[str]:
    """Weights, gradients, optimiser and logits of one GPU, roughly, against what it has."""
    stage = recipe.stages[job.stage.partition("/")[0]]
    hardware = getattr(stage, "hardware", None) or recipe.hardware
    needed = memory_gb(job, size, trl=isinstance(backend, Trl))
    if needed > hardware.memory_gb:
        yield (
            f"{job.stage}: a GPU would need about {needed:.0f} GB, and has {hardware.memory_gb:g}: more "
            "GPUs, a preset that shards more (zero3, fsdp), a smaller optim.micro_batch or max_length, or "
            "optim.lora"
        )


def memory_gb(job: Job, size: Size, *, trl: bool) -> float:
    """What one GPU holds: 16 bytes a weight, as its backend shards them, and the activations of a pass.

    With activations recomputed, a pass keeps one hidden state for each token and layer, and the logits with
    their gradient, 6 bytes a word of the vocabulary.
    """
    gpus = job.nodes * job.gpus
    preset = str(job.native.get("preset", "ddp"))
    shards = gpus if not trl or preset in ("zero3", "fsdp", "fsdp1") else 1
    optimiser = gpus if preset in ("zero1", "zero2") else shards
    args = job.native.get("args", {})
    away = any("optimizer_offload" in key and value for key, value in args.items())
    weights = 4.0 if "lora" in job.optim else 8.0 / shards + (0 if away else 8.0 / optimiser)
    if job.kind == "rl" and job.optim["beta"] > 0 and not away:
        weights += (4.0 if trl else 2.0) / shards
    parallel = 1
    for key, value in args.items():
        if (
            key.endswith("actor.megatron.tensor_model_parallel_size")
            or key == "engine.tensor_model_parallel_size"
        ):
            parallel *= int(value)
    tokens = min(job.optim["micro_batch"], 64) * longest(job)
    activations = tokens * (size.layers * size.hidden * 2 + 6 * size.vocabulary) / parallel
    engine = float(args.get("vllm_gpu_memory_utilization", 0.3)) if "generation" in job.rollout else 0.0
    held = size.parameters * weights + activations
    return float(held / 1e9 / (1 - engine if engine < 1 else 1))
