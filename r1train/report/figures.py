"""The charts of the page as Plotly figures without colours: the page gives them those of its theme.

A trace names its colour by `tone` (a bar chart by `tones`, one for each bar): a number into the theme's
palette, or "quiet". Every tone also has a marker and a dash of its own, so that colour is never the only
difference.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from r1train.report.headline import checked_domains, number
from r1train.report.paper import BENCHMARKS, PAPER_STAGES
from r1train.report.run import Ledger, Run, Stage, Training

#: Endings of metrics that are no means, and the metrics of the sum, which "Reward" shows.
_UNDECIDED = ("/abstained", "/errors")
_NOT_MEANS = ("/std", "/min", "/max", "_min", "_max", *_UNDECIDED)
_TOTALS = frozenset({"rewards/total", "rewards/total/mean", "rewards/without_total"})
#: Points of one curve; longer ones are averaged in equal bins.
POINTS = 1000


@dataclass(frozen=True)
class Figure:
    """One chart: what stands above it, and what Plotly draws."""

    title: str
    note: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 240


@dataclass(frozen=True)
class Panel:
    """Which metrics a chart shows: by name, or all that begin with a prefix that ends in a slash.

    undecided  of a prefix only the shares of rows without a value, where there are any; else all but those
    """

    title: str
    metric: str
    note: str
    format: str = ""
    spread: str = ""
    undecided: bool = False


PANELS = (
    Panel(
        "Reward",
        "reward",
        "Mean of a step; the band is one deviation.",
        spread="reward_std",
    ),
    Panel("Reward by part", "rewards/", "Mean of each component before weighting."),
    Panel(
        "Without a value",
        "rewards/",
        "Share of the rows that a reward left undecided.",
        ".1%",
        undecided=True,
    ),
    Panel("KL to the reference", "kl", "Falls to 0 where the reference is replaced."),
    Panel("Entropy", "entropy", "Near 0 the policy no longer explores."),
    Panel("Response length", "completions/mean_length", "Mean tokens of a rollout."),
    Panel("Truncated rollouts", "completions/clipped_ratio", "Share that met the length limit.", ".0%"),
    Panel(
        "Groups without variance", "frac_reward_zero_std", "Groups with equal rewards teach nothing.", ".0%"
    ),
    Panel("Loss", "loss", "For SFT it should fall; for GRPO it says little."),
    Panel(
        "Token accuracy",
        "mean_token_accuracy",
        "Target tokens that are the first choice.",
        ".0%",
    ),
    Panel("Pair accuracy", "accuracy", "Pairs whose chosen response scores higher.", ".0%"),
    Panel("Margin", "margin", "Score of the chosen less the rejected one."),
    Panel("Clipped ratios", "clip_ratio/", "Tokens whose probability ratio was clipped.", ".1%"),
    Panel("Gradient norm", "grad_norm", "Before clipping."),
    Panel("Learning rate", "learning_rate", "As scheduled."),
    Panel("Seconds per step", "seconds", "Sampling, grading and training together."),
    Panel("Tokens per step", "tokens", "Tokens that the step trained on."),
)


def curves(training: Training) -> list[Figure]:
    """The charts of one training, those that it has metrics for."""
    figures = []
    for panel in PANELS:
        names = _names(panel, training.metrics)
        traces = [
            trace for tone, name in enumerate(names) for trace in _curve(panel, name, tone, training.metrics)
        ]
        if traces:
            layout: dict[str, Any] = {
                "xaxis": {"title": {"text": "step"}},
                "yaxis": {"tickformat": panel.format, "exponentformat": "power"}
                | ({"rangemode": "nonnegative"} if panel.format else {}),
                "showlegend": panel.metric.endswith("/"),
                "hovermode": "x unified",
                "shapes": list(_segment_lines(training.metrics)),
            }
            figures.append(Figure(panel.title, panel.note, traces, layout))
    return figures


def _names(panel: Panel, metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    if not panel.metric.endswith("/"):
        return [panel.metric]
    found = sorted({name for line in metrics for name in line if name.startswith(panel.metric)})
    if panel.undecided:
        return [
            name for name in found if name.endswith(_UNDECIDED) and any(line.get(name) for line in metrics)
        ]
    return [name for name in found if not name.endswith(_NOT_MEANS) and name not in _TOTALS]


def _curve(
    panel: Panel, name: str, tone: int, metrics: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    points = [(line["step"], number(line.get(name)), number(line.get(panel.spread))) for line in metrics]
    known = [(step, value, spread) for step, value, spread in points if value is not None]
    if not known:
        return
    steps = _thinned([float(step) for step, _, _ in known])
    values = _thinned([value for _, value, _ in known])
    if panel.spread and all(spread is not None for _, _, spread in known):
        spreads = _thinned([spread or 0.0 for _, _, spread in known])
        yield {
            "x": [*steps, *reversed(steps)],
            "y": _round(
                [v + s for v, s in zip(values, spreads, strict=True)]
                + [v - s for v, s in reversed(list(zip(values, spreads, strict=True)))]
            ),
            "fill": "toself",
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "tone": tone,
        }
    label = (
        name.removeprefix(panel.metric).removesuffix("/mean") if panel.metric.endswith("/") else panel.title
    )
    yield {
        "x": steps,
        "y": _round(values),
        "name": _plain(label),
        "mode": "lines+markers" if len(steps) <= 60 else "lines",
        "tone": tone,
    }


def _segment_lines(metrics: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line between the last step of a segment and the first of the next."""
    for before, after in pairwise(metrics):
        if before["segment"] != after["segment"]:
            x = (before["step"] + after["step"]) / 2
            yield {
                "type": "line",
                "x0": x,
                "x1": x,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"width": 1, "dash": "dot"},
            }


def accuracy_by_stage(run: Run) -> Figure:
    """The accuracy of every model of the run with its interval, all together and by domain."""
    traces = []
    for tone, domain in enumerate(["all", *checked_domains(run)]):
        found = [(stage.short, _accuracy(stage, domain)) for stage in run.models]
        shown = [(name, interval) for name, interval in found if interval]
        traces.append(
            {
                "x": [_plain(name) for name, _ in shown],
                "y": _round([100 * interval["mean"] for _, interval in shown]),
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": _round([100 * (interval["high"] - interval["mean"]) for _, interval in shown]),
                    "arrayminus": _round(
                        [100 * (interval["mean"] - interval["low"]) for _, interval in shown]
                    ),
                    "thickness": 1.2,
                    "width": 3,
                },
                "name": _plain(domain),
                "mode": "lines+markers" if domain == "all" else "markers",
                "tone": tone,
            }
        )
    order = [_plain(stage.short) for stage in run.models]
    return Figure(
        "This run: accuracy in percent",
        "Held-out problems, all and by domain; bars are 95 %\u00a0intervals.",
        traces,
        _stages_layout(order) | {"scattermode": "group", "scattergap": 0.6},
        360,
    )


def paper_by_stage() -> Figure:
    """The paper's own results after each stage."""
    traces = [
        {"x": list(PAPER_STAGES), "y": list(values), "name": name, "mode": "lines+markers", "tone": tone}
        for tone, (name, values) in enumerate(BENCHMARKS.items())
    ]
    return Figure(
        "DeepSeek-R1, as published",
        "For the shape, not the height.",
        traces,
        _stages_layout(PAPER_STAGES),
        360,
    )


def funnel(stage: Stage, ledger: Ledger) -> Figure:
    """What came into one step of curation, what each rule dropped, and what was kept."""
    rows = [
        ("read", ledger.rows, "quiet"),
        *((name, n, 1) for name, n in ledger.dropped.items()),
        *((name, n, 0) for name, n in ledger.parts.items()),
    ]
    total = max(ledger.rows, 1)
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [_plain(name) for name, _, _ in rows],
        "x": [n for _, n, _ in rows],
        "text": [f"{n:,} · {100 * n / total:.1f} %" for _, n, _ in rows],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "tones": [tone for _, _, tone in rows],
    }
    layout = {
        "yaxis": {"autorange": "reversed", "type": "category", "showgrid": False},
        "xaxis": {"range": [0, total * 1.7], "visible": False},
        "margin": {"l": 46, "r": 4, "t": 4, "b": 8},
        "showlegend": False,
    }
    return Figure(f"{stage.title}: {ledger.name}", "", [trace], layout, 20 + 30 * len(rows))


def time_spent(run: Run) -> Figure | None:
    """Minutes of every step, in the order of the run; None while nothing is timed."""
    steps = [
        (f"{stage.title} · {step}", seconds, tone)
        for tone, stage in enumerate(run.stages)
        for step, seconds in stage.steps or ([("all", stage.seconds)] if stage.seconds else [])
    ]
    if not steps:
        return None
    longest = max(seconds for _, seconds, _ in steps)
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [_plain(name) for name, _, _ in steps],
        "x": _round([seconds / 60 for _, seconds, _ in steps]),
        "text": [duration(seconds) for _, seconds, _ in steps],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "tones": [tone for _, _, tone in steps],
    }
    layout = {
        "yaxis": {"autorange": "reversed", "type": "category", "showgrid": False},
        "xaxis": {"title": {"text": "minutes"}, "range": [0, longest / 60 * 1.15 or 1]},
        "showlegend": False,
    }
    return Figure(
        "Time by step", "Wall clock; colours tell the stages apart.", [trace], layout, 70 + 26 * len(steps)
    )


def duration(seconds: float) -> str:
    """Seconds for a reader: "41 s", "3 min 05 s", "1 h 04 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _accuracy(stage: Stage, domain: str) -> dict[str, Any] | None:
    summary = stage.summary or {}
    figures = summary.get("all") if domain == "all" else (summary.get("domains") or {}).get(domain)
    return (figures or {}).get("accuracy")


def _stages_layout(order: Sequence[str]) -> dict[str, Any]:
    return {
        "xaxis": {"type": "category", "categoryorder": "array", "categoryarray": list(order)},
        "yaxis": {"range": [0, 102]},
        "showlegend": True,
        "hovermode": "x unified",
    }


def _thinned(values: Sequence[float]) -> list[float]:
    """At most POINTS values, each the mean of a bin."""
    if len(values) <= POINTS:
        return list(values)
    edges = [len(values) * i // POINTS for i in range(POINTS + 1)]
    return _round(sum(values[a:b]) / (b - a) for a, b in pairwise(edges))


def _round(values: Iterable[float]) -> list[float]:
    """Five significant digits: what a chart can show."""
    return [float(f"{value:.5g}") for value in values]


def _plain(text: str) -> str:
    """Text that Plotly does not take for its own little HTML."""
    return html.escape(text, quote=False)
