"""Several responses to each problem, written down one by one as they land.

A kill costs at most what was in flight: what was written stays as it was, and the next try asks only for the
rest. A response's seed comes from its problem, its number and the settings: it does not depend on what else
is in the batch, on the order, or on the model, so that models that are compared draw the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Problem, Response, response_uid
from r1rewards.core.store import RowLog, read_rows
from r1rewards.core.template import Template
from r1rewards.llm import LanguageModel, Request, Sampling
from r1rewards.llm.recorded import Landed


def ask(problem: Problem | Mapping[str, Any], template: Template) -> list[Any]:
    """The conversation that a model is given for this problem."""
    thinking = problem.get("thinking") != "none"
    return list(template.ask(problem["prompt"], problem["language"] or "en", thinking=thinking))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask: `samples` responses to each problem in this layout; part of each response's uid.

    name    what the model is called in the rows
    """

    name: str
    template: Template
    samples: int
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        names = ("temperature", "top_p", "max_tokens", "seed")
        return {name: getattr(self, name) for name in names}

    def uids(self, problems: Iterable[Problem]) -> Iterator[tuple[str, Problem, int]]:
        """Every response wanted: its uid, its problem, its number."""
        seen: set[str] = set()
        for problem in problems:
            if problem["id"] in seen:
                raise UserError(
                    f"the problem {problem['id']!r} stands there twice; leave one out (r1data dedup)"
                )
            seen.add(problem["id"])
            for number in range(self.samples):
                yield response_uid(problem["id"], self.name, self.settings, number), problem, number

    def seed_of(self, problem: Problem, number: int) -> int:
        """The seed of a response, 31 bits, the same for every model.

        Common random numbers: what two models that differ little do differently is then not chance, and the
        interval of a paired comparison is narrower, while each model's own figures are what they were.
        """
        return int(response_uid(problem["id"], "", self.settings, number)[:15], 16) >> 29


def collect(
    problems: Iterable[Problem],
    model: Callable[[], LanguageModel],
    log: Path,
    plan: Plan,
    landed: Landed = lambda done, total, tokens: None,
) -> int:
    """Append to `log` the responses that it lacks, and return how many were asked for.

    model   called for the language model only when something is left to ask
    log     the file (.jsonl) that responses are appended to; those that it holds are not asked for again
    landed  told (responses done, responses in all, tokens of this one) as each lands
    """
    wanted = list(plan.uids(problems))
    with RowLog(log) as rows:
        have = rows.keys("uid")
        missing = [one for one in wanted if one[0] not in have]
        prompts = {problem["id"]: ask(problem, plan.template) for _, problem, _ in missing}
        requests = [
            Request(
                prompts[problem["id"]],
                Sampling(plan.temperature, plan.top_p, plan.max_tokens, plan.seed_of(problem, number)),
            )
            for _, problem, number in missing
        ]
        done = len(wanted) - len(missing)
        for index, completion in model().generate(requests) if missing else ():
            uid, problem, number = missing[index]
            response: Response = {
                "uid": uid,
                "problem_id": problem["id"],
                "sample": number,
                "text": completion.text,
                "finish_reason": completion.finish_reason,
                "tokens": completion.tokens,
                "model": plan.name,
                "sampling": plan.settings,
            }
            rows.append(response)
            done += 1
            landed(done, len(wanted), completion.tokens)
    return len(wanted)


def sample(
    problems: Sequence[Problem],
    model: Callable[[], LanguageModel],
    log: Path,
    *,
    landed: Landed = lambda done, total, tokens: None,
    **plan: Any,
) -> list[Response]:
    """`collect` by the `Plan` of the keywords, and the responses in the order of the problems."""
    made = Plan(**plan)
    collect(problems, model, log, made, landed)
    by_uid = {row["uid"]: row for row in read_rows(log)}
    return [by_uid[uid] for uid, _, _ in made.uids(problems)]  # type: ignore[misc]
