"""What a model can do: sample and score; on the held-out problems by R1's protocol (arXiv 2501.12948)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.store import Step, read_rows, replacing, write_rows
from r1rewards.spec import load_spec
from r1train.recipe import Sampling
from r1train.run import Model, RunFolder
from r1train.sampling import responses
from r1train.summary import compare, summarize


def evaluate(run: RunFolder, model: Model, stage: Path, *, previous: Path | None) -> None:
    """Leave `evaluation/` in the stage's folder: every sample with its verdicts, and the summary.

    previous  the stage folder to compare with, problem by problem
    """
    settings = run.recipe.evaluation
    heldout = run.folder / "0-data" / "heldout.parquet"
    config = settings.model_dump() | {"model": model.key, "seed": run.recipe.seed}
    compared = [previous / "evaluation" / "scored.jsonl"] if previous else []
    with run.step(stage / "evaluation", config, [heldout, Path(settings.rewards), *compared]) as step:
        if step is None:
            return
        problems = list(read_rows(heldout))
        bar = f"evaluate {model.name}"
        rows = score_samples(run, model, step, problems, sampling=settings, rewards=settings.rewards, bar=bar)
        write_rows(step.path / "scored.jsonl", rows)
        summary = summarize(rows)
        if previous is not None:
            summary["compare"] = {"previous": previous.name, **compare(read_rows(compared[0]), rows)}
        with replacing(step.path / "summary.json") as part:
            part.write_text(json.dumps(summary, indent=1, ensure_ascii=False))
        step.finish({"in": len(rows), "problems": summary["problems"]})


def score_samples(
    run: RunFolder,
    model: Model,
    step: Step,
    problems: Sequence[Any],
    *,
    sampling: Sampling,
    rewards: str,
    bar: str,
) -> list[dict[str, Any]]:
    """Responses of the model to each problem, kept in the step's `responses.jsonl`, with their verdicts."""
    flat = responses(run, model, step, problems, sampling, bar)
    with load_spec(rewards) as spec:
        scores = spec.score_many(flat)
    return [score.to_row(row) | {"problem_id": row["id"]} for row, score in zip(flat, scores, strict=True)]
