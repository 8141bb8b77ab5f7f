"""Score a file of responses: on all cores, in constant memory, in order, going on after a kill.

    summary = score_file("responses.jsonl", "rewards.yaml", "scored.parquet")

The rows are cut into shards. A process grades a shard and writes it, whole or not at all, into a hidden
folder beside the output; when all are there they become the output. A second try with the same input, spec
and options finds the shards and goes on with the rest. What a row scores depends neither on its shard nor on
who grades it.
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from r1rewards.core.console import track
from r1rewards.core.errors import UserError
from r1rewards.core.processes import cores, outcome, processes
from r1rewards.core.rows import question_of
from r1rewards.core.settings import read_yaml
from r1rewards.core.shards import Shards
from r1rewards.core.store import SUFFIXES, Step, numbered_rows, read_rows, suffix_of
from r1rewards.score import Score
from r1rewards.spec import BATCH, Spec, load_spec
from r1rewards.summary import Summary

SHARD_ROWS = 1024

#: A row as it was read, its place for messages, and the same row with its problem.
Placed = tuple[str, Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    responses  a file, or a folder of them such as a trainer's dumps, read in the order of their numbers
    problems   the problems that the responses belong to, joined by `problem_id`, or by the prompt where the
               responses carry no id
    columns    our name -> their name, as in `read_rows`
    task       the task of every row that has none
    """

    responses: Path
    problems: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    task: str | None = None

    def files(self) -> list[Path]:
        if not self.responses.is_dir():
            return [self.responses]
        files = [file for file in self.responses.iterdir() if file.name.endswith(SUFFIXES)]
        if not files:
            raise UserError(f"{self.responses} is a folder without files of rows ({', '.join(SUFFIXES)})")
        return sorted(files, key=lambda file: [int(n) for n in re.findall(r"\d+", file.name)] + [file.name])

    def count(self) -> int | None:
        """The number of rows, where files tell it without being read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not all(file.suffix == ".parquet" and file.is_file() for file in self.files()):
            return None
        try:
            return sum(int(pq.read_metadata(file).num_rows) for file in self.files())
        except pa.ArrowException:
            return None  # the reader says what is wrong with it

    def rows(self) -> Iterator[Placed]:
        known = _Problems(self.problems) if self.problems else None
        for file in self.files():
            for where, read in numbered_rows(file, columns=self.columns):
                row = read if read.get("task") or not self.task else {**read, "task": self.task}
                yield where, row, known.joined(row, where) if known else row


class _Problems:
    """Problems by id and by what they ask."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.by_id: dict[str, Mapping[str, Any]] = {}
        self.by_question: dict[str, Mapping[str, Any]] = {}
        for problem in read_rows(file):
            self.by_id[str(problem.get("id"))] = problem
            self.by_question[question_of(problem.get("prompt") or "")] = problem

    def joined(self, row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        if row.get("problem_id") is not None:
            name = str(row["problem_id"])
            problem = self.by_id.get(name)
        else:
            name = question_of(row.get("prompt") or "")
            problem = self.by_question.get(name)
        if problem is None:
            raise UserError(
                f"{where}: the problem {name[:80]!r} is not in {self.file}; give the file it came from"
            )
        return {**problem, **row}


def score_file(
    source: Source | str | Path,
    spec: str | Path,
    output: str | Path | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    workers: int | None = None,
    ray: str | None = None,
    quiet: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Score every row of `source` and say what it comes to; without `output` nothing is written.

    workers  processes that grade; by default one for each core, or one where a reward holds a model
    ray      the address of a Ray cluster that grades instead
    quiet    no progress bar
    say      is told in a sentence when an earlier try is gone on with

    Raises UserError for a row that is none, with file and line; what was scored before it is kept.
    """
    source = source if isinstance(source, Source) else Source(Path(source))
    with load_spec(spec, variables=variables) as loaded, ExitStack() as stack:
        shards = None
        if output is not None:
            shards = stack.enter_context(_unfinished(Path(output), source, spec, variables, say))
        job = Job(str(spec), dict(variables or {}), shards)
        summary = Summary()
        if ray is not None:
            from r1rewards.adapters.ray import on_ray

            parts = on_ray(job, _numbered(source), ray)
        else:
            parts = _on_cores(job, loaded, _numbered(source), workers)

        def counted() -> Iterator[None]:
            for part in parts:
                summary.merge(part)
                yield from [None] * part.rows

        deque(track(counted(), "scoring", total=source.count(), quiet=quiet), maxlen=0)
        if shards is not None and output is not None:
            shards.join(Path(output))
            shutil.rmtree(shards.folder)
    return summary


@contextmanager
def _unfinished(
    output: Path,
    source: Source,
    spec: str | Path,
    variables: Mapping[str, str] | None,
    say: Callable[[str], None],
) -> Iterator[Shards]:
    """The shards of this very job that an earlier try left, or none."""
    suffix = suffix_of(output, writing=True)
    config = {
        "spec": read_yaml(spec),
        "variables": dict(variables or {}),
        "columns": dict(source.columns),
        "task": source.task,
        "suffix": suffix,
        "shard": SHARD_ROWS,
    }
    inputs = [*source.files(), *([source.problems] if source.problems else [])]
    with Step(output.with_name(f"{output.name}.shards"), "score", config=config, inputs=inputs) as step:
        shards = Shards(step.path, suffix)
        try:
            if present := shards.present():
                say(f"going on with {output}: {len(present) * SHARD_ROWS:,} rows are scored already")
            yield shards
        finally:
            if step.path.exists() and not shards.present():
                shutil.rmtree(step.path)


def _numbered(source: Source) -> Iterator[tuple[int, list[Placed]]]:
    rows = source.rows()
    number = 0
    while shard := list(islice(rows, SHARD_ROWS)):
        yield number, shard
        number += 1


@dataclass(frozen=True)
class Job:
    """What a process needs to grade shards: the spec, and where its shards go (nowhere without an output)."""

    spec: str
    variables: dict[str, str]
    shards: Shards | None

    def load(self) -> Spec:
        return load_spec(self.spec, variables=self.variables)

    def has(self, number: int) -> bool:
        """Whether an earlier try graded this shard."""
        return self.shards is not None and self.shards.path(number).exists()

    def earlier(self, number: int) -> Summary:
        """What that shard came to."""
        return summary_of(self.shards.rows(number) if self.shards else ())

    def grade(self, loaded: Spec, number: int, rows: Sequence[Placed]) -> Summary:
        """Grade a shard and write it."""
        scored, summary = grade_rows(loaded, rows)
        if self.shards is not None:
            self.shards.write(number, scored)
        return summary


def grade_rows(loaded: Spec, rows: Sequence[Placed]) -> tuple[list[dict[str, Any]], Summary]:
    """The scored rows, and what they come to."""
    scored: list[dict[str, Any]] = []
    summary = Summary()
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        scores = loaded.grade([loaded.sample(flat, where) for where, _, flat in batch])
        for (where, row, _), score in zip(batch, scores, strict=True):
            summary.add(score, _name(row, where))
            scored.append(score.to_row(row))
    return scored, summary


def summary_of(scored: Iterable[Mapping[str, Any]]) -> Summary:
    """What scored rows come to."""
    summary = Summary()
    for row in scored:
        summary.add(Score.from_row(row), _name(row, ""))
    return summary


def _name(row: Mapping[str, Any], where: str) -> str:
    return str(row.get("uid") or row.get("id") or row.get("problem_id") or where)


def _on_cores(
    job: Job, loaded: Spec, shards: Iterable[tuple[int, list[Placed]]], workers: int | None
) -> Iterator[Summary]:
    """What each shard comes to, in order."""
    shards = iter(shards)
    if workers is None:
        copies = all(component.reward.copies for component in loaded.components)
        workers = cores() if copies else 1
    first = list(islice(shards, 2))
    if workers == 1 or len(first) < 2:  # not worth a process
        for number, rows in (*first, *shards):
            yield job.earlier(number) if job.has(number) else job.grade(loaded, number, rows)
        return
    with processes(workers, _begin, job) as pool:
        waiting: deque[Future[Summary] | int] = deque()
        for number, rows in (*first, *shards):
            waiting.append(number if job.has(number) else pool.submit(_grade_here, number, rows))
            if len(waiting) > 2 * workers:
                yield _outcome(job, waiting.popleft())
        while waiting:
            yield _outcome(job, waiting.popleft())


def _outcome(job: Job, shard: Future[Summary] | int) -> Summary:
    return job.earlier(shard) if isinstance(shard, int) else outcome(shard)


#: The job of this process and its spec, where it is one of those that grade.
_mine: tuple[Job, Spec]


def _begin(job: Job) -> None:
    global _mine
    _mine = job, job.load()


def _grade_here(number: int, rows: Sequence[Placed]) -> Summary:
    job, loaded = _mine
    return job.grade(loaded, number, rows)
