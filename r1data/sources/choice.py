"""Multiple choice with four lettered options in English and Chinese (task choice, domain stem)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count as naturals
from itertools import pairwise
from typing import Any

from r1data.sources.arithmetic import LANGUAGES, draw_equation, draw_product, draw_story, draw_sum
from r1data.sources.base import bounds, distinct, make_problem, one_of, problem_id, rng_for
from r1data.sources.stories import NAMES
from r1data.sources.word_groups import COMPARISONS, GROUPS, compare
from r1rewards.core.rows import Problem

NAME = "choice"
LETTERS = "ABCD"
KINDS = ("sum", "product", "equation", "story", "extreme", "odd-one", "member", "order")
ASK = {"en": "Answer with the letter.", "zh": "请用字母回答。"}

#: question, the right option, three wrong ones, facts
Drawn = tuple[str, str, list[str], dict[str, Any]]


def choice(
    *,
    count: int,
    seed: int,
    kinds: Sequence[str] = KINDS,
    language: str = "both",
    terms: int | Sequence[int] = (2, 3),
    digits: int | Sequence[int] = (1, 2),
    negative: bool = False,
) -> Iterator[Problem]:
    """Questions of these kinds in turn; `language`, `terms`, `digits`, `negative` as in `arithmetic`.

    Wrong options of number problems are what slips give: a wrong sign, a neighbour, a ten too many.
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
            if kind in WORDS:
                question, right, wrong, facts = WORDS[kind](rng, tongue)
            else:
                if kind == "sum":
                    drawn = draw_sum(rng, tongue, terms, digits, negative)
                elif kind == "product":
                    drawn = draw_product(rng, tongue, digits)
                elif kind == "equation":
                    drawn = draw_equation(rng, tongue, digits)
                else:
                    drawn = draw_story(rng, tongue, digits)
                question, right, facts = drawn
                wrong = slips(rng, int(right), facts)
            lettered = [right, *wrong]
            rng.shuffle(lettered)
            lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, lettered, strict=True)]
            yield make_problem(
                problem_id(NAME, seed, index, options),
                "choice",
                "\n".join([question, *lines, ASK[tongue]]),
                LETTERS[lettered.index(right)],
                source=NAME,
                domain="stem",
                language=tongue,
                meta={"kind": "choice", "options": lettered, "of": facts},
            )

    return distinct(generate(), count, NAME)


def slips(rng: random.Random, right: int, facts: dict[str, Any]) -> list[str]:
    """Three wrong numbers, nearest to what a slip would give; positive where the right one is."""
    slipped = [right + step for step in (1, -1, 2, -2, 10, -10)]
    if facts["kind"] == "sum":
        *head, last = facts["terms"]
        slipped += [sum(head) - last] * 2
    if facts["kind"] == "equation":
        slipped += [facts["result"] - facts["const"], facts["result"] + facts["const"]]
    rng.shuffle(slipped)
    wrong: list[str] = []
    for number in slipped:
        if number != right and (number > 0 or right <= 0) and str(number) not in wrong:
            wrong.append(str(number))
    return wrong[:3]


def draw_extreme(rng: random.Random, language: str) -> Drawn:
    """Which of four numbers is the largest or the smallest."""
    numbers = rng.sample(range(2, 100), 4)
    largest = rng.random() < 0.5
    right = max(numbers) if largest else min(numbers)
    question = {
        "en": f"Which number is the {'largest' if largest else 'smallest'}?",
        "zh": f"哪个数最{'大' if largest else '小'}？",
    }[language]
    wrong = [str(n) for n in numbers if n != right]
    return question, str(right), wrong, {"kind": "extreme", "largest": largest, "numbers": numbers}


def draw_odd_one(rng: random.Random, language: str) -> Drawn:
    """Which of four words does not belong to the group of the other three."""
    group, other = rng.sample(sorted(GROUPS), 2)
    words = rng.sample(GROUPS[group][language][1], 3)
    odd = rng.choice(GROUPS[other][language][1])
    question = {"en": "Which word does not belong with the others?", "zh": "哪个词与其他三个不同类？"}[
        language
    ]
    return (
        question,
        odd,
        words,
        {"kind": "odd-one", "group": group, "words": words, "odd": odd, "odd_group": other},
    )


def draw_member(rng: random.Random, language: str) -> Drawn:
    """Which of four words belongs to a group."""
    groups = rng.sample(sorted(GROUPS), 4)
    words = [rng.choice(GROUPS[group][language][1]) for group in groups]
    name = GROUPS[groups[0]][language][0]
    question = {"en": f"Which of these is {name}?", "zh": f"下面哪个是{name}？"}[language]
    return question, words[0], words[1:], {"kind": "member", "groups": groups, "words": words}


def draw_order(rng: random.Random, language: str) -> Drawn:
    """Three comparisons of four people: who has the most or the least."""
    comparison = rng.choice(sorted(COMPARISONS))
    names = rng.sample(NAMES[language], 4)
    most = rng.random() < 0.5
    pairs = list(pairwise(names))
    rng.shuffle(pairs)
    stop, join = ("。", "") if language == "zh" else (".", " ")
    told = [compare(comparison, a, b, language) + stop for a, b in pairs]
    question = join.join([*told, COMPARISONS[comparison][language][1 if most else 2]])
    right = names[0] if most else names[-1]
    facts = {"kind": "order", "comparison": comparison, "names": names, "most": most}
    return question, right, [name for name in names if name != right], facts


WORDS = {"extreme": draw_extreme, "odd-one": draw_odd_one, "member": draw_member, "order": draw_order}
