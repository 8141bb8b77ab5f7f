"""Models behind OpenAI-compatible endpoints: `vllm serve`, SGLang, llama.cpp, a vendor's service.

    with Endpoint(["http://gpu1:8000/v1", "http://gpu2:8000/v1"]) as model:
        for index, completion in model.generate(requests): ...

Requests go to the server with the fewest in flight, `concurrency` at a time in all. What passes by itself (no
connection, a time-out, 408, 409, 429, 5xx, a reply cut off) is tried again, after a pause that doubles and is
never twice the same. A server that is not there or overloaded, or that fails three times without an answer
between, rests, and gets one request at a time until it answers; other servers go on meanwhile.

A refusal is no matter of patience: of the server (401, 404) it is raised at once, of one request (400, 422,
as a vendor's filter does) it fails that request. A server that refuses a JSON schema is asked without.
Thinking that comes apart (`reasoning_content`, `reasoning`) is joined back by the template.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from r1rewards.core.errors import UserError
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.llm import Completion, EndpointError, Request, RequestsFailed
from r1rewards.llm.servers import LONGEST_PAUSE_S, Failure, Pool, Server, Stopped

if TYPE_CHECKING:
    import httpx

Read = TypeVar("Read")

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
CONNECT_TIMEOUT_S = 10.0
#: The longest reply that is read; one without end must not fill the memory.
LONGEST_REPLY_BYTES = 64 << 20
#: So many refusals without a single answer are no matter of single requests.
REFUSALS = 8
_PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})
_OVERLOADED = frozenset({429, 502, 503, 504})
_OF_REQUEST = frozenset({400, 413, 422})
_TOO_LONG = ("context length", "context_length", "maximum model length", "max_model_len", "too long")


class Endpoint:
    """A language model behind one or several servers of the same model.

    urls         where the API is, such as http://localhost:8000/v1
    model        its name there; without it, the one that the first server serves
    template     how thinking that comes apart is joined with the answer
    concurrency  most requests in flight, over all servers
    timeout_s    longest wait for one completion
    tries        how often one request is sent before it counts as failed
    key          the API key; it goes into no file and no message
    """

    def __init__(
        self,
        urls: Sequence[str],
        model: str | None = None,
        *,
        template: Template = TEMPLATES["think-answer"],
        concurrency: int = 64,
        timeout_s: float = 1800.0,
        tries: int = 8,
        key: str | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        import httpx

        if not urls:
            raise UserError("an endpoint needs at least one URL, such as http://localhost:8000/v1")
        if concurrency < 1 or tries < 1:
            raise UserError("concurrency and tries are at least 1")
        self._urls = [_base(url) for url in urls]
        self._model, self._template = model, template
        self._concurrency, self._tries, self._first_pause_s = concurrency, tries, first_pause_s
        self._timeout_s, self._takes_schemas, self._answered = timeout_s, True, False
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @property
    def model(self) -> str:
        """The model's name: the one given, or what the first server that answers says it serves."""
        if self._model is None:
            names = self._ask(_Call("/models", None), self._pool(), _names)
            if len(names) != 1:
                listed = ", ".join(names) or "none"
                raise UserError(
                    f"{self._urls[0]} serves {len(names)} models ({listed}); name one with --model"
                )
            self._model = names[0]
        return self._model

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(index, completion)` as they land.

        A request that failed `tries` times, or was refused, does not keep the others from being answered;
        when all are through, RequestsFailed says which. When every server failed so often in a row, or
        refuses everything, an EndpointError comes at once.
        """
        pool = self._pool()
        calls = [self._call(request) for request in requests]
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        landed: queue.SimpleQueue[tuple[int, Completion | Exception]] = queue.SimpleQueue()
        for index in range(len(calls)):
            waiting.put(index)

        def work() -> None:
            while not pool.stopped:
                try:
                    index = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    landed.put((index, self._completion(calls[index], pool)))
                except Stopped:
                    return
                except Exception as error:  # noqa: BLE001 - raised where the completions are awaited
                    landed.put((index, error))

        for _ in range(min(self._concurrency, len(calls))):
            threading.Thread(target=work, daemon=True).start()
        failures: dict[int, str] = {}
        refused = 0
        try:
            for _ in range(len(calls)):
                index, answer = landed.get()
                if isinstance(answer, Completion):
                    self._answered = True
                    yield index, answer
                elif isinstance(answer, _Failed | _Refused):
                    failures[index] = str(answer)
                    refused += isinstance(answer, _Refused)
                    if refused >= REFUSALS and not self._answered:
                        raise answer
                else:
                    raise answer
        finally:
            pool.stop()
        if failures:
            raise RequestsFailed(failures, len(calls))

    def _pool(self) -> Pool:
        return Pool([Server(url) for url in self._urls], self._first_pause_s, self._tries)

    def _call(self, request: Request) -> _Call:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        prompt = list(request.prompt)
        if prompt and isinstance(prompt[0], int):
            return _Call("/completions", {**body, "prompt": prompt})
        return _Call("/chat/completions", {**body, "messages": prompt}, request.schema)

    def _completion(self, call: _Call, pool: Pool) -> Completion:
        try:
            if call.schema is None or not self._takes_schemas:
                return self._ask(call.without_schema(), pool, self._read)
            try:
                return self._ask(call, pool, self._read)
            except _Refused as refusal:
                completion = self._ask(call.without_schema(), pool, self._read)
                if self._takes_schemas:
                    self._takes_schemas = False
                    _log.warning("asked without a JSON schema from here on, which is not taken: %s", refusal)
                return completion
        except _TooLong:
            return Completion("", (), "prompt_too_long", 0, counted=0)

    def _read(self, reply: Mapping[str, Any]) -> Completion:
        return _completion(reply, self._template)

    def _ask(self, call: _Call, pool: Pool, read: Callable[[Mapping[str, Any]], Read]) -> Read:
        """What the reply to one call holds, after as many tries as it takes."""
        reason = ""
        for number in range(self._tries):
            server = pool.take()
            asked_at, failure = time.monotonic(), None
            try:
                reply = self._send(server.url, call, read)
                failure = reply if isinstance(reply, Failure) else None
            finally:
                pool.give_back(server, asked_at, failure)
            if not isinstance(reply, Failure):
                return reply
            reason = reply.reason
            elsewhere = reply.of_server and len(pool.servers) > 1
            if not elsewhere and number < self._tries - 1:
                pool.wait(
                    pool.pause_s(number) if reply.rest_s is None else min(reply.rest_s, LONGEST_PAUSE_S)
                )
        raise _Failed(f"{reason}, {self._tries} times")

    def _send(self, url: str, call: _Call, read: Callable[[Mapping[str, Any]], Read]) -> Read | Failure:
        """What the reply holds, or what is wrong."""
        import httpx

        try:
            response, content = self._fetch(url + call.path, call.whole_body())
        except httpx.HTTPError as error:
            absent = isinstance(error, httpx.TimeoutException | httpx.ConnectError)
            return Failure(f"{url}: {type(error).__name__} ({error})", of_server=absent)
        except RuntimeError:  # the client was closed: whoever asked has gone
            raise Stopped from None
        status = response.status_code
        said = " ".join(content.decode(errors="replace").split())[:200] or response.reason_phrase
        if status in _PASSING:
            return Failure(f"{url}: status {status} ({said})", status in _OVERLOADED, _retry_after(response))
        if status in _OF_REQUEST:
            if any(sign in content.decode(errors="replace").lower() for sign in _TOO_LONG):
                raise _TooLong(f"{url}: the prompt is too long")
            raise _Refused(f"{url} refuses: status {status} ({said})")
        if status != 200:
            raise EndpointError(f"{url} refuses: status {status} ({said})")
        try:
            reply = json.loads(content)
        except (ValueError, RecursionError):
            return Failure(f"{url}: the reply is not JSON")
        try:
            return read(reply)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError):
            return Failure(f"{url}: the reply holds no completion")

    def _fetch(self, url: str, body: Mapping[str, Any] | None) -> tuple[httpx.Response, bytes]:
        """The response and its body, which may come in drops: the time-out is for all of it."""
        import httpx

        until, content = time.monotonic() + self._timeout_s, bytearray()
        with self._client.stream("GET" if body is None else "POST", url, json=body) as response:
            for piece in response.iter_bytes():
                content += piece
                if time.monotonic() > until:
                    raise httpx.ReadTimeout(f"not all of the reply came in {self._timeout_s:g} s")
                if len(content) > LONGEST_REPLY_BYTES:
                    raise httpx.ReadError(f"the reply is longer than {LONGEST_REPLY_BYTES >> 20} MiB")
        return response, bytes(content)


class _Failed(EndpointError):
    """One request failed as often as it was tried."""


class _Refused(EndpointError):
    """The server does not take this request."""


class _TooLong(EndpointError):
    """The server cannot take a prompt of this length."""


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    body: Mapping[str, Any] | None
    schema: Mapping[str, Any] | None = None

    def without_schema(self) -> _Call:
        return replace(self, schema=None)

    def whole_body(self) -> Mapping[str, Any] | None:
        if self.body is None or self.schema is None:
            return self.body
        form = {"name": "reply", "strict": True, "schema": self.schema}
        return {**self.body, "response_format": {"type": "json_schema", "json_schema": form}}


def _base(url: str) -> str:
    """The URL of the API: `/v1` where only a host is given, as every server has it there."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UserError(f"{url!r} is no URL ({error})") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UserError(f"{url!r} is no URL of an endpoint; write it as http://localhost:8000/v1")
    return url.rstrip("/") if parsed.path not in ("", "/") else f"{url.rstrip('/')}/v1"


def _names(reply: Mapping[str, Any]) -> list[str]:
    """The models that a server lists."""
    return [str(one["id"]) for one in reply["data"]]


def _completion(reply: Mapping[str, Any], template: Template) -> Completion:
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    message = choice.get("message") or {"content": choice["text"]}
    content = message.get("content") or ""
    if not isinstance(content, str):  # in parts
        content = "".join(part.get("text") or "" for part in content)
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    finish = str(choice.get("finish_reason") or "stop")
    text = template.join(reasoning, content)
    if reasoning and not content and finish == "length":  # cut off within the thinking: nothing closes it
        text = f"{template.reasoning_tags[0]}\n{reasoning}"
    return Completion(
        text,
        (),
        finish,
        int(usage.get("prompt_tokens") or 0),
        counted=int(usage.get("completion_tokens") or 0),
    )


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that a server asks to wait; its dates are not read."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None
