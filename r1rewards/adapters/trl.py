"""A reward spec as a reward function of TRL's trainers.

    trainer = GRPOTrainer(reward_funcs=r1rewards.trl("rewards.yaml"), ...)

It is one function for the whole spec, because TRL sums what several functions return and skips their None: a
row whose grader failed would be graded by the rest. The function returns the total, None where there is none;
TRL leaves such a row out of the mean and the deviation of its group and gives it an advantage of 0 (checked
with TRL 1.16). The components appear among TRL's metrics and in its table of completions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from r1rewards.audit import Audit, is_hybrid
from r1rewards.score import Score
from r1rewards.spec import Spec, load_spec

#: Columns of a data set that a reward may use, beside the prompt and the completion that TRL passes.
COLUMNS = ("id", "uid", "task", "domain", "reference", "language", "thinking", "meta")


class RewardFunction(Protocol):
    """What TRL calls: prompts, completions and every further column of the data set, as lists."""

    __name__: str

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]: ...


def trl(
    spec: Spec | str | Path | Mapping[str, Any],
    *,
    columns: Mapping[str, str] | None = None,
    task: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> RewardFunction:
    """The spec as one function for `reward_funcs`.

    columns    where a data set has other names: {"reference": "answer"} reads the column `answer`
    task       the task of every row, for a data set without a column `task`
    variables  what `$name` in the spec stands for, as in `load_spec`
    """
    loaded = spec if isinstance(spec, Spec) else load_spec(spec, variables=variables)

    def total(prompts: Sequence[Any], completions: Sequence[Any], **given: Any) -> list[float | None]:
        rows = flat_rows(prompts, completions, given, columns=columns, task=task)
        state = given.get("trainer_state")
        scores = loaded.score_many(rows, step=None if state is None else state.global_step)
        report(scores, given.get("log_metric"), given.get("log_extra"))
        return [score.total for score in scores]

    return total


def flat_rows(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    given: Mapping[str, Any],
    *,
    columns: Mapping[str, str] | None = None,
    task: str | None = None,
) -> list[dict[str, Any]]:
    """TRL's lists as flat rows; `given` holds its other arguments, among them the columns of the data set."""
    names = {name: (columns or {}).get(name, name) for name in COLUMNS}
    rows = []
    for i, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        row = {name: given[column][i] for name, column in names.items() if column in given}
        row.update(prompt=prompt, response=completion)
        rows.append(row if row.get("task") or not task else {**row, "task": task})
    return rows


def report(
    scores: Sequence[Score],
    log_metric: Callable[[str, float], None] | None,
    log_extra: Callable[[str, list[Any]], None] | None,
) -> None:
    """Tell TRL of the components: means and failures as metrics, values per row for its completions table.

    Metrics, by component: `rewards/NAME/mean` over the rows that have a value, `rewards/NAME/abstained` and
    `rewards/NAME/errors` as shares of the rows that it applies to; of a hybrid reward also
    `rewards/NAME/judged`, the share that the judge decided, and `rewards/NAME/disagreed`, of those that both
    did; and `rewards/without_total`, the share of rows that no advantage comes from.
    """
    names = list(scores[0].rewards) if scores else []
    for name in names:
        verdicts = [score.verdicts[name] for score in scores if name in score.verdicts]
        values = [verdict.value for verdict in verdicts if verdict.value is not None]
        if log_metric and values:
            log_metric(f"rewards/{name}/mean", sum(values) / len(values))
        if log_metric and verdicts:
            for status, metric in (("abstain", "abstained"), ("error", "errors")):
                share = sum(verdict.status == status for verdict in verdicts) / len(verdicts)
                log_metric(f"rewards/{name}/{metric}", share)
            if any(map(is_hybrid, verdicts)):
                audit = Audit()
                for verdict in verdicts:
                    audit.add(verdict)
                log_metric(f"rewards/{name}/judged", audit.judged / len(verdicts))
                if audit.audited:
                    log_metric(f"rewards/{name}/disagreed", audit.disagreed / audit.audited)
        if log_extra:
            log_extra(name, [score.rewards[name] for score in scores])
    if log_metric and scores:
        log_metric("rewards/without_total", sum(score.total is None for score in scores) / len(scores))
    if log_extra:
        log_extra("why_no_total", [score.reason for score in scores])
