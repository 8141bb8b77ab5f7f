"""The commands of a run, for whoever wants to see them before, or to run one by hand."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from r1train.backends import Launch
from r1train.jobs import check_jobs
from r1train.recipe import Recipe


def commands(recipe: Recipe, folder: Path) -> str:
    """Every command that would be launched in this folder, stage by stage, as lines of a shell script.

    Nothing of the run need exist, nor the trainers be installed. UserError where a job cannot be honoured.
    """
    parts = [f"# {recipe.name}: what `r1train run` would launch in {folder}\n"]
    for backend, job in check_jobs(recipe, folder):
        parts.append(f"\n# {job.stage}: {job.kind}, {_size(job.nodes, job.gpus)}\n")
        path = Path(job.output) / "job.json"
        parts += [f"{_shell(launch)}\n" for launch in backend.launch(job, path, resume=False)]
    return "".join(parts)


def _size(nodes: int, gpus: int) -> str:
    each = "one GPU or none" if gpus == 1 else f"{gpus} GPUs"
    return each if nodes == 1 else f"{nodes} nodes of {each}"


def _shell(launch: Launch) -> str:
    """A command with its environment before it, a line for each argument that is a setting."""
    start = [f"{name}={shlex.quote(value)}" for name, value in sorted(launch.env.items())]
    words: list[str] = [*start, *map(shlex.quote, launch.argv)]
    lines, line = [], ""
    for word in words:
        fresh = "=" in word or word.startswith("--")
        if line and fresh:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return _join([*lines, line])


def _join(lines: Sequence[str]) -> str:
    return " \\\n    ".join(lines)
