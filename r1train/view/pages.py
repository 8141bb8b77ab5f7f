"""What the pages show, put into their templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from r1rewards.core.template import Trace
from r1rewards.core.verdict import Verdict
from r1train.report import headline
from r1train.report.samples import template_of
from r1train.report.text import shorten, visible
from r1train.view import curation
from r1train.view.formulas import formulas
from r1train.view.rollouts import Filter, Rollouts

#: Lines of a list that come at once, and characters of a text that are shown.
PAGE = 60
TEXT, LINE = 60_000, 20_000


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("r1train.view"), PackageLoader("r1train.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "plain": headline.plain, "drawn": drawn, "brief": brief}
    return environment


def render(name: str, **context: Any) -> str:
    """A page or a part of one."""
    return _environment().get_template(name).render(context)


def drawn(text: str, formulas_too: bool = True) -> Markup:
    """A whole text as HTML, its formulas drawn where that is wanted; what is too long loses its middle."""
    short = shorten(text, TEXT, LINE)
    return formulas(short) if formulas_too else visible(short)


def brief(text: str, length: int = 110) -> Markup:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * length].split())
    return visible(line if len(line) <= length else f"{line[:length]}…")


def query(chosen: Filter, **more: Any) -> str:
    """The part of an address that asks for this filter."""
    wanted = {name: value for name, value in (asdict(chosen) | more).items() if value not in ("", None)}
    return urlencode(wanted)


def read_filter(asked: Mapping[str, str]) -> Filter:
    """The filter that an address asks for; a number that is none counts for nothing."""
    known = {entry.name for entry in fields(Filter)}
    values: dict[str, Any] = {name: text.strip() for name, text in asked.items() if name in known}
    for name, kind in (("first_step", int), ("last_step", int), ("lowest", float), ("highest", float)):
        values[name] = _number(values.get(name, ""), kind)
    return Filter(**values)


def _number(text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        return None


def list_context(rollouts: Rollouts, chosen: Filter, start: int, opened: str = "") -> dict[str, Any]:
    """What the list of matches needs, from number `start` on; `opened` is the uid of the open response."""
    found = chosen.matches(rollouts.frame)
    rows = [row | {"answer": parse(row).answer} for row in found.slice(start, PAGE).to_dicts()]
    after = start + len(rows)
    return {
        "rows": rows,
        "total": found.height,
        "groups": found["group"].n_unique() if start == 0 else 0,
        "mean": found["reward"].mean() if start == 0 else None,
        "first": start == 0,
        "opened": opened,
        "query": lambda **more: query(chosen, **more),
        "more": f"rows?{query(chosen, start=after)}" if after < found.height else "",
    }


def group_context(rollouts: Rollouts, key: str, opened: str) -> dict[str, Any] | None:
    """A group and where else its problem stands; None where there is no such group."""
    rows = rollouts.group(key)
    if not rows:
        return None
    others = rollouts.elsewhere(rows[0]["problem_id"]).to_dicts()
    return {
        "rows": [row | {"trace": parse(row), "verdicts": verdicts(row)} for row in rows],
        "first": rows[0],
        "turns": json.loads(rows[0]["prompt"]),
        "opened": opened,
        "scale": max(abs(row["advantage"] or 0.0) for row in rows) or 1.0,
        "others": [other for other in others if other["group"] != key],
    }


def verdicts(row: Mapping[str, Any]) -> dict[str, Verdict]:
    """What each reward said of a response."""
    return {name: Verdict.from_dict(said) for name, said in json.loads(row["verdicts"]).items()}


def parse(row: Mapping[str, Any]) -> Trace:
    """A response taken apart, by the template whose tags it uses."""
    return template_of(row["text"]).parse(row["text"], thinking=bool(row["thinking"]))


def curation_context(folder: Path, asked: Mapping[str, str]) -> dict[str, Any]:
    """What the page of curation needs: every step, and the rows of the chosen one."""
    steps = curation.steps(folder)
    step = next((one for one in steps if one.name == asked.get("step")), None)
    context: dict[str, Any] = {"steps": steps, "step": step, "fate": asked.get("fate", "")}
    context |= {"text": asked.get("text", "").strip(), "told": [], "total": 0, "more": ""}
    if step is not None:
        start = max(0, _number(asked.get("start", "0"), int) or 0)
        context["total"], context["told"] = curation.told(step, context["fate"], context["text"], start, PAGE)
        after = start + len(context["told"])
        if after < context["total"]:
            wanted = {"step": step.name, "fate": context["fate"], "text": context["text"], "start": after}
            context["more"] = f"curation/rows?{urlencode(wanted)}"
    return context


def story(folder: Path, uid: str) -> str:
    """What became of a row in every step, as HTML."""
    chapters = curation.story(folder, uid)
    return render("story.html.jinja", chapters=chapters, folder=folder)
