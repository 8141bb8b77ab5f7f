"""What a reward is: a class that turns samples into verdicts.

A reward of your own is a subclass of `Reward` named in the entry-point group `r1rewards.rewards`;
the built-in ones are found the same way. The whole of one:

    class Short(Reward):
        '''1 for an answer of at most `words` words.'''

        scope = "answer"

        def __init__(self, words: int = 50) -> None:
            self.words = words

        def check(self, sample: Sample) -> Verdict:
            n = len(sample.scoped(self.scope).split())
            return Verdict.of(n <= self.words, f"{n} words, at most {self.words} wanted")
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from r1rewards.core.errors import GraderError
from r1rewards.core.rows import Message
from r1rewards.core.template import Trace
from r1rewards.core.verdict import Verdict, timed

Scope = Literal["reasoning", "answer", "response"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One response beside its problem, taken apart once by the template of the reward spec."""

    id: str
    task: str
    text: str
    trace: Trace
    domain: str = ""
    prompt: Sequence[Message] = ()
    reference: Any = None
    language: str | None = None
    finish_reason: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def scoped(self, scope: Scope) -> str:
        """The part of the response that a reward with this scope may look at."""
        if scope == "reasoning":
            return self.trace.reasoning
        if scope == "answer":
            return self.trace.answer
        return self.text


class Reward:
    """Base of every reward. Options are the keyword arguments of `__init__`.

    tasks  the tasks that the reward applies to when the spec does not say; None means all.
    scope  the part of the response that it reads when the spec does not say.
    copies whether several processes may each have one; not where it holds a model, for example.

    Override `check`, or `check_many` where a batch is cheaper. A raised `GraderError` becomes an error
    verdict; the engine turns any other exception into one too, so that a bug never becomes a 0.
    """

    tasks: frozenset[str] | None = None
    scope: Scope = "response"
    copies: ClassVar[bool] = True

    def check(self, sample: Sample) -> Verdict:
        raise NotImplementedError(f"{type(self).__name__} defines neither check nor check_many")

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        return [self._guarded(sample) for sample in samples]

    def _guarded(self, sample: Sample) -> Verdict:
        started = time.perf_counter()
        try:
            verdict = self.check(sample)
        except GraderError as error:
            verdict = Verdict.error(str(error), "grader")
        except Exception as error:  # noqa: BLE001 - a bug in a reward must not become a reward
            verdict = Verdict.error(f"{type(error).__name__}: {error}", "bug")
        return timed(verdict, time.perf_counter() - started)

    def close(self) -> None:
        """Give back worker processes and models; called once when the spec is closed."""
