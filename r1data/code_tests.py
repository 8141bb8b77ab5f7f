"""Tests for code problems, as DeepSeek-R1's were made (arXiv 2501.12948, supplement).

    make_tests("problems.parquet", "tested", submissions="submissions.jsonl", model=opened, name="m")

Candidates are inputs: of the tests that a problem has, of generators (programs that a model writes, run with
the seeds 0, 1, 2, ...), and of changes to inputs that there are (`r1data.mutations`). Solutions known to be
right say what comes out; a candidate stays only where all of them end well and agree, and a given test only
where they agree with it. Then each wrong solution is run until a test exposes it, beginning with those that
exposed others. A problem gets the tests that it had, every one that exposed a solution, and others up to
`count`. Everything is run in the sandbox (`r1rewards.code`).

`candidates.parquet`, beside the ledger of the problems, has a line for every candidate: its origin, its fate
and why. Its rules: `generator_failed`, `repeated`, `too_long`, `right_failed` (a right solution does not end
well), `disputed` (they disagree), `ungraded` (the sandbox failed) and `over_count`. The ledger's:
`few_solutions` (fewer right ones than `agree`, and no tests) and `no_tests` (no candidate was good).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1data.examine import MOST_RIGHT, Case, Settings, examine_batch
from r1data.ledger import DROPPED, FATE, KEPT, fates, run_step
from r1data.measured import measured
from r1data.table import Rows, Table
from r1data.writer import PROMPTS, Writer, spoken
from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json
from r1rewards.core.rows import question_of
from r1rewards.core.store import numbered_rows, read_rows, write_rows
from r1rewards.llm import LanguageModel, Sampling
from r1rewards.llm.prompt_file import PromptFile
from r1rewards.llm.recorded import Landed, Recorded

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

#: The folder of what was run, in the result of `make_tests`.
RUNS = "runs"
SAMPLING = Sampling(temperature=0.6, top_p=0.95, max_tokens=8192)
#: Problems of one shard of what is run: a kill costs no more than these.
_SHARD = 16
#: Inputs that the model is shown, and the characters of each; in the list of candidates as well.
_SHOWN, _SHOWN_CHARS = 3, 500
#: What the ledger says of a problem that keeps its tests because too few solutions are known to be right.
_FEW = "too few right solutions to change its tests"


def make_tests(
    rows: Rows,
    out: str | Path,
    *,
    submissions: str | Path | None = None,
    columns_of_submissions: Mapping[str, str] | None = None,
    model: Callable[[], LanguageModel] | None = None,
    name: str | None = None,
    generators: int = 2,
    settings: Settings | None = None,
    agree: int = 2,
    count: int = 20,
    prompts: str | Path = PROMPTS,
    sampling: Sampling = SAMPLING,
    retries: int = 2,
    landed: Landed = lambda done, total, tokens: None,
    **reading: Any,
) -> dict[str, Any]:
    """Write the problems with their tests into the folder `out` and return the counts.

    submissions   rows with the problem's `id` (or `problem_id`), `program` (or a response that holds one, as
                  `text`), `correct` (1 or 0) and perhaps `lang`; those without `correct`, or in a language
                  that the sandbox does not run, are left aside. A problem's own `meta.solution` and
                  `meta.solutions` are right as well, and its `meta.wrong_solutions` wrong
    model, name   who writes generators, and what it is called; each call is recorded in OUT.calls.jsonl
    generators    how many for each problem
    settings      what is made of each problem, and how it is run
    agree         so many right solutions a problem needs for new tests
    count         tests that each problem gets, if they are there; more where more expose wrong solutions
    prompts       a folder with tests.txt
    reading       `columns` and `defaults`, as `run_step` takes them

    Problems of other tasks, and those that are tested by asserts, stay as they are.
    """
    out, settings = Path(out), settings or Settings()
    if count < 1 or generators < 1 or not 1 <= agree <= MOST_RIGHT:
        raise UserError(f"count and generators are at least 1, and from 1 to {MOST_RIGHT} solutions agree")
    prompt = PromptFile(Path(prompts) / "tests.txt")
    tally = _Tally()

    def decide(table: Table) -> pl.DataFrame:
        if "text" in table.columns:
            raise UserError("tests are made for problems, not for responses; give those as submissions")
        known = _submissions(submissions, columns_of_submissions or {})
        listed = list(read_rows(table.path))
        fresh = [not repeated for repeated in table.keys["repeated"]]
        cases = {
            row["id"]: _case(row, known.get(row["id"], []))
            for row, first in zip(listed, fresh, strict=True)
            if first and row["task"] == "code" and "asserts" not in row["reference"]
        }
        ready = [case for case in cases.values() if len(case.right) >= agree]
        if model is not None and name is not None:
            asked = {row["id"]: question_of(row["prompt"]) for row in listed}
            with Recorded(model, out.with_name(f"{out.name}.calls.jsonl"), name, landed) as recorded:
                _write(ready, asked, Writer(recorded, sampling, retries), prompt, generators)
        tests: dict[str, list[dict[str, str]]] = {case.id: [] for case in ready}

        def candidates() -> Iterator[dict[str, Any]]:
            for case, lines in _runs(table, ready, settings):
                chosen = _choose(lines, count)
                good = [line for line in chosen if line["rule"] is None]
                tests[case.id] = [{"input": line["input"], "output": line["output"]} for line in good]
                tally.add(case, chosen)
                yield from map(_shown, chosen)

        write_rows(table.work / "candidates.parquet", candidates())
        return _fates(table, listed, cases, tests, agree)

    return run_step(
        "tests",
        rows,
        out,
        decide,
        config={
            "columns_of_submissions": columns_of_submissions,
            "model": name,
            "prompt": prompt.text if name else None,
            "sampling": [sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed],
            "retries": retries,
            "generators": generators,
            "settings": asdict(settings),
            "agree": agree,
            "count": count,
        },
        inputs=[submissions] if submissions is not None else [],
        measures=RUNS,
        report=lambda: {"candidates": dict(tally.candidates), "wrong_solutions": dict(tally.wrong)},
        **reading,
    )


@dataclass(slots=True)
class _Tally:
    """Candidates by fate; wrong solutions, and how many of them are exposed, by given tests and at all."""

    candidates: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, case: Case, lines: Sequence[Mapping[str, Any]]) -> None:
        self.candidates.update(line["rule"] or line["origin"].split()[0] for line in lines)
        self.wrong["known"] += len(case.wrong)
        self.wrong["exposed_by_given"] += sum(line["exposes"] for line in lines if line["origin"] == "given")
        self.wrong["exposed"] += sum(line["exposes"] for line in lines)


def _submissions(path: str | Path | None, columns: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The graded submissions of each problem."""
    from r1rewards.code.languages import ALIASES

    found: dict[str, list[dict[str, Any]]] = {}
    for where, row in numbered_rows(path, columns=columns) if path is not None else ():
        problem = row.get("id", row.get("problem_id"))
        program = row.get("program", row.get("text"))
        if problem is None or not isinstance(program, str):
            raise UserError(f"{where}: a submission has the problem's `id` and its `program`; see --map")
        if "correct" not in row:
            raise UserError(f"{where}: nothing says whether this submission is right; see --map correct=...")
        if row["correct"] is not None and str(row.get("lang") or "python").lower() in ALIASES:
            right = row["correct"] in (1, "1", "true", "True")
            found.setdefault(str(problem), []).append({**row, "program": program, "right": right})
    return found


def _case(row: Mapping[str, Any], submissions: Sequence[Mapping[str, Any]]) -> Case:
    meta, lang = row.get("meta") or {}, row["reference"].get("lang", "python")
    own = [meta["solution"]] if meta.get("solution") else []
    right = [(program, lang) for program in [*own, *meta.get("solutions", ())]]
    wrong = [(program, lang) for program in meta.get("wrong_solutions", ())]
    for one in submissions:
        (right if one["right"] else wrong).append((one["program"], one.get("lang") or lang))
    return Case(
        row["id"], row["reference"], right=list(dict.fromkeys(right)), wrong=list(dict.fromkeys(wrong))
    )


def _write(
    cases: Sequence[Case], asked: Mapping[str, str], writer: Writer, prompt: PromptFile, generators: int
) -> None:
    """Give each case its generators, as far as the model wrote any."""
    materials = []
    for case in cases:
        inputs = sorted((test["input"] for test in case.given), key=len)[:_SHOWN]
        shown = "\n\n".join(text[:_SHOWN_CHARS] for text in inputs)
        materials.append({"question": asked[case.id], "inputs": shown})
    for number in range(generators):
        programs = writer.write(prompt, materials, _program, seed=1000 * number)
        for case, program in zip(cases, programs, strict=True):
            if program is not None and program not in case.generators:
                case.generators.append(program)


def _program(reply: str) -> str | None:
    from r1rewards.code import extract

    return extract(spoken(reply)).source or None


def _runs(
    table: Table, cases: Sequence[Case], settings: Settings
) -> Iterator[tuple[Case, list[dict[str, Any]]]]:
    """Each case with the lines of its candidates, in order."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(cases), _SHARD):
            texts = [dump_json(asdict(case)).decode() for case in cases[start : start + _SHARD]]
            yield pa.record_batch({"case": pa.array(texts, pa.string())})

    shards = measured(table, RUNS, batches(), partial(examine_batch, settings), asdict(settings))
    lines = (line for shard in shards for line in shard.to_pylist())
    by_id = {case.id: case for case in cases}
    for name, some in groupby(lines, lambda line: line["id"]):
        yield by_id[name], list(some)


def _choose(lines: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """The candidates of a problem with their fates: those beyond `count` go, unless given or of use."""
    chosen = [dict(line) for line in lines]
    good = [line for line in chosen if not line["rule"]]
    spare = [line for line in good if line["origin"] != "given" and not line["exposes"]]
    for line in spare[max(0, count - (len(good) - len(spare))) :]:
        line["rule"] = "over_count"
    return chosen


def _shown(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": line["id"],
        "origin": line["origin"],
        "fate": DROPPED if line["rule"] else KEPT,
        "rule": line["rule"],
        "exposes": line["exposes"],
        "span": line["note"],
        "input": line["input"][:_SHOWN_CHARS],
        "output": (line["output"] or "")[:_SHOWN_CHARS],
    }


def _fates(
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    cases: Mapping[str, Case],
    tests: Mapping[str, Sequence[Mapping[str, str]]],
    agree: int,
) -> pl.DataFrame:
    import polars as pl

    lines: list[dict[str, Any]] = []
    references: list[str | None] = []
    for row in rows:
        case, reference, made = cases.get(row["id"]), row["reference"], tests.get(row["id"])
        line: dict[str, Any] = {"fate": KEPT}
        if made:
            reference = {**reference, "tests": made}
            line |= {"value": len(made)}
        elif made is not None:
            line = {"fate": DROPPED, "rule": "no_tests", "value": 0, "threshold": 1}
        elif case is not None:
            line = {"fate": KEPT, "value": len(case.right), "threshold": agree, "span": _FEW}
            if not case.given:
                line = {**line, "fate": DROPPED, "rule": "few_solutions", "span": None}
        lines.append(line)
        text = reference is None or isinstance(reference, str)
        references.append(reference if text else dump_json(reference).decode())
    frame = fates(table, **{name: [line.get(name) for line in lines] for name in FATE})
    return frame.with_columns(reference=pl.Series(references, dtype=pl.String))
