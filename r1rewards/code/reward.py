"""The code reward's front door: one program, many programs, or samples of a reward spec."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial as partial_of
from typing import Any, TypeVar

from r1rewards.code import remote
from r1rewards.code.cutoff import Cutoff
from r1rewards.code.extract import FAULTS, extract
from r1rewards.code.grade import grade
from r1rewards.code.languages import Language, language_of
from r1rewards.code.limits import Limits
from r1rewards.code.pool import POOL
from r1rewards.code.task import Task, TestStatus
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.processes import cores
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.verdict import Verdict, timed

T = TypeVar("T")


def check(
    program_or_response: str,
    reference: Mapping[str, Any],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
    partial: bool = False,
    cutoff: Cutoff | None = None,
) -> Verdict:
    """1 if the program passes every test of `reference`, else 0; with `partial`, the share that it passes.

    program_or_response  a program, or an answer that holds one in a fenced block (the last one counts)
    reference  {"tests": [{"input", "output"}]} or {"asserts": [...], "setup": "..."}; optional "lang",
               "prelude", "limits" and "checker" (see the package's guide)
    limits     override those of the reference; see `Limits`
    isolation  "auto" the best safe tier of this machine, "A" or "B" that one, "unsafe" none to speak of; or
               the address of a SandboxFusion server, "http://host:8080", which then runs the program
    cutoff     the batch that this is part of; when that is over, the verdict is an error

    An error verdict means that the tests, the sandbox or the machine failed, so that nothing is known of
    the program. Raises UserError for limits or an isolation that cannot be.
    """
    try:
        tier = _tier(isolation)
        address = isolation if tier == remote.TIER else ""
        lang = language_of(reference)
        source = _source(program_or_response, lang.name)
        return grade(_task(source, reference, lang, limits, tier, partial, cutoff or Cutoff(), address))
    except GraderError as error:
        return Verdict.error(str(error), "code/reference")


def outputs(
    program_or_response: str,
    inputs: Sequence[str],
    reference: Mapping[str, Any],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
) -> list[tuple[TestStatus, str]]:
    """What a program prints for each input, and how that run ended; "" where it did not end well ("ok").

    reference  of the problem, for its "lang" and "limits"; its tests are not looked at
    limits, isolation  as in `check`

    Raises GraderError where the sandbox or the machine failed.
    """
    if not inputs:
        return []
    tier, lang = _tier(isolation), language_of(reference)
    printed: dict[int, str] = {}

    def differs(test: Mapping[str, Any], output: str) -> None:
        printed[test["number"]] = output

    tests = [{"number": number, "input": text, "output": ""} for number, text in enumerate(inputs)]
    asked = {**{name: reference[name] for name in ("lang", "limits") if name in reference}, "tests": tests}
    address = isolation if tier == remote.TIER else ""
    source = _source(program_or_response, lang.name)
    verdict = grade(_task(source, asked, lang, limits, tier, True, Cutoff(), address), differs)
    if verdict.status == "error":
        raise GraderError(verdict.reason)
    return [(status, printed.get(number, "")) for number, status in enumerate(verdict.details["tests"])]


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

    items       taken as they are needed, a few ahead of what runs
    workers     how many programs at one time; one for each core if None
    deadline_s  wall seconds for the batch; a program that has not ended by then gets an error verdict
    """
    return _check_many(
        items, Cutoff(deadline_s), workers, limits=limits, isolation=isolation, partial=partial
    )


async def acheck(
    program_or_response: str,
    reference: Mapping[str, Any],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
    partial: bool = False,
) -> Verdict:
    """`check` without holding up the event loop; ends the program when the task is cancelled."""
    cutoff = Cutoff()
    work = partial_of(
        check,
        program_or_response,
        reference,
        limits=limits,
        isolation=isolation,
        partial=partial,
        cutoff=cutoff,
    )
    return await _in_thread(work, cutoff)


async def acheck_many(
    items: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    limits: Mapping[str, Any] | None = None,
    isolation: str = "auto",
    partial: bool = False,
    workers: int | None = None,
    deadline_s: float | None = None,
) -> list[Verdict]:
    """`check_many` without holding up the event loop; ends its programs when the task is cancelled."""
    cutoff = Cutoff(deadline_s)
    work = partial_of(
        _check_many, items, cutoff, workers, limits=limits, isolation=isolation, partial=partial
    )
    return await _in_thread(work, cutoff)


async def _in_thread(work: Callable[[], T], cutoff: Cutoff) -> T:
    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        cutoff.call_off()
        raise


def _check_many(
    items: Iterable[tuple[str, Mapping[str, Any]]], cutoff: Cutoff, workers: int | None, **options: Any
) -> list[Verdict]:
    with contextlib.suppress(GraderError):  # which each program then gets as its verdict
        _tier(options["isolation"])
    workers = workers or cores()
    verdicts: dict[int, Verdict] = {}
    running: dict[Future[Verdict], int] = {}

    def one(program: str, reference: Mapping[str, Any]) -> Verdict:
        started = time.monotonic()
        verdict = check(program, reference, cutoff=cutoff, **options)
        return timed(verdict, time.monotonic() - started)

    def collect(return_when: str) -> None:
        for future in wait(running, return_when=return_when).done:
            verdicts[running.pop(future)] = future.result()

    with ThreadPoolExecutor(workers, "code-reward") as pool:
        try:
            for index, (program, reference) in enumerate(items):
                running[pool.submit(one, program, reference)] = index
                if len(running) >= 2 * workers:
                    collect(FIRST_COMPLETED)
            collect(ALL_COMPLETED)
        except BaseException:
            cutoff.call_off()  # nobody waits for the rest
            raise
    return [verdicts[index] for index in sorted(verdicts)]


class CodeReward(Reward):
    """1 for a program that passes all its tests, from the last fenced block of the answer.

    An answer without a program is 0, with the fault as the route. Options as in `check`.
    """

    tasks = frozenset({"code"})
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
    if remote.is_address(isolation):
        return remote.TIER
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
    cutoff: Cutoff,
    address: str,
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
    prelude = reference.get("prelude")
    program = f"{prelude}\n{source}" if prelude else source
    return Task(program, reference, language, merged, tier, partial, cutoff, address)


def _source(text: str, lang: str) -> str:
    """A program as it is, or the block of a response that holds one."""
    if "```" not in text and "~~~" not in text:
        return text
    found = extract(text, lang)
    return found.source or text
