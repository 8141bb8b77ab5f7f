"""The reward spec: a YAML file that says which rewards a row gets and what they are worth.

    template: think-answer
    rewards:
      math:     {weight: 1.0, required: true, options: {policy: strict}}
      format:   {weight: 1.0}
      language: {weight: 1.0, scope: reasoning}
      helpful:  {use: reward-model, tasks: [general], options: {model: $helpfulness, empty: -5}}

The same spec serves the command line, curation and training:

    with load_spec("rewards.yaml", variables={"helpfulness": "runs/rm"}) as spec:
        for score in spec.score(rows): ...
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from r1rewards.component import Component
from r1rewards.core.errors import UserError
from r1rewards.core.reward import Reward, Sample, Scope
from r1rewards.core.rows import TASKS, check_prompt, check_reference
from r1rewards.core.settings import check_settings, read_yaml, suggest
from r1rewards.core.template import Template, get_template
from r1rewards.isolated import Isolated
from r1rewards.score import Score, score_batch

ENTRY_POINTS = "r1rewards.rewards"
#: Rows graded together: enough to keep every worker busy, few enough to hold in memory.
BATCH = 512

_VARIABLE = re.compile(r"\$([A-Za-z_][\w.-]*)")
_NAME = re.compile(r"[A-Za-z][\w-]*")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RewardSettings(_Settings):
    """One entry under `rewards`; see `Component` for what the keys mean, and `Isolated` for `deadline_s`."""

    use: str = ""
    weight: float = Field(default=1.0, allow_inf_nan=False)
    required: bool = False
    if_abstains: float | None = Field(default=None, allow_inf_nan=False)
    gate: bool = False
    scope: Scope | None = None
    tasks: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    from_step: int = Field(default=0, ge=0)
    until_step: int | None = Field(default=None, ge=1)
    deadline_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    options: dict[str, Any] = {}

    @field_validator("tasks")
    @classmethod
    def _known_tasks(cls, tasks: frozenset[str] | None) -> frozenset[str] | None:
        for task in sorted(tasks or ()):
            if task not in TASKS:
                raise ValueError(f"there is no task {task!r}{suggest(task, TASKS)}")
        return tasks

    @model_validator(mode="after")
    def _one_meaning_of_abstaining(self) -> RewardSettings:
        if self.required and self.if_abstains is not None:
            raise ValueError("a required reward leaves the row without a total: it takes no if_abstains")
        return self


class ErrorSettings(_Settings):
    """What happens when a grader fails on a row.

    retries  how often the row is graded again before the error stands
    then     "skip" leaves the row without a total; "stop" ends the run with the reason
    neutral  the reward of a row without a total where a trainer (verl, OpenRLHF) knows no such row; without
             it the row ends the run there
    """

    retries: int = Field(default=1, ge=0)
    then: Literal["skip", "stop"] = "skip"
    neutral: float | None = Field(default=None, allow_inf_nan=False)


class SpecSettings(_Settings):
    """The whole file. `prefilled`: the chat template already opens the thinking in the prompt."""

    template: str = "think-answer"
    prefilled: bool = False
    rewards: dict[str, RewardSettings] = Field(min_length=1)
    on_error: ErrorSettings = ErrorSettings()

    @field_validator("rewards", mode="before")
    @classmethod
    def _bare_names(cls, rewards: Any) -> Any:
        """`format:` with nothing behind it is the reward with all its defaults."""
        if not isinstance(rewards, Mapping):
            return rewards
        for name in rewards:
            if not _NAME.fullmatch(str(name)) or name == "total":
                raise ValueError(
                    f"{name!r} cannot name a reward: use letters, digits, - and _, and not 'total'"
                )
        return {name: {} if settings is None else settings for name, settings in rewards.items()}


class Spec:
    """A loaded spec: its components and the template that takes responses apart. Close it when done."""

    def __init__(
        self,
        components: Iterable[Component],
        template: Template,
        *,
        prefilled: bool = False,
        on_error: ErrorSettings | None = None,
    ) -> None:
        self.components = tuple(components)
        self.template = template
        self.prefilled = prefilled
        self.on_error = on_error or ErrorSettings()

    def sample(self, row: Mapping[str, Any], where: str) -> Sample:
        """A flat row as a sample. `where` begins the sentence of the `UserError` if it is none."""
        task, text = row.get("task"), row.get("response")
        if text is None:
            text = row.get("text")
        if task not in TASKS:
            problem = "no 'task' in this row" if task is None else f"task is {task!r}"
            raise UserError(f"{where}: {problem}; it must be one of {', '.join(TASKS)}")
        if isinstance(text, list):
            text = self.template.text_of(text)
        if not isinstance(text, str):
            have = ", ".join(sorted(row)) or "nothing"
            raise UserError(
                f"{where}: no 'response' text in this row (it has {have}); rename with --map response=NAME"
            )
        for name in ("domain", "language", "finish_reason"):
            if not isinstance(row.get(name) or "", str):
                raise UserError(f"{where}: {name!r} must be text, not {type(row[name]).__name__}")
        prompt = row.get("prompt") or []
        return Sample(
            id=str(row.get("uid") or row.get("id") or where),
            task=task,
            text=text,
            trace=self.template.parse(text, prefilled=self.prefilled, thinking=row.get("thinking") != "none"),
            domain=row.get("domain") or task,
            prompt=check_prompt(prompt, where) if prompt else [],
            reference=check_reference(task, row.get("reference"), where),
            language=row.get("language") or None,
            finish_reason=row.get("finish_reason"),
            meta=row.get("meta") or {},
        )

    def score(
        self, rows: Iterable[Mapping[str, Any]], *, step: int | None = None, where: str = "row"
    ) -> Iterator[Score]:
        """The score of each row, in order, graded as the iterator is drawn on, `BATCH` rows at a time.

        step   the training step, for rewards with `from_step` or `until_step`; None outside training
        where  what to call a row in the `UserError` about a malformed one: "row" gives "row 17"
        """
        samples = (self.sample(row, f"{where} {number}") for number, row in enumerate(rows, 1))
        while batch := list(islice(samples, BATCH)):
            yield from self.grade(batch, step=step)

    def grade(self, samples: Sequence[Sample], *, step: int | None = None) -> list[Score]:
        """The scores of samples that `sample` made, graded together; `step` as in `score`."""
        scores = score_batch(
            self.components, samples, step=step, retries=self.on_error.retries, threads=self._threads
        )
        if self.on_error.then == "stop":
            for sample, score in zip(samples, scores, strict=True):
                if score.status == "error":
                    raise UserError(f"{sample.id}: a grader failed and on_error says stop: {score.reason}")
        return scores

    def number(self, score: Score) -> float:
        """The total for a trainer that needs one of every row: `on_error.neutral` where there is none.

        Raises UserError where the spec gives no neutral reward, so that a failure is never taken for a 0.
        """
        if score.total is not None:
            return score.total
        if self.on_error.neutral is None:
            raise UserError(
                f"a row has no reward ({score.reason}) and this trainer cannot leave it out; "
                "on_error: {neutral: 0.0} in the spec says what such a row gets"
            )
        return self.on_error.neutral

    def score_many(self, rows: Iterable[Mapping[str, Any]], *, step: int | None = None) -> list[Score]:
        """The scores of all rows at once."""
        return list(self.score(rows, step=step))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=len(self.components), thread_name_prefix="reward")

    def close(self) -> None:
        """End the rewards' workers and give their models back."""
        for component in self.components:
            component.reward.close()
        if "_threads" in self.__dict__:
            self.__dict__.pop("_threads").shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_spec(source: str | Path | Mapping[str, Any], *, variables: Mapping[str, str] | None = None) -> Spec:
    """The spec of a YAML file, or of a mapping that says the same.

    variables  what `$name` stands for where it is the whole value of an option: things known only at run
               time, such as the folder of a reward model.

    Raises UserError for an unknown key, reward, task, option or variable, naming the nearest known one.
    """
    where = "the reward spec" if isinstance(source, Mapping) else str(source)
    data = source if isinstance(source, Mapping) else read_yaml(source)
    settings = check_settings(SpecSettings, data, where)
    try:
        template = get_template(settings.template)
    except UserError as error:
        raise UserError(f"{where}: template: {error}") from None
    components = [
        _component(name, entry, f"{where}: rewards.{name}", variables or {})
        for name, entry in settings.rewards.items()
    ]
    return Spec(components, template, prefilled=settings.prefilled, on_error=settings.on_error)


def make_reward(name: str, options: Mapping[str, Any], where: str) -> Reward:
    """The reward of that name with these options; `where` begins the `UserError` if they do not fit."""
    kind = reward_class(name, where)
    _check_options(kind, options, where)
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def reward_class(name: str, where: str) -> type[Reward]:
    """The reward of that name in the entry-point group `r1rewards.rewards`."""
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        raise UserError(f"{where}: no installed package has a reward {name!r}{suggest(name, found)}")
    return _load(found[name], where)


def _load(entry: EntryPoint, where: str) -> type[Reward]:
    try:
        loaded = entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{where}: the reward {entry.name!r} ({entry.value}) cannot be imported: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Reward)):
        raise UserError(f"{where}: {entry.value} is not a subclass of r1rewards.core.reward.Reward")
    return loaded


def _component(name: str, entry: RewardSettings, where: str, variables: Mapping[str, str]) -> Component:
    options = {key: _fill(value, variables, f"{where}.options.{key}") for key, value in entry.options.items()}
    reward = make_reward(entry.use or name, options, where)
    tasks = reward.tasks if entry.tasks is None else entry.tasks
    if entry.deadline_s is not None:
        reward = Isolated(type(reward), options, entry.scope, entry.deadline_s)
    if entry.scope is not None:
        reward.scope = entry.scope
    return Component(
        name=name,
        reward=reward,
        weight=entry.weight,
        required=entry.required,
        if_abstains=entry.if_abstains,
        gate=entry.gate,
        tasks=tasks,
        domains=entry.domains,
        from_step=entry.from_step,
        until_step=entry.until_step,
        options=options,
    )


def _check_options(kind: type[Reward], options: Mapping[str, Any], where: str) -> None:
    parameters = inspect.signature(kind).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option not in parameters:
            raise UserError(f"{where}: {kind.__name__} has no option {option!r}{suggest(option, parameters)}")
    for parameter in parameters.values():
        if parameter.default is parameter.empty and parameter.name not in options:
            raise UserError(f"{where}: {kind.__name__} needs the option {parameter.name!r}")


def _fill(value: Any, variables: Mapping[str, str], where: str) -> Any:
    """`value` with every `$name` that is a whole string replaced."""
    if isinstance(value, Mapping):
        return {key: _fill(inner, variables, where) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, variables, where) for inner in value]
    if isinstance(value, str) and (match := _VARIABLE.fullmatch(value)):
        if match[1] not in variables:
            raise UserError(f"{where}: nothing says what ${match[1]} is{suggest(match[1], variables)}")
        return variables[match[1]]
    return value
