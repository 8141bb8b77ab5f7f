"""A reward model before its stage: trained on the training prompts, tested on the held-out ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1data import content
from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.store import read_rows, replacing, write_rows
from r1rewards.core.template import Template, Trace
from r1rewards.reward_model import RewardModel as Scorer
from r1train.recipe import RewardModel
from r1train.run import RunFolder, seed_of
from r1train.stages.train import train
from r1train.statistics import bootstrap_mean


def reward_model(run: RunFolder, folder: Path, name: str, settings: RewardModel) -> Path:
    """Train one reward model and return its folder; how good it is stands in `evaluation.json`."""
    splits = {split: run.folder / "0-data" / f"{split}.parquet" for split in ("train", "heldout")}
    config: dict[str, Any] = {"data": settings.data, "scope": settings.scope, "template": run.template.name}
    own = [Path(settings.path)] if settings.path else []
    with run.step(folder / "data", config, own or list(splits.values())) as step:
        if step is not None:
            counts = {}
            for split, file in splits.items():
                if own:
                    rows = _own_rows(settings, own[0], split)
                else:
                    rows = _rows(settings, {row["id"] for row in read_rows(file)}, run.template)
                counts[split] = write_rows(step.path / f"{split}.jsonl", rows)
            step.finish(counts)
    trained = train(
        run,
        folder / "train",
        stage=f"{folder.parent.parent.name}/{name}",
        kind=settings.data,
        model=run.model(settings.model),
        settings=settings,
        data=folder / "data" / "train.jsonl",
    )
    config = {"max_length": settings.optim.max_length}
    inputs = [folder / "data" / "heldout.jsonl", trained.parent / "step.json"]
    with run.step(folder / "evaluation", config, inputs) as step:
        if step is not None:
            figures = _evaluate(trained, folder / "data" / "heldout.jsonl", settings)
            with replacing(step.path / "evaluation.json") as part:
                part.write_text(json.dumps(figures, indent=1))
            step.finish(figures)
    return trained


def _rows(settings: RewardModel, ids: set[str], template: Template) -> Iterator[dict[str, Any]]:
    """Rows as the trainer reads them, in the part of a response that the model will be shown.

    A whole response comes with thinking and without. Both labels of a prompt share the thinking, so that it
    is no sign of either.
    """
    if settings.data == "pairs":
        for pair in content.pairs(ids):
            yield dict(pair)
        return
    thoughts = {row["id"]: row.get("reasoning") for row in content.load("safety")}
    for label in content.labels(ids):
        response, reasoning = label["response"], thoughts[label["id"]]
        if settings.scope == "answer":
            yield {**label, "text": response}
            continue
        yield {**label, "text": template.render("", response, thinking=False)}
        if reasoning:
            yield {**label, "text": template.render(reasoning, response)}


#: One prompt in so many of a file of one's own is held out.
HELD_OUT = 50


def _own_rows(settings: RewardModel, path: Path, split: str) -> Iterator[dict[str, Any]]:
    """Rows of a file, split by prompt, so that no prompt is on both sides."""
    wanted = {"pairs": ("prompt", "chosen", "rejected"), "labels": ("prompt", "text", "label")}[settings.data]
    for number, row in enumerate(read_rows(path), 1):
        if lacking := [name for name in wanted if name not in row]:
            raise UserError(
                f"{path}, row {number}: a row of {settings.data} has {', '.join(wanted)}, and this has no "
                f"{lacking[0]!r}"
            )
        prompt = json.dumps(row["prompt"], ensure_ascii=False)
        heldout = seed_of("held out", prompt) % HELD_OUT == 0
        if heldout == (split == "heldout"):
            yield {"id": row.get("id") or f"{seed_of(prompt):08x}", **row}


def _evaluate(model: Path, heldout: Path, settings: RewardModel) -> dict[str, Any]:
    """Accuracy on prompts that it has not seen, with its interval over prompts."""
    rows = list(read_rows(heldout))
    if not rows:
        return {"prompts": 0, "accuracy": None}
    scorer = Scorer(
        model,
        output="raw" if settings.data == "pairs" else "sigmoid",
        empty=0.0,
        max_length=settings.optim.max_length,
    )
    try:
        if settings.data == "pairs":
            better, worse = _values(scorer, rows, "chosen"), _values(scorer, rows, "rejected")
            right = [_above(a, b) for a, b in zip(better, worse, strict=True)]
            figures = {"accuracy": _by_prompt(rows, right)}
        else:
            values = _values(scorer, rows, "text")
            right = [float((p > 0.5) == bool(row["label"])) for p, row in zip(values, rows, strict=True)]
            figures = {"accuracy": _by_prompt(rows, right)}
            if ranked := _ranked(rows, values):
                figures["ranked"] = ranked
    finally:
        scorer.close()
    return {"prompts": len({row["id"] for row in rows}), "rows": len(rows), **figures}


def _values(scorer: Scorer, rows: list[dict[str, Any]], key: str) -> list[float]:
    return [float(v.value or 0.0) for v in scorer.check_many([_sample(row, row[key]) for row in rows])]


def _above(a: float, b: float) -> float:
    return 1.0 if a > b else 0.5 if a == b else 0.0


def _by_prompt(rows: list[dict[str, Any]], right: list[float]) -> dict[str, float]:
    """The mean over prompts of each one's mean, with its interval."""
    by_prompt: dict[str, list[float]] = {}
    for row, value in zip(rows, right, strict=True):
        by_prompt.setdefault(row["id"], []).append(value)
    return bootstrap_mean([sum(values) / len(values) for values in by_prompt.values()]).to_dict()


def _ranked(rows: list[dict[str, Any]], values: list[float]) -> dict[str, float] | None:
    """How often the good answer to a prompt is worth more than a bad one to the same prompt.

    It is what a group of GRPO uses, and holds also where all values lie on one side of the threshold.
    """
    pairs: list[dict[str, Any]] = []
    above: list[float] = []
    for good, a in zip(rows, values, strict=True):
        for bad, b in zip(rows, values, strict=True):
            if good["id"] == bad["id"] and good["label"] and not bad["label"]:
                pairs.append(good)
                above.append(_above(a, b))
    return _by_prompt(pairs, above) if pairs else None


def _sample(row: Mapping[str, Any], text: str) -> Sample:
    trace = Trace("", text, True, ())
    return Sample(row["id"], "general", text, trace, prompt=row["prompt"])
