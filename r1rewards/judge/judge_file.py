"""Judge a file of rows: every call in a record beside the output, from which a second try is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_prompt, conversation_of, derived_name
from r1rewards.core.store import write_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.core.verdict import Verdict
from r1rewards.judge import BATCH, Asking, Criterion, Pair, compare, judged
from r1rewards.judge.pairwise import CALLS
from r1rewards.llm import LanguageModel
from r1rewards.llm.model_source import ModelSource
from r1rewards.llm.recorded import Landed, Recorded
from r1rewards.score_file import Placed, Source
from r1rewards.spec import Spec
from r1rewards.summary import Tally


def judge_file(
    source: Source,
    output: Path,
    judge: str,
    model: ModelSource,
    *,
    template: Template = TEMPLATES["think-answer"],
    rubric: Sequence[Criterion] = (),
    calls: int = CALLS,
    asking: Asking = Asking(),
    landed: Landed = lambda done, total, tokens: None,
) -> Tally:
    """Write the rows with the `verdict` of the judge, and say what they come to.

    judge   of single responses; or `preference`, of rows with `prompt`, `response_a` and `response_b`, whose
            verdict is positive where the first is better
    calls   of `preference`: how often a pair is shown, in alternating order
    landed  told of the calls of each batch
    """
    tally = Tally()
    record, log = (output.with_name(f"{output.name}.{end}") for end in ("calls.jsonl", "engine.log"))
    with model.open(log=log) as (name, opened), Recorded(opened, record, name, landed) as recorded:

        def rows() -> Iterator[dict[str, Any]]:
            given, graded = tee(source.rows())
            if judge == "preference":
                verdicts = _compared(graded, recorded, calls, asking)
            else:
                reader = Spec([], template)
                samples = (reader.sample(flat, where) for where, _, flat in graded)
                verdicts = judged(judge, samples, recorded, rubric=rubric, asking=asking)
            for (_, row, _), verdict in zip(given, verdicts, strict=True):
                tally.add(verdict)
                yield {**row, "verdict": verdict.to_dict()}

        write_rows(output, rows())
    log.unlink(missing_ok=True)  # of use only where the engine failed
    return tally


def _compared(rows: Iterator[Placed], model: LanguageModel, calls: int, asking: Asking) -> Iterator[Verdict]:
    batch: list[Pair] = []
    for where, _, flat in rows:
        batch.append(_pair(flat, where))
        if len(batch) == BATCH:
            yield from (one.verdict for one in compare(batch, model, calls=calls, asking=asking))
            batch = []
    yield from (one.verdict for one in compare(batch, model, calls=calls, asking=asking))


def _pair(row: Mapping[str, Any], where: str) -> Pair:
    answers = [row.get(name) for name in ("response_a", "response_b")]
    if not all(isinstance(answer, str) for answer in answers) or not row.get("prompt"):
        have = ", ".join(sorted(row)) or "nothing"
        raise UserError(
            f"{where}: a pair has prompt, response_a and response_b (this row has {have}); rename with --map"
        )
    question = conversation_of(check_prompt(row["prompt"], where))
    first, second = map(str, answers)
    return Pair(question, first, second, turned=int(derived_name(question, first, second)[0], 16) % 2 == 1)
