"""A reward spec for OpenRLHF: a Python file with a reward function, or the server of `r1rewards serve`.

    import r1rewards
    reward_func = r1rewards.openrlhf("rewards.yaml", task="math")

    --reward.remote_url reward.py                           that file
    --reward.remote_url http://host:8000/get_reward         or the server

OpenRLHF calls it with one rollout at a time: the whole text, special tokens included, the prompt, and the
label of the data set. Its trainer knows no rollout without a reward: where a row has no total, the spec's
`on_error: {neutral: ...}` says what it gets; without that the reward fails, which OpenRLHF logs, and later
stops over (checked with OpenRLHF 0.11.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.formats import load_json
from r1rewards.core.reward import Sample
from r1rewards.score import Score
from r1rewards.spec import Spec, load_spec

#: Tokens that end or pad a turn; OpenRLHF leaves them in the text.
_SPECIAL = re.compile(r"(?:<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>|</s>|<eos>|<pad>|<end_of_turn>|\s)+\Z")
#: Longer runs of them are left alone.
_TAIL = 4096


def openrlhf(
    spec: Spec | str | Path | Mapping[str, Any],
    *,
    task: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Callable[[Sequence[str], Sequence[str], Sequence[Any]], dict[str, Any]]:
    """The spec as OpenRLHF's `reward_func(queries, prompts, labels)`.

    task  of every row, for labels that are the reference itself; a label that is an object (or its JSON text)
          with a `task` is taken as further columns of its row: {"task", "reference", "language", ...}
    """
    loaded = spec if isinstance(spec, Spec) else load_spec(spec, variables=variables)

    def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
        rows = flat_rows(queries, prompts, labels, task=task)
        samples = [loaded.sample(row, f"query {i}") for i, row in enumerate(rows, 1)]
        return rewards(loaded, samples, loaded.grade(samples))

    return reward_func


def flat_rows(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], *, task: str | None = None
) -> list[dict[str, Any]]:
    """OpenRLHF's lists as flat rows: the response is what the query says after its prompt."""
    if not len(queries) == len(prompts) == len(labels):
        raise UserError(
            f"{len(queries)} queries, {len(prompts)} prompts and {len(labels)} labels do not match"
        )
    rows = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        if not query.startswith(prompt):
            raise UserError(f"the query {query[:80]!r} does not begin with its prompt {prompt[:80]!r}")
        row = {"prompt": prompt, "response": _spoken(query[len(prompt) :]), **_columns(label)}
        rows.append(row if row.get("task") else {**row, "task": task})
    return rows


def rewards(spec: Spec, samples: Sequence[Sample], scores: Sequence[Score]) -> dict[str, Any]:
    """OpenRLHF's answer.

    rewards     the totals, which advantages come from
    scores      whether each answer is right, which dynamic filtering reads; the total where no rule says so
    extra_logs  the components that have a value for every row
    """
    totals = [spec.number(score) for score in scores]
    right = [score.accuracy(sample.task) for sample, score in zip(samples, scores, strict=True)]
    names = [component.name for component in spec.components]
    values = {name: [score.rewards[name] for score in scores] for name in names}
    return {
        "rewards": totals,
        "scores": [total if value is None else value for total, value in zip(totals, right, strict=True)],
        "extra_logs": {name: each for name, each in values.items() if None not in each},
    }


def _spoken(text: str) -> str:
    """The response without the special tokens behind it."""
    head, tail = text[:-_TAIL], text[-_TAIL:]
    return head + _SPECIAL.sub("", tail)


def _columns(label: Any) -> dict[str, Any]:
    if isinstance(label, str) and label.lstrip().startswith("{"):
        try:
            parsed = load_json(label)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict) and "task" in parsed:
            return parsed
    if isinstance(label, Mapping) and "task" in label:
        return dict(label)
    return {"reference": label}
