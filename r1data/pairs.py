"""Preference pairs for a reward model, as DeepSeek-R1 made them (arXiv 2501.12948, supplement).

Two responses to a prompt are compared by a judge in four calls, the first in a random order and the others
with the two turned around each time; their scores are averaged (2 much better ... -2 much worse), a pair
stays when they differ by more than 1, and the lengths of chosen and rejected answers are matched, so that
length alone tells nothing (`r1rewards.judge.lengths`). The judge sees the final answers only, as the
helpfulness model will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.flat import uid_hash
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError
from r1rewards.core.rows import conversation_of, derived_name
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.judge import Pair, compare
from r1rewards.judge.lengths import length_bin, matched
from r1rewards.llm import LanguageModel
from r1rewards.llm.recorded import Landed, Recorded

if TYPE_CHECKING:
    import polars as pl


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
        return length_bin(self.answers[self.chosen], self.answers[1 - self.chosen])


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
    asked = [
        Pair(conversation_of(p.prompt), *p.answers, turned=bool(uid_hash(p.name, seed) & 1)) for p in pairs
    ]
    for pair, comparison in zip(pairs, compare(asked, model, calls=calls, seed=seed), strict=True):
        pair.score = comparison.score


def _match_lengths(pairs: Sequence[_Pair], seed: int) -> None:
    """Name the pairs that must go so that as many chosen answers are longer as are shorter, bin by bin."""
    ordered = sorted(pairs, key=lambda pair: uid_hash(pair.name, seed))
    for pair, stays in zip(ordered, matched([pair.bin for pair in ordered]), strict=True):
        if not stays:
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
