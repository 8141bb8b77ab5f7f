"""One training job as a step: written down, launched on the recipe's backend, followed, collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1train.backends import get_backend
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
        for problem in backend.check(job):
            raise UserError(f"{stage}: {problem}")
        path = step.path / "job.json"
        resume = path.exists()
        job.write(path)
        started = backend.launch(job, path, resume=resume)
        if kind == "rl":
            engine = run.engines.get(model.path)
            started.env["R1KIT_ENGINE"] = engine.address
        with run.progress.bar(f"train {stage} ({kind})") as bar:

            def show(line: Metrics) -> None:
                value = line.get("reward" if kind == "rl" else "loss")
                note = "" if value is None else f"{'reward' if kind == 'rl' else 'loss'} {value:.3f}"
                bar(line["step"], line["of"], note)

            try:
                launch(
                    started,
                    log=step.path / "trainer.log",
                    metrics=step.path / "metrics.jsonl",
                    on_metrics=show,
                )
            finally:
                run.engines.forget_weights()
        result = backend.collect(job)
        step.finish({"steps": result.steps})
    return folder / "model"
