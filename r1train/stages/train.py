"""One training job as a step: written down, launched on its backend, followed, collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1rewards.core.console import Bar
from r1rewards.core.errors import UserError
from r1train.backends import Backend, Metrics, Result, get_backend, runner
from r1train.guards import Watch
from r1train.job import Job, JobSegment, Kind
from r1train.jobs import backend_name, make_job
from r1train.run import Model, RunFolder


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
    job = make_job(
        run.recipe,
        folder,
        stage=stage,
        kind=kind,
        model=str(model.path),
        settings=settings,
        data=data,
        segments=segments,
        variables=variables,
    )
    config = {
        "kind": kind,
        "model": model.key,
        "seed": run.recipe.seed,
        "optim": job.optim,
        "rollout": job.rollout,
        "segments": [[s.steps, s.max_tokens, s.refresh_reference] for s in segments],
        "native": settings.backend,
    }
    files = [data] if data else [Path(file) for s in segments for file in (s.prompts, s.rewards)]
    with run.step(folder, config, list(dict.fromkeys(files)), name=f"train {kind}") as step:
        if step is None:
            return folder / "model"
        backend = get_backend(backend_name(run.recipe, settings))
        recipe = str((run.folder / "recipe.yaml").resolve())
        job = replace(job, output=str(step.path.resolve()), recipe=recipe)
        engine = {}
        if kind == "rl" and backend.needs_engine and "generation" not in job.rollout:
            engine = {"R1KIT_ENGINE": run.engines.get(model.path).address}
        elif not backend.needs_engine or kind == "rl" or job.gpus > 1:
            run.engines.close()  # the trainer wants the memory of its GPU
        with run.progress.bar(f"train {stage} ({kind})") as bar:
            try:
                result = train_job(job, backend, step.path, bar, env=engine, say=run.progress.say)
            finally:
                run.engines.forget_weights()
        step.finish({"steps": result.steps})
    return folder / "model"


def train_job(
    job: Job,
    backend: Backend,
    folder: Path,
    bar: Bar,
    *,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Result:
    """Train the job in its folder, from the last checkpoint of an earlier try there if there is one.

    bar  told of the optimiser steps
    env  what to add to the trainer's environment
    say  told what the guards of the job find

    Raises UserError where the backend cannot honour the job, or where the trainer fails.
    """
    for problem in [*backend.check(job), *backend.missing(job)]:
        raise UserError(f"{job.stage}: {problem}")
    path = folder / "job.json"
    resume = path.exists()
    job.write(path)
    launches = backend.launch(job, path, resume=resume)
    for launch in launches:
        launch.env.update(env or {})
    name = "reward" if job.kind == "rl" else "loss"

    def show(line: Metrics) -> None:
        value = line.get(name)
        bar(line["step"], line["of"], "" if value is None else f"{name} {value:.3f}")

    runner.run(
        launches,
        folder,
        resume=resume,
        translate=lambda line: backend.metrics(job, line),
        on_metrics=show,
        watch=Watch(job.guards),
        say=say,
    )
    return backend.collect(job)
