"""The options by which a command is given a language model, and what is shown while it answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from r1rewards.core.console import bar

if TYPE_CHECKING:
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
