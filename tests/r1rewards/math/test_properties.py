"""An answer equals itself under every way of writing it, and never equals itself plus one."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.math.decide import decide

QUICK = settings(max_examples=60, deadline=None)

numbers = st.integers(1, 99).map(str)
atoms = st.one_of(numbers, st.sampled_from(["x", "y", "n", r"\pi", r"\sqrt{2}", "a_1"]))


def combine(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(parts, parts).map(lambda p: rf"\frac{{{p[0]}}}{{{p[1]}}}"),
        st.tuples(parts, parts).map(lambda p: f"{p[0]} + {p[1]}"),
        st.tuples(parts, parts).map(lambda p: rf"\left({p[0]}\right) \cdot \left({p[1]}\right)"),
        st.tuples(parts, st.integers(2, 4)).map(lambda p: rf"\left({p[0]}\right)^{{{p[1]}}}"),
        parts.map(lambda p: rf"\sqrt{{{p}}}"),
        parts.map(lambda p: rf"\ln \left({p} + 7\right)"),
    )


formulas = st.recursive(atoms, combine, max_leaves=6)


def rewritings(answer: str) -> list[str]:
    return [
        answer.replace(" ", ""),
        re.sub(r"(?<![a-zA-Z])\+", r"\\, + \\;", answer),
        answer.replace(r"\frac", r"\dfrac"),
        answer.replace(r"\left", "").replace(r"\right", ""),
        answer.replace(r"\left(", r"\left[").replace(r"\right)", r"\right]"),
        f"${answer}$",
        rf"\({answer}\)",
        f"({answer})",
        f"{answer}.",
        f"x_0 = {answer}",
        rf"\displaystyle {answer}",
        rf"{answer} \text{{ cm}}",
    ]


@QUICK
@given(formulas)
def test_a_formula_equals_itself_however_written(answer: str) -> None:
    for other in rewritings(answer):
        assert decide(answer, other).outcome == "right", other


@QUICK
@given(formulas)
def test_a_formula_never_equals_itself_plus_one(answer: str) -> None:
    for other in (
        f"{answer} + 1",
        f"1 + {answer}",
        rf"\left({answer}\right) - 1",
        rf"2 \cdot \left({answer} + 3\right)",
    ):
        assert decide(answer, other).outcome != "right", other


@QUICK
@given(st.fractions(), st.integers(1, 50))
def test_a_fraction_equals_its_multiples_and_no_other(value: object, factor: int) -> None:
    over, under = value.numerator, value.denominator  # type: ignore[attr-defined]
    assert decide(rf"\frac{{{over}}}{{{under}}}", f"{over * factor}/{under * factor}").outcome == "right"
    assert decide(rf"\frac{{{over}}}{{{under}}}", f"{over * factor + 1}/{under * factor}").outcome == "wrong"


@QUICK
@given(st.lists(formulas, min_size=2, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_a_set_does_not_matter_and_its_members_do(items: list[str], rng: object) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    gold = rf"\{{{', '.join(items)}\}}"
    assert decide(gold, rf"\{{{', '.join(shuffled)}\}}").outcome == "right"
    assert decide(gold, ", ".join(shuffled)).outcome == "right"
    assert decide(gold, rf"\{{{', '.join(shuffled[1:])}\}}").outcome == "wrong"


@QUICK
@given(formulas, formulas)
def test_the_order_of_a_pair_matters(first: str, second: str) -> None:
    assert decide(f"({first}, {second})", f"({first},{second})").outcome == "right"
    if decide(first, second).outcome == "wrong":
        assert decide(f"({first}, {second})", f"({second}, {first})").outcome == "wrong"


@QUICK
@given(st.integers(-50, 50), st.integers(1, 50), st.booleans(), st.booleans())
def test_an_interval_is_its_ends(low: int, width: int, low_closed: bool, high_closed: bool) -> None:
    high = low + width
    gold = f"{'[' if low_closed else '('}{low}, {high}{']' if high_closed else ')'}"
    left, right = (r"\le" if closed else "<" for closed in (low_closed, high_closed))
    chain = f"{low} {left} x {right} {high}"
    assert decide(gold, chain).outcome == "right"
    assert decide(gold, f"{'(' if low_closed else '['}{gold[1:]}").outcome == "wrong"
    assert decide(gold, gold.replace(f"{high}", f"{high + 1}", 1) if low != high else gold).outcome == "wrong"


@QUICK
@given(st.integers(1, 10**40))
def test_integers_of_any_size_are_exact(value: int) -> None:
    assert decide(str(value), f"{value:,}").outcome == "right"
    assert decide(str(value), f"{value}.0").outcome == "right"
    assert decide(str(value), str(value + 1)).outcome == "wrong"
