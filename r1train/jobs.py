"""The training jobs of a recipe: one function makes them, for a run and for whoever only wants to see
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1train.backends import Backend, backends, get_backend
from r1train.job import Job, JobSegment, Kind
from r1train.recipe import PretrainStage, Recipe, RlStage, SftStage, nearest
from r1train.run import seed_of


def make_job(
    recipe: Recipe,
    folder: Path,
    *,
    stage: str,
    kind: Kind,
    model: str,
    settings: Any,
    data: Path | None = None,
    segments: Sequence[JobSegment] = (),
    variables: Mapping[str, str] | None = None,
) -> Job:
    """The job that trains into `folder`. `settings` is a stage of the recipe, or one of its reward models."""
    rl = kind == "rl"
    hardware = settings.hardware or recipe.hardware
    return Job(
        stage=stage,
        kind=kind,
        model=model,
        output=str(folder.absolute()),
        seed=seed_of(recipe.seed, stage, kind),
        template=recipe.template,
        save_steps=settings.run.save_steps,
        optim=settings.optim.model_dump(mode="json", exclude_none=True),
        data=str(data) if data else None,
        rollout=settings.rollout.model_dump(mode="json", exclude_none=True) | {"dtype": recipe.engine.dtype}
        if rl
        else {},
        segments=tuple(segments),
        guards=settings.guards.model_dump(mode="json") if rl else {},
        nodes=hardware.nodes,
        gpus=hardware.gpus,
        trackers=recipe.trackers,
        variables=dict(variables or {}),
        native=settings.backend.get(backend_name(recipe, settings), {}),
    )


def backend_name(recipe: Recipe, settings: Any) -> str:
    """Who trains a stage or a reward model."""
    return settings.trained_by or recipe.backend


def job_segments(stage: RlStage, prompts: Sequence[Path]) -> list[JobSegment]:
    """The stage's segments as a backend sees them; `prompts` holds the file of each segment of the recipe."""
    return [
        JobSegment(
            steps=segment.steps,
            prompts=str(prompts[number]),
            rewards=segment.rewards or stage.rewards,
            max_tokens=segment.max_tokens or stage.rollout.max_tokens,
            refresh_reference=segment.reference == "refresh",
        )
        for number, segment in stage.stretches
    ]


def prompt_files(folder: Path, stage: RlStage) -> list[Path]:
    """Where the prompts of each segment are written, below the stage's folder."""
    return [folder / "prompts" / f"segment-{number}.jsonl" for number in range(len(stage.segments))]


def planned_jobs(recipe: Recipe, folder: Path) -> Iterator[tuple[str, Job]]:
    """Every job of a run in `folder`, each with its backend's name; nothing of it need exist yet."""
    for name, stage in recipe.stages.items():
        here = folder.absolute() / name
        if isinstance(stage, PretrainStage | SftStage):
            if isinstance(stage, PretrainStage):
                model = str(here / "start" / "model")
            else:
                model = model_path(recipe, folder, stage.model)
            job = make_job(
                recipe,
                here / "train",
                stage=name,
                kind=stage.kind,
                model=model,
                settings=stage,
                data=here / "dataset" / "tokens.jsonl",
            )
            yield backend_name(recipe, stage), job
        elif isinstance(stage, RlStage):
            yield from _rl_jobs(recipe, folder, name, stage)


def _rl_jobs(recipe: Recipe, folder: Path, name: str, stage: RlStage) -> Iterator[tuple[str, Job]]:
    here = folder.absolute() / name
    variables = {}
    for model, settings in stage.reward_models.items():
        below = here / "reward-models" / model
        variables[model] = str(below / "train" / "model")
        job = make_job(
            recipe,
            below / "train",
            stage=f"{name}/{model}",
            kind=settings.data,
            model=model_path(recipe, folder, settings.model),
            settings=settings,
            data=below / "data" / "train.jsonl",
        )
        yield backend_name(recipe, settings), job
    job = make_job(
        recipe,
        here / "train",
        stage=name,
        kind="rl",
        model=model_path(recipe, folder, stage.model),
        settings=stage,
        segments=job_segments(stage, prompt_files(here, stage)),
        variables=variables,
    )
    yield backend_name(recipe, stage), job


def model_path(recipe: Recipe, folder: Path, reference: str) -> str:
    """Where the model that a recipe names will be; the name itself, where it is the hub's or a folder."""
    folder = folder.absolute()
    if reference == "$base":
        made = recipe.pretraining
        return recipe.model if made is None else str(folder / made[0] / "train" / "model")
    if reference.startswith("$stage."):
        return str(folder / reference.removeprefix("$stage.") / "train" / "model")
    return reference


def check_jobs(recipe: Recipe, folder: Path) -> list[tuple[Backend, Job]]:
    """Every job beside its backend. UserError where one cannot be honoured, before anything starts."""
    _check_names(recipe)
    found = []
    for name, job in planned_jobs(recipe, folder):
        backend = get_backend(name)
        for problem in backend.check(job):
            raise UserError(f"{job.stage}: {problem}")
        found.append((backend, job))
    return found


def _check_names(recipe: Recipe) -> None:
    """Settings for a backend that is not installed would be settings that nobody reads."""
    known = sorted(backends())
    for name, stage in recipe.stages.items():
        models = stage.reward_models if isinstance(stage, RlStage) else {}
        for where, settings in [(name, stage), *((f"{name}/{m}", s) for m, s in models.items())]:
            for given in getattr(settings, "backend", {}):
                if given not in known:
                    near = nearest(given, known)
                    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
                    raise UserError(
                        f"{where}: backend.{given} is for a backend that is not installed; {hint}"
                    )
