"""Stages 2 and 4: prompts by pass rate, reward models where the stage has them, then GRPO on its segments."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from r1data.sample import ask
from r1data.select import pass_rates, select_problems
from r1rewards.core.errors import UserError
from r1rewards.core.rows import CHECKED_TASKS
from r1rewards.core.store import read_rows, replacing, write_rows
from r1train.evaluate import score_samples
from r1train.jobs import job_segments, prompt_files
from r1train.recipe import Problems, RlStage, Sampling, Segment, Select
from r1train.run import RunFolder
from r1train.stages.fit import load_tokenizer
from r1train.stages.reward_model import reward_model
from r1train.stages.sft import choose
from r1train.stages.train import train


def run_rl(run: RunFolder, folder: Path, stage: RlStage) -> None:
    """Choose the prompts, train the reward models on training prompts only, then the policy."""
    chosen = None if stage.select is None else select(run, folder / "select", stage, stage.select)
    files = prompt_files(folder.absolute(), stage)
    for segment, file in zip(stage.segments, files, strict=True):
        _write_prompts(run, folder, stage, segment, file, chosen)
    train(
        run,
        folder / "train",
        stage=folder.name,
        kind="rl",
        model=run.model(stage.model),
        settings=stage,
        segments=job_segments(stage, files),
        variables=reward_models(run, folder, stage),
    )


def reward_models(run: RunFolder, folder: Path, stage: RlStage) -> dict[str, str]:
    """The folders of the stage's reward models by name, trained where they are not there yet."""
    return {
        name: str(reward_model(run, folder / "reward-models" / name, name, settings).resolve())
        for name, settings in stage.reward_models.items()
    }


def select(run: RunFolder, folder: Path, stage: RlStage, settings: Select) -> frozenset[str]:
    """The ids of the checkable problems that the stage's first model solves sometimes, with a ledger."""
    model, rollout = run.model(stage.model), stage.rollout
    sampling = Sampling(
        samples=settings.samples,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        max_tokens=rollout.max_tokens,
    )
    config = settings.model_dump() | {"model": model.key, "seed": run.recipe.seed} | sampling.model_dump()
    train_file = run.folder / "0-data" / "train.parquet"
    with run.step(folder / "tried", config, [train_file, Path(stage.rewards)]) as step:
        if step is not None:
            problems = choose(run, Problems(tasks=CHECKED_TASKS, count=settings.count))
            bar = f"try the prompts with {model.name}"
            rows = score_samples(
                run, model, step, problems, sampling=sampling, rewards=stage.rewards, bar=bar
            )
            write_rows(step.path / "problems.parquet", problems)
            step.finish({"rows": write_rows(step.path / "scored.jsonl", rows)})
    tried = folder / "tried"
    counts = select_problems(
        tried / "problems.parquet",
        folder / "chosen",
        rates=pass_rates([tried / "scored.jsonl"]),
        lowest=settings.lowest,
        highest=settings.highest,
    )
    if not counts.get("kept"):
        raise UserError(
            f"{folder.parent.name}: none of {settings.count} problems has a pass rate from {settings.lowest} "
            f"to {settings.highest}; widen them, raise select.count or make the problems easier"
        )
    run.progress.say(f"  prompts: {counts['kept']} of {counts['in']} have a pass rate that teaches")
    return frozenset(str(row["id"]) for row in read_rows(folder / "chosen" / "kept.parquet"))


def _write_prompts(
    run: RunFolder,
    folder: Path,
    stage: RlStage,
    segment: Segment,
    file: Path,
    chosen: Collection[str] | None,
) -> None:
    """The prompts of a segment, each row with the conversation that is asked, and a file of counts."""
    rows = [
        row | {"ask": ask(row, run.template)}
        for row in choose(run, segment.problems)
        if chosen is None or row["task"] not in CHECKED_TASKS or row["id"] in chosen
    ]
    counts: dict[str, Any] = {"there": len(rows)}
    if stage.rollout.max_prompt is not None:
        rows = _short(run, rows, stage, stage.rollout.max_prompt)
        counts["too_long"] = counts["there"] - len(rows)
    if segment.mix is not None:
        rows = weighted(rows, segment.mix, f"{folder.name}: {file.stem}")
    if not rows:
        raise UserError(
            f"{folder.name}: {file.stem} has no prompt left; see the ledger in {folder / 'select'}"
        )
    domains = Counter(row["domain"] for row in rows)
    counts |= {"kept": len(rows), "domains": dict(domains)}
    file.parent.mkdir(exist_ok=True)
    write_rows(file, rows)
    with replacing(file.with_suffix(".counts.json")) as part:
        part.write_text(json.dumps(counts, indent=1))
    if segment.mix is not None or counts.get("too_long"):
        parts = ", ".join(f"{name} {number / len(rows):.0%}" for name, number in domains.most_common())
        longer = (
            f"; {counts['too_long']} are longer than rollout.max_prompt" if counts.get("too_long") else ""
        )
        run.progress.say(f"  {file.stem}: {len(rows)} prompts, {parts}{longer}")


def _short(run: RunFolder, rows: list[dict[str, Any]], stage: RlStage, longest: int) -> list[dict[str, Any]]:
    """The rows whose prompt has at most `longest` tokens in the chat template of the stage's model."""
    tokenizer = load_tokenizer(run.model(stage.model).path)
    return [
        row
        for row in rows
        if len(tokenizer.apply_chat_template(row["ask"], add_generation_prompt=True, return_dict=False))
        <= longest
    ]


def weighted(rows: list[dict[str, Any]], shares: Mapping[str, float], where: str) -> list[dict[str, Any]]:
    """As many rows as can be had in these proportions of their domains, in order; none is taken twice."""
    there = Counter(row["domain"] for row in rows)
    for domain in shares:
        if not there[domain]:
            have = ", ".join(sorted(there))
            raise UserError(f"{where}: mix names {domain!r}, and there is no such prompt; domains are {have}")
    scale = min(there[domain] / share for domain, share in shares.items())
    left = {domain: max(1, round(scale * share)) for domain, share in shares.items()}
    kept = []
    for row in rows:
        if left.get(row["domain"], 0):
            left[row["domain"]] -= 1
            kept.append(row)
    return kept
