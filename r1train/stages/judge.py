"""The generative judge of stage 3: items that rules cannot grade (R1: question, ground truth, prediction)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Table
from r1rewards.core.reward import Sample
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.verdict import Verdict
from r1rewards.judge import Asking, judged
from r1rewards.llm import Sampling
from r1train.recipe import Judge
from r1train.run import RunFolder

if TYPE_CHECKING:
    import polars as pl


def judge(run: RunFolder, folder: Path, rows: Path, settings: Judge) -> tuple[Path, dict[str, Any]]:
    """Keep what the judge calls correct; rows of other tasks pass. Every verdict is written down.

    Returns the file of what is kept, and the counts.
    Fates: `judged_incorrect`, `judge_error` (no reply in form: nothing is known, so it is not trained on),
    `judge_abstained` (nothing to compare with).
    """
    model = run.model(settings.model)

    def decide(table: Table) -> pl.DataFrame:
        listed = list(read_rows(table.path))
        asked = [i for i, row in enumerate(listed) if row["task"] in settings.tasks]
        verdicts: dict[int, Verdict] = {}
        with run.progress.bar(f"judge with {model.name}") as bar:
            samples = [_sample(run, listed[i]) for i in asked]
            limits = Sampling(temperature=0.6, top_p=0.95, max_tokens=settings.max_tokens)
            # a model that is not trained to judge would, held to the form, say in form what it does not know
            asking = Asking(sampling=limits, retries=1, structured=False)
            answers = judged("correctness", samples, run.engines.get(model.path), asking=asking)
            for i, verdict in zip(asked, answers if samples else (), strict=True):
                verdicts[i] = verdict
                bar(len(verdicts), len(asked))
        write_rows(
            table.work / "verdicts.jsonl",
            ({"uid": listed[i]["uid"], **verdict.to_dict()} for i, verdict in verdicts.items()),
        )
        rules = [_rule(verdicts.get(i)) for i in range(len(listed))]
        return fates(
            table,
            fate=[KEPT if rule is None else DROPPED for rule in rules],
            rule=rules,
            value=[verdicts[i].value if i in verdicts else None for i in range(len(listed))],
        )

    config = settings.model_dump() | {"model": model.key}
    return folder / "kept.parquet", run_step("judge", rows, folder, decide, config=config)


def _rule(verdict: Verdict | None) -> str | None:
    """The name under which a row is dropped; None where it stays."""
    if verdict is None or verdict.value == 1:
        return None
    names = {"value": "judged_incorrect", "error": "judge_error", "abstain": "judge_abstained"}
    return names[verdict.status]


def _sample(run: RunFolder, row: dict[str, Any]) -> Sample:
    trace = run.template.parse(row["text"], thinking=row.get("thinking") != "none")
    return Sample(
        id=row["uid"],
        task=row["task"],
        text=row["text"],
        trace=trace,
        prompt=row["prompt"],
        reference=row["reference"],
    )
