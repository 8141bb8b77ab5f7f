"""Curation: records per second on one core, quality on injected cases, and anonymous memory.

    python bench/curation.py                       # 20,000 records of about 2.4 KB, every step and peer
    python bench/curation.py --records 50000 --steps near,decontaminate
    python bench/curation.py --pipeline 1000000    # whole steps on files: peak anonymous memory

Records are made of GSM8K texts (R1KIT_DATA, see bench/README.md). One in twenty is a near-duplicate, a copy
with up to 3 % of its words changed; one in fifty holds an item of the guarded benchmark. Peers are timed
where they are installed, on the same texts in the same run: datasketch and rensa in this environment (the
extra `bench`), datatrove and text-dedup in one of their own (`make bench-env`) as what they are, jobs on
files. The process is pinned to one core, and what is counted is the processor time that it gets, so that a
busy machine changes the figures less; of whole steps it is the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from r1data import words
from r1data.curate import curate
from r1data.decontaminate import Benchmark, Items, decontaminate
from r1data.dedup import dedup, digests, exact_groups
from r1data.minhash import band_keys, near_groups
from r1data.mix import mix
from r1data.ruleset import load_rules
from r1data.signals import text_signals
from r1rewards import language, readability
from r1rewards.core.console import print_table
from r1rewards.core.reward import Sample
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template
from r1rewards.spec import load_spec

DATA = Path(os.environ.get("R1KIT_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
CHARS = 2400
THRESHOLD = 0.7
#: Of the peers that are slow; each of them is given whole groups, for rows and what they repeat are near.
JOB_RECORDS = 5000


class Texts(list[str]):
    """Texts in the batches that r1data reads them in."""

    def __iter__(self) -> Iterator[Any]:
        return words.batches(self[:])


def make(count: int, seed: int = 0) -> Iterator[tuple[str, int | None, bool]]:
    """Texts, each with the number of the one that it nearly repeats, and whether it is contaminated."""
    dice = random.Random(seed)
    source = [f"{row['question']} {row['answer']}" for row in read_rows(DATA / "gsm8k_train.jsonl.gz")]
    exam = [row["question"] for row in read_rows(DATA / "gsm8k_test_half.jsonl.gz")]
    vocabulary = sorted({word for text in source for word in text.split()})
    recent: list[tuple[int, str]] = []
    for number in range(count):
        if number % 20 == 19:
            origin, text = dice.choice(recent)
            changed = text.split(" ")
            for _ in range(int(len(changed) * dice.uniform(0, 0.03))):
                changed[dice.randrange(len(changed))] = dice.choice(vocabulary)
            yield " ".join(changed), origin, False
            continue
        dirty = number % 50 == 7
        parts = [dice.choice(source)]
        while sum(map(len, parts)) < CHARS:
            parts.append(dice.choice(source))
        parts[-1] = parts[-1][: CHARS - sum(map(len, parts[:-1]))]
        if dirty:
            parts.insert(dice.randint(0, len(parts)), dice.choice(exam))
        text = "\n".join(parts)
        if not dirty:
            recent = [*recent[-999:], (number, text)]
        yield text, None, dirty


def timed(job: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> tuple[float, Any]:
    began = clock()
    result = job()
    return clock() - began, result


class Peak:
    """The highest anonymous memory of this process while the block runs, in GB."""

    def __enter__(self) -> Peak:
        self.gigabytes = 0.0
        self._running = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._running:
            status = Path("/proc/self/status").read_text()
            kilobytes = int(status.split("RssAnon:")[1].split()[0])
            self.gigabytes = max(self.gigabytes, kilobytes / 2**20)
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._thread.join()


def bench_exact(made: list[tuple[str, int | None, bool]]) -> Iterator[list[Any]]:
    texts = Texts(text for text, _, _ in made)
    seconds, _ = timed(lambda: exact_groups(np.frombuffer(digests(list.copy(texts)), "V16")))
    yield ["exact dedup", "r1data", len(texts) / seconds, None, None]
    import hashlib

    seconds, _ = timed(lambda: {hashlib.md5(text.encode()).digest() for text in list.__iter__(texts)})
    yield ["exact dedup", "md5 in a set (text-dedup's way)", len(texts) / seconds, None, None]


def bench_near(made: list[tuple[str, int | None, bool]]) -> Iterator[list[Any]]:
    texts = Texts(text for text, _, _ in made)
    shingled: list[set[tuple[str, ...]] | None] = [None] * len(texts)

    def similarity(one: int, other: int) -> float:
        for number in (one, other):
            if shingled[number] is None:
                cut = words.cut([texts[number]])
                found = [cut.word(i) for i in range(len(cut.hashes))]
                shingled[number] = {tuple(found[i : i + 5]) for i in range(len(found) - 4)}
        a, b = shingled[one] or set(), shingled[other] or set()
        return len(a & b) / len(a | b)

    truth = {
        (origin, number)
        for number, (_, origin, _) in enumerate(made)
        if origin is not None and similarity(origin, number) >= THRESHOLD
    }

    def quality(pairs: set[tuple[int, int]], same: Callable[[int, int], bool]) -> tuple[float, float | None]:
        recall = sum(same(a, b) for a, b in truth) / len(truth)
        true = sum(similarity(a, b) >= THRESHOLD for a, b in pairs)
        return recall, true / len(pairs) if pairs else None

    with tempfile.TemporaryDirectory() as folder:

        def with_r1data() -> Any:
            keys = np.concatenate([band_keys(batch) for batch in texts])
            return near_groups(texts, keys, THRESHOLD, Path(folder) / "spill")

        seconds, (groups, _) = timed(with_r1data)
    members = [number for number in range(len(texts)) if groups[number] != number]
    recall = sum(groups[a] == groups[b] for a, b in truth) / len(truth)
    exact = sum(
        any(
            similarity(number, other) >= THRESHOLD
            for other in {groups[number], made[number][1] or 0} - {number}
        )
        for number in members
    )
    yield ["near dedup", "r1data", len(texts) / seconds, recall, exact / max(1, len(members))]

    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        yield ["near dedup", "datasketch (not installed)", None, None, None]
    else:
        few = list(list.__iter__(texts))[:2000]

        def with_datasketch() -> set[tuple[int, int]]:
            lsh, pairs = MinHashLSH(threshold=THRESHOLD, num_perm=128), set()
            for number, text in enumerate(few):
                split = text.lower().split()
                signature = MinHash(num_perm=128)
                signature.update_batch([" ".join(split[i : i + 5]).encode() for i in range(len(split) - 4)])
                pairs |= {(other, number) for other in lsh.query(signature)}
                lsh.insert(number, signature)
            return pairs

        seconds, pairs = timed(with_datasketch)
        truth_here = {pair for pair in truth if pair[1] < len(few)}
        _, precision = quality(pairs, lambda a, b: (a, b) in pairs)
        found = sum(pair in pairs for pair in truth_here) / max(1, len(truth_here))
        yield ["near dedup", "datasketch (2,000 records)", len(few) / seconds, found, precision]
    try:
        from rensa import RMinHash, RMinHashLSH
    except ImportError:
        yield ["near dedup", "rensa (not installed)", None, None, None]
    else:

        def with_rensa() -> set[tuple[int, int]]:
            lsh, pairs = RMinHashLSH(threshold=THRESHOLD, num_perm=120, num_bands=24), set()
            for number, text in enumerate(list.__iter__(texts)):
                split = text.lower().split()
                signature = RMinHash(num_perm=120, seed=42)
                signature.update([" ".join(split[i : i + 5]) for i in range(len(split) - 4)])
                pairs |= {(other, number) for other in lsh.query(signature)}
                lsh.insert(number, signature)
            return pairs

        seconds, pairs = timed(with_rensa)
        recall, precision = quality(pairs, lambda a, b: (a, b) in pairs)
        yield ["near dedup", "rensa", len(texts) / seconds, recall, precision]
    for peer in ("datatrove", "text-dedup"):
        few = list(list.__iter__(texts))[:JOB_RECORDS]
        done = job(peer, few)
        if done is None:
            yield ["near dedup", f"{peer} (make bench-env)", None, None, None]
            continue
        seconds, clusters = done
        firsts: dict[int, int] = {}
        pairs = {
            (first, number)
            for number, cluster in enumerate(clusters)
            if (first := firsts.setdefault(cluster, number)) != number
        }
        here = [(a, b) for a, b in truth if b < len(few)]
        found = sum(clusters[a] == clusters[b] for a, b in here) / max(1, len(here))
        true = sum(
            any(similarity(number, other) >= THRESHOLD for other in {first, made[number][1] or 0} - {number})
            for first, number in pairs
        )
        name = f"{peer} ({len(few):,} records, from file to file)"
        yield ["near dedup", name, len(few) / seconds, found, true / max(1, len(pairs))]


def job(peer: str, texts: list[str]) -> tuple[float, list[int]] | None:
    """The seconds that a peer's job takes and the group of each text; None where it is not installed."""
    folder = Path(__file__).parent
    python = folder.parent / ".bench-env" / "bin" / "python"
    if not python.exists():
        return None
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "rows" / "rows.jsonl"
        write_rows(rows, ({"id": str(number), "text": text} for number, text in enumerate(texts)))
        (Path(name) / "work").mkdir()
        command = [python, folder / "curation_peers.py", peer, rows, Path(name) / "work"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{peer} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return None
    said = json.loads(done.stdout)
    return said["seconds"], said["groups"]


def bench_decontaminate(made: list[tuple[str, int | None, bool]]) -> Iterator[list[Any]]:
    texts = Texts(text for text, _, _ in made)
    dirty = [is_dirty for _, _, is_dirty in made]
    items = [row["question"] for row in read_rows(DATA / "gsm8k_test_half.jsonl.gz")]

    def quality(flags: list[bool]) -> tuple[float, float]:
        hits = sum(a and b for a, b in zip(flags, dirty, strict=True))
        return hits / sum(dirty), hits / max(1, sum(flags))

    def ours() -> list[bool]:
        index = Items(((str(i), "question", text) for i, text in enumerate(items)), 10)
        return [
            hit is not None and hit.value >= 0.5 for batch in texts for hit in index.hits(batch, batch, [])
        ]

    seconds, flags = timed(ours)
    yield ["decontaminate", "r1data, half covered", len(texts) / seconds, *quality(flags)]

    def sets() -> list[bool]:
        grams = {gram for text in items for gram in ngrams(text)}
        return [not grams.isdisjoint(ngrams(text)) for text in list.__iter__(texts)]

    def ngrams(text: str, n: int = 8) -> set[str]:
        split = " ".join(text.lower().strip().split()).split()
        return {" ".join(split[i : i + n]) for i in range(len(split) - n + 1)}

    seconds, flags = timed(sets)
    yield ["decontaminate", "sets of 8-grams, any hit (open-r1's way)", len(texts) / seconds, *quality(flags)]


SIGNALS: dict[str, Callable[[Sample], Any]] = {
    "language_share": lambda sample: language.share(sample.trace.reasoning, "en", repeated=False),
    "repetition": lambda sample: readability.ngram_repetition(sample.text),
    "loop_words": lambda sample: readability.longest_loop(sample.text),
    "repeated_lines": lambda sample: readability.repeated_lines(sample.text),
    "paragraph_words": lambda sample: readability.longest_paragraph(sample.trace.reasoning),
    "code_blocks": lambda sample: readability.code_blocks(sample.trace.reasoning),
    "well_formed": lambda sample: get_template("think-answer").parse(sample.text),
}


def _row(number: int, text: str) -> dict[str, Any]:
    row = {"id": str(number), "task": "math", "prompt": "How many?", "reference": "1", "language": "en"}
    return {**row, "text": f"<think>{text}</think><answer>1</answer>"}


def bench_signals(made: list[tuple[str, int | None, bool]]) -> Iterator[list[Any]]:
    import polars as pl

    rules, size = load_rules("cold-start"), min(1000, len(made) // 3)
    with load_spec(rules.spec) as spec:
        first, samples, others = (
            [spec.sample(_row(number, text), "row") for number, (text, _, _) in enumerate(some)]
            for some in (made[at * size : (at + 1) * size] for at in range(3))
        )
    for sample in first:  # the profiles of the languages are read, and most words met for the first time
        text_signals(sample)
    seconds, measured = timed(lambda: [text_signals(sample) for sample in samples])
    yield ["signals, without correctness", "r1data", len(samples) / seconds, None, None]
    done = job("datatrove-filters", [sample.text for sample in samples])
    speed = len(samples) / done[0] if done else None
    name = "datatrove, filters of Gopher and FineWeb" if done else "datatrove (make bench-env)"
    yield ["signals, without correctness", name, speed, None, None]
    for name, signal in SIGNALS.items():
        seconds, _ = timed(lambda: [signal(sample) for sample in others])  # noqa: B023
        yield [f"signal {name}", "r1data", len(others) / seconds, None, None]
    frame = pl.DataFrame(measured).with_columns(
        task=pl.lit("math"), domain=pl.lit("math"), correct=pl.lit(1.0), grader_errors=pl.lit(0)
    )
    many = pl.concat([frame] * 500)
    seconds, _ = timed(lambda: rules.decide(many))
    yield ["decide", "r1data", many.height / seconds, None, None]


def pipeline(count: int, wanted: list[str]) -> None:
    """Whole steps on files, the peak of anonymous memory of each."""
    lines = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        rows: Iterator[dict[str, Any]] = (
            {
                "id": f"p{number}",
                "uid": f"u{number}",
                "task": "general",
                "domain": "math" if number % 4 else "writing",
                "prompt": [{"role": "user", "content": f"Question {number}: {text[:80]}"}],
                "reference": None,
                "language": "en",
                "source": "bench",
                "meta": {},
                "text": text,
                "finish_reason": "stop",
                "tokens": 600,
            }
            for number, (text, _, _) in enumerate(make(count))
        )
        write_rows(folder / "rows.parquet", rows)
        exam = Benchmark(name="exam", path=DATA / "gsm8k_test_half.jsonl.gz", question="question")
        rules = {
            "name": "none",
            "spec": {"rewards": {"format": {}}},
            "rules": [{"name": "loop", "signal": "loop_words", "keep": ">= 0"}],
        }
        steps: dict[str, Callable[[Path, Path], Any]] = {
            "curate": lambda source, out: curate(source, rules, out),
            "dedup": lambda source, out: dedup(source, out, by="response"),
            "decontaminate": lambda source, out: decontaminate(source, out, against=[exam]),
            "mix": lambda source, out: mix(source, out, total=count // 2),
        }
        source = folder / "rows.parquet"
        for step in wanted:
            run = steps[step]
            with Peak() as peak:
                seconds, counts = timed(lambda: run(source, folder / step), time.perf_counter)  # noqa: B023
            lines.append([step, counts["in"], counts["kept"], counts["in"] / seconds, peak.gigabytes])
            source = folder / step / "kept.parquet"
    print_table(["step, on files", "in", "kept", "records/s", "peak anonymous GB"], lines)


BENCHES = {
    "signals": bench_signals,
    "exact": bench_exact,
    "near": bench_near,
    "decontaminate": bench_decontaminate,
}
PIPELINE = "curate,dedup,decontaminate,mix"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--steps", help=f"of {', '.join(BENCHES)}; of a pipeline {PIPELINE}")
    parser.add_argument("--pipeline", type=int, metavar="RECORDS", help="run whole steps on files instead")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, pinned to one")
    if arguments.pipeline:
        pipeline(arguments.pipeline, (arguments.steps or PIPELINE).split(","))
        return
    made = list(make(arguments.records))
    steps = arguments.steps.split(",") if arguments.steps else BENCHES
    lines = [line for step in steps for line in BENCHES[step](made)]
    print_table(["step", "who", "records/s", "recall", "precision"], lines)


if __name__ == "__main__":
    main()
