"""What became of one row: its line in the ledger of every step, from its origin on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.store import file_hash, read_manifest


@dataclass(frozen=True, slots=True)
class Chapter:
    """One step's line on a row. `inputs` are the files that the step read, `line` its line of the ledger."""

    directory: Path
    inputs: tuple[str, ...]
    line: dict[str, Any]

    def sentence(self) -> str:
        """The line in words."""
        line = self.line
        told: str = line["fate"]
        if line["rule"] is not None:
            told += f" by {line['rule']}" if told == "dropped" else f" in spite of {line['rule']}"
        if line["value"] is not None:
            told += f": measured {line['value']:.4g}"
            told += f", threshold {line['threshold']:.4g}" if line["threshold"] is not None else ""
        elif line["threshold"] is not None:
            told += f": at most {line['threshold']:.4g}"
        if line["match"]:
            told += f"; match {line['match']}"
        if line["span"]:
            told += f": “{line['span']}”"
        return told


def why(name: str, directories: Iterable[str | Path]) -> list[Chapter]:
    """The story of a row through the steps in these folders (and the folders in them), first step first.

    name   a uid, or the id of a problem; for a uid the steps that its problem went through are told too
    """
    ledgers = find_ledgers(directories)
    manifests = {ledger.parent: read_manifest(ledger.parent).get("inputs", {}) for ledger in ledgers}
    lines = {ledger.parent: _lines(ledger, name) for ledger in ledgers}
    ids = {line["id"] for found in lines.values() for line in found}
    for ledger in ledgers:
        if not lines[ledger.parent]:  # a step on problems, before there was a response
            lines[ledger.parent] = [
                line for one in sorted(ids) for line in _lines(ledger, one) if line["uid"] == one
            ]
    chapters = [Chapter(one, tuple(manifests[one]), line) for one in lines for line in lines[one]]
    if not chapters:
        raise UserError(f"no ledger here knows {name!r}; it must be a uid or an id")

    deep = depths(manifests)

    def order(chapter: Chapter) -> tuple[bool, int, str]:
        is_response = chapter.line["uid"] != chapter.line["id"]
        return is_response, deep[chapter.directory], str(chapter.directory)

    return sorted(chapters, key=order)


def find_ledgers(directories: Iterable[str | Path]) -> list[Path]:
    """The ledgers of all finished steps in these folders, and in the folders in them."""
    found: set[Path] = set()
    for directory in map(Path, directories):
        if not directory.is_dir():
            raise UserError(f"there is no folder {directory}; name the output folders of the steps")
        found |= {one for one in directory.rglob("ledger.parquet") if not one.parent.name.startswith(".")}
    if not found:
        raise UserError("there is no ledger.parquet in these folders; name the output folders of the steps")
    return sorted(found)


def depths(inputs: Mapping[Path, Mapping[str, str]]) -> dict[Path, int]:
    """For each step's folder, by the files that it read, how many of the others come before it, plus one.

    inputs  the files that each step read, and their hashes
    """
    before = {
        folder: {maker(Path(file), digest, inputs) for file, digest in inputs[folder].items()}
        for folder in inputs
    }
    return {folder: _depth(folder, before) for folder in inputs}


def maker(file: Path, digest: str, folders: Iterable[Path]) -> Path | None:
    """Which of the folders a file is of: by its path, or by its content where folders were moved since."""
    candidates = [folder for folder in folders if (folder / file.name).is_file()]
    for folder in candidates:
        if folder.resolve() == file.resolve().parent:
            return folder
    same = [folder for folder in candidates if file_hash(folder / file.name) == digest]
    # A step that drops nothing may write what it read.
    return next((folder for folder in same if folder.name == file.parent.name), next(iter(same), None))


def _lines(ledger: Path, name: str) -> list[dict[str, Any]]:
    import polars as pl

    lines = pl.scan_parquet(ledger)
    exact = lines.filter(pl.col("uid") == name).collect().to_dicts()
    return exact or lines.filter(pl.col("id") == name).collect().to_dicts()


def _depth(folder: Path, before: Mapping[Path, set[Path | None]], seen: frozenset[Path] = frozenset()) -> int:
    """How many of the steps at hand come before this one, plus one."""
    seen |= {folder}
    return 1 + max(
        (_depth(one, before, seen) for one in before[folder] if one and one not in seen), default=0
    )
