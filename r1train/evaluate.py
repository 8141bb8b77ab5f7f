"""Evaluation on the held-out problems by R1's protocol (arXiv 2501.12948): sample, score, summarise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from r1data.flat import flatten
from r1data.sample import sample
from r1rewards.core.store import Step, read_rows, replacing, write_rows
from r1rewards.spec import load_spec
from r1train.run import Model, RunFolder
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
        rows = _score(run, model, step, heldout)
        write_rows(step.path / "scored.jsonl", rows)
        summary = summarize(rows)
        if previous is not None:
            summary["compare"] = {"previous": previous.name, **compare(read_rows(compared[0]), rows)}
        with replacing(step.path / "summary.json") as part:
            part.write_text(json.dumps(summary, indent=1, ensure_ascii=False))
        step.finish({"in": len(rows), "problems": summary["problems"]})


def _score(run: RunFolder, model: Model, step: Step, heldout: Path) -> list[dict[str, Any]]:
    settings = run.recipe.evaluation
    problems: list[Any] = list(read_rows(heldout))
    with run.progress.bar(f"evaluate {model.name}") as bar:
        responses = sample(
            problems,
            lambda: run.engine(model),
            step.path / "responses.jsonl",
            name=model.name,
            template=run.template,
            samples=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_tokens,
            seed=run.recipe.seed,
            landed=lambda done, total, _: bar(done, total),
        )
    flat = list(flatten(problems, responses))
    with load_spec(settings.rewards) as spec:
        scores = spec.score_many(flat)
    return [score.to_row(row) | {"problem_id": row["id"]} for row, score in zip(flat, scores, strict=True)]
