"""A judge as a reward of a spec.

rewards:
  answer:
    use: judge
    options: {judge: correctness, url: "http://localhost:8000/v1", record: judge.calls.jsonl}
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.verdict import Verdict
from r1rewards.judge import Asking, get_kind, judged
from r1rewards.judge.criteria import read_rubric
from r1rewards.llm import LanguageModel, Sampling
from r1rewards.llm.model_source import ModelSource
from r1rewards.llm.prompt_file import PromptFile
from r1rewards.llm.recorded import Recorded


class JudgeReward(Reward):
    """What a judge says of a response, from 0 to 1.

    judge        correctness, helpfulness, harmlessness or rubric
    record       a .jsonl file in which every call is written down; what stands there is not asked again.
                 Where several processes train side by side (RANK in the environment) each has its own
    url          an endpoint, or several of the same model; without it `model` is a folder
    model        the folder; with `url` the model's name there
    prompt_file  a prompt of your own
    rubric       of judge `rubric`: criteria for rows that bring none, see `r1rewards.judge.criteria`
    structured   hold replies to their JSON schema where the model can be
    The others are those of `r1rewards.judge.Asking`, its sampling, and `r1rewards.llm.model_source`.
    """

    copies = False

    def __init__(
        self,
        judge: str,
        record: str,
        *,
        url: str | Sequence[str] = (),
        model: str | None = None,
        prompt_file: str | None = None,
        rubric: Any = None,
        structured: bool = True,
        retries: int = 2,
        temperature: float = 0.6,
        top_p: float = 0.95,
        max_tokens: int = 2048,
        seed: int = 0,
        concurrency: int = 64,
        timeout_s: float = 1800.0,
        key_from: str = "OPENAI_API_KEY",
        max_length: int = 8192,
    ) -> None:
        kind = get_kind(judge)
        if retries < 0 or max_tokens < 1:
            raise UserError("retries of a judge are at least 0 and max_tokens at least 1")
        self.judge, self.scope = judge, kind.scope
        self.tasks = kind.tasks
        urls = (url,) if isinstance(url, str) else tuple(url)
        self._source = ModelSource(model, urls, concurrency, timeout_s, key_from, max_length)
        self._asking = Asking(
            prompt_file, Sampling(temperature, top_p, max_tokens, seed), retries, structured
        )
        try:
            self._rubric = [] if rubric is None else read_rubric(rubric)
        except GraderError as error:
            raise UserError(str(error)) from None
        self._record = _ranked(Path(record))
        self._opened = ExitStack()
        if prompt_file is not None:
            PromptFile(prompt_file)  # a mistake in the spec is told when it is read

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        return list(
            judged(
                self.judge,
                samples,
                self._model,
                scope=self.scope,
                rubric=self._rubric,
                asking=self._asking,
            )
        )

    @cached_property
    def _model(self) -> LanguageModel:
        """The model over its record, opened when the first row needs it."""
        log = self._record.with_suffix(".engine.log")
        name, model = self._opened.enter_context(self._source.open(log=log))
        return self._opened.enter_context(Recorded(model, self._record, name))

    def close(self) -> None:
        self._opened.close()
        self.__dict__.pop("_model", None)


def _ranked(record: Path) -> Path:
    rank = os.environ.get("RANK", "")
    several = rank.isdecimal() and os.environ.get("WORLD_SIZE", "1") != "1"
    return record.with_name(f"{record.stem}.rank-{rank}{record.suffix}") if several else record
