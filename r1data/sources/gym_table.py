"""Which data sets of reasoning-gym suit a small model, and what is known against the others.

Each entry of `SUITABLE` was chosen for questions under about 90 tokens, an answer of a few tokens, and a
solution that can be written out in small steps. `facts` translates an item into what `r1data.worked`
computes from; None drops the item. `UNSOUND` names the data sets that no option makes fit for training.

Looked at and left out because their questions carry long instructions or grids: knights_knaves (over 100
tokens, nested statements), circuit_logic, countdown, cryptarithm, mini_sudoku, word_sorting,
self_reference, string_insertion, zebra_puzzles, shortest_path, base_conversion. They work through
`reasoning-gym` with a larger model. number_sorting is left out for its scorer: it lets every number be off
by one. syllogism calls conclusions about the wrong premise invalid without looking at the other one.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Item = dict[str, Any]
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suitable:
    """A data set that suits.

    task    how its items are graded best.
    facts   an item as what worked traces compute from; None drops it.
    config  the size for a model of 100 million parameters.
    clean   headlines and format instructions to cut: pattern and what takes its place. A puzzle keeps its
            whole question, because its grader compares the prompt with the item that it draws again.
    chinese the same, for a Chinese question; empty where the question is English in all its words.
    """

    task: str
    facts: Callable[[Item], Facts | None]
    config: dict[str, Any] = field(default_factory=dict)
    clean: tuple[tuple[str, str], ...] = ()
    chinese: tuple[tuple[str, str], ...] = ()

    def question(self, item: Item, language: str) -> str:
        text = str(item["question"])
        for pattern, replacement in self.chinese if language == "zh" else self.clean:
            text = re.sub(pattern, replacement, text)
        return text.strip()


_SCORER = "its scorer gives its own answer less than 1"
_HASH = "its items depend on Python's hash seed, so that another process draws others"
UNSOUND = {
    "boxnet": _SCORER,
    "codeio": "the same seed does not give the same item",
    "graph_color": _SCORER,
    "isomorphic_strings": _HASH,
    "knight_swap": _HASH,
    "polynomial_multiplication": _HASH,
    "propositional_logic": _SCORER,
    "ransom_note": _HASH,
    "rubiks_cube": _SCORER,
    "rush_hour": _SCORER,
    "time_intervals": "its items depend on today's date",
    "word_ladder": _HASH,
}


def _sum(item: Item) -> Facts:
    terms = re.findall(r"([+-]?)\s*(\d+)", item["metadata"]["expression"])
    return {"kind": "sum", "terms": [int(sign + digits) for sign, digits in terms]}


def _equation(item: Item) -> Facts | None:
    left, right = item["metadata"]["equation"].split("=")
    variable, coef, const = item["metadata"]["variable"], 0, 0
    for sign, body in re.findall(r"([+-]?)\s*([\w*]+)", left):
        number = int(body.removesuffix(variable).removesuffix("*") or 1)
        number = -number if sign == "-" else number
        if body.endswith(variable):
            coef += number
        else:
            const += number
    if coef <= 0:
        return None
    return {"kind": "equation", "variable": variable, "coef": coef, "const": const, "result": int(right)}


def _legs(item: Item) -> Facts:
    from reasoning_gym.arithmetic.leg_counting import ANIMALS

    animals = item["metadata"]["animals"]
    return {"kind": "legs", "animals": [[name, n, ANIMALS[name]] for name, n in animals.items()]}


def _numbers(kind: str) -> Callable[[Item], Facts]:
    return lambda item: {"kind": kind, "numbers": [int(n) for n in item["metadata"]["numbers"]]}


def _friends(item: Item) -> Facts | None:
    counts = re.findall(r"\d+", item["question"])
    if item["metadata"]["task_type"] != "friends" or "1" in counts:
        return None
    name = item["question"].split()[0]
    return {"kind": "friends", "name": name, "count": int(counts[1]), "others": int(counts[0])}


def _sequence(item: Item) -> Facts | None:
    rule = re.fullmatch(r"(add|multiply by|double|add previous)(?: (-?\d+))?", item["metadata"]["rule"])
    terms = item["metadata"]["sequence"]
    if rule is None or max(abs(n) for n in terms) > 200 or 0 in terms:
        return None
    by = int(rule[2]) if rule[2] else 2
    name = {"multiply by": "times", "double": "times", "add previous": "previous"}.get(rule[1], rule[1])
    return {"kind": "sequence", "rule": name, "by": by, "terms": terms[:-1]}


def _filter(item: Item) -> Facts | None:
    meta = item["metadata"]
    action, side = meta["operation"].split("_")
    numbers, bound = meta["original_numbers"], meta["filter_value"]
    if len(set(numbers)) < len(numbers) or bound in numbers:
        return None
    return {"kind": "filter", "action": action, "side": side, "bound": int(bound), "items": numbers}


def _word(item: Item) -> Facts | None:
    word = item["metadata"]["word"]
    return {"kind": "backward", "word": word} if word.isalpha() and word.islower() else None


def _letters(item: Item) -> Facts | None:
    meta = item["metadata"]
    if not meta["target_letter"].isalpha():
        return None
    return {"kind": "letters", "letter": meta["target_letter"], "words": list(meta["span"])}


def _reversal(item: Item) -> Facts:
    return {"kind": "reversal", "words": list(item["metadata"]["words"])}


def _family(item: Item) -> Facts | None:
    """Without the in-laws, nieces and nephews, where reasoning-gym answers for the wrong one of the two."""
    meta = item["metadata"]
    if meta["relationship"] in ("mother-in-law", "father-in-law", "niece", "nephew"):
        return None
    couples = re.findall(
        r"(\w+) is married to (\w+)\.(?: They have (?:a child|children) called ([^.]+)\.)?", item["question"]
    )
    families = [[a, b, re.split(r", | and ", children) if children else []] for a, b, children in couples]
    return {
        "kind": "family",
        "families": families,
        "person": meta["person1"],
        "other": meta["person2"],
        "relation": meta["relationship"],
    }


def _weekday(item: Item) -> Facts:
    meta = item["metadata"]
    start = calendar.day_name[date.fromisoformat(meta["start_date"]).weekday()]
    return {"kind": "weekday", "start": start, "offset": meta["offset_days"]}


_FINAL = r" Give only the [\w ]+ as your final answer\.", ""

SUITABLE: dict[str, Suitable] = {
    "chain_sum": Suitable(
        "math",
        _sum,
        {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
        ((r"State the final answer to the following arithmetic problem: ", "Calculate "), (r" =$", ".")),
        ((r"State the final answer to the following arithmetic problem: (.*) =", r"计算 \1 的结果。"),),
    ),
    "simple_equations": Suitable(
        "math",
        _equation,
        {"min_terms": 2, "max_terms": 2, "max_value": 10, "operators_weights": [0.5, 0.5, 0.0]},
    ),
    "leg_counting": Suitable(
        "math",
        _legs,
        {"min_animals": 1, "max_animals": 2, "max_instances": 6},
        ((r"^Your task is .*\n+Now, how", "How"),),
    ),
    "gcd": Suitable("math", _numbers("gcd"), {"max_value": 40}, (_FINAL,)),
    "lcm": Suitable("math", _numbers("lcm"), {"max_value": 12}),
    "aiw": Suitable("math", _friends, {"task_type_weights": [0.0, 1.0, 0.0], "max_entities": 12}),
    "number_sequence": Suitable(
        "puzzle",
        _sequence,
        {"max_complexity": 1, "max_terms": 5},
        ((r"^", "Which number comes next? "),),
        ((r"^", "下一个数是多少？"),),
    ),
    "number_filtering": Suitable(
        "puzzle",
        _filter,
        {"min_numbers": 3, "max_numbers": 4, "max_decimals": 0, "min_value": 1, "max_value": 30},
    ),
    "spell_backward": Suitable("puzzle", _word, {"max_word_len": 5}),
    "letter_counting": Suitable("puzzle", _letters, {"min_words": 2, "max_words": 4}),
    "word_sequence_reversal": Suitable(
        "puzzle",
        _reversal,
        {"min_words": 3, "max_words": 5},
    ),
    "family_relationships": Suitable(
        "puzzle", _family, {"min_family_size": 4, "max_family_size": 5}, ((r"\n+", " "),)
    ),
    "calendar_arithmetic": Suitable(
        "puzzle", _weekday, {"tasks": ["weekday_offset"], "offset_upper_bound": 10}
    ),
}

#: The data sets that `logic` mixes when it is not told otherwise.
LOGIC = tuple(name for name, entry in SUITABLE.items() if entry.task == "puzzle")
