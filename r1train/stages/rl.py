"""Stages 2 and 4: reward models where the stage has them, then GRPO on its segments."""

from __future__ import annotations

from pathlib import Path

from r1data.sample import ask
from r1rewards.core.store import write_rows
from r1train.job import JobSegment
from r1train.recipe import RlStage
from r1train.run import RunFolder
from r1train.stages.reward_model import reward_model
from r1train.stages.sft import choose
from r1train.stages.train import train


def run_rl(run: RunFolder, folder: Path, stage: RlStage) -> None:
    """Train the reward models on training prompts only, then the policy."""
    variables = {
        name: str(reward_model(run, folder / "reward-models" / name, name, settings).resolve())
        for name, settings in stage.reward_models.items()
    }
    train(
        run,
        folder / "train",
        stage=folder.name,
        kind="rl",
        model=run.model(stage.model),
        settings=stage,
        segments=[_segment(run, folder, stage, number) for number in range(len(stage.segments))],
        variables=variables,
    )


def _segment(run: RunFolder, folder: Path, stage: RlStage, number: int) -> JobSegment:
    """A segment with its prompts written to a file: each row with the conversation that is asked."""
    segment = stage.segments[number]
    prompts = folder / "prompts" / f"segment-{number}.jsonl"
    rows = [row | {"ask": ask(row, run.template)} for row in choose(run, segment.problems)]
    prompts.parent.mkdir(exist_ok=True)
    write_rows(prompts, rows)
    return JobSegment(
        steps=segment.steps,
        prompts=str(prompts),
        rewards=segment.rewards or stage.rewards,
        max_tokens=segment.max_tokens or stage.rollout.max_tokens,
        refresh_reference=segment.reference == "refresh",
    )
