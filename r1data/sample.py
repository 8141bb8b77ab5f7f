"""Several responses to each problem, written down one by one as they land.

A kill costs at most what was in flight: what was written stays as it was, and the next try asks only for the
rest. A response's seed comes from its uid, so it does not depend on what else is in the batch or in which
order it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.rows import Problem, Response, response_uid
from r1rewards.core.store import RowLog
from r1rewards.core.template import Template
from r1rewards.llm import LanguageModel, Request, Sampling


def ask(problem: Problem | Mapping[str, Any], template: Template) -> list[Any]:
    """The conversation that a model is given for this problem."""
    thinking = problem.get("thinking") != "none"
    return list(template.ask(problem["prompt"], problem["language"] or "en", thinking=thinking))


def sample(
    problems: Sequence[Problem],
    model: Callable[[], LanguageModel],
    log: Path,
    *,
    name: str,
    template: Template,
    samples: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 512,
    seed: int = 0,
    landed: Callable[[int, int, int], None] = lambda done, total, tokens: None,
) -> list[Response]:
    """`samples` responses to each problem, in the order of the problems.

    model   called for the language model only when something is left to ask
    log     the file (.jsonl) that responses are appended to; those that it holds are not asked for again
    name    what the model is called in the rows, part of each response's uid
    landed  told (responses done, responses in all, tokens of this one) as each lands
    """
    settings = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed}
    wanted = [
        (response_uid(problem["id"], name, settings, number), problem, number)
        for problem in problems
        for number in range(samples)
    ]
    with RowLog(log) as rows:
        have = rows.keys("uid")
        missing = [one for one in wanted if one[0] not in have]
        requests = [
            Request(ask(problem, template), Sampling(temperature, top_p, max_tokens, int(uid[:15], 16) >> 29))
            for uid, problem, _ in missing
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
                "tokens": len(completion.token_ids),
                "model": name,
                "sampling": settings,
            }
            rows.append(response)
            done += 1
            landed(done, len(wanted), len(completion.token_ids))
        by_uid = {row["uid"]: row for row in rows.rows()}
    return [by_uid[uid] for uid, _, _ in wanted]  # type: ignore[misc]
