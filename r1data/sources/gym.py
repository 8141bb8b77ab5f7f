"""Problems from reasoning-gym, checked before use: `reasoning-gym` (one data set) and `logic` (several).

reasoning-gym draws item i of seed s from the number s + i, so that neighbouring seeds share almost all
items. Here the seed is hashed first; a problem's reference carries the hashed one, with which the grader
draws the item again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count as naturals
from typing import Any

from r1data.sources.base import digest, distinct, make_problem, one_of, problem_id
from r1data.sources.gym_table import LOGIC, SUITABLE, UNSOUND
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem
from r1rewards.core.settings import suggest

#: More items than any run asks for; reasoning-gym draws them when they are asked for.
MAX_ITEMS = 10**6
#: So many unusable items in a row mean that the data set with this configuration has none.
MAX_UNUSABLE = 200


def reasoning_gym(
    *,
    count: int,
    seed: int,
    dataset: str,
    config: Mapping[str, Any] | None = None,
    as_task: str | None = None,
    domain: str | None = None,
    language: str = "en",
) -> Iterator[Problem]:
    """Problems of one data set of reasoning-gym whose own answers score 1.

    config   settings of the data set, over those that suit a small model (`gym_table.SUITABLE`).
    as_task  math (the answer as text) or puzzle (graded by reasoning-gym's own scorer).
    domain   math or logic unless given.
    language en, or zh for the data sets that can be asked in Chinese (`gym_table`).
    """
    return distinct(_items(seed, dataset, config, as_task, domain, language), count, "reasoning-gym")


def logic(*, count: int, seed: int, datasets: Sequence[str] = LOGIC) -> Iterator[Problem]:
    """Puzzles from several data sets of reasoning-gym in turn."""
    if not datasets:
        raise UserError("source 'logic': datasets is empty; leave it out for all that suit a small model")
    streams = [_items(seed, name, None, "puzzle", "logic", "en") for name in datasets]
    turns = (next(streams[index % len(streams)]) for index in naturals())
    return distinct(turns, count, "logic")


def _items(
    seed: int,
    dataset: str,
    config: Mapping[str, Any] | None,
    as_task: str | None,
    domain: str | None,
    language: str,
) -> Iterator[Problem]:
    entry = SUITABLE.get(dataset)
    task = one_of(
        as_task or (entry.task if entry else "puzzle"), ("math", "puzzle"), "as_task", "reasoning-gym"
    )
    if entry and language == "zh" and not entry.chinese:
        known = ", ".join(name for name, other in SUITABLE.items() if other.chinese)
        raise UserError(f"reasoning-gym's {dataset!r} asks in English only; in Chinese there are {known}")
    settings = {**(entry.config if entry else {}), **(config or {})}
    drawn = int(digest("reasoning-gym", seed, dataset), 16) % 2**31
    first, second = _create(dataset, drawn, settings), _create(dataset, drawn, settings)
    options = {"dataset": dataset, "config": settings, "as_task": task, "language": language}
    unusable = 0
    for index in naturals():
        item = first[index]
        facts = entry.facts(item) if entry else {"kind": "gym", "question": str(item["question"])}
        again = second[index]
        same = (item["question"], item["answer"]) == (again["question"], again["answer"])
        if facts is None or not same or first.score_answer(item["answer"], item) != 1:
            unusable += 1
            if unusable > MAX_UNUSABLE:
                raise UserError(
                    f"reasoning-gym's {dataset!r} with {settings} gave {unusable} unusable items in a row "
                    "(an item must be the same when drawn again and its own answer score 1); choose others"
                )
            continue
        unusable = 0
        reference = {"dataset": dataset, "config": settings, "seed": drawn, "index": index}
        yield make_problem(
            problem_id(f"gym-{dataset}", seed, index, options),
            task,
            entry.question(item, language) if entry else str(item["question"]).strip(),
            str(item["answer"]) if task == "math" else reference,
            source=f"reasoning-gym/{dataset}",
            domain=domain or ("math" if task == "math" else "logic"),
            language=language,
            meta={**facts, "answer": str(item["answer"])},
        )


def _create(dataset: str, seed: int, settings: Mapping[str, Any]) -> Any:
    """The data set, large enough for any index; what is wrong with name or settings as one sentence."""
    import reasoning_gym as gym
    from reasoning_gym.factory import DATASETS

    if dataset in UNSOUND:
        raise UserError(f"reasoning-gym's {dataset!r} cannot be used: {UNSOUND[dataset]}")
    if dataset not in DATASETS:
        raise UserError(f"reasoning-gym has no data set {dataset!r}{suggest(dataset, DATASETS)}")
    try:
        return gym.create_dataset(dataset, seed=seed, size=MAX_ITEMS, **settings)
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(
            f"reasoning-gym's {dataset!r} refuses the config {dict(settings)}: {error}"
        ) from error
