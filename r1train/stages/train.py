"""One training job as a step: written down, launched on the recipe's backend, followed, collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.console import Bar
from r1rewards.core.errors import UserError
from r1train.backends import Backend, Result, get_backend
from r1train.backends.runner import Metrics
from r1train.backends.runner import run as launch
from r1train.job import Job, JobSegment, Kind
from r1train.run import Model, RunFolder, seed_of


def train(
    run: RunFolder,
    folder: Path,
    *,
    stage: str,
    kind: Kind,
    model: Model,
    settings: Any,
    data: Path | None = None,
    segments: Sequence[JobSegment] = (),
    variables: Mapping[str, str] | None = None,
) -> Path:
    """Train into `folder`, from its last checkpoint if there is one; returns the final model's folder."""
    rollout = settings.rollout.model_dump() if kind == "rl" else {}
    if rollout:
        rollout["dtype"] = run.recipe.engine.dtype
    config = {
        "kind": kind,
        "model": model.key,
        "seed": run.recipe.seed,
        "optim": settings.optim.model_dump(),
        "rollout": rollout,
        "segments": [[s.steps, s.max_tokens, s.refresh_reference] for s in segments],
        "native": settings.backend,
    }
    files = [data] if data else [Path(file) for s in segments for file in (s.prompts, s.rewards)]
    inputs = list(dict.fromkeys(files))
    with run.step(folder, config, inputs, name=f"train {kind}") as step:
        if step is None:
            return folder / "model"
        backend = get_backend(run.recipe.backend)
        job = Job(
            stage=stage,
            kind=kind,
            model=str(model.path),
            output=str(step.path.resolve()),
            seed=seed_of(run.recipe.seed, stage, kind),
            template=run.recipe.template,
            save_steps=settings.run.save_steps,
            optim=settings.optim.model_dump(),
            data=str(data) if data else None,
            rollout=rollout,
            segments=tuple(segments),
            variables=dict(variables or {}),
            native=settings.backend.get(run.recipe.backend, {}),
        )
        engine = {"R1KIT_ENGINE": run.engines.get(model.path).address} if kind == "rl" else {}
        with run.progress.bar(f"train {stage} ({kind})") as bar:
            try:
                result = train_job(job, backend, step.path, bar, env=engine)
            finally:
                run.engines.forget_weights()
        step.finish({"steps": result.steps})
    return folder / "model"


def train_job(
    job: Job, backend: Backend, folder: Path, bar: Bar, *, env: Mapping[str, str] | None = None
) -> Result:
    """Train the job in its folder, from the last checkpoint of an earlier try there if there is one.

    bar  told of the optimiser steps
    env  what to add to the trainer's environment

    Raises UserError where the backend cannot honour the job, or where the trainer fails.
    """
    for problem in backend.check(job):
        raise UserError(f"{job.stage}: {problem}")
    path = folder / "job.json"
    resume = path.exists()
    job.write(path)
    started = backend.launch(job, path, resume=resume)
    started.env.update(env or {})
    name = "reward" if job.kind == "rl" else "loss"

    def show(line: Metrics) -> None:
        value = line.get(name)
        bar(line["step"], line["of"], "" if value is None else f"{name} {value:.3f}")

    log, metrics = folder / "trainer.log", folder / "metrics.jsonl"
    launch(started, log=log, metrics=metrics, on_metrics=show)
    return backend.collect(job)
