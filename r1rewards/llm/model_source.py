"""The model that a user names: a folder, which an engine on this machine serves, or endpoints by their URLs.

    source = ModelSource(urls=("http://gpu1:8000/v1", "http://gpu2:8000/v1"))
    with source.open(log=Path("engine.log")) as (name, model):
        for index, completion in model().generate(requests): ...

Sampling, refining, judging and evaluation all open their model here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from r1rewards.core.errors import UserError
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.llm import LanguageModel


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Which model it is and who serves it.

    model        a Hugging Face folder; with `urls` the model's name there, without one what the first serves
    urls         OpenAI-compatible endpoints of that one model, which share the work
    concurrency  with urls: most requests in flight, over all of them
    timeout_s    with urls: longest wait for one completion
    key_from     with urls: the environment variable that holds the API key
    max_length   of a folder: longest prompt and completion together, in tokens
    """

    model: str | None = None
    urls: tuple[str, ...] = ()
    concurrency: int = 64
    timeout_s: float = 1800.0
    key_from: str = "OPENAI_API_KEY"
    max_length: int = 8192

    def __post_init__(self) -> None:
        if self.model is None and not self.urls:
            raise UserError("name a model: --model FOLDER, or --url with the address of an endpoint")

    @contextmanager
    def open(
        self, *, log: Path, template: Template = TEMPLATES["think-answer"]
    ) -> Iterator[tuple[str, Callable[[], LanguageModel]]]:
        """The model's name, and the model; an engine on this machine starts when it is first asked.

        log       where the engine's own output goes
        template  how an endpoint's separate thinking is joined with its answer
        """
        if self.urls:
            from r1rewards.llm.endpoint import Endpoint

            with Endpoint(
                self.urls,
                self.model,
                template=template,
                concurrency=self.concurrency,
                timeout_s=self.timeout_s,
                key=os.environ.get(self.key_from),
            ) as endpoint:
                yield endpoint.model, lambda: endpoint
            return
        from r1rewards.llm.engine import Engine

        engine = Engine(Path(str(self.model)), log=log, max_length=self.max_length)
        try:
            yield str(self.model), lambda: engine
        finally:
            engine.close()
