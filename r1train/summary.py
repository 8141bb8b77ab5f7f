"""What an evaluation says in numbers, and whether two evaluations differ: scored rows -> `summary.json`.

A value that is None (an abstention, a grader's error, a reward that does not apply) takes no part in any
mean. What was left out is counted: `abstained` and `errors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from r1rewards.core.rows import CHECKED_TASKS
from r1train.statistics import bootstrap_mean, paired_bootstrap

Row = Mapping[str, Any]


def accuracy(row: Row) -> float | None:
    """The value of the row's own accuracy reward; None where its task has none, or it has no value."""
    return _reward(row, row["task"]) if row["task"] in CHECKED_TASKS else None


def _reward(row: Row, name: str) -> float | None:
    value = (row.get("rewards") or {}).get(name)
    return None if value is None else float(value)


def _total(row: Row) -> float | None:
    return None if row.get("reward") is None else float(row["reward"])


#: What is averaged over problems, by its name in the summary.
MEASURES: dict[str, Callable[[Row], float | None]] = {
    "accuracy": accuracy,
    "format": lambda row: _reward(row, "format"),
    "language": lambda row: _reward(row, "language"),
    "reward": _total,
}


def summarize(rows: Iterable[Row]) -> dict[str, Any]:
    """The summary of one evaluation: all rows, and the same figures by domain and by language.

    Means and their 95 % intervals go over problems (`r1train.statistics`); `tokens` (mean) and `truncated`
    (share stopped by the length limit) go over samples. A measure that no row has is None.
    """
    rows = list(rows)
    per_problem = [len(group) for group in _group(rows, "problem_id").values()]
    return {
        "model": rows[0].get("model", "") if rows else "",
        "samples": max(per_problem, default=0),
        "problems": len(per_problem),
        "all": _figures(rows),
        "domains": {name: _figures(group) for name, group in _group(rows, "domain").items()},
        "languages": {name: _figures(group) for name, group in _group(rows, "language").items() if name},
    }


def compare(rows_a: Iterable[Row], rows_b: Iterable[Row]) -> dict[str, Any]:
    """Each measure of b less that of a, paired over the problems that both have a value for.

    `{"all": {measure: D}, "domains": {domain: {measure: D}}}` with
    D = `{"difference", "low", "high", "p", "problems"}`, or None where no problem has both values.
    """
    rows_a, rows_b = list(rows_a), list(rows_b)
    domains_a, domains_b = _group(rows_a, "domain"), _group(rows_b, "domain")
    return {
        "all": _differences(rows_a, rows_b),
        "domains": {
            name: _differences(domains_a[name], domains_b[name]) for name in domains_a if name in domains_b
        },
    }


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    out: dict[str, Any] = {"problems": len({row["problem_id"] for row in rows})}
    for name, measure in MEASURES.items():
        means = list(_problem_means(rows, measure).values())
        out[name] = bootstrap_mean(means).to_dict() if means else None
    out["tokens"] = _mean([float(row.get("tokens") or 0) for row in rows])
    out["truncated"] = _mean([float(row.get("finish_reason") == "length") for row in rows])
    out["errors"] = sum(_has_error(row) for row in rows)
    out["abstained"] = sum(_abstained(row) for row in rows)
    return out


def _differences(rows_a: Sequence[Row], rows_b: Sequence[Row]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        a, b = _problem_means(rows_a, measure), _problem_means(rows_b, measure)
        shared = sorted(a.keys() & b.keys())
        out[name] = None
        if shared:
            difference = paired_bootstrap([a[key] for key in shared], [b[key] for key in shared])
            out[name] = difference.to_dict() | {"problems": len(shared)}
    return out


def _problem_means(rows: Sequence[Row], measure: Callable[[Row], float | None]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        value = measure(row)
        if value is not None:
            values[row["problem_id"]].append(value)
    # Sorted, so that the resampling does not depend on the order in which samples came back.
    return {key: sum(values[key]) / len(values[key]) for key in sorted(values)}


def _has_error(row: Row) -> bool:
    return any(verdict["status"] == "error" for verdict in (row.get("verdicts") or {}).values())


def _abstained(row: Row) -> bool:
    """Whether the accuracy reward applies to the row and did not decide."""
    verdict = (row.get("verdicts") or {}).get(row["task"]) if row["task"] in CHECKED_TASKS else None
    return verdict is not None and verdict["status"] == "abstain"


def _group(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row.get(key) or "")].append(row)
    return dict(sorted(groups.items()))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
