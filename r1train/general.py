"""How general prompts fare, which no rule can check: graded by the reward models that the run itself trained.

The evaluation of a stage knows only format and language of such answers. Once the last stage has its reward
models (helpfulness, harmlessness), the held-out general responses of every model of the run are graded with
them, by the stage's own reward spec. They are the scores that the stage trains on, seen on prompts that
neither the policy nor the reward models were trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from r1rewards.core.rows import CHECKED_TASKS
from r1rewards.core.store import read_rows, replacing, write_rows
from r1rewards.spec import load_spec
from r1train.recipe import RlStage
from r1train.run import RunFolder
from r1train.summary import compare, summarize


def grade_general(
    run: RunFolder, folder: Path, stage: RlStage, models: Sequence[str], variables: Mapping[str, str]
) -> None:
    """Leave `general/` in the stage's folder: the scored responses of each model, and `summary.json`.

    models     the names of the evaluated stages, the base model first, this stage last
    variables  the folders of the stage's reward models, by the name that the spec knows
    """
    if not variables:
        return
    rewards = stage.segments[-1].rewards or stage.rewards
    files = [run.folder / name / "evaluation" / "scored.jsonl" for name in models]
    heads = [Path(path).parent / "step.json" for path in variables.values()]
    with run.step(folder / "general", {"models": list(models)}, [Path(rewards), *heads, *files]) as step:
        if step is None:
            return
        graded: dict[str, list[dict[str, Any]]] = {}
        with (
            load_spec(rewards, variables=variables) as spec,
            run.progress.bar("grade general answers") as bar,
        ):
            for number, (name, file) in enumerate(zip(models, files, strict=True)):
                rows = [row for row in read_rows(file) if row["task"] not in CHECKED_TASKS]
                scores = spec.score_many(rows)
                graded[name] = [score.to_row(row) for score, row in zip(scores, rows, strict=True)]
                write_rows(step.path / f"{name}.jsonl", graded[name])
                bar(number + 1, len(models), name)
        summary = {
            "models": {name: summarize(rows)["all"] for name, rows in graded.items()},
            "compare": {
                name: {"previous": before} | compare(graded[before], graded[name])["all"]
                for before, name in pairwise(models)
            },
        }
        with replacing(step.path / "summary.json") as part:
            part.write_text(json.dumps(summary, indent=1))
        step.finish({"rows": sum(map(len, graded.values()))})
