"""A dataset card, written from the ledgers: what went in, what each step dropped and why, what is left.

The card is Markdown with the front matter that the Hugging Face hub reads. Its account adds up: the rows of
the first step are those dropped in each step and those left after the last, or the card says what does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from r1data.ledger import DROPPED, KEPT
from r1data.stats import describe
from r1data.why import depths, find_ledgers, maker
from r1rewards.core.store import read_manifest

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, slots=True)
class Made:
    """One step as its manifest tells it."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def counts(self) -> Mapping[str, Any]:
        counts: Mapping[str, Any] = self.manifest["counts"]
        return counts

    @property
    def name(self) -> str:
        return str(self.manifest["step"])


def steps_of(folders: Iterable[str | Path]) -> list[Made]:
    """The steps in these folders (and the folders in them), first step first."""
    ledgers = find_ledgers(folders)
    manifests = {ledger.parent: read_manifest(ledger.parent) for ledger in ledgers}
    deep = depths({folder: manifest["inputs"] for folder, manifest in manifests.items()})
    return [Made(one, manifests[one]) for one in sorted(manifests, key=lambda one: (deep[one], str(one)))]


def card(folders: Sequence[str | Path], *, title: str, license: str | None = None) -> str:
    """The card for what these steps made.

    license  as the hub calls it; without one the card says that it must be chosen
    """
    steps = steps_of(folders)
    last = steps[-1]
    rows = describe(last.folder / "kept.parquet") if last.counts[KEPT] else []
    front = {
        "license": license or "other",
        "task_categories": ["text-generation"],
        "size_categories": [_size(last.counts[KEPT])],
        "tags": ["reasoning", "r1kit"],
    }
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {title}",
        account(steps),
        "## What is in it",
        _table([list(row) for row in rows[:1]] + [list(row.values()) for row in rows]),
        "## How it was made",
        _table([["step", "in", "dropped", "left"], *map(_line, steps)]),
        "Rows are dropped by the first rule that they break; the `ledger.parquet` of each step has a line "
        "for every row that went in.",
        *(part for step in steps for part in _details(step)),
        "## Where it comes from",
        "\n".join(_origins(steps)),
    ]
    if license is None:
        sections.append(
            "The licences of the sources decide under which one this may be passed on: choose it."
        )
    return "\n\n".join(sections) + "\n"


def account(steps: Sequence[Made]) -> str:
    """One sentence whose numbers add up, for steps that follow one another."""
    first, last = steps[0].counts["in"], steps[-1].counts[KEPT]
    gone = [f"{step.counts[DROPPED]:,} dropped by {step.name}" for step in steps if step.counts[DROPPED]]
    whole = last + sum(step.counts[DROPPED] for step in steps)
    told = f"{first:,} rows went in: {', '.join([*gone, f'{last:,} left'])}."
    if whole != first:
        told += f" These add up to {whole:,}, because the steps do not form one line."
    return told


def _line(step: Made) -> list[Any]:
    return [step.name, step.counts["in"], step.counts[DROPPED], step.counts["in"] - step.counts[DROPPED]]


def _details(step: Made) -> Iterator[str]:
    """What a step dropped by which rule, and with which settings."""
    if step.counts["rules"]:
        dropped = sorted(step.counts["rules"].items(), key=lambda pair: -pair[1])
        yield f"### {step.name}"
        yield _table([["dropped by", "rows"], *map(list, dropped)])
        settings = _said(step.manifest["config"])
        yield f"```yaml\n{yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}```"


def _said(settings: Any) -> Any:
    """Settings without what nobody set."""
    if isinstance(settings, Mapping):
        kept = {name: _said(value) for name, value in settings.items() if value is not None}
        return {name: value for name, value in kept.items() if value not in ({}, [])}
    return [_said(one) for one in settings] if isinstance(settings, list) else settings


def _origins(steps: Sequence[Made]) -> Iterator[str]:
    folders = [step.folder for step in steps]
    told: set[str] = set()
    for step in steps:
        for file, digest in step.manifest["inputs"].items():
            if file not in told and maker(Path(file), digest, folders) is None:
                told.add(file)
                yield f"- `{Path(file).name}` (blake2b {digest}), read by {step.name}"
    yield f"- r1kit {steps[0].manifest['version']}"


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>1M")


def _table(rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return "Nothing."
    lines = [" | ".join(_cell(value) for value in row) for row in rows]
    return "\n".join([f"| {lines[0]} |", "|" + "---|" * len(rows[0]), *(f"| {line} |" for line in lines[1:])])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")
