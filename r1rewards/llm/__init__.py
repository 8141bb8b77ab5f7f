"""The one way to ask a language model, whoever serves it.

`LanguageModel.generate` takes requests and yields `(index, completion)` as each one lands, so that a caller
can write every sample down at once. Three modules implement it: `engine` runs vLLM (or transformers, where
vLLM has no build) in a process of its own on this machine; `endpoint` asks OpenAI-compatible servers;
`recorded` is any of them with a record of every call. `model_source` opens the one that a user names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample one completion. `seed` fixes it alone, whatever else is in the batch."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """What a reply has to look like.

    read    what a reply says, None where it is not in form
    schema  the JSON schema that a model is held to where it can be: by vLLM, and by servers with structured
            output; elsewhere `read` takes what comes
    """

    read: Callable[[str], Any]
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What to complete: a conversation (the model's chat template is applied) or token ids as they are."""

    prompt: Sequence[Message] | Sequence[int]
    sampling: Sampling
    form: Form | None = None

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of the reply, where there is one."""
        return self.form.schema if self.form else None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back. `finish_reason` is "stop", "length" (cut by max_tokens) or "prompt_too_long".

    token_ids  the completion's tokens, the end-of-text token included when it ended by itself; an endpoint
               does not give them
    counted    how many there are, as an endpoint counts them
    text       its text, special tokens left out; an endpoint's separate thinking is joined back in
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str
    prompt_tokens: int
    counted: int | None = None

    @property
    def tokens(self) -> int:
        """How many tokens the completion has."""
        return len(self.token_ids) if self.counted is None else self.counted


class EndpointError(UserError):
    """No completion could be had; the text says from where and why."""


class RequestsFailed(EndpointError):
    """Some requests were not answered, however often they were sent; all others were before this came.

    failures  index of a request -> why
    """

    def __init__(self, failures: Mapping[int, str], of: int) -> None:
        self.failures, self.of = dict(failures), of
        first = self.failures[min(self.failures)]
        super().__init__(f"{len(self.failures)} of {of} requests failed; the first: {first}")


class LanguageModel(Protocol):
    """Something that completes prompts: an engine on this machine, or an endpoint."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(index in requests, completion)` in the order in which they finish.

        Raises RequestsFailed at the end where single requests could not be answered.
        """
        ...
