"""Which of two answers is better: a judge asked several times, in both orders.

DeepSeek-R1 (arXiv 2501.12948) asks four times with a random order and takes the mean. Here the first order is
random and the others alternate, so that over an even number of calls a liking for the first place cancels out
exactly; what the two orders say apart from each other is kept, to measure it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from r1rewards.core.verdict import Verdict
from r1rewards.judge import parse
from r1rewards.judge.ask import Asking, Case, Judge
from r1rewards.llm import LanguageModel

CALLS = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and two answers.

    turned  whether the first call shows the second answer first; take it from a hash of what names the pair
    """

    question: str
    first: str
    second: str
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the calls about a pair said, positive where its first answer is better (2 much better ... -2).

    calls  (whether the second answer was shown first, the verdict for the pair as it is), in order
    """

    calls: tuple[tuple[bool, Verdict], ...]

    @property
    def score(self) -> float | None:
        """The mean over the calls; None where one failed."""
        values = [verdict.value for _, verdict in self.calls]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    @property
    def verdict(self) -> Verdict:
        """The calls as one verdict, with what each said among its details."""
        failed = next((verdict for _, verdict in self.calls if verdict.value is None), None)
        if failed is not None or self.score is None:
            return failed or Verdict.error("no call was made", "no_reply")
        said = [{"second_first": turned, "value": verdict.value} for turned, verdict in self.calls]
        side = "both are about equally good" if self.score == 0 else "the first is better"
        reason = "the second is better" if self.score < 0 else side
        return Verdict.of(self.score, f"{reason}, over {len(said)} calls", "judge", calls=said)


def compare(
    pairs: Sequence[Pair],
    model: LanguageModel,
    *,
    calls: int = CALLS,
    seed: int = 0,
    asking: Asking = Asking(),
) -> list[Comparison]:
    """Ask about every pair `calls` times.

    seed  of the calls; equal seeds ask the same
    """
    said: list[list[tuple[bool, Verdict]]] = [[] for _ in pairs]
    for call in range(calls):
        judge = Judge("preference", model, asking.shifted(seed * calls + call))
        turned = [pair.turned != bool(call % 2) for pair in pairs]
        cases = [_case(pair, turn) for pair, turn in zip(pairs, turned, strict=True)]
        for i, verdict in enumerate(judge.ask(cases)):
            said[i].append((turned[i], _turned(verdict) if turned[i] else verdict))
    return [Comparison(tuple(one)) for one in said]


def _case(pair: Pair, turned: bool) -> Case:
    first, second = (pair.second, pair.first) if turned else (pair.first, pair.second)
    material = {"question": pair.question, "answer_a": first, "answer_b": second}
    return Case(material, parse.PREFERENCE)


def _turned(verdict: Verdict) -> Verdict:
    if verdict.value is None:
        return verdict
    return Verdict.of(0.0 - verdict.value, verdict.reason, verdict.route, **verdict.details)
