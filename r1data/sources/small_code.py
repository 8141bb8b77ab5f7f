"""Small Python functions to write, with asserts (task code)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count as naturals
from textwrap import indent
from typing import Any

from r1data.sources.arithmetic import LANGUAGES
from r1data.sources.base import distinct, make_problem, one_of, problem_id, rng_for
from r1data.sources.code_families import ARGUMENTS, EMPTY, FAMILIES, PARAMS, Family
from r1rewards.core.rows import Problem

NAME = "small-code"
#: Asserts of a problem: enough that a constant or the identity does not pass.
ASSERTS = 5


def small_code(
    *, count: int, seed: int, families: Sequence[str] | None = None, language: str = "en"
) -> Iterator[Problem]:
    """Functions of these families in turn (all of `code_families.FAMILIES` unless given).

    The canonical solution is `meta.solution`; it serves worked traces and the check of the asserts.
    """
    chosen = [one_of(name, tuple(FAMILIES), "families", NAME) for name in families or FAMILIES]
    languages = ("en", "zh") if one_of(language, LANGUAGES, "language", NAME) == "both" else (language,)
    options = {"families": chosen, "language": language}

    def generate() -> Iterator[Problem]:
        for index in naturals():
            rng = rng_for(NAME, seed, options, index)
            name, tongue = chosen[index % len(chosen)], languages[index // len(chosen) % len(languages)]
            yield _draw(rng, name, tongue, problem_id(NAME, seed, index, options))

    return distinct(generate(), count, NAME)


def _draw(rng: random.Random, family_name: str, language: str, identity: str) -> Problem:
    family = FAMILIES[family_name]
    params = {key: PARAMS[key](rng) for key in family.params}
    words = {**params, "yes": params.get("labels", ("",))[0], "no": params.get("labels", ("",))[-1]}
    function = rng.choice(family.names).format(**words)
    ask, idea = (text[language == "zh"].format(**words) for text in (family.ask, family.idea))
    solution = f"def {function}({family.args}):\n{indent(family.body.format(**words), '    ')}"
    question = {
        "en": f"Write a Python function `{function}({family.args})` that {ask}.",
        "zh": f"写一个 Python 函数 `{function}({family.args})`，{ask}。",
    }[language]
    return make_problem(
        identity,
        "code",
        question,
        {"asserts": asserts(rng, family, params, function), "setup": ""},
        source=NAME,
        language=language,
        meta={
            "kind": "code",
            "family": family_name,
            "params": params,
            "name": function,
            "args": family.args,
            "idea": idea,
            "solution": solution,
        },
    )


def asserts(rng: random.Random, family: Family, params: dict[str, Any], function: str) -> list[str]:
    """Calls with their results: the empty case, values around the parameters, random ones; not all equal."""
    names = family.args.split(", ")
    while True:
        calls = [[ARGUMENTS[name](rng) for name in names] for _ in range(ASSERTS - 1)]
        if names[0] in EMPTY:
            calls.append([EMPTY[names[0]]])
        else:
            edge = next((value for value in params.values() if isinstance(value, int)), 0)
            calls.append([edge] + [ARGUMENTS[name](rng) for name in names[1:]])
        if names[0] == "numbers" and isinstance(params.get("k"), int):
            calls[0] = [[*calls[0][0], params["k"], params["k"] + 1]]
        results = [family.result(params, *call) for call in calls]
        if len({repr(result) for result in results}) > 1:
            break
    return [
        f"assert {function}({', '.join(map(repr, call))}) == {result!r}"
        for call, result in zip(calls, results, strict=True)
    ]
