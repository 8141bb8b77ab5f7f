"""Preference pairs for a reward model, as DeepSeek-R1 made them (arXiv 2501.12948, supplement).

Two responses to a prompt are compared by a judge in four calls with the order of the two at random; their
scores are averaged (2 much better ... -2 much worse), a pair stays when they differ by more than 1, and the
lengths of chosen and rejected answers are matched, so that length alone tells nothing. The judge sees the
final answers only, as the helpfulness model will.

How lengths are matched is not published. Here pairs are put in bins by the ratio of the two lengths, and of
each bin as many stay as of the one with the ratio turned around; answers of about equal length always stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import derived_name, uid_hash
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError
from r1rewards.core.rows import question_of
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.core.verdict import Verdict
from r1rewards.judge import PREFERENCE, SAMPLING, Judge, parse
from r1rewards.llm import LanguageModel
from r1rewards.llm.recorded import Landed, Recorded

if TYPE_CHECKING:
    import polars as pl

#: Width of a bin of length ratios, in powers of two; within half of it lengths count as equal.
_BIN = 0.25
_RETRIES = 2


@dataclass(slots=True)
class _Pair:
    """Two rows of the table by number, and what became of them."""

    rows: tuple[int, int]
    prompt: list[Any]
    answers: tuple[str, str]
    uids: tuple[str, str]
    score: float | None = None
    rule: str | None = None

    @property
    def name(self) -> str:
        return derived_name("pair", *self.uids)

    @property
    def chosen(self) -> int:
        """Which of the two is the better one."""
        return 0 if (self.score or 0) > 0 else 1

    @property
    def bin(self) -> int:
        """The bin of the ratio of lengths, positive where the chosen answer is the longer one."""
        longer = len(self.answers[self.chosen]) / max(1, len(self.answers[1 - self.chosen]))
        return round(math.log2(max(longer, 1e-9)) / _BIN)


def preference_pairs(
    rows: Rows,
    out: str | Path,
    *,
    model: Callable[[], LanguageModel],
    name: str,
    template: Template = TEMPLATES["think-answer"],
    calls: int = 4,
    margin: float = 1.0,
    per_problem: int = 1,
    match_lengths: bool = True,
    seed: int = 0,
    landed: Landed = lambda done, total, tokens: None,
    **reading: Any,
) -> dict[str, Any]:
    """Write `pairs.parquet` into the folder `out`, beside the ledger of the responses; return the counts.

    model, name    the judge, and what it is called; each call is recorded in OUT.calls.jsonl and not
                   made again, also not by a later run with another margin
    calls          how often each pair is judged
    margin         a pair stays when its averaged scores differ by more than this
    per_problem    pairs made of the responses of one problem, at most; no response is in two
    reading        `columns` and `defaults`, as `run_step` takes them
    """
    if calls < 1 or per_problem < 1:
        raise UserError("calls and pairs per problem are at least 1")
    out = Path(out)
    made: list[_Pair] = []

    def decide(table: Table) -> pl.DataFrame:
        made.extend(_partners(table, template, per_problem, seed))
        with Recorded(model, out.with_name(f"{out.name}.calls.jsonl"), name, landed) as judge:
            _judge(made, judge, calls, seed)
        for pair in made:
            if pair.score is None:
                pair.rule = "judge_error"
            elif abs(pair.score) <= margin:
                pair.rule = "about_equal"
        if match_lengths:
            _match_lengths([pair for pair in made if pair.rule is None], seed)
        return _fates(table, made, margin)

    def finish(table: Table, _: pl.DataFrame, folder: Path) -> None:
        write_rows(folder / "pairs.parquet", _rows(table, made))

    config = {
        "judge": name,
        "template": template.name,
        "calls": calls,
        "margin": margin,
        "per_problem": per_problem,
        "match_lengths": match_lengths,
        "seed": seed,
    }
    return run_step(
        "pairs",
        rows,
        out,
        decide,
        config=config,
        finish=finish,
        report=lambda: {"pairs": sum(pair.rule is None for pair in made)},
        **reading,
    )


def _partners(table: Table, template: Template, per_problem: int, seed: int) -> Iterator[_Pair]:
    """Pairs of different answers to one problem, in the order of the hash of their uids."""
    by_problem: dict[str, list[tuple[int, int, str, str, list[Any]]]] = {}
    repeated = table.keys["repeated"].to_list()
    for number, row in enumerate(read_rows(table.path)):
        if "text" not in row:
            raise UserError("there are no responses in these rows; pairs are made of responses")
        answer = template.parse(row["text"], thinking=row.get("thinking") != "none").answer
        if answer and not repeated[number]:
            entry = (uid_hash(row["uid"], seed), number, row["uid"], answer, row["prompt"])
            by_problem.setdefault(row["id"], []).append(entry)
    for entries in by_problem.values():
        entries.sort(key=lambda entry: entry[:2])
        left, pairs = entries, 0
        while len(left) > 1 and pairs < per_problem:
            first = left[0]
            second = next((entry for entry in left[1:] if entry[3] != first[3]), None)
            left = [entry for entry in left[1:] if entry is not second]
            if second is not None:
                pairs += 1
                yield _Pair((first[1], second[1]), first[4], (first[3], second[3]), (first[2], second[2]))


def _judge(pairs: Sequence[_Pair], model: LanguageModel, calls: int, seed: int) -> None:
    """The mean score of each pair, positive where its first answer is better; None where a call failed."""
    sums: list[float | None] = [0.0] * len(pairs)
    for call in range(calls):
        sampling = replace(SAMPLING, seed=(seed * calls + call) * (_RETRIES + 1))
        judge = Judge(PREFERENCE, parse.preference, model, sampling=sampling, retries=_RETRIES)
        turned = [bool(uid_hash(f"{pair.name}/{call}", seed) & 1) for pair in pairs]
        materials = [
            {
                "question": question_of(pair.prompt),
                "answer_a": pair.answers[turn],
                "answer_b": pair.answers[not turn],
            }
            for pair, turn in zip(pairs, turned, strict=True)
        ]
        for i, verdict in enumerate(judge.ask(materials)):
            sums[i] = _added(sums[i], verdict, turned[i])
    for pair, total in zip(pairs, sums, strict=True):
        pair.score = None if total is None else total / calls


def _added(total: float | None, verdict: Verdict, turned: bool) -> float | None:
    if total is None or verdict.value is None:
        return None
    return total - verdict.value if turned else total + verdict.value


def _match_lengths(pairs: Sequence[_Pair], seed: int) -> None:
    """Name the pairs that must go so that as many chosen answers are longer as are shorter, bin by bin."""
    bins: dict[int, list[_Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: uid_hash(pair.name, seed)):
        bins.setdefault(pair.bin, []).append(pair)
    for ratio, members in bins.items():
        if ratio:
            for pair in members[len(bins.get(-ratio, ())) :]:
                pair.rule = "length_unmatched"


def _fates(table: Table, pairs: Sequence[_Pair], margin: float) -> pl.DataFrame:
    size = table.keys.height
    fate: list[str] = [DROPPED] * size
    rule: list[str | None] = ["no_partner"] * size
    value: list[float | None] = [None] * size
    threshold: list[float | None] = [None] * size
    match: list[str | None] = [None] * size
    for pair in pairs:
        for side in (0, 1):
            row = pair.rows[side]
            fate[row] = KEPT if pair.rule is None else DROPPED
            rule[row], match[row] = pair.rule, pair.uids[1 - side]
            if pair.score is not None:
                value[row], threshold[row] = (pair.score if side == 0 else -pair.score), margin
    return fates(table, fate=fate, rule=rule, value=value, threshold=threshold, match=match)


def _rows(table: Table, pairs: Sequence[_Pair]) -> Iterator[dict[str, Any]]:
    ids, sources = table.keys["id"], table.keys["source"]
    for pair in pairs:
        if pair.rule is None:
            better = pair.chosen
            yield {
                "id": ids[pair.rows[0]],
                "uid": pair.name,
                "prompt": pair.prompt,
                "chosen": pair.answers[better],
                "rejected": pair.answers[1 - better],
                "score": abs(pair.score or 0.0),
                "source": sources[pair.rows[0]],
                "meta": {"chosen_uid": pair.uids[better], "rejected_uid": pair.uids[1 - better]},
            }
