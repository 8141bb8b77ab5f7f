"""The scored responses of a run as one table, and what of it matches.

A run scores responses in training (`train/rollouts/step-*.parquet`), in its evaluations (`scored.jsonl`),
while it tries prompts, and where reward models grade its general answers. All of them are rows here, told
apart by `place`: the folder that they come from, such as "2-reasoning-rl/train". So are the samples of
`r1train eval`.

Files are read once, and again when they have changed: a run in progress is followed by reading on. What was
read lies in a temporary folder, mapped into memory: however long the responses are, the system can take the
memory back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import chain, islice
from operator import and_
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import Any

import polars as pl
import pyarrow as pa

from r1rewards.core.console import track
from r1rewards.core.errors import UserError
from r1rewards.core.rows import question_of
from r1rewards.core.store import read_rows
from r1train.report.run import read_lines
from r1train.summary import accuracy

#: Where scored responses lie, below a folder.
FILES = ("**/rollouts/step-*.parquet", "**/scored.jsonl", "**/general/*.jsonl")

#: Rows that are read at once, and the bytes of which that much is put on disk.
AT_ONCE, MAPPED = 1000, 64 << 20

SCHEMA: dict[str, Any] = {
    "place": pl.String,
    "group": pl.String,
    "uid": pl.String,
    "problem_id": pl.String,
    "sample": pl.Int64,
    "step": pl.Int64,
    "task": pl.String,
    "domain": pl.String,
    "language": pl.String,
    "model": pl.String,
    "question": pl.String,
    "prompt": pl.String,
    "reference": pl.String,
    "thinking": pl.Boolean,
    "text": pl.String,
    "tokens": pl.Int64,
    "truncated": pl.Boolean,
    "reward": pl.Float64,
    "advantage": pl.Float64,
    "accuracy": pl.Float64,
    "status": pl.String,
    "verdicts": pl.String,
    "said": pl.List(pl.String),
}
ORDERS = {
    "": ("as they came", "row", False),
    "low": ("lowest reward first", "reward", False),
    "high": ("highest reward first", "reward", True),
    "long": ("longest first", "tokens", True),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; "" and None stand for anything.

    place     a folder, with all that lies below it
    said      what a reward said, "math: 1" (see `outcome`), or "no total"
    text      in the response, the question or the id, whatever the case of its letters
    """

    place: str = ""
    task: str = ""
    domain: str = ""
    said: str = ""
    text: str = ""
    first_step: int | None = None
    last_step: int | None = None
    lowest: float | None = None
    highest: float | None = None
    order: str = ""

    def matches(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that match, in the order asked for; cheap conditions first, the text last."""
        tests = list(self._tests())
        found = frame.filter(reduce(and_, tests)) if tests else frame
        if self.text:
            columns = [_holds(name, self.text) for name in ("text", "question", "problem_id", "uid")]
            found = found.filter(pl.any_horizontal(columns))
        _, column, descending = ORDERS.get(self.order, ORDERS[""])
        return found.sort(column, descending=descending, nulls_last=True, maintain_order=True)

    def _tests(self) -> Iterator[pl.Expr]:
        if self.place:
            yield (pl.col("place") == self.place) | pl.col("place").str.starts_with(f"{self.place}/")
        if self.task:
            yield pl.col("task") == self.task
        if self.domain:
            yield pl.col("domain") == self.domain
        if self.said == "no total":
            yield pl.col("reward").is_null()
        elif self.said:
            yield pl.col("said").list.contains(self.said)
        for column, low, high in (
            ("step", self.first_step, self.last_step),
            ("reward", self.lowest, self.highest),
        ):
            if low is not None:
                yield pl.col(column) >= low
            if high is not None:
                yield pl.col(column) <= high


def _holds(column: str, text: str) -> pl.Expr:
    """Whether a column holds this text, whatever the case of its letters."""
    if text.isascii():  # some sixteen times as fast as a pattern
        return pl.col(column).str.contains_any([text], ascii_case_insensitive=True)
    return pl.col(column).str.contains(f"(?i){pl.escape_regex(text)}")


class Rollouts:
    """The scored responses below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, int], list[pl.DataFrame]]] = {}
        self._unmapped: list[tuple[list[pl.DataFrame], int]] = []
        self._frame = pl.DataFrame(schema=SCHEMA).with_row_index("row")
        self._one = Lock()
        self.refresh(quiet=False)

    @property
    def frame(self) -> pl.DataFrame:
        """All of them, by the columns of `SCHEMA`, numbered in `row`."""
        return self._frame

    def refresh(self, *, quiet: bool = True) -> None:
        """Read what is new or has changed, and forget what is gone."""
        with self._one:
            files = {file: stamp for file in _files(self.folder) if (stamp := _stamp(file))}
            changed = [file for file, stamp in files.items() if self._read.get(file, (None,))[0] != stamp]
            if not changed and len(files) == len(self._read):
                return
            for file in track(changed, "reading responses", total=len(changed), quiet=quiet):
                frames: list[pl.DataFrame] = []
                self._read[file] = files[file], frames
                for frame in _frames(self.folder, file):
                    frames.append(frame)
                    self._unmapped.append((frames, len(frames) - 1))
                    self._map()
            self._read = {file: self._read[file] for file in files}
            every = chain.from_iterable(frames for _, frames in self._read.values())
            empty = pl.DataFrame(schema=SCHEMA)
            self._frame = pl.concat([empty, *every], rechunk=True).with_row_index("row")

    def _map(self) -> None:
        """Once there is enough of it, put what was read lately into a file and map that in its place."""
        lately = [frames[at] for frames, at in self._unmapped]
        if sum(frame.estimated_size() for frame in lately) < MAPPED:
            return
        with NamedTemporaryFile(prefix="r1train-view-") as file:  # once mapped, it needs no name
            pl.concat(lately).write_ipc(file.name)
            whole = pl.from_arrow(pa.ipc.open_file(pa.memory_map(file.name)).read_all())
        assert isinstance(whole, pl.DataFrame)
        start = 0
        for frames, at in self._unmapped:
            frames[at] = whole.slice(start, frames[at].height)
            start += frames[at].height
        self._unmapped.clear()

    def group(self, key: str) -> list[dict[str, Any]]:
        """The responses to one problem at one step, in the order of their samples."""
        return self._frame.filter(pl.col("group") == key).sort("sample", maintain_order=True).to_dicts()

    def elsewhere(self, problem_id: str) -> pl.DataFrame:
        """Every group of this problem: its place and step, how many responses, and their mean reward."""
        same = self._frame.filter(pl.col("problem_id") == problem_id)
        return same.group_by("group", "place", "step", maintain_order=True).agg(
            pl.len().alias("responses"), pl.col("reward").mean(), pl.col("accuracy").mean()
        )

    def choices(self) -> dict[str, list[tuple[str, int]]]:
        """What a filter can ask for, each with its number of responses: places, tasks, domains, verdicts."""
        frame = self._frame
        said = frame.select(pl.col("said").explode()).drop_nulls().rename({"said": "value"})
        columns = {name: frame.select(pl.col(name).alias("value")) for name in ("place", "task", "domain")}
        found = {
            name: list(values["value"].value_counts().sort("value").iter_rows())
            for name, values in (columns | {"said": said}).items()
        }
        if missing := frame["reward"].null_count():
            found["said"].append(("no total", missing))
        found["place"] = _with_stages(found["place"])
        return found


def _with_stages(places: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Places with their counts, each stage that has several of them in front of its own."""
    parts: dict[str, list[int]] = {}
    for place, count in places:
        parts.setdefault(place.split("/")[0], []).append(count)
    stages = [(stage, sum(counts)) for stage, counts in parts.items() if len(counts) > 1]
    return sorted(places + stages)


def outcome(name: str, verdict: Mapping[str, Any]) -> str:
    """What a verdict says, in the words of a filter: "math: 1", "language: other value", "code: error"."""
    if verdict["status"] != "value":
        return f"{name}: {verdict['status']}"
    value = float(verdict["value"])
    return f"{name}: {value:g}" if value in (0.0, 1.0) else f"{name}: other value"


def _files(folder: Path) -> Iterator[Path]:
    """Files of scored responses, those of a step still at work (in a hidden folder) among them."""
    found = {file for pattern in FILES for file in folder.glob(pattern)}
    return iter(sorted(file for file in found if not file.name.startswith(".")))


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where it has gone since it was seen."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _frames(folder: Path, file: Path) -> Iterator[pl.DataFrame]:
    """The responses of a file, some at a time."""
    place = _place(folder, file)
    rows: Iterable[Mapping[str, Any]] = read_rows(file) if file.suffix == ".parquet" else read_lines(file, [])
    records = (_record(place, row) for row in rows)
    while some := list(islice(records, AT_ONCE)):
        yield pl.DataFrame(some, schema=SCHEMA)


def _place(folder: Path, file: Path) -> str:
    """The folder of a file as a reader knows it: a step still at work goes by the name that it will have."""
    parts = list(file.relative_to(folder).parts[:-1])
    if parts[-1:] == ["rollouts"]:
        del parts[-1]
    if parts[-1:] == ["general"]:
        parts.append(file.stem)
    return "/".join(part.removeprefix(".").removesuffix(".part") for part in parts) or "."


def _record(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    problem = _text(row.get("problem_id") or row.get("id") or "")
    step, reference = row.get("step"), row.get("reference")
    text = row.get("text") if row.get("text") is not None else row.get("response")
    verdicts = row.get("verdicts") or {}
    key = f"{place}|{problem}" if step is None else f"{place}|{step}|{row.get('group')}|{problem}"
    return {
        "place": place,
        "group": key,
        "uid": str(row.get("uid") or ""),
        "problem_id": problem,
        "sample": int(row.get("sample") or 0),
        "step": step,
        "task": str(row.get("task") or ""),
        "domain": str(row.get("domain") or ""),
        "language": str(row.get("language") or ""),
        "model": str(row.get("model") or ""),
        "question": _text(question_of(row.get("prompt") or "")),
        "prompt": _json(row.get("prompt") or []),
        "reference": _text(reference if isinstance(reference, str) else _json(reference)),
        "thinking": row.get("thinking") != "none",
        "text": _text("" if text is None else text),
        "tokens": int(row.get("tokens") or 0),
        "truncated": row.get("finish_reason") == "length",
        "reward": row.get("reward"),
        "advantage": row.get("advantage"),
        "accuracy": accuracy(row),
        "status": str(row.get("status") or ""),
        "verdicts": _json(verdicts),
        "said": [outcome(name, verdict) for name, verdict in verdicts.items()],
    }


def _text(value: Any) -> str:
    """Text that can be kept: half of a surrogate pair, which JSON can hold, becomes U+FFFD."""
    return str(value).encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=True)


def load(folder: Path) -> Rollouts:
    """The responses of a run, or of a folder of `r1train eval`; UserError where there are none."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name the folder of a run")
    if next(_files(folder), None) is None and not any(folder.glob("**/ledger.parquet")):
        raise UserError(
            f"{folder} holds neither rollouts nor evaluations nor ledgers; name the folder of a run"
        )
    return Rollouts(folder)
