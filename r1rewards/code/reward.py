"""The code reward's front door: one program, many programs, or samples of a reward spec."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from r1rewards.code.extract import FAULTS, extract
from r1rewards.code.grade import grade
from r1rewards.code.languages import Language, language_of
from r1rewards.code.limits import Limits
from r1rewards.code.server import POOL
from r1rewards.code.task import Task
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.verdict import Verdict, timed


def check(
    program_or_response: str,
    reference: Mapping[str, Any],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
    partial: bool = False,
) -> Verdict:
    """1 if the program passes every test of `reference`, else 0; with `partial`, the share that it passes.

    program_or_response  a program, or an answer that holds one in a fenced block (the last one counts)
    reference  {"tests": [{"input", "output"}]} or {"asserts": [...], "setup": "..."}; optional "lang",
               "limits" and "checker" (see the package's guide)
    limits     override those of the reference; see `Limits`
    isolation  "auto" the best safe tier of this machine, "A" or "B" that one, "unsafe" none to speak of

    An error verdict means that the tests, the sandbox or the machine failed, so that nothing is known of
    the program. Raises UserError for limits or an isolation that cannot be.
    """
    tier = _tier(isolation)
    try:
        lang = language_of(reference)
        source = _source(program_or_response, lang.name)
        return grade(_task(source, reference, lang, limits, tier, partial))
    except GraderError as error:
        return Verdict.error(str(error), "code/reference")


def check_many(
    items: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
    partial: bool = False,
    workers: int | None = None,
    deadline_s: float | None = None,
) -> list[Verdict]:
    """`check` for many (program, reference) pairs on all cores; the verdicts in the order of the items.

    deadline_s  wall seconds for the batch; a program that has not begun by then gets an error verdict
    """
    _tier(isolation)
    ends = time.monotonic() + deadline_s if deadline_s is not None else None

    def one(item: tuple[str, Mapping[str, Any]]) -> Verdict:
        if ends is not None and time.monotonic() > ends:
            return Verdict.error("not begun before the batch's deadline", "code/deadline")
        started = time.monotonic()
        verdict = check(item[0], item[1], limits=limits, isolation=isolation, partial=partial)
        return timed(verdict, time.monotonic() - started)

    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)), "code-reward") as pool:
        return list(pool.map(one, items))


class CodeReward(Reward):
    """1 for a program that passes all its tests, from the last fenced block of the answer.

    An answer without a program is 0, with the fault as the route. Options as in `check`.
    """

    tasks: ClassVar[frozenset[str] | None] = frozenset({"code"})
    scope = "answer"

    def __init__(
        self,
        *,
        limits: Mapping[str, Any] | None = None,
        isolation: str = "auto",
        partial: bool = False,
        workers: int | None = None,
    ) -> None:
        Limits.of(limits)
        self.limits, self.isolation, self.partial, self.workers = limits, isolation, partial, workers

    def check(self, sample: Sample) -> Verdict:
        return self.check_many([sample])[0]

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        programs: list[tuple[int, str]] = []
        for index, sample in enumerate(samples):
            found = self._extracted(sample)
            if isinstance(found, Verdict):
                verdicts[index] = found
            else:
                programs.append((index, found))
        items = [(source, samples[index].reference) for index, source in programs]
        graded = check_many(
            items,
            limits=self.limits,
            isolation=self.isolation,
            partial=self.partial,
            workers=self.workers,
        )
        verdicts.update(zip((index for index, _ in programs), graded, strict=True))
        return [verdicts[index] for index in range(len(samples))]

    def _extracted(self, sample: Sample) -> str | Verdict:
        try:
            lang = language_of(sample.reference)
        except GraderError as error:
            return Verdict.error(str(error), "code/reference")
        found = extract(sample.trace.answer, lang.name)
        if found.fault:
            return Verdict.of(0.0, FAULTS[found.fault], f"extract/{found.fault}")
        return found.source

    def close(self) -> None:
        POOL.close()


def _tier(isolation: str) -> str:
    tier = POOL.tier(isolation)
    if tier == "C":
        warnings.warn("programs run without isolation and can read and write your files", stacklevel=3)
    return tier


def _task(
    source: str,
    reference: Mapping[str, Any],
    language: Language,
    limits: Mapping[str, Any] | None,
    tier: str,
    partial: bool,
) -> Task:
    kinds = [kind for kind in ("tests", "asserts") if kind in reference]
    if len(kinds) != 1:
        raise GraderError("the reference of a code problem needs either 'tests' or 'asserts'")
    tests = reference[kinds[0]]
    if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
        raise GraderError(f"the reference has no {kinds[0]}: an empty test list is never a pass")
    for number, test in enumerate(tests, start=1):
        if kinds[0] == "tests":
            if not isinstance(test, Mapping) or test.get("input") is None or test.get("output") is None:
                raise GraderError(f"test {number} of the reference needs an input and an output")
        elif not isinstance(test, str) or not test.strip():
            raise GraderError(f"assert {number} of the reference must be a block of statements")
    own = reference.get("limits")
    try:
        merged = Limits.of(own, limits)
    except UserError as error:
        raise GraderError(str(error)) from error
    return Task(source, reference, language, merged, tier, partial)


def _source(text: str, lang: str) -> str:
    """A program as it is, or the block of a response that holds one."""
    if "```" not in text and "~~~" not in text:
        return text
    found = extract(text, lang)
    return found.source or text
