"""One training job as a step: written down, launched on its backend, followed, collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1train.backends import Metrics, get_backend, runner
from r1train.guards import Watch
from r1train.job import JobSegment, Kind
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
        for problem in [*backend.check(job), *backend.missing(job)]:
            raise UserError(f"{stage}: {problem}")
        job = replace(
            job, output=str(step.path.resolve()), recipe=str((run.folder / "recipe.yaml").resolve())
        )
        path = step.path / "job.json"
        resume = path.exists()
        job.write(path)
        launches = backend.launch(job, path, resume=resume)
        if kind == "rl" and "generation" not in job.rollout and backend.needs_engine:
            for launch in launches:
                launch.env["R1KIT_ENGINE"] = run.engine(model).address
        elif not backend.needs_engine or "generation" in job.rollout or job.gpus > 1:
            run.stop_engine()  # the trainer wants the memory of its GPU
        with run.progress.bar(f"train {stage} ({kind})") as bar:

            def show(line: Metrics) -> None:
                value = line.get("reward" if kind == "rl" else "loss")
                note = "" if value is None else f"{'reward' if kind == 'rl' else 'loss'} {value:.3f}"
                bar(line["step"], line["of"], note)

            try:
                runner.run(
                    launches,
                    step.path,
                    resume=resume,
                    translate=lambda line: backend.metrics(job, line),
                    on_metrics=show,
                    watch=Watch(job.guards),
                    say=run.progress.say,
                )
            finally:
                run.forget_weights()
        result = backend.collect(job)
        step.finish({"steps": result.steps})
    return folder / "model"
