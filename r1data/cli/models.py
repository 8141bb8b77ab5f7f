"""The options by which a command is given a language model, and what is shown while it answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1rewards.core.console import bar
from r1rewards.core.errors import UserError

if TYPE_CHECKING:
    from r1rewards.core.template import Template
    from r1rewards.llm import LanguageModel
    from r1rewards.llm.recorded import Landed

ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A Hugging Face model folder, or with --url the model's name there."),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="An OpenAI-compatible endpoint (http://localhost:8000/v1); several share the work.",
    ),
]
Concurrency = Annotated[int, typer.Option(help="With --url: most requests in flight, over all of them.")]
Timeout = Annotated[float, typer.Option(help="With --url: seconds to wait for one response.")]
KeyFrom = Annotated[
    str, typer.Option(metavar="VARIABLE", help="With --url: the environment variable with the API key.")
]
MaxLength = Annotated[
    int, typer.Option(help="With a model folder: longest prompt and reply together, in tokens.")
]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the options said."""

    model: str | None
    urls: list[str] | None
    concurrency: int
    timeout: float
    key_from: str

    @contextmanager
    def open(
        self, template: Template, log: Path, max_length: int
    ) -> Iterator[tuple[str, Callable[[], LanguageModel]]]:
        """The model's name, and the model; an engine on this machine starts when it is first asked.

        log         where the engine's own output goes
        max_length  of the engine: longest prompt and response together, in tokens
        """
        if self.urls:
            from r1rewards.llm.endpoint import Endpoint

            with Endpoint(
                self.urls,
                self.model,
                template=template,
                concurrency=self.concurrency,
                timeout_s=self.timeout,
                key=os.environ.get(self.key_from),
            ) as endpoint:
                yield endpoint.model, lambda: endpoint
            return
        if self.model is None:
            raise UserError("name a model: --model FOLDER, or --url with the address of an endpoint")
        from r1rewards.llm.engine import Engine

        with Engine(Path(self.model), log=log, max_length=max_length) as engine:
            yield self.model, lambda: engine


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Landed]:
    """A bar with tokens per second, told of each answer as it lands."""
    began, tokens = time.monotonic(), 0
    with bar(what, quiet=quiet) as shown:

        def landed(done: int, total: int, more: int) -> None:
            nonlocal tokens
            tokens += more
            shown(done, total, f"{tokens / max(time.monotonic() - began, 0.1):,.0f} tokens/s")

        yield landed
