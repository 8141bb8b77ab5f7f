"""Cold-start rewriting (DeepSeek-R1, arXiv 2501.12948): a model makes correct traces readable.

A row of a checkable task gets its thinking rewritten (first person, the question's language) and, from that,
the summary for the reader with the final answer in a box. The refined response is graded against the gold
again: one that is not right any more is dropped. A general row keeps its answer and gets a chain of thought
before it, or, where the model says that the question is too simple for one, none (`thinking: none`).

The prompts are the files in `prompts/`. Every call is written to OUT.calls.jsonl as it lands and is not made
again, also not by a later run with other settings. The column `original` keeps the response as it was.

Fates: `refine_failed` (no reply in form), `refined_wrong`, `refined_ungraded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Rows, Table
from r1data.writer import PROMPTS, Writer, spoken
from r1rewards.core.errors import UserError
from r1rewards.core.rows import CHECKED_TASKS, question_of
from r1rewards.core.store import read_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.llm import LanguageModel, Sampling
from r1rewards.llm.prompt_file import PromptFile
from r1rewards.llm.recorded import Landed, Recorded
from r1rewards.spec import load_spec

if TYPE_CHECKING:
    import polars as pl

NAMES = ("thinking", "summary", "general")
#: What the model says of a question that needs no thinking.
SIMPLE = "NONE"
SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=8192)
#: No template's tags may stand in what is written: they would open or close what is not theirs.
_TAGS = [tag for one in TEMPLATES.values() for tag in (*one.reasoning_tags, *(one.answer_tags or ()))]
_OPEN, _CLOSE = "<rewritten>", "</rewritten>"


@dataclass(slots=True)
class _Row:
    """One row on its way: what it was, what became of it."""

    question: str
    checked: bool
    reasoning: str
    answer: str
    thinking: str | None = None
    text: str | None = None


def refine(
    rows: Rows,
    out: str | Path,
    *,
    model: Callable[[], LanguageModel],
    name: str,
    template: Template = TEMPLATES["think-answer"],
    prompts: str | Path = PROMPTS,
    sampling: Sampling = SAMPLING,
    retries: int = 2,
    landed: Landed = lambda done, total, tokens: None,
    **reading: Any,
) -> dict[str, Any]:
    """Refine the responses into the folder `out` and return the counts.

    model, name   the model that rewrites (called for when something is left to ask), and its name
    template      the layout of the responses that come in and of those that go out
    prompts       a folder with thinking.txt, summary.txt and general.txt
    retries       how often a reply that is not in form is asked for again, each time with another seed
    reading       `columns` and `defaults`, as `run_step` takes them
    """
    out = Path(out)
    files = {one: PromptFile(Path(prompts) / f"{one}.txt") for one in NAMES}

    def decide(table: Table) -> pl.DataFrame:
        if "text" not in table.columns:
            raise UserError("there are no responses in these rows; refine works on responses")
        given = list(read_rows(table.path))
        listed = [_row(row, template) for row in given]
        with Recorded(model, out.with_name(f"{out.name}.calls.jsonl"), name, landed) as recorded:
            _rewrite(listed, Writer(recorded, sampling, retries), files, template)
        return _fates(table, given, listed, template)

    config = {
        "model": name,
        "template": template.name,
        "prompts": {one: file.text for one, file in files.items()},
        "sampling": [sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed],
        "retries": retries,
    }
    return run_step("refine", rows, out, decide, config=config, **reading)


def _written(reply: str) -> str | None:
    """What stands between the tags of a reply, behind its own thinking; None where it is not in form."""
    said = spoken(reply)
    if said.count(_OPEN) != 1 or said.count(_CLOSE) != 1:
        return None
    text = said.partition(_OPEN)[2].partition(_CLOSE)[0].strip()
    return text if text and not any(tag in text for tag in _TAGS) else None


def _row(row: Mapping[str, Any], template: Template) -> _Row:
    trace = template.parse(row["text"], thinking=row.get("thinking") != "none")
    return _Row(
        question_of(row["prompt"]),
        row["task"] in CHECKED_TASKS,
        trace.reasoning or row["text"],
        trace.answer or row["text"],
        row.get("thinking"),
    )


def _rewrite(
    rows: Sequence[_Row], writer: Writer, files: Mapping[str, PromptFile], template: Template
) -> None:
    """Fill in `text` (and `thinking`) of the rows for which every call was answered in form."""
    checked = [row for row in rows if row.checked]
    given = [{"question": row.question, "thinking": row.reasoning} for row in checked]
    thoughts = writer.write(files["thinking"], given, _written)
    thought = [(row, text) for row, text in zip(checked, thoughts, strict=True) if text is not None]
    given = [{"question": row.question, "thinking": text, "answer": row.answer} for row, text in thought]
    summaries = writer.write(files["summary"], given, _written)
    for (row, text), summary in zip(thought, summaries, strict=True):
        if summary is not None:
            row.text = template.render(text, summary)
    general = [row for row in rows if not row.checked]
    given = [{"question": row.question, "answer": row.answer} for row in general]
    thoughts = writer.write(files["general"], given, _written)
    for row, reply in zip(general, thoughts, strict=True):
        if reply is not None:
            simple = reply.strip(" .").upper() == SIMPLE
            row.thinking = "none" if simple else None
            row.text = template.render("" if simple else reply, row.answer, thinking=not simple)


def _fates(
    table: Table, given: Sequence[Mapping[str, Any]], rows: Sequence[_Row], template: Template
) -> pl.DataFrame:
    import polars as pl

    refined = [
        {**old, "text": row.text, "thinking": row.thinking}
        for old, row in zip(given, rows, strict=True)
        if row.checked and row.text is not None
    ]
    with load_spec({"template": template.name, "rewards": {task: {} for task in CHECKED_TASKS}}) as spec:
        scores = iter(spec.score_many(refined))
    rule: list[str | None] = []
    value: list[float | None] = []
    span: list[str | None] = []
    for old, row in zip(given, rows, strict=True):
        verdict = None
        if row.text is None:
            rule.append("refine_failed")
        elif not row.checked:
            rule.append(None)
        else:
            verdict = next(scores).verdicts[old["task"]]
            ungraded = "refined_ungraded" if verdict.value is None else "refined_wrong"
            rule.append(None if verdict.value == 1 else ungraded)
        value.append(verdict.value if verdict else None)
        span.append(verdict.reason if verdict and rule[-1] else None)
    frame = fates(
        table,
        fate=[KEPT if broken is None else DROPPED for broken in rule],
        rule=rule,
        value=value,
        threshold=[1.0 if one is not None else None for one in value],
        span=span,
    )
    originals = [old["text"] for old in given]
    texts = [row.text if row.text is not None else text for row, text in zip(rows, originals, strict=True)]
    return frame.with_columns(
        text=pl.Series(texts, dtype=pl.String),
        thinking=pl.Series([row.thinking for row in rows], dtype=pl.String),
        original=pl.Series(originals, dtype=pl.String),
    )
