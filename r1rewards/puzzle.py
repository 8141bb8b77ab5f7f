"""Is the answer to a generated puzzle right? Graded by reasoning-gym's own scorers.

A puzzle's reference is {"dataset", "config", "seed", "index"}. The item is built again from it in a worker
process that can be killed, and is checked before it grades anything: built twice it must be the same, and
its own answer must score full marks. R1's accuracy reward is 0 or 1 (arXiv 2501.12948, section 2.2), so
part marks count as 0 unless asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.rows import question_of
from r1rewards.core.template import Template, get_template
from r1rewards.core.verdict import Verdict
from r1rewards.core.workers import Workers

_SCORE = "r1rewards.puzzle_worker:score"
#: Seconds for one answer, the first building of its item included: some generators take ten.
DEADLINE_S = 30.0
#: Longer answers than any puzzle has are not scored.
ANSWER_CHARS = 20_000
_STATED = re.compile(r"\banswer\b[ *]{0,4}(?:\bis\b[ *]{0,4}:?|[:：])[ *]{0,4}", re.IGNORECASE)

_workers: Workers | None = None


def _shared() -> Workers:
    global _workers
    if _workers is None:
        _workers = Workers(_SCORE, deadline_s=DEADLINE_S)
    return _workers


def check(
    response: str,
    reference: Mapping[str, Any],
    *,
    template: str | Template | None = None,
    question: str | None = None,
    exact: bool = True,
    workers: Workers | None = None,
) -> Verdict:
    """What reasoning-gym's scorer gives the answer of a response, 0 to 1.

    template  how thinking and answer are laid out; None reads what follows the last `</think>`, or all.
    question  what was asked, where known: the rebuilt item must ask the same.
    exact     True makes full marks 1 and anything less 0; False keeps part marks.
    workers   processes that run `r1rewards.puzzle_worker:score`; one shared process by default.

    Raises GraderError where the item cannot be rebuilt, does not pass its own scorer, asks something else,
    or the scorer does not come back in time.
    """
    trace = None if template is None else get_template(template).parse(response)
    answer = response.rpartition("</think>")[2] if trace is None else trace.answer
    result = (workers or _shared()).call(dict(reference), candidates(answer), question)
    return _verdict(result, exact)


def candidates(answer: str) -> list[str]:
    """What of an answer may be the puzzle's: the last box, what follows "Answer:", or all of it, cleaned."""
    answer = answer.strip()
    if len(answer) > ANSWER_CHARS:
        return []
    found = [answer]
    stated = list(_STATED.finditer(answer))
    if stated:
        found.append(answer[stated[-1].end() :])
    box = answer.rfind("\\boxed{")
    if box >= 0 and "}" in answer[box:]:
        found.append(answer[box + len("\\boxed{") : answer.rindex("}")])
    cleaned = [text.strip().removesuffix(".").strip("*`$ ").removesuffix(".") for text in found]
    return list(dict.fromkeys(text for text in [*cleaned[::-1], answer] if text))


def _verdict(result: Mapping[str, Any], exact: bool) -> Verdict:
    score = float(result["score"])
    details = {"score": score, "answer": result["answer"], "gold": result["gold"]}
    if result.get("refused"):
        return Verdict.of(0.0, result["refused"], "refused", **details)
    value = float(score >= 1.0) if exact else min(max(score, 0.0), 1.0)
    return Verdict.of(
        value, f"the scorer of {result['dataset']} gives {score:g}", result["dataset"], **details
    )


class PuzzleReward(Reward):
    """`check` for puzzles, on worker processes of its own.

    workers        how many processes score side by side.
    deadline_s     seconds for one answer, the first rebuilding of its item included.
    same_question  the prompt must hold the question of the rebuilt item; turn off for rephrased prompts.
    """

    tasks = frozenset({"puzzle"})
    scope = "answer"

    def __init__(
        self,
        exact: bool = True,
        workers: int = 1,
        deadline_s: float = DEADLINE_S,
        memory_mb: int = 2048,
        same_question: bool = True,
    ) -> None:
        self._exact, self._same_question = exact, same_question
        self._workers = Workers(_SCORE, size=workers, deadline_s=deadline_s, memory_mb=memory_mb)

    def check(self, sample: Sample) -> Verdict:
        return self.check_many([sample])[0]

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        results = self._workers.map([self._call(sample) for sample in samples])
        return [
            Verdict.error(str(result), "grader")
            if isinstance(result, GraderError)
            else _verdict(result, self._exact)
            for result in results
        ]

    def _call(self, sample: Sample) -> tuple[Any, ...]:
        question = question_of(list(sample.prompt)) if self._same_question and sample.prompt else None
        return sample.reference, candidates(sample.scoped(self.scope)), question

    def close(self) -> None:
        self._workers.close()
