"""What runs in the worker processes of the puzzle reward: build the item again, check it, score answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

#: Scorers that hand the answer to `eval` or to sympy's parser, which evaluates: what an honest answer to
#: them may hold. No name but these, no attribute, no call into Python, and no tower of powers.
_LIST = re.compile(r"[A-Z0-9_\[\],'\"\s]{0,4000}")
_ARITHMETIC = re.compile(r"(?:[0-9+\-()/\s]|(?<!\*)\*(?!\*)|(?<=\d)\.(?=\d)){0,300}")
_FORMULA = re.compile(
    r"(?:\*\*\s*(?:-?\d{1,3}(?![\d.])|[A-Za-z](?![A-Za-z(])|\(\s*-?\d{1,3}\s*(?:/\s*\d{1,3}\s*)?\))(?!\s*\*\*)"
    r"|(?<!\*)\*(?!\*)|\d{1,12}(?!\d)|(?<=\d)\.(?=\d)|[+\-/()\s]"
    r"|(?<![\d.])(?:a?sinh?|a?cosh?|a?tanh?|exp|log|sqrt|pi|Abs|[A-Za-z])(?![A-Za-z])){0,2000}"
)
_ALLOWED: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(("string_insertion", "spiral_matrix", "binary_matrix", "n_queens"), _LIST),
    **dict.fromkeys(("countdown", "puzzle24"), _ARITHMETIC),
    **dict.fromkeys(
        ("simple_integration", "intermediate_integration", "polynomial_multiplication"), _FORMULA
    ),
}

#: What is no number compares with every number as if it were near: scorers pay for it.
_NO_NUMBER = re.compile(r"(?<![a-z])(?:nan|inf|infinity)j?(?![a-z])", re.IGNORECASE)
#: An answer to nothing. Of a scorer that pays for it only the answer that it holds itself is taken.
_NONSENSE = ("?!", "no answer", "[[]]")


class PuzzleError(Exception):
    """The item cannot grade anything."""


def score(reference: Mapping[str, Any], answers: list[str], question: str | None) -> dict[str, Any]:
    """The best score of the candidate answers; `refused` says why where none was shown to the scorer."""
    name, item = _item(json.dumps(reference, sort_keys=True))
    if question is not None and _squeezed(item["question"]) not in _squeezed(question):
        raise PuzzleError(f"{name}: the prompt does not hold the question of the rebuilt item")
    result: dict[str, Any] = {"dataset": name, "gold": str(item["answer"])[:200], "answer": "", "score": 0.0}
    allowed = _ALLOWED.get(name)
    shown = [answer for answer in answers if allowed is None or allowed.fullmatch(answer)]
    if not _NO_NUMBER.search(item["answer"]):
        shown = [answer for answer in shown if not _NO_NUMBER.search(answer)]
    if not shown:
        return result | {"refused": "no answer" if not answers else "the answer holds what none needs"}
    scorer = _dataset(
        name, json.dumps(dict(reference.get("config") or {}), sort_keys=True), reference["seed"], 0
    )
    generous = allowed is None and any(_marks(scorer, foil, item) >= 1.0 for foil in _NONSENSE)
    for answer in shown:
        marks = float(_same(answer, item["answer"])) if generous else _marks(scorer, answer, item)
        if not result["answer"] or marks > result["score"]:
            result |= {"answer": answer[:200], "score": marks}
    return result


def _marks(scorer: Any, answer: str, item: dict[str, Any]) -> float:
    """The scorer's marks; 0 where it raises, since it has just given its own answer full marks."""
    try:
        return float(scorer.score_answer(answer, item))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - scorers raise anything at malformed answers
        return 0.0


@lru_cache(maxsize=4096)
def _item(reference: str) -> tuple[str, dict[str, Any]]:
    """The item of a reference, after it has passed its own checks."""
    wanted = json.loads(reference)
    if not isinstance(wanted, dict):
        raise PuzzleError(
            "the reference of a puzzle is {dataset, config, seed, index}, not " + reference[:60]
        )
    missing = [key for key in ("dataset", "seed", "index") if wanted.get(key) is None]
    if missing:
        raise PuzzleError(f"the reference has no {' and no '.join(missing)}")
    name, index = wanted["dataset"], int(wanted["index"])
    config = json.dumps(dict(wanted.get("config") or {}), sort_keys=True)
    dataset = _dataset(name, config, wanted["seed"], index)
    item: dict[str, Any] = dataset[index]
    again = _build(name, config, wanted["seed"], index)[index]
    if (again["question"], again["answer"]) != (item["question"], item["answer"]):
        raise PuzzleError(f"{name} is not reproducible: the same seed gave another item")
    allowed = _ALLOWED.get(name)
    if allowed and not allowed.fullmatch(item["answer"]):
        raise PuzzleError(
            f"{name}: the item's own answer {item['answer'][:80]!r} is not one to hand to its scorer"
        )
    gold = dataset.score_answer(item["answer"], item)
    if gold != 1.0:
        raise PuzzleError(f"{name} gives its own answer {gold:g}, not full marks")
    return name, item


@lru_cache(maxsize=64)
def _dataset(name: str, config: str, seed: int, index: int) -> Any:
    return _build(name, config, seed, index)


def _build(name: str, config: str, seed: int, index: int) -> Any:
    from reasoning_gym.factory import DATASETS, create_dataset

    if name not in DATASETS:
        import reasoning_gym  # noqa: F401 - importing it registers the datasets

    if name not in DATASETS:
        raise PuzzleError(f"reasoning-gym has no dataset {name!r}")
    options = json.loads(config)
    return create_dataset(
        name, **{**options, "seed": seed, "size": max(int(options.get("size", 0)), index + 1)}
    )


def _same(answer: str, gold: str) -> bool:
    return _squeezed(answer).casefold() == _squeezed(gold).casefold()


def _squeezed(text: str) -> str:
    return "".join(text.split())
