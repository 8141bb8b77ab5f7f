"""How good a judge or a reward model is, on rows that people judged: what `r1rewards judge-eval` prints.

    read = read_labelled(Path("pref.jsonl.gz"))
    report = evaluate(read.kind, read.rows, "helpfulness", by_reward_model("runs/helpfulness"))

A grader's word becomes the probability that the first of two answers is the better one, or that a response is
good; `r1rewards.judge.measure` compares it with what people said, beside the baselines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1rewards.core.reward import Sample, Scope
from r1rewards.core.rows import conversation_of, drawn_hash
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.core.verdict import Verdict
from r1rewards.judge import Asking, Criterion, Pair, compare, judged
from r1rewards.judge.baselines import baselines
from r1rewards.judge.labelled import Kind, prompt_key
from r1rewards.judge.lengths import length_bin, matched
from r1rewards.judge.measure import Item, measure, place_bias
from r1rewards.llm import LanguageModel
from r1rewards.reward_model import RewardModel

Row = Mapping[str, Any]

#: Figures of the labels themselves.
_OF_LABELS = ("labels_pick_longer", "length_correlation_of_labels")


@dataclass(frozen=True, slots=True)
class Said:
    """What a grader said of each item, and of itself.

    said   the probability of outcome 1; None where it failed
    facts  what is to be told beside the figures: place bias, texts cut
    """

    said: list[float | None]
    facts: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)


#: A grader: given the kind of the rows, the rows, and whether the rejected answer of a pair is shown first.
Grader = Callable[[Kind, Sequence[Row], Sequence[bool]], Said]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a grader and of the baselines, by name, the grader first."""

    kind: Kind
    rows: int
    prompts: int
    figures: dict[str, dict[str, Any]]
    facts: dict[str, Any]
    reasons: list[str]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "rows": self.rows,
            "prompts": self.prompts,
            "graders": self.figures,
            **self.facts,
            "errors": self.reasons,
        }

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Header and lines: agreement with the labels, a line for each grader."""
        names = ["graded", "errors", "accuracy", "low", "high", "kappa", "calibration", "brier"]
        if self.kind == "pairs":
            names += ["picks_longer", "accuracy_where_longer_is_chosen", "accuracy_where_shorter_is_chosen"]
        else:
            names += ["length_correlation"]
        header = {
            "accuracy_where_longer_is_chosen": "longer chosen",
            "accuracy_where_shorter_is_chosen": "shorter chosen",
        }
        lines = [[name, *(one.get(key) for key in names)] for name, one in self.figures.items()]
        return ["grader", *(header.get(name, name.replace("_", " ")) for name in names)], lines


def evaluate(
    kind: Kind, rows: Sequence[Row], name: str, grader: Grader, *, also: Sequence[Row] = ()
) -> Report:
    """Grade the rows, and measure grader and baselines on them.

    also  further rows that the baselines, but not the figures, take in
    """
    turned = [_turns(row) for row in rows]
    items = [_item(kind, row, turn) for row, turn in zip(rows, turned, strict=True)]
    said = grader(kind, rows, turned)
    figures = {name: measure(items, said.said)}
    more = [_item(kind, row, _turns(row)) for row in also]
    for baseline, values in baselines([*items, *more]).items():
        figures[baseline] = measure(items, values[: len(items)])
    facts = {k: figures[name][k] for k in _OF_LABELS if k in figures[name]}
    prompts = len({item.group for item in items})
    return Report(kind, len(items), prompts, figures, facts | said.facts, said.reasons)


def drawn(rows: Sequence[Row], count: int | None) -> tuple[list[Row], list[Row]]:
    """So many of the rows, drawn by a hash, and the others; both in order."""
    order = sorted(range(len(rows)), key=lambda i: _hash(rows[i], "drawn"))
    chosen = set(order[:count])
    return [row for i, row in enumerate(rows) if i in chosen], [
        r for i, r in enumerate(rows) if i not in chosen
    ]


def length_matched(rows: Sequence[Row]) -> list[Row]:
    """Pairs in which length tells nothing; which ones stay is drawn by a hash."""
    drawn = sorted(rows, key=lambda row: _hash(row, "matched"))
    stays = matched([length_bin(row["chosen"], row["rejected"]) for row in drawn])
    kept = {id(row) for row, stay in zip(drawn, stays, strict=True) if stay}
    return [row for row in rows if id(row) in kept]


def by_judge(
    judge: str,
    model: LanguageModel,
    *,
    calls: int = 2,
    rubric: Sequence[Criterion] = (),
    asking: Asking = Asking(),
    template: Template = TEMPLATES["think-answer"],
) -> Grader:
    """A judge as a grader: `preference` of pairs, or one of single responses of both pairs and labels.

    calls  of `preference`: how often each pair is shown, in alternating order
    """

    def compared(kind: Kind, rows: Sequence[Row], turned: Sequence[bool]) -> Said:
        pairs = [
            Pair(conversation_of(row["prompt"]), *_shown(row, turn))
            for row, turn in zip(rows, turned, strict=True)
        ]
        comparisons = compare(pairs, model, calls=calls, asking=asking)
        said = [None if one.score is None else (one.score + 2) / 4 for one in comparisons]
        known = [[(t, v.value) for t, v in one.calls if v.value is not None] for one in comparisons]
        return Said(said, place_bias(known), _reasons([one.verdict for one in comparisons]))

    def graded(kind: Kind, rows: Sequence[Row], turned: Sequence[bool]) -> Said:
        samples = _samples(kind, rows, turned, template)
        verdicts = list(judged(judge, samples, model, rubric=rubric, asking=asking))
        values = [verdict.value for verdict in verdicts]
        said = values if kind == "labels" else [_half(a, b) for a, b in _twos(values)]
        return Said(said, {}, _reasons(verdicts))

    return compared if judge == "preference" else graded


def by_reward_model(
    folder: str | Path,
    *,
    scope: Scope = "response",
    max_length: int = 8192,
    micro_batch: int = 8,
    template: Template = TEMPLATES["think-answer"],
) -> Grader:
    """A reward model as a grader: of pairs by the difference of two scores (Bradley and Terry 1952)."""

    def graded(kind: Kind, rows: Sequence[Row], turned: Sequence[bool]) -> Said:
        model = RewardModel(folder, empty=-math.inf, max_length=max_length, micro_batch=micro_batch)
        model.scope = scope
        try:
            verdicts = model.check_many(_samples(kind, rows, turned, template))
        finally:
            model.close()
        values = [verdict.value for verdict in verdicts]
        scores = values if kind == "labels" else [_less(a, b) for a, b in _twos(values)]
        cut = sum(bool(verdict.details.get("truncated")) for verdict in verdicts)
        facts = {"texts": len(verdicts), "texts_cut": cut}
        return Said([None if score is None else _sigmoid(score) for score in scores], facts)

    return graded


def _samples(kind: Kind, rows: Sequence[Row], turned: Sequence[bool], template: Template) -> list[Sample]:
    """The responses one by one; of pairs, the two of each beside each other."""
    texts = (
        [(row, text) for row, turn in zip(rows, turned, strict=True) for text in _shown(row, turn)]
        if kind == "pairs"
        else [(row, row["response"]) for row in rows]
    )
    return [
        Sample(
            id=str(row["uid"]),
            task=str(row.get("task") or "general"),
            text=text,
            trace=template.parse(text),
            prompt=row["prompt"],
            reference=row.get("reference"),
            meta=row.get("meta") or {},
        )
        for row, text in texts
    ]


def _item(kind: Kind, row: Row, turned: bool) -> Item:
    if kind == "labels":
        return Item(prompt_key(row), int(row["label"]), row["response"])
    return Item(prompt_key(row), int(not turned), *_shown(row, turned))


def _shown(row: Row, turned: bool) -> tuple[str, str]:
    return (row["rejected"], row["chosen"]) if turned else (row["chosen"], row["rejected"])


def _turns(row: Row) -> bool:
    return bool(_hash(row, "turned") & 1)


def _hash(row: Row, what: str) -> int:
    return drawn_hash(f"{what} {row['uid']}".encode())


def _twos(values: Sequence[float | None]) -> list[tuple[float | None, float | None]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else 0.0 if a == b else a - b


def _half(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else 0.5 + (a - b) / 2


def _sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score >= 0 else 1 - 1 / (1 + math.exp(score))


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """Why rows have no value, the first of each reason."""
    reasons = [f"{v.status}: {v.reason[:200]}" for v in verdicts if v.value is None]
    return list(dict.fromkeys(reasons))[:5]
