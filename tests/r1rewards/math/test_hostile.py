"""Hostile answers: nothing hangs, runs code, opens a file, or gets a 1 that it should not have."""

# ruff: noqa: E501 - the tables of pairs read better in wide rows
from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.math import check
from r1rewards.math.decide import decide

GOLDS = [
    "42",
    r"\frac{1}{2}",
    "x^2+1",
    "(1,2)",
    r"\{1,2\}",
    "[0,1)",
    "0.458",
    r"5 \text{ m}",
    "C",
    "yes",
    r"1\pm\sqrt2",
]


def boxed(text: str) -> str:
    return rf"\boxed{{{text}}}"


HOSTILE = {
    "power tower": boxed(r"9^{9^{9^9}}"),
    "tall tower": boxed("9^{" * 30 + "9" + "}" * 30),
    "flat tower": boxed("9^" * 300 + "9"),
    "factorials": boxed("((((9!)!)!)!)!"),
    "factorial run": boxed("9" + "!" * 1000),
    "binomial": boxed(r"\binom{10^9}{5\cdot 10^8}"),
    "nested radicals": boxed(r"\sqrt{" * 300 + "2" + "}" * 300),
    "nested fractions": boxed(r"\frac{1}{" * 200 + "2" + "}" * 200),
    "huge polynomial": boxed("(" + "+".join(f"x^{{{n}}}" for n in range(180)) + ")^{99}"),
    "iterated exp": boxed(r"\exp(\exp(\exp(\exp(100))))"),
    "sine of a huge number": boxed(r"\sin(10^{20000}) + \pi"),
    "triple sum": boxed(r"\sum_{k=1}^{999}\sum_{j=1}^{999}\sum_{i=1}^{999} ijk"),
    "long sum": boxed(r"\sum_{k=1}^{10^{18}} k"),
    "big product": boxed(r"\prod_{k=1}^{19999} 10^{300}"),
    "megabytes": "x" * 5_000_000,
    "megabytes in a box": r"\boxed{" + "1+" * 2_000_000 + "1}",
    "many open boxes": r"\boxed{" * 100_000,
    "many boxes": r"\boxed{1}" * 100_000,
    "open braces": "{" * 500_000,
    "deep brackets": boxed("(" * 700 + "1" + ")" * 700),
    "dollar signs": "$" * 100_000,
    "half formulas": "$a" * 30_000,
    "phrases": "the answer is " * 3000,
    "signs": boxed("-" * 2000 + "1"),
    "bars": boxed("|" * 2000),
    "commas": boxed("," * 2000),
    "plus-minus": boxed("(" + ",".join([r"\pm 1"] * 100) + ")"),
    "primes": boxed("f" + "'" * 1000),
    "divisions": boxed("1/" * 500 + "1"),
    "a long number": boxed("9" * 2000),
    "a long power": boxed("9" * 900 + "^{" + "9" * 900 + "}"),
    "scientific": boxed("1e999999999"),
    "unicode digits": boxed("٤٢"),
    "null byte": boxed("4\x002"),
    "lone surrogate": boxed("\ud800"),
    "import": boxed('__import__("os").system("touch /tmp/r1-hostile")'),
    "eval": boxed('eval("42")'),
    "lambda": boxed("(lambda: 42)()"),
    "input": boxed(r"\input{/etc/passwd}"),
    "def": r"\def\boxed#1{42}\boxed{7}",
    "newcommand": r"\newcommand{\x}{42}\boxed{\x}",
    "a limit of a bomb": boxed(r"\int 9^{9^{9^9}} dx"),
    "hedge in a box": boxed(r"42 \text{ or } 1/2"),
    "hedge in boxes": r"\boxed{42} or \boxed{\frac12} or \boxed{x^2+1} or \boxed{C}",
    "all letters": boxed("A, B, C, D, E"),
    "everything": boxed(r"\text{all of the above}"),
    "real line": boxed(r"\mathbb{R}"),
    "itself": boxed("x = x"),
    "not a number": boxed(r"\frac{0}{0}"),
    "infinity": boxed(r"\infty - \infty"),
    "empty": boxed(""),
    "only units": boxed(r"\text{m}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_gets_nothing(name: str) -> None:
    for gold in GOLDS:
        verdict = check(HOSTILE[name], gold)
        assert verdict.status in ("value", "abstain"), verdict
        assert verdict.value != 1, (gold, verdict)
        assert verdict.reason


PIECES = [
    *r"0123456789+-*/=<>(){}[]|^_!%',;:.$& abcxyzn", r"\frac", r"\sqrt", r"\pi", r"\text{", r"\left(", r"\right)",
    r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", r"\{", r"\}", r"\cup", r"\infty", r"\sum_{k=1}^", r"\int", r"\boxed{",
    r"\pm", r"\sin", r"\log_", r"^\circ", r"\%", r"\overline{", r"\binom", "²", "½", "π", "∪", "①", "\x00", " and ", " or ",
    "mod", "10^", "999", "!!", r"\mathbb{R}", r"\in", r"\le", "sin", "cm", "e9", r"\ldots", "{,}", "\\",
]  # fmt: skip


def garbage(seed: int) -> tuple[str, str]:
    rng = random.Random(seed)
    return tuple("".join(rng.choices(PIECES, k=rng.randint(1, 25))) for _ in range(2))  # type: ignore[return-value]


def test_fuzz() -> None:
    for seed in range(1000):
        gold, answer = garbage(seed)
        decide(gold, answer)
        check(rf"so \boxed{{{answer}}} {gold}", gold.strip() or "1")


@pytest.mark.long
def test_fuzz_a_hundred_thousand() -> None:
    for seed in range(100_000):
        decide(*garbage(seed))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.text(min_size=1, max_size=50))
def test_any_text_is_graded(response: str, gold: str) -> None:
    assert check(response, gold).status in ("value", "abstain")
