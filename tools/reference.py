"""Write docs/reference/ from the code: python tools/reference.py

What a command, a key, a reward or a source says of itself stands in the code alone; this lays it out, and
tests/test_reference.py tells where a page has grown old.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.cli import get_docs_for_click

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- made by tools/reference.py: change the code, not this page -->"

#: Modules whose public functions and classes are the Python interface, in the order of the page.
PYTHON = (
    "r1rewards.math",
    "r1rewards.code",
    "r1rewards.choice",
    "r1rewards.puzzle",
    "r1rewards.format",
    "r1rewards.language",
    "r1rewards.readability",
    "r1rewards.core.verdict",
    "r1rewards.core.reward",
    "r1rewards.core.template",
    "r1rewards.spec",
    "r1rewards.score",
    "r1rewards.adapters.trl",
    "r1rewards.adapters.verl",
    "r1rewards.adapters.openrlhf",
    "r1data.sources",
    "r1data.ledger",
    "r1data.why",
    "r1train.statistics",
    "r1train.summary",
)


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    return {
        "commands.md": _page("Commands", _commands()),
        "reward-specs.md": _page("Reward specs", _reward_specs()),
        "sources.md": _page("Sources and benchmarks", _sources()),
        "recipes.md": _page("Recipes", _recipes()),
        "python.md": _page("Python", _python()),
    }


def _page(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([MADE, f"# {title}", *(part.strip() for part in parts)]) + "\n"


def _commands() -> Iterator[str]:
    for name in ("r1rewards", "r1data", "r1train"):
        command = typer.main.get_command(importlib.import_module(f"{name}.cli").app)
        text = get_docs_for_click(obj=command, ctx=click.Context(command, info_name=name), name=name)
        yield text.replace("\n## ", "\n### ").replace("# `", "## `", 1)


def _reward_specs() -> Iterator[str]:
    from r1rewards import spec
    from r1rewards.core.template import FAULTS, TEMPLATES

    yield "The YAML file of a reward spec; [docs/rewards.md](../rewards.md) says what it means."
    for model in (spec.SpecSettings, spec.RewardSettings, spec.ErrorSettings):
        yield from _keys(model)
    yield "## Rewards\n\nBy the name that a spec uses; `tasks` and `scope` hold where the spec does not say."
    for point in sorted(entry_points(group=spec.ENTRY_POINTS), key=lambda point: point.name):
        if point.dist is not None and point.dist.name == "r1kit":
            reward = point.load()
            tasks = "all" if reward.tasks is None else ", ".join(sorted(reward.tasks))
            yield f"### `{point.name}`\n\n{_doc(reward)}\n\n- tasks: {tasks}\n- scope: {reward.scope}"
            yield _options(reward)
    yield "## Templates"
    yield "\n".join(
        f"- `{name}`: `{template.render('..', '..')!s}`".replace("\n", " ")
        for name, template in TEMPLATES.items()
    )
    yield "Faults of a layout, by name:"
    yield "\n".join(f"- `{name}`: {said}" for name, said in FAULTS.items())


def _sources() -> Iterator[str]:
    from r1data.sources import GROUP
    from r1data.sources.columns import presets
    from r1train.benchmark import known

    yield "What `r1data problems SOURCE`, and a source of a recipe, can be; options by `--set NAME=VALUE`."
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.dist is not None and point.dist.name == "r1kit":
            source = point.load()
            yield f"## `{point.name}`\n\n{_doc(source)}"
            yield _options(source, without=("count", "seed"))
    yield "## Presets\n\nData sets by name: `--set name=NAME` of `hub`, `--set preset=NAME` of `files`."
    yield _table(
        ["name", "on the hub", "split", "task"],
        ([f"`{name}`", preset.hub, preset.split, preset.task] for name, preset in presets().items()),
    )
    yield "## Benchmarks\n\nWhat `r1train eval --on NAME` knows; samples are those of each problem."
    yield _table(
        ["name", "split", "samples"],
        (
            [f"`{name}`", settings.get("split", presets()[name].split), settings["samples"]]
            for name, settings in known().items()
        ),
    )


def _recipes() -> Iterator[str]:
    from r1train import recipe

    yield "The keys of a recipe's files. A stage is what is called SomethingStage here, by its `kind`."
    models = [
        model
        for _, model in inspect.getmembers(recipe, inspect.isclass)
        if issubclass(model, recipe.Keys) and model is not recipe.Keys
    ]
    for model in sorted(models, key=lambda model: inspect.getsourcelines(model)[1], reverse=True):
        yield from _keys(model)


def _python() -> Iterator[str]:
    yield "Public functions and classes; `import r1rewards` is enough for `r1rewards.math` and the like."
    for name in PYTHON:
        module = importlib.import_module(name)
        yield f"## `{name}`\n\n{_doc(module)}"
        for label, item in _public(module):
            yield f"### `{label}`\n\n```python\n{_signature(label, item)}\n```\n\n{_doc(item)}"
            if inspect.isclass(item):
                for method, function in inspect.getmembers(item, inspect.isfunction):
                    if not method.startswith("_") and method in vars(item) and function.__doc__:
                        yield f"```python\n{_signature(f'{label}.{method}', function)}\n```"
                        yield _doc(function)


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Documented functions and classes of a module by name, those of `__all__` where it has one."""
    wanted = getattr(module, "__all__", None)
    for name, item in inspect.getmembers(module):
        if not (inspect.isfunction(item) or inspect.isclass(item)) or name.startswith("_"):
            continue
        if (name in wanted if wanted is not None else item.__module__ == module.__name__) and item.__doc__:
            yield name, item


def _signature(label: str, item: Any) -> str:
    """How it is called, with the types as they stand in the code."""
    kind = "class " if inspect.isclass(item) else ""
    if inspect.isclass(item) and issubclass(item, Exception | tuple):
        return f"{kind}{label}"
    signature = inspect.signature(item)
    parameters = [p.replace(annotation=_Bare(p.annotation)) for p in signature.parameters.values()]
    returns = signature.empty if inspect.isclass(item) else _Bare(signature.return_annotation)
    return f"{kind}{label}{signature.replace(parameters=parameters, return_annotation=returns)}"


class _Bare:
    """An annotation that is printed without quotes; nothing where there is none."""

    def __new__(cls, annotation: Any) -> Any:
        return annotation if annotation is inspect.Signature.empty else super().__new__(cls)

    def __init__(self, annotation: Any) -> None:
        self._text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return str(self._text)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """A settings model: what it says of itself, and its keys with their types as they stand in the code."""
    yield f"## {model.__name__}\n\n{_doc(model)}"
    types: dict[str, str] = {}
    for base in reversed(model.__mro__):
        types |= vars(base).get("__annotations__", {})
    fields = model.model_fields.items()
    rows = ([f"`{name}`", f"`{types[name]}`", _default(field)] for name, field in fields)
    yield _table(["key", "type", "default"], rows)


def _default(field: Any) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{json.dumps(value)}`"


def _options(function: Any, without: tuple[str, ...] = ()) -> str:
    """The options of a reward or a source, from its signature."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in without]
    if not parameters:
        return "No options."
    return _table(
        ["option", "type", "default"],
        (
            [f"`{p.name}`", f"`{p.annotation}`", "needed" if p.default is p.empty else f"`{p.default}`"]
            for p in parameters
        ),
    )


def _doc(item: Any) -> str:
    """A docstring as Markdown: lines such as "seed   what it is for" become a list, code stays code."""
    out: list[str] = []
    for line in inspect.cleandoc(item.__doc__ or "").splitlines():
        term = _TERM.match(line)
        if term is not None:
            if out and out[-1] and not out[-1].startswith(("- ", "  ")):
                out.append("")
            names = ", ".join(f"`{name}`" for name in term[1].split(", "))
            out.append(f"- {names}: {term[2]}")
        elif out and out[-1].startswith(("- ", "  ")) and line.startswith("   ") and _in_list(out):
            out.append(f"  {line.strip()}")
        else:
            if out and out[-1].startswith(("- ", "  ")) and line and _in_list(out):
                out.append("")
            out.append(line)
    return "\n".join(out)


#: A name or several, two spaces or more, and what is said of it.
_TERM = re.compile(r"((?:[A-Za-z_][\w.]*|\*\*?\w+)(?:, [A-Za-z_]\w*)*) {2,}(\S.*)")


def _in_list(out: list[str]) -> bool:
    """Whether the last line belongs to an entry of a list rather than to code."""
    entry = next((line for line in reversed(out) if not line.startswith("  ")), "")
    return entry.startswith("- `")


def _table(header: list[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [
        header,
        ["---"] * len(header),
        *([str(cell).replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
