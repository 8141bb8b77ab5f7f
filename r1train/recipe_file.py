"""Reading a recipe from its folder, with every mistake told as a sentence that names file, key and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from r1rewards.core.errors import UserError
from r1train.recipe import Keys, Recipe, nearest


def load_recipe(folder: str | Path, changes: Sequence[str] = (), *, files: bool = True) -> Recipe:
    """The recipe in that folder with `changes` ("stage.key=value") applied, checked.

    Paths of reward specs and data files are made absolute, relative to the file that names them.

    files  whether the files of rows that it names must be there; reward specs always must
    """
    folder = Path(folder)
    if not (folder / "pipeline.yaml").is_file():
        known = sorted(p.parent.name for p in folder.parent.glob("*/pipeline.yaml"))
        hint = f"; recipes beside it: {', '.join(known)}" if known else ""
        raise UserError(f"there is no recipe at {folder}: it has no pipeline.yaml{hint}")
    data = _read_yaml(folder / "pipeline.yaml")
    names = data.get("stages")
    if not isinstance(names, list) or not names:
        raise UserError(f"{folder}/pipeline.yaml: stages must list the stage files in order")
    data["stages"] = {str(name): _read_yaml(folder / f"{name}.yaml") for name in names}
    data.setdefault("name", folder.resolve().name)
    for change in changes:
        _apply(data, change)
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise UserError(_explain(error, folder)) from None
    return _absolute(recipe, folder, files)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"there is no file {path}, which pipeline.yaml lists as a stage") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe file is a mapping of keys")
    return data


def _apply(data: dict[str, Any], change: str) -> None:
    """Set one value; the first part of the key names a stage or a key of the pipeline."""
    key, separator, text = change.partition("=")
    if not separator:
        raise UserError(f"--set {change}: write it as key=value, for example --set seed=3")
    place: Any = data
    stage = next((name for name in data["stages"] if key.startswith(f"{name}.")), None)
    if stage is not None:
        place, key = data["stages"][stage], key[len(stage) + 1 :]
    parts = key.split(".")
    if stage is None and len(parts) > 1 and parts[0] not in Recipe.model_fields:
        near = nearest(parts[0], [*data["stages"], *Recipe.model_fields])
        raise UserError(f"--set {change}: there is no stage or key {parts[0]!r}; did you mean {near}?")
    for part in parts[:-1]:
        try:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        except (IndexError, ValueError, AttributeError):
            raise UserError(f"--set {change}: there is nothing at {part!r}") from None
    last = parts[-1]
    try:
        if isinstance(place, list):
            place[int(last)] = yaml.safe_load(text)
        else:
            place[last] = yaml.safe_load(text)
    except (IndexError, ValueError, TypeError, yaml.YAMLError):
        raise UserError(f"--set {change}: {last!r} cannot be set there") from None


def _explain(error: ValidationError, folder: Path) -> str:
    """The first problem as a sentence with its file, its key and the nearest key that exists."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if place[:1] == ["stages"]:
        del place[2:3]  # the kind of the stage, which pydantic names after the stage
    file = f"{folder}/pipeline.yaml"
    if place[:1] == ["stages"] and len(place) > 1:
        file, place = f"{folder}/{place[1]}.yaml", place[2:]
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        near = nearest(place[-1], _all_keys())
        return f"{file}: there is no key {key!r}" + (f"; did you mean {near!r}?" if near else "")
    if first["type"] == "missing":
        return f"{file}: the key {key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{file}: {key}: {message}" if key else f"{file}: {message}"


def _all_keys() -> list[str]:
    keys: set[str] = set()
    todo = [Keys]
    while todo:
        model = todo.pop()
        keys |= set(model.model_fields)
        todo += model.__subclasses__()
    return sorted(keys)


def _absolute(recipe: Recipe, folder: Path, files: bool) -> Recipe:
    """The recipe with the paths of its files made absolute; a file that is not there is an error."""

    def resolve(path: str, needed: bool = True) -> str:
        full = (folder / path).resolve()
        if needed and not full.is_file():
            raise UserError(f"the recipe in {folder} names {path}, but there is no file {full}")
        return str(full)

    data = recipe.model_dump(mode="json")
    data["evaluation"]["rewards"] = resolve(data["evaluation"]["rewards"])
    for stage in data["stages"].values():
        if stage["kind"] == "rl":
            stage["rewards"] = resolve(stage["rewards"])
            for segment in stage["segments"]:
                segment["rewards"] = resolve(segment["rewards"]) if segment["rewards"] else None
            for model in stage["reward_models"].values():
                model["path"] = resolve(model["path"], files) if model["path"] else None
        if stage["kind"] == "sft":
            for traces in stage["data"]:
                traces["path"] = resolve(traces["path"], files) if traces["path"] else None
    return Recipe.model_validate(data)


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, as it is saved beside a run."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_resolved(path: Path) -> Recipe:
    """A recipe that `dump_recipe` wrote."""
    return Recipe.model_validate(yaml.safe_load(path.read_text()))
