"""The page itself: gathers what the templates show and writes one file that needs nothing else.

Model text reaches the page only through autoescaping and `visible`. The policy in the page's head lets the
browser run the page's own scripts, by their hash, and load nothing from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from r1rewards.core.store import replacing
from r1train.report import figures, headline
from r1train.report.paper import BENCHMARKS, PAPER_STAGES
from r1train.report.run import Run, Stage, load_run
from r1train.report.samples import cases
from r1train.report.text import visible
from r1train.report.verdicts import places
from r1train.summary import MEASURES


def write_report(run: Path) -> Path:
    """Write `report.html` into a run directory, finished or not, and return its path.

    Raises UserError where the path is no run directory or cannot be written.
    """
    loaded = load_run(run)
    page = run / "report.html"
    text = render(loaded)
    with replacing(page) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))
    return page


def render(run: Run) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("r1train.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "percent": headline.percent,
        "plain": headline.plain,
        "share": headline.share,
        "amount": headline.amount,
        "signed": headline.signed,
        "duration": figures.duration,
    }
    charts = Charts()
    context = {
        "run": run,
        "charts": charts,
        "rows": headline.headline(run),
        "seconds": sum(stage.seconds for stage in run.stages),
        "paper_stages": PAPER_STAGES,
        "benchmarks": BENCHMARKS,
        "comparisons": comparisons(run),
        "amounts": headline.AMOUNTS,
        "everything": everything,
        "by_stage": figures.accuracy_by_stage(run),
        "paper": figures.paper_by_stage(),
        "curves": figures.curves,
        "funnel": figures.funnel,
        "time": figures.time_spent(run),
        "places": places(run),
        "cases": cases(run),
        "seeds": list(seeds(run.recipe)),
    }
    body = environment.get_template("body.html.jinja").render(context)
    scripts = [Markup(get_plotlyjs()), Markup(environment.get_template("page.js.jinja").render())]
    return environment.get_template("page.html.jinja").render(
        title=run.name,
        body=Markup(body),
        figures=charts.json(),
        scripts=scripts,
        hashes=" ".join(f"'sha256-{_hash(script)}'" for script in scripts),
    )


class Charts:
    """The figures that the page draws, numbered as the template asks for them."""

    def __init__(self) -> None:
        self._figures: list[dict[str, Any]] = []

    def add(self, figure: figures.Figure) -> int:
        """Keep a figure for the page's script and return its number."""
        self._figures.append({"data": figure.traces, "layout": figure.layout})
        return len(self._figures) - 1

    def json(self) -> Markup:
        return script_json(self._figures)


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: no character of it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@dataclass(frozen=True)
class Comparison:
    """One model against the one before it: a difference for each measure and each domain's accuracy."""

    stage: Stage
    previous: str
    cells: dict[str, Mapping[str, float] | None]


def comparisons(run: Run) -> list[Comparison]:
    """The paired comparisons of the summaries, with the columns of the headline table that they have."""
    titles = {stage.name: stage.title for stage in run.stages}
    domains = headline.checked_domains(run)
    found = []
    for stage in run.models:
        compared = (stage.summary or {}).get("compare")
        if compared:
            cells = {"accuracy": compared["all"]["accuracy"]}
            cells |= {name: compared["domains"].get(name, {}).get("accuracy") for name in domains}
            cells |= {name: compared["all"][name] for name in MEASURES if name != "accuracy"}
            if run.graded:
                cells["general"] = ((stage.general or {}).get("compare") or {}).get("reward")
            previous = str(compared["previous"])
            found.append(Comparison(stage, titles.get(previous, previous), cells))
    return found


def everything(stage: Stage) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All figures of an evaluation: of everything, by domain, by language."""
    summary = stage.summary or {}
    yield "all", summary["all"]
    for name in headline.in_order(set(summary["domains"])):
        yield name, summary["domains"][name]
    for name, measured in summary.get("languages", {}).items():
        yield f"language: {name}", measured


def seeds(recipe: str) -> Iterator[tuple[str, Any]]:
    """Every seed of a recipe with the path of its key."""
    try:
        loaded = yaml.safe_load(recipe)
    except yaml.YAMLError:
        return
    stack: list[tuple[str, Any]] = [("", loaded)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{path}.{key}".lstrip("."), item) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{path}[{index}]", item) for index, item in reversed(list(enumerate(value)))]
        elif path.rpartition(".")[2] == "seed":
            yield path, value


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
