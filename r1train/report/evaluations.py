"""What `r1train eval` prints: each benchmark's models in a table, and every two of them compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby
from typing import Any

from r1train.evaluate import Evaluation
from r1train.report.headline import in_order, percent, plain, share, signed
from r1train.summary import compare

#: What has an interval and is compared, by its name in the summary; pass@k and cons@k stand between.
FIRST, LAST = ("accuracy",), ("format", "language")


def tables(results: Sequence[Evaluation]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """For each benchmark its title and the rows of its table, then those of every two models compared."""
    ordered = sorted(results, key=lambda result: result.benchmark.name)
    for name, group in groupby(ordered, key=lambda result: result.benchmark.name):
        found = list(group)
        first = found[0].summary
        title = f"{name}: {first['problems']:,} problems, {first['samples']} samples each, 95 % intervals"
        yield title, [row for result in found for row in _rows(result)]
        for a, b in combinations(found, 2):
            yield f"{name}: {b.model} less {a.model}, paired by problem", list(_differences(a, b))


def to_json(results: Sequence[Evaluation]) -> dict[str, Any]:
    """The summaries by benchmark and model, and the comparisons of every two models (`r1train.summary`)."""
    out: dict[str, Any] = {}
    for result in results:
        found = out.setdefault(result.benchmark.name, {"models": {}, "compare": []})
        found["models"][result.model] = result.summary | {"folder": str(result.folder)}
    for a, b in combinations(results, 2):
        if a.benchmark.name == b.benchmark.name:
            compared = {"from": a.model, "to": b.model, **compare(a.rows(), b.rows())}
            out[a.benchmark.name]["compare"].append(compared)
    return out


def measures(figures: Mapping[str, Any]) -> list[str]:
    """The measures of a summary in the order in which they are shown: accuracy, pass@k, cons@k, others."""
    several = [name for name in figures if name.startswith(("pass@", "cons@"))]
    return [name for name in (*FIRST, *several, *LAST) if name in figures]


def _rows(result: Evaluation) -> Iterator[dict[str, str]]:
    """The line of a model, and of each of its domains where there are several."""
    summary = result.summary
    lines = [("all", summary["all"])]
    if len(summary["domains"]) > 1:
        lines += [(name, summary["domains"][name]) for name in in_order(set(summary["domains"]))]
    for domain, figures in lines:
        cells = {_name(name): share(figures[name]).lines() for name in measures(figures)}
        yield {
            "model": result.model if domain == "all" else "",
            "domain": domain,
            "problems": f"{figures['problems']:,}",
            **cells,
            "tokens": plain(figures["tokens"], ",.0f"),
            "truncated": percent(figures["truncated"]),
            "undecided": f"{figures['abstained'] + figures['errors']:,}",
        }


def _differences(a: Evaluation, b: Evaluation) -> Iterator[dict[str, str]]:
    compared = compare(a.rows(), b.rows())
    lines = [("all", name, compared["all"][name]) for name in measures(compared["all"])]
    if len(compared["domains"]) > 1:
        lines += [(name, "accuracy", compared["domains"][name]["accuracy"]) for name in compared["domains"]]
    for domain, measure, found in lines:
        if found is None:
            continue
        difference, low, high = (signed(100 * found[name], 1) for name in ("difference", "low", "high"))
        yield {
            "measure": _name(measure),
            "domain": domain,
            "difference": difference,
            "95 % interval": f"{low} to {high}",
            "p": "< 0.001" if found["p"] < 0.001 else f"{found['p']:.3f}",
            "problems": f"{found['problems']:,}",
        }


def _name(measure: str) -> str:
    """Accuracy by the name that it has in an evaluation: the mean over the samples is pass@1."""
    return "pass@1" if measure == "accuracy" else measure
