"""A run's own sampling: responses of one of its models to problems, into the log of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from r1data.flat import flatten
from r1data.sample import sample
from r1rewards.core.store import Step
from r1train.recipe import Sampling
from r1train.run import Model, RunFolder


def responses(
    run: RunFolder, model: Model, step: Step, problems: Sequence[Any], sampling: Sampling, bar: str
) -> list[dict[str, Any]]:
    """Flat rows, each a response beside its problem; they land in the step's `responses.jsonl` one by one.

    bar  what the progress bar says meanwhile
    """
    with run.progress.bar(bar) as shown:
        found = sample(
            problems,
            lambda: run.engines.get(model.path),
            step.path / "responses.jsonl",
            name=model.name,
            template=run.template,
            seed=run.recipe.seed,
            landed=lambda done, total, _: shown(done, total),
            **sampling.model_dump(include=set(Sampling.model_fields)),
        )
    return list(flatten(problems, found))
