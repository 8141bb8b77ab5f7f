"""What rules may want to know of a row, measured once and kept, so that thresholds can be tuned in seconds.

well_formed truncated           0 or 1; `faults` names what is wrong (r1rewards.core.template)
correct                         1 or 0 where an accuracy reward of the spec graded the row, else null
reward                          the total by the reward spec, null where there is none
grader_errors                   how many graders failed on the row
language_share                  words of the thinking that are in the row's language, 0 to 1
repetition loop_words repeated_lines paragraph_words code_blocks    see r1rewards.readability
words answer_words              of the whole response, and of what the reader gets
tokens                          as the sampler counted them
reward_NAME                     the value of each reward of the spec
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.measured import measured
from r1data.table import KEYS, Table
from r1rewards.core.parquet import CHUNK_ROWS, decode
from r1rewards.core.processes import cores, processes
from r1rewards.core.rows import question_of

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from r1rewards.core.reward import Sample
    from r1rewards.score import Score
    from r1rewards.spec import Spec

#: The folder of the signals in the result of `curate`.
SIGNALS = "signals"


def compute_signals(
    table: Table,
    spec: Spec,
    accuracy: Sequence[str],
    grading: Mapping[str, Any],
    *,
    source: str | Path | Mapping[str, Any] | None = None,
    workers: int | None = None,
) -> pl.DataFrame:
    """The signals of every row, with the keys of the ledger before them.

    grading  the spec as data: what was measured with another one is measured anew
    source   what the spec was loaded from, so that other processes may
    workers  how many of them; by default one for each core, or none where a reward holds a model
    """
    import polars as pl

    if workers is None:
        workers = cores() if all(component.reward.copies for component in spec.components) else 1
    with ExitStack() as stack:
        pool = None
        if source is not None and workers > 1 and table.keys.height > CHUNK_ROWS:
            pool = stack.enter_context(processes(workers, _begin, source, list(accuracy)))

        def measure_here(batch: pa.RecordBatch) -> pa.Table:
            return _measure(batch, spec, accuracy)

        measure = measure_here if pool is None else _measure_there
        shards = measured(table, SIGNALS, table.batches(), measure, grading, pool=pool, workers=workers)
        signals = pl.concat([pl.DataFrame(shard).drop(KEYS[1:]) for shard in shards])
    return table.keys.select(KEYS).hstack(signals)


#: What a process measures with, where it is one of several.
_mine: tuple[Spec, Sequence[str]]


def _begin(source: str | Path | Mapping[str, Any], accuracy: Sequence[str]) -> None:
    global _mine
    from r1rewards.spec import load_spec

    _mine = load_spec(source), accuracy


def _measure_there(batch: pa.RecordBatch) -> pa.Table:
    return _measure(batch, *_mine)


def _measure(batch: pa.RecordBatch, spec: Spec, accuracy: Sequence[str]) -> pa.Table:
    import polars as pl

    schema = {**dict.fromkeys(KEYS[1:], pl.String), **_schema(spec)}
    found = list(_measured(list(decode(batch)), spec, accuracy))
    return pl.DataFrame(found, schema=schema, strict=False).to_arrow()


def _measured(
    rows: Sequence[Mapping[str, Any]], spec: Spec, accuracy: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for row, score in zip(rows, spec.score(rows), strict=True):
        keys = {name: row.get(name) for name in KEYS[1:]} | {"uid": row.get("uid") or row["id"]}
        sample = spec.sample(row, str(keys["uid"]))
        tokens = row.get("tokens") or None
        yield {**keys, **text_signals(sample), **_graded(score, accuracy), "tokens": tokens}


def text_signals(sample: Sample) -> dict[str, Any]:
    """What the text of one response tells by itself."""
    from r1rewards import readability

    text, trace = sample.text, sample.trace
    thinking = trace.reasoning or text  # a response without tags is read as one piece
    loop = readability.longest_loop(text)
    return {
        "well_formed": trace.well_formed,
        "faults": ",".join(trace.faults),
        "truncated": readability.truncated(trace, sample.finish_reason),
        "language_share": _language_share(thinking, sample),
        "repetition": readability.ngram_repetition(text),
        "loop_words": loop.words if loop.repeats >= 3 else 0,
        "repeated_lines": readability.repeated_lines(text),
        "paragraph_words": readability.longest_paragraph(thinking),
        "code_blocks": readability.code_blocks(thinking),
        "words": len(text.split()),
        "answer_words": len(trace.answer.split()),
    }


def _language_share(text: str, sample: Sample) -> float | None:
    """Null where too few words tell a language, or nothing says which one is wanted."""
    from r1rewards import language

    question = question_of(list(sample.prompt))
    target = sample.language or language.language_of(question)
    if target is None:
        return None
    found = language.share(text, target, prompt=question, repeated=False)
    return found.target / found.words if found.words >= language.MIN_WORDS else None


def _graded(score: Score, accuracy: Sequence[str]) -> dict[str, Any]:
    said = [score.verdicts[name] for name in accuracy if name in score.verdicts]
    values = [verdict.value for verdict in said]
    known = [value for value in values if value is not None]
    return {
        "correct": min(known) if said and len(known) == len(values) else None,
        "reason": "; ".join(verdict.reason for verdict in said)[:200] or None,
        "reward": score.total,
        "grader_errors": sum(verdict.status == "error" for verdict in score.verdicts.values()),
        **{f"reward_{name}": value for name, value in score.rewards.items()},
    }


def _schema(spec: Spec) -> dict[str, Any]:
    import polars as pl

    integers = (
        "loop_words",
        "paragraph_words",
        "code_blocks",
        "words",
        "answer_words",
        "grader_errors",
        "tokens",
    )
    floats = ("language_share", "repetition", "repeated_lines", "correct", "reward")
    return {
        **dict.fromkeys(("well_formed", "truncated"), pl.Boolean),
        "faults": pl.String,
        "reason": pl.String,
        **dict.fromkeys(integers, pl.Int64),
        **dict.fromkeys((*floats, *(f"reward_{c.name}" for c in spec.components)), pl.Float64),
    }
