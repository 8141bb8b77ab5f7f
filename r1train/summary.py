"""What an evaluation says in numbers, and whether two evaluations differ: scored rows -> `summary.json`.

A value that is None (an abstention, a grader's error, a reward that does not apply) takes no part in any
mean. What was left out is counted: `abstained` and `errors`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from r1rewards import math
from r1train.statistics import bootstrap_mean, majority, paired_bootstrap, pass_at_k

Row = Mapping[str, Any]
#: One value for each problem, by measure and problem.
Values = Mapping[str, Mapping[str, float]]


def accuracy(row: Row) -> float | None:
    """The value of the reward that has the name of the row's task; None where there is none, or no value.

    For `general` rows that is a judge, where the spec gives it this name.
    """
    return _reward(row, row["task"])


def _reward(row: Row, name: str) -> float | None:
    value = (row.get("rewards") or {}).get(name)
    return None if value is None else float(value)


def _total(row: Row) -> float | None:
    return None if row.get("reward") is None else float(row["reward"])


#: What is averaged over the samples of a problem, by its name in the summary; accuracy is pass@1.
MEASURES: dict[str, Callable[[Row], float | None]] = {
    "accuracy": accuracy,
    "format": lambda row: _reward(row, "format"),
    "language": lambda row: _reward(row, "language"),
    "reward": _total,
}


def summarize(rows: Iterable[Row]) -> dict[str, Any]:
    """The summary of one evaluation: all rows, and the same figures by domain and by language.

    Means and their 95 % intervals go over problems (`r1train.statistics`); `tokens` (mean) and `truncated`
    (share stopped by the length limit) go over samples. A measure that no row has is None. Beside `MEASURES`,
    with k samples a problem, stand `pass@2`, `pass@4`, ... `pass@k` and, from three samples on, `cons@k`.
    """
    rows = list(rows)
    values = _values(rows)
    per_problem = [len(group) for group in _group(rows, "problem_id").values()]
    return {
        "model": rows[0].get("model", "") if rows else "",
        "samples": max(per_problem, default=0),
        "problems": len(per_problem),
        "all": _figures(rows, values),
        "domains": {name: _figures(group, values) for name, group in _group(rows, "domain").items()},
        "languages": {
            name: _figures(group, values) for name, group in _group(rows, "language").items() if name
        },
    }


def compare(rows_a: Iterable[Row], rows_b: Iterable[Row]) -> dict[str, Any]:
    """Each measure of b less that of a, paired over the problems that both have a value for.

    `{"all": {measure: D}, "domains": {domain: {measure: D}}}` with
    D = `{"difference", "low", "high", "p", "problems"}`, or None where no problem has both values.
    """
    rows_a, rows_b = list(rows_a), list(rows_b)
    a, b = _values(rows_a), _values(rows_b)
    domains_a, domains_b = _group(rows_a, "domain"), _group(rows_b, "domain")
    shared = {name: _problems(domains_a[name]) & _problems(domains_b.get(name, ())) for name in domains_a}
    return {
        "all": _differences(a, b, _problems(rows_a)),
        "domains": {name: _differences(a, b, problems) for name, problems in shared.items() if problems},
    }


def _figures(rows: Sequence[Row], values: Values) -> dict[str, Any]:
    problems = _problems(rows)
    out: dict[str, Any] = {"problems": len(problems)}
    for name, by_problem in values.items():
        # Sorted, so that the resampling does not depend on the order in which samples came back.
        means = [by_problem[key] for key in sorted(problems & by_problem.keys())]
        out[name] = bootstrap_mean(means).to_dict() if means else None
    out["tokens"] = _mean([float(row.get("tokens") or 0) for row in rows])
    out["truncated"] = _mean([float(row.get("finish_reason") == "length") for row in rows])
    out["errors"] = sum(_has_error(row) for row in rows)
    out["abstained"] = sum(_abstained(row) for row in rows)
    return out


def _differences(a: Values, b: Values, problems: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in (name for name in a if name in b):
        shared = sorted(problems & a[name].keys() & b[name].keys())
        out[name] = None
        if shared:
            difference = paired_bootstrap([a[name][key] for key in shared], [b[name][key] for key in shared])
            out[name] = difference.to_dict() | {"problems": len(shared)}
    return out


def _values(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """For each measure its value for every problem that has one."""
    groups = {
        problem: sorted(group, key=lambda row: int(row.get("sample") or 0))
        for problem, group in _group(rows, "problem_id").items()
    }
    values: dict[str, dict[str, float]] = {name: {} for name in MEASURES}
    samples = max(map(len, groups.values()), default=0)
    steps = [k for k in (2**n for n in range(1, samples.bit_length())) if k < samples]
    values |= {f"pass@{k}": {} for k in [*steps, samples] if k > 1}
    values |= {f"cons@{samples}": {}} if samples > 2 else {}
    for problem, group in groups.items():
        for name, measure in MEASURES.items():
            known = [value for row in group if (value := measure(row)) is not None]
            if known:
                values[name][problem] = sum(known) / len(known)
        for name, value in _of_several(group):
            if name in values:
                values[name][problem] = value
    return values


def _of_several(group: Sequence[Row]) -> Iterator[tuple[str, float]]:
    """pass@k for each k up to the graded samples of one problem, and cons@k over all of its samples."""
    known = [value for row in group if (value := accuracy(row)) is not None]
    right = sum(value >= 1 for value in known)
    for k in range(2, len(known) + 1):
        yield f"pass@{k}", pass_at_k(len(known), right, k)
    answers = [_answer(row) for row in group]
    if not known or any(answer is None for answer in answers):
        return
    voted = majority([answer or None for answer in answers], _equal)
    value = 0.0 if voted is None else accuracy(group[voted])
    if value is not None:
        yield f"cons@{len(group)}", value


def _answer(row: Row) -> str | None:
    """What a sample votes for, "" where it has no answer; None where answers of its task cannot be equal."""
    verdict = (row.get("verdicts") or {}).get(row["task"]) or {}
    details = verdict.get("details") or {}
    if row["task"] == "math":
        return str(details.get("extracted") or "")
    return str(details.get("chosen") or "") if row["task"] == "choice" else None


def _equal(one: str, other: str) -> bool:
    return math.equal(one, other)


def _has_error(row: Row) -> bool:
    return any(verdict["status"] == "error" for verdict in (row.get("verdicts") or {}).values())


def _abstained(row: Row) -> bool:
    """Whether the accuracy reward applies to the row and did not decide."""
    verdict = (row.get("verdicts") or {}).get(row["task"])
    return verdict is not None and verdict["status"] == "abstain"


def _problems(rows: Sequence[Row]) -> set[str]:
    return {str(row["problem_id"]) for row in rows}


def _group(rows: Sequence[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row.get(key) or "")].append(row)
    return dict(sorted(groups.items()))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
