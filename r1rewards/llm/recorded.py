"""A model whose answers are written down as they land, and served from there when asked again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from r1rewards.core.formats import dump_json
from r1rewards.core.store import RowLog
from r1rewards.llm import Completion, LanguageModel, Request, RequestsFailed, Sampling

#: Told (answered, asked in all, tokens of this one) as each completion lands.
Landed = Callable[[int, int, int], None]


class Recorded:
    """Any language model over a log; a kill costs what was in flight, and the next try asks for the rest.

    What did not fit into the model is asked for again too: it may have been given more room since.

    model   called for the model only when something is left to ask
    log     a .jsonl file of calls, a line each: "key" and "request" ({model, prompt, sampling, schema}), the
            reply ("text", "finish_reason", "tokens", "prompt_tokens"), and under "read" what the request's
            form reads in it, null where it is not in form
    name    what the model is called: another model's answers are other answers
    landed  for each call to `generate`
    """

    def __init__(
        self,
        model: Callable[[], LanguageModel],
        log: str | Path,
        name: str,
        landed: Landed = lambda done, total, tokens: None,
    ) -> None:
        self._model, self._name, self._landed = model, name, landed
        self._log = RowLog(log)
        self._known: dict[str, Completion] = {
            row["key"]: Completion(
                row["text"], (), row["finish_reason"], row["prompt_tokens"], counted=row["tokens"]
            )
            for row in self._log.rows()
            if row["finish_reason"] != "prompt_too_long"
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._log.close()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """As every language model does; equal requests are asked once."""
        places: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            places.setdefault(self._key(request), []).append(index)
        done = 0
        for key, indices in places.items():
            if key in self._known:
                for index in indices:
                    done += 1
                    self._landed(done, len(requests), 0)
                    yield index, self._known[key]
        missing = [key for key in places if key not in self._known]
        asked = [requests[places[key][0]] for key in missing]
        try:
            for number, completion in self._model().generate(asked) if asked else ():
                key = missing[number]
                self._log.append(self._line(key, asked[number], completion))
                self._known[key] = completion
                for index in places[key]:
                    done += 1
                    self._landed(done, len(requests), completion.tokens)
                    yield index, completion
        except RequestsFailed as error:
            why = {i: said for number, said in error.failures.items() for i in places[missing[number]]}
            raise RequestsFailed(why, len(requests)) from None

    def _line(self, key: str, request: Request, completion: Completion) -> dict[str, Any]:
        return {
            "key": key,
            "request": self._request(request),
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "tokens": completion.tokens,
            "prompt_tokens": completion.prompt_tokens,
            **({"read": request.form.read(completion.text)} if request.form else {}),
        }

    def _request(self, request: Request) -> dict[str, Any]:
        asked = {"model": self._name, "prompt": list(request.prompt), "sampling": _listed(request.sampling)}
        return {**asked, "schema": request.schema} if request.schema else asked

    def _key(self, request: Request) -> str:
        return hashlib.blake2b(dump_json(self._request(request)), digest_size=16).hexdigest()


def _listed(sampling: Sampling) -> Mapping[str, Any]:
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
