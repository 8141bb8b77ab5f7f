"""Drop the rows that know the examination: texts that overlap with the items of a benchmark.

Every run of ten words (`n`) that a row shares with an item is a hit and is written in the ledger with the
matching text. A row is dropped when its hits cover at least half (`coverage`) of the item, or of the row's
own prompt; DeepSeek-R1 drops at any hit (arXiv 2501.12948, appendix on decontamination), which is
`coverage=0`. An item of fewer than n words is matched as a whole question. Hashes only find candidates: every
hit is verified on the words. Paraphrases slip through, as they do in the paper, unless `paraphrases` asks for
them to be looked for with embeddings (`r1data.neighbours`).

    guarded = [Benchmark(name="gsm8k", path="gsm8k_test.jsonl", question="question", solution="answer")]
    decontaminate("kept.parquet", "clean", against=guarded)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from r1data import words
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.measured import measured
from r1data.neighbours import Neighbours, load_embedder
from r1data.table import Rows, Table
from r1rewards.core.errors import UserError
from r1rewards.core.rows import messages, question_of
from r1rewards.core.settings import check_settings, read_yaml
from r1rewards.core.store import file_hash, numbered_rows

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: The folder of the overlaps in the result of `decontaminate`.
OVERLAPS = "overlaps"


class Benchmark(BaseModel):
    """One file of items to guard.

    question, solution   its columns: the question (text or messages) and, where its text is long enough to
                         leak, the reference solution
    id                   the column that names an item; without it, the number of the row does
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    path: Path
    question: str = "prompt"
    solution: str | None = None
    id: str | None = None


class _Benchmarks(BaseModel):
    model_config = ConfigDict(extra="forbid")

    benchmarks: list[Benchmark]


def read_benchmarks(path: str | Path) -> list[Benchmark]:
    """The benchmarks that a YAML file lists; relative paths start at the file."""
    path = Path(path)
    listed = check_settings(_Benchmarks, read_yaml(path), str(path)).benchmarks
    return [one.model_copy(update={"path": path.parent / one.path}) for one in listed]


def parse_benchmark(text: str) -> Benchmark:
    """A benchmark in one argument: FILE, or FILE:question=COLUMN,solution=COLUMN,name=NAME."""
    path, _, options = text.partition(":")
    given = dict(pair.partition("=")[::2] for pair in options.split(",") if pair)
    data = {"name": Path(path).name.split(".")[0], "path": path, **given}
    return check_settings(Benchmark, data, f"--against {text}")


def decontaminate(
    rows: Rows,
    out: str | Path,
    *,
    against: Sequence[Benchmark],
    n: int = 10,
    coverage: float = 0.5,
    paraphrases: float | None = None,
    embedder: Path | None = None,
    **reading: Any,
) -> dict[str, Any]:
    """Run the step into the folder `out` and return its counts. `reading`: what `run_step` takes.

    paraphrases  also drop rows whose question is at least so near to an item's, as a cosine, such as 0.8
    embedder     a sentence-transformers model's folder, in place of the packaged all-MiniLM-L6-v2
    """
    if not against:
        raise UserError("decontamination needs at least one benchmark to guard; name one with --against")
    if paraphrases is not None and not 0 < paraphrases <= 1:
        raise UserError(f"the nearness of paraphrases is {paraphrases}; it is above 0 and at most 1")
    measuring: dict[str, Any] = {
        "n": n,
        "benchmarks": [one.model_dump(mode="json", exclude={"path"}) for one in against],
        "embedder": None if paraphrases is None else str(embedder or "all-MiniLM-L6-v2"),
    }
    config = {**measuring, "coverage": coverage, "paraphrases": paraphrases}

    inputs = [benchmark.path for benchmark in against]

    def decide(table: Table) -> pl.DataFrame:
        guarded = [item for benchmark in against for item in _read(benchmark)]
        items, neighbours = Items(guarded, n), None
        if paraphrases is not None:
            questions = [(name, text) for name, part, text in guarded if part == "question"]
            neighbours = Neighbours(questions, load_embedder(embedder))

        def measure(batch: pa.RecordBatch) -> pa.Table:
            found = items.overlaps(batch)
            return found if neighbours is None else _with_neighbours(found, batch, neighbours)

        settings = {**measuring, "items": [file_hash(path) for path in inputs]}
        shards = measured(table, OVERLAPS, table.batches("prompt", "text"), measure, settings)
        return _fates(table, shards, coverage, paraphrases)

    return run_step(
        "decontaminate", rows, out, decide, config=config, inputs=inputs, measures=OVERLAPS, **reading
    )


@dataclass(slots=True)
class _Item:
    name: str
    part: str
    words: list[str]
    #: Where each n-gram hash of the item stands in it.
    grams: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Hit:
    """The strongest overlap of a row: with which item, how much of it, how much of the prompt, which text."""

    match: str
    rule: str
    value: float
    span: str


class Items:
    """Benchmark items, indexed by their n-grams; short ones by their whole question."""

    def __init__(self, items: Iterable[tuple[str, str, str]], n: int) -> None:
        """`items` are (name, part, text), part "question" or "solution"."""
        self.n = n
        self._short: dict[str, str] = {}
        self._items: list[_Item] = []
        self._by_gram: dict[int, list[int]] = {}
        listed = [item for item in items if item[2].strip()]
        for first in range(0, len(listed), words.BATCH):
            self._index(listed[first : first + words.BATCH])
        self._sorted = np.sort(np.fromiter(self._by_gram, np.uint64, len(self._by_gram)))
        # a table of flags, small enough for a core's cache, that passes about one n-gram in sixteen
        bits = min(26, max(8, (16 * len(self._by_gram)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._maybe = np.zeros(1 << bits, np.bool_)
        self._maybe[self._sorted >> self._shift] = True

    def _index(self, batch: list[tuple[str, str, str]]) -> None:
        cut = words.cut([text for _, _, text in batch])
        hashes, firsts = words.ngrams(cut, self.n)
        starts = np.searchsorted(firsts, cut.begin)
        for number, (name, part, text) in enumerate(batch):
            low, high = int(cut.begin[number]), int(cut.begin[number + 1])
            if high - low < self.n:
                if part == "question":
                    self._short.setdefault(words.question_key(text), name)
                continue
            item = _Item(name, part, [cut.word(i) for i in range(low, high)])
            for at in range(int(starts[number]), int(starts[number + 1])):
                gram = int(hashes[at])
                item.grams.setdefault(gram, []).append(int(firsts[at]) - low)
            for gram in item.grams:
                self._by_gram.setdefault(gram, []).append(len(self._items))
            self._items.append(item)

    def overlaps(self, batch: pa.RecordBatch) -> pa.Table:
        """The strongest overlap of each row of a batch with the columns `prompt` and perhaps `text`."""
        import pyarrow as pa

        prompts, questions = _prompts(batch)
        texts = batch.column("text").to_pylist() if "text" in batch.schema.names else []
        half = words.BATCH // 2  # a row is two texts
        found: list[_Hit | None] = []
        for first in range(0, len(prompts), half):
            rows = slice(first, first + half)
            found += self.hits(prompts[rows], questions[rows], texts[rows])
        columns = {"rule": pa.string(), "value": pa.float64(), "match": pa.string(), "span": pa.string()}
        arrays = {
            name: pa.array([None if hit is None else getattr(hit, name) for hit in found], kind)
            for name, kind in columns.items()
        }
        return pa.table(arrays)

    def hits(
        self, prompts: Sequence[str], questions: Sequence[str], texts: Sequence[str]
    ) -> list[_Hit | None]:
        """For each row its strongest overlap, or None. `questions` are the prompts' last user turns."""
        size = len(prompts)
        cut = words.cut([*prompts, *texts])
        hashes, firsts = words.ngrams(cut, self.n)
        candidates = np.flatnonzero(self._maybe[hashes >> self._shift])
        hashes, firsts = hashes[candidates], firsts[candidates]
        found = np.searchsorted(self._sorted, hashes)
        found[found == len(self._sorted)] = 0
        real = self._sorted[found] == hashes if len(self._sorted) else np.zeros(len(hashes), np.bool_)
        by_row: dict[int, list[tuple[int, int]]] = {}
        for gram, first in zip(hashes[real].tolist(), firsts[real].tolist(), strict=True):
            by_row.setdefault(int(cut.text[first]) % size, []).append((gram, first))
        found_in = {row: self._strongest(cut, row, grams) for row, grams in by_row.items()}
        short = np.flatnonzero(cut.count()[:size] < 2 * self.n) if self._short else ()
        for row in map(int, short):
            for whole in {prompts[row], questions[row]}:
                name = self._short.get(words.question_key(whole))
                if name is not None:
                    found_in[row] = _Hit(name, "same_question", 1.0, whole.strip())
        return [found_in.get(row) for row in range(size)]

    def _strongest(self, cut: words.Words, row: int, grams: list[tuple[int, int]]) -> _Hit | None:
        """The verified overlap that covers most. The row's prompt is text number `row` in `cut`."""
        begin, behind = int(cut.begin[row]), int(cut.begin[row + 1])
        in_item: dict[int, set[int]] = {}
        in_prompt: dict[int, set[int]] = {}
        spans: dict[int, list[int]] = {}
        for gram, first in grams:
            run = [cut.word(i) for i in range(first, first + self.n)]
            for number in self._by_gram[gram]:
                item = self._items[number]
                places = [at for at in item.grams[gram] if item.words[at : at + self.n] == run]
                for at in places:
                    in_item.setdefault(number, set()).update(range(at, at + self.n))
                if places:
                    spans.setdefault(number, []).append(first)
                    if begin <= first < behind:
                        in_prompt.setdefault(number, set()).update(range(first, first + self.n))
        best: tuple[float, int, str] | None = None
        for number in sorted(in_item):
            of_item = len(in_item[number]) / len(self._items[number].words)
            of_prompt = len(in_prompt.get(number, ())) / max(1, behind - begin)
            share, rule = max((of_item, "overlap_item"), (of_prompt, "overlap_prompt"))
            if best is None or share > best[0]:
                best = (share, number, rule)
        if best is None:
            return None
        share, number, rule = best
        item = self._items[number]
        return _Hit(f"{item.name} ({item.part})", rule, share, _longest_span(cut, spans[number], self.n))


def _with_neighbours(found: pa.Table, batch: pa.RecordBatch, neighbours: Neighbours) -> pa.Table:
    """The overlaps of a batch, and for each row the nearest item's name and text, and how near it is."""
    import pyarrow as pa

    _, questions = _prompts(batch)
    nearest = neighbours.nearest(questions)
    items = [neighbours.items[at] if at >= 0 else (None, None) for at, _ in nearest]
    for name, values in (
        ("neighbour", [item[0] for item in items]),
        ("wording", [item[1] for item in items]),
    ):
        found = found.append_column(name, pa.array(values, pa.string()))
    return found.append_column("nearness", pa.array([near for _, near in nearest], pa.float64()))


def _fates(
    table: Table, shards: Iterable[pa.Table], coverage: float, paraphrases: float | None
) -> pl.DataFrame:
    import polars as pl

    found = pl.concat([pl.DataFrame(shard) for shard in shards])
    covered = (pl.col("value") >= coverage).fill_null(False)
    frame = found.select(
        fate=pl.when(covered).then(pl.lit(DROPPED)).otherwise(pl.lit(KEPT)),
        rule="rule",
        value="value",
        threshold=pl.when(pl.col("value").is_not_null()).then(pl.lit(coverage, dtype=pl.Float64)),
        match="match",
        span="span",
    )
    if paraphrases is not None:
        near = ~covered & (pl.col("nearness") >= paraphrases)
        said = found.select(
            fate=pl.lit(DROPPED),
            rule=pl.lit("paraphrase"),
            value="nearness",
            threshold=pl.lit(paraphrases, dtype=pl.Float64),
            match=pl.col("neighbour") + " (question)",
            span="wording",
        )
        these = found.select(near=near)["near"]
        frame = frame.with_columns(said[name].zip_with(these, frame[name]) for name in frame.columns)
    return fates(table, **{name: frame[name] for name in frame.columns})


def _prompts(batch: Any) -> tuple[list[str], list[str]]:
    """The conversations of a batch as texts (system turns left out), and their last user turns."""
    column = batch.column("prompt")
    if len(column.values) == len(column):  # one turn each: the usual case, without a dictionary per row
        contents = column.flatten().field("content").to_pylist()
        return contents, contents
    prompts = column.to_pylist()
    joined = ["\n".join(m["content"] for m in prompt if m["role"] != "system") for prompt in prompts]
    return joined, [question_of(prompt) for prompt in prompts]


def _longest_span(cut: words.Words, firsts: list[int], n: int) -> str:
    """The text of the longest run of overlapping hits."""
    firsts = sorted(set(firsts))
    best, begin = (0, firsts[0], firsts[0]), firsts[0]
    for at, following in zip(firsts, [*firsts[1:], -1], strict=True):
        if following != at + 1:
            best = max(best, (at - begin, begin, at))
            begin = following
    return cut.span(best[1], best[2] + n - 1)


def _read(benchmark: Benchmark) -> Iterator[tuple[str, str, str]]:
    columns = {"question": benchmark.question}
    if benchmark.solution:
        columns["solution"] = benchmark.solution
    for number, (where, row) in enumerate(numbered_rows(benchmark.path, columns=columns), 1):
        name = f"{benchmark.name}:{row[benchmark.id] if benchmark.id else number}"
        yield name, "question", _text(row["question"], where)
        if row.get("solution"):
            yield name, "solution", _text(row["solution"], where)


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(turn, Mapping) for turn in value):
        return question_of(messages(value))
    raise UserError(f"{where}: a question is text or messages, not {type(value).__name__}")
