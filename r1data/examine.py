"""Candidates for the tests of code problems, run: what comes out of each, and which solutions it exposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from r1data.mutations import mutations
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.formats import load_json
from r1rewards.core.processes import cores

if TYPE_CHECKING:
    import pyarrow as pa

#: A program and its language.
Program = tuple[str, str]
#: A right solution is one more run of every candidate; so many of them are asked.
MOST_RIGHT = 5
#: The longest input, in characters, that is taken as a test.
LONGEST = 200_000
_GENERATOR_LIMITS = {"time_s": 5.0, "output_mb": 4}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is made of each problem, and how it is run.

    each       inputs of each generator
    mutations  inputs made by changing others
    seed       of the mutations
    isolation  as in `r1rewards.code.check`
    """

    each: int = 10
    mutations: int = 10
    seed: int = 0
    isolation: str = "auto"


@dataclass(slots=True)
class Case:
    """One problem: its reference, solutions that are right and wrong, and generators of inputs."""

    id: str
    reference: Mapping[str, Any]
    right: list[Program]
    wrong: list[Program]
    generators: list[str] = field(default_factory=list)

    @property
    def given(self) -> Sequence[Mapping[str, str]]:
        """The tests that it has already."""
        return self.reference.get("tests") or ()


@dataclass(slots=True)
class _Candidate:
    origin: str
    input: str
    output: str | None = None
    rule: str | None = None
    note: str | None = None
    exposes: int = 0

    def drop(self, rule: str, note: str | None = None) -> None:
        self.rule, self.note = rule, note


def examine_batch(settings: Settings, batch: pa.RecordBatch) -> pa.Table:
    """The candidates of the problems in the column `case` (JSON), one line each, problem by problem.

    rule     why it is no good; null where it is
    exposes  of how many wrong solutions it was the first test that failed them
    """
    import pyarrow as pa

    cases = [Case(**load_json(text)) for text in batch.column("case").to_pylist()]
    with ThreadPoolExecutor(cores(), "examine") as pool:
        found = list(pool.map(partial(_examined, settings), cases))
    columns = {name: pa.string() for name in ("origin", "input", "output", "rule", "note")}
    listed = [one for candidates in found for one in candidates]
    names = [case.id for case, some in zip(cases, found, strict=True) for _ in some]
    return pa.table(
        {
            "id": pa.array(names, pa.string()),
            **{name: pa.array([getattr(c, name) for c in listed], t) for name, t in columns.items()},
            "exposes": pa.array([candidate.exposes for candidate in listed], pa.int64()),
        }
    )


def _examined(settings: Settings, case: Case) -> list[_Candidate]:
    candidates = list(_candidates(case, settings))
    seen: set[str] = set()
    for one in candidates:
        if one.rule is None and one.input in seen:
            one.drop("repeated")
        elif one.rule is None and len(one.input) > LONGEST:
            one.drop("too_long", f"{len(one.input):,} characters")
        seen.add(one.input)
    try:
        _answer(case, candidates, settings)
        for right in case.right[:MOST_RIGHT]:
            _agree(case, right, candidates, settings)
    except GraderError as error:
        for one in _good(candidates):
            one.drop("ungraded", str(error))
    for wrong in case.wrong:
        _expose(case, wrong, _good(candidates), settings)
    return candidates


def _good(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return [candidate for candidate in candidates if candidate.rule is None]


def _candidates(case: Case, settings: Settings) -> Iterator[_Candidate]:
    from r1rewards import code

    inputs = [str(test["input"]) for test in case.given]
    for test in case.given:
        yield _Candidate("given", str(test["input"]), str(test["output"]))
    for number, generator in enumerate(case.generators, 1):
        seeds = list(map(str, range(settings.each)))
        origin = f"generator {number}, seed"
        try:
            made = code.outputs(generator, seeds, {}, limits=_GENERATOR_LIMITS, isolation=settings.isolation)
        except GraderError as error:
            failed = _Candidate(f"{origin}s", "")
            failed.drop("ungraded", str(error))
            yield failed
            continue
        for seed, (status, text) in zip(seeds, made, strict=True):
            candidate = _Candidate(f"{origin} {seed}", text)
            if status != "ok" or not text.strip():
                candidate.drop("generator_failed", status if status != "ok" else "it prints nothing")
            elif not case.given:
                inputs.append(text)
            yield candidate
    for text in mutations(inputs, settings.mutations, f"{settings.seed}/{case.id}"):
        yield _Candidate("mutation", text)


def _answer(case: Case, candidates: Sequence[_Candidate], settings: Settings) -> None:
    """What comes out for the inputs that bring no output, by the first right solution."""
    from r1rewards import code

    program, lang = case.right[0]
    new = [candidate for candidate in _good(candidates) if candidate.output is None]
    reference = _reference(case, lang, new)
    printed = code.outputs(program, [one.input for one in new], reference, isolation=settings.isolation)
    for one, (status, text) in zip(new, printed, strict=True):
        if status != "ok" or not text.strip():
            one.drop("right_failed", status if status != "ok" else "it prints nothing")
        one.output = text


def _agree(case: Case, right: Program, candidates: Sequence[_Candidate], settings: Settings) -> None:
    """Leave out the candidates that a right solution fails."""
    from r1rewards import code

    tested = _good(candidates)
    if not tested:
        return
    verdict = code.check(
        right[0], _reference(case, right[1], tested), isolation=settings.isolation, partial=True
    )
    if verdict.status == "error":
        raise GraderError(verdict.reason)
    for one, status in zip(tested, verdict.details["tests"], strict=True):
        if status != "ok":
            one.drop("disputed" if status == "wrong" else "right_failed", status)


def _expose(case: Case, wrong: Program, tested: Sequence[_Candidate], settings: Settings) -> None:
    """Count the first test that fails a wrong solution: given ones first, then those that exposed others."""
    from r1rewards import code

    order = sorted(tested, key=lambda one: (one.origin != "given", -one.exposes))
    if not order:
        return
    verdict = code.check(wrong[0], _reference(case, wrong[1], order), isolation=settings.isolation)
    if verdict.status == "error" or verdict.value == 1:
        return  # where the grader failed, nothing is known of the solution
    first = next(at for at, status in enumerate(verdict.details["tests"]) if status != "ok")
    order[first].exposes += 1


def _reference(case: Case, lang: str, tested: Sequence[_Candidate]) -> dict[str, Any]:
    """The problem's reference with these tests, and with time for all of them."""
    from r1rewards.code.limits import Limits

    try:
        limits = Limits.of(case.reference.get("limits"))
    except UserError as error:
        raise GraderError(str(error)) from error
    enough = max(limits.program_s, limits.wall_s * len(tested))
    return {
        **case.reference,
        "lang": lang,
        "tests": [{"input": one.input, "output": one.output} for one in tested],
        "limits": {**limits.to_dict(), "program_s": enough},
    }
