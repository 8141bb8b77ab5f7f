"""Sums, products, simple equations and short word problems in English and Chinese (task math)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count as naturals
from typing import Any

from r1data.sources.base import bounds, distinct, make_problem, one_of, problem_id, rng_for
from r1data.sources.stories import NAMES, STORIES, THINGS
from r1rewards.core.rows import Problem

NAME = "arithmetic"
KINDS = ("sum", "product", "equation", "story")
LANGUAGES = ("en", "zh", "both")

VALUE_ASKS = {
    "en": (
        "What is {value}?",
        "Calculate {value}.",
        "Work out {value}.",
        "{value} = ?",
        "Find the value of {value}.",
        "How much is {value}?",
    ),
    "zh": ("计算：{value} = ?", "{value} 等于多少？", "请算出 {value} 的结果。", "求 {value} 的值。"),
}
EQUATION_ASKS = {
    "en": (
        "Solve for {x}: {equation}",
        "Find {x} if {equation}.",
        "What is {x} when {equation}?",
        "{equation}. What number is {x}?",
    ),
    "zh": (
        "解方程：{equation}，求 {x}。",
        "如果 {equation}，{x} 等于多少？",
        "已知 {equation}，求 {x} 的值。",
    ),
}


def arithmetic(
    *,
    count: int,
    seed: int,
    kinds: Sequence[str] = KINDS,
    language: str = "both",
    terms: int | Sequence[int] = (2, 4),
    digits: int | Sequence[int] = (1, 2),
    negative: bool = True,
) -> Iterator[Problem]:
    """Problems of these kinds in turn.

    language  en, zh, or both in turn.
    terms     how many numbers a sum has, [low, high].
    digits    how many digits a number has, [low, high].
    negative  whether a sum may pass below zero.
    """
    kinds = [one_of(kind, KINDS, "kinds", NAME) for kind in kinds]
    languages = ("en", "zh") if one_of(language, LANGUAGES, "language", NAME) == "both" else (language,)
    terms, digits = bounds(terms, "terms", NAME, least=2), bounds(digits, "digits", NAME)
    options = {"kinds": kinds, "language": language, "terms": terms, "digits": digits, "negative": negative}

    def generate() -> Iterator[Problem]:
        for index in naturals():
            rng = rng_for(NAME, seed, options, index)
            kind = kinds[index % len(kinds)]
            tongue = languages[index // len(kinds) % len(languages)]
            if kind == "sum":
                question, answer, facts = draw_sum(rng, tongue, terms, digits, negative)
            elif kind == "product":
                question, answer, facts = draw_product(rng, tongue, digits)
            elif kind == "equation":
                question, answer, facts = draw_equation(rng, tongue, digits)
            else:
                question, answer, facts = draw_story(rng, tongue, digits)
            identity = problem_id(NAME, seed, index, options)
            yield make_problem(identity, "math", question, answer, source=NAME, language=tongue, meta=facts)

    return distinct(generate(), count, NAME)


Drawn = tuple[str, str, dict[str, Any]]


def draw_sum(
    rng: random.Random, language: str, terms: tuple[int, int], digits: tuple[int, int], negative: bool
) -> Drawn:
    """A sum of signed terms: question, answer, facts."""
    size = rng.randint(*terms)
    while True:
        signed = [_number(rng, digits) * (1 if i == 0 else rng.choice((1, -1))) for i in range(size)]
        if negative or min(sum(signed[: i + 1]) for i in range(size)) >= 0:
            break
    question = rng.choice(VALUE_ASKS[language]).format(value=show_sum(signed))
    return question, str(sum(signed)), {"kind": "sum", "terms": signed}


def draw_product(rng: random.Random, language: str, digits: tuple[int, int]) -> Drawn:
    """A number times a one-digit number: question, answer, facts."""
    numbers = [max(2, _number(rng, digits)), rng.randint(2, 9)]
    question = rng.choice(VALUE_ASKS[language]).format(value=f"{numbers[0]} * {numbers[1]}")
    return question, str(numbers[0] * numbers[1]), {"kind": "product", "numbers": numbers}


def draw_equation(rng: random.Random, language: str, digits: tuple[int, int]) -> Drawn:
    """An equation coef * x + const = result with an integer solution: question, answer, facts."""
    coef = rng.choice((1, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    solution = rng.randint(1, 9 if digits[1] == 1 or coef > 1 else 40)
    const = _number(rng, (1, digits[1]))
    const = rng.choice((const, -const, 0) if coef > 1 else (const, -const))
    facts = {
        "kind": "equation",
        "variable": rng.choice("xyznabk"),
        "coef": coef,
        "const": const,
        "result": coef * solution + const,
    }
    question = rng.choice(EQUATION_ASKS[language]).format(x=facts["variable"], equation=show_equation(facts))
    return question, str(solution), facts


def draw_story(rng: random.Random, language: str, digits: tuple[int, int]) -> Drawn:
    """One of the word problems of `stories.py`: question, answer, facts."""
    name = rng.choice(sorted(STORIES))
    story = STORIES[name]
    facts: dict[str, Any] = {"kind": "story", "story": name, "who": rng.choice(NAMES[language])}
    facts.update(rng.choice(THINGS[language]))
    while True:
        facts.update({key: max(2, _number(rng, (1, digits[1]))) for key in story.amounts})
        facts.update({key: rng.randint(2, 9) for key in story.factors})
        values = story.values(facts)
        if all(value > 0 for value in values.values() if isinstance(value, int)):
            break
    return rng.choice(story.asks[language]).format(**values), str(values["answer"]), facts


def show_sum(terms: Sequence[int]) -> str:
    """[3, -4] as `3 - 4`."""
    return str(terms[0]) + "".join(f" {'-' if term < 0 else '+'} {abs(term)}" for term in terms[1:])


def show_equation(facts: dict[str, Any]) -> str:
    """The facts of an equation as `3*x - 4 = 11`."""
    left = facts["variable"] if facts["coef"] == 1 else f"{facts['coef']}*{facts['variable']}"
    if facts["const"]:
        left += f" {'-' if facts['const'] < 0 else '+'} {abs(facts['const'])}"
    return f"{left} = {facts['result']}"


def _number(rng: random.Random, digits: tuple[int, int]) -> int:
    size = rng.randint(*digits)
    return rng.randint(1 if size == 1 else 10 ** (size - 1), 10**size - 1)
