"""Where problems come from: small plug-ins behind the entry-point group `r1data.sources`.

A source is a function of keyword arguments that yields problems, as the built-in ones do:

    def squares(*, count: int, seed: int, highest: int = 20) -> Iterator[Problem]: ...

named in a package's metadata:

    [project.entry-points."r1data.sources"]
    squares = "my_package:squares"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem
from r1rewards.core.settings import suggest

GROUP = "r1data.sources"

Source = Callable[..., Iterator[Problem]]


def source_names() -> list[str]:
    """The names of all sources installed here."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def get_source(name: str) -> Source:
    """The source of that name; a `UserError` that suggests the nearest one where there is none."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UserError(f"there is no source {name!r}{suggest(name, points)}")
    source: Source = points[name].load()
    return source


def load_source(name: str, /, *, count: int, seed: int, **options: Any) -> list[Problem]:
    """`count` problems of a source; equal arguments give equal rows with equal ids.

    `count` is an upper bound for sources that read a file, and exact for those that generate.
    """
    source = get_source(name)
    parameters = inspect.signature(source).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = [key for key in parameters if key not in ("count", "seed")]
        for key in options:
            if key not in known:
                raise UserError(f"source {name!r} has no option {key!r}{suggest(key, known)}")
        for key in known:
            if parameters[key].default is inspect.Parameter.empty and key not in options:
                raise UserError(f"source {name!r} needs the option {key!r}")
    return list(source(count=count, seed=seed, **options))
