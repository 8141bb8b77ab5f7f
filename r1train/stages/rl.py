"""Stages 2 and 4: prompts by pass rate, reward models where the stage has them, then GRPO on its segments."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from r1data.sample import ask
from r1data.select import pass_rates, select_problems
from r1rewards.core.errors import UserError
from r1rewards.core.rows import CHECKED_TASKS
from r1rewards.core.store import read_rows, write_rows
from r1train.evaluate import score_samples
from r1train.job import JobSegment
from r1train.recipe import Problems, RlStage, Sampling, Select
from r1train.run import RunFolder
from r1train.stages.reward_model import reward_model
from r1train.stages.sft import choose
from r1train.stages.train import train


def run_rl(run: RunFolder, folder: Path, stage: RlStage) -> None:
    """Choose the prompts, train the reward models on training prompts only, then the policy."""
    chosen = None if stage.select is None else select(run, folder / "select", stage, stage.select)
    train(
        run,
        folder / "train",
        stage=folder.name,
        kind="rl",
        model=run.model(stage.model),
        settings=stage,
        segments=[_segment(run, folder, stage, number, chosen) for number in range(len(stage.segments))],
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


def _segment(
    run: RunFolder, folder: Path, stage: RlStage, number: int, chosen: Collection[str] | None
) -> JobSegment:
    """A segment with its prompts written to a file: each row with the conversation that is asked."""
    segment = stage.segments[number]
    prompts = folder / "prompts" / f"segment-{number}.jsonl"
    rows = [
        row | {"ask": ask(row, run.template)}
        for row in choose(run, segment.problems)
        if chosen is None or row["task"] not in CHECKED_TASKS or row["id"] in chosen
    ]
    if not rows:
        raise UserError(
            f"{folder.name}: segment {number} has no prompt left; see the ledger in {folder / 'select'}"
        )
    prompts.parent.mkdir(exist_ok=True)
    write_rows(prompts, rows)
    return JobSegment(
        steps=segment.steps,
        prompts=str(prompts),
        rewards=segment.rewards or stage.rewards,
        max_tokens=segment.max_tokens or stage.rollout.max_tokens,
        refresh_reference=segment.reference == "refresh",
    )
