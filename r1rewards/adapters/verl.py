"""A reward spec as verl's custom reward function, without a file of one's own:

    reward.custom_reward_function.path=pkg://r1rewards.adapters.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.spec=rewards.yaml
    +reward.custom_reward_function.reward_kwargs.task=math

verl calls it for one response at a time, from several threads. It knows no response without a reward: where
a row has no total, the spec's `on_error: {neutral: ...}` says what it gets; without that the call fails, and
verl stops with its sentence (checked with verl 0.9.1).

What a row says beside its response is read from `extra_info`, or from `extra_info["row"]`, the whole problem
as JSON: Parquet has one type for a column, and references of several tasks in one file have several.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from r1rewards.spec import Spec, load_spec

#: What a row may say beside its response and reference; verl passes it in `extra_info`.
COLUMNS = ("id", "uid", "task", "domain", "prompt", "language", "thinking", "finish_reason", "meta")

_loading = threading.Lock()


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    spec: str,
    task: str | None = None,
    tasks: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    **_: Any,
) -> dict[str, Any]:
    """The score of one response, in the form that verl logs: `score`, `acc`, and every component.

    spec   the file of the spec, the same in every worker
    task   the task of every row; or `tasks`, by data source; a `task` that the row itself has goes before
           both
    acc    whether the answer is right, where a rule says so; verl's validation reads it
    """
    loaded = _loaded(spec, tuple(sorted((variables or {}).items())))
    given = dict(extra_info or {})
    if isinstance(given.get("row"), str):
        given = json.loads(given["row"])
        ground_truth = given.get("reference", ground_truth)
    row = {name: given[name] for name in COLUMNS if given.get(name) is not None}
    row["task"] = row.get("task") or (tasks or {}).get(data_source) or task
    if "prompt" not in row and isinstance(given.get("question"), str):
        row["prompt"] = given["question"]
    row.update(response=solution_str, reference=ground_truth)
    sample = loaded.sample(row, f"a row of {data_source}")
    (score,) = loaded.grade([sample])
    return {
        "score": loaded.number(score),
        "acc": score.accuracy(sample.task),
        **{f"reward_{name}": value for name, value in score.rewards.items()},
    }


def _loaded(spec: str, variables: tuple[tuple[str, str], ...]) -> Spec:
    with _loading:
        return _load(str(Path(spec).absolute()), variables)


@lru_cache(maxsize=8)
def _load(spec: str, variables: tuple[tuple[str, str], ...]) -> Spec:
    return load_spec(spec, variables=dict(variables))
