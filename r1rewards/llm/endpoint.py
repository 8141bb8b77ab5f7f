"""Models behind OpenAI-compatible endpoints: `vllm serve`, SGLang, llama.cpp, a vendor's service.

    with Endpoint(["http://gpu1:8000/v1", "http://gpu2:8000/v1"]) as model:
        for index, completion in model.generate(requests): ...

Requests go to the server with the fewest in flight, `concurrency` at a time in all. What passes by itself (no
connection, a time-out, 408, 409, 429, 5xx, a reply that is cut off) is tried again, elsewhere where there is
another server, else after a pause that doubles and is never twice the same; a server that fails gets one
request at a time until it answers. A refusal (401, 404, 400) is no matter of patience and is raised at once.
Thinking that a server returns apart (`reasoning_content`, `reasoning`) is joined back by the template.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from r1rewards.core.errors import UserError
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.llm import Completion, Request

if TYPE_CHECKING:
    import httpx

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
CONNECT_TIMEOUT_S = 10.0
_PASSING = frozenset({408, 409, 425, 429, *range(500, 600)})
_TOO_LONG = ("context length", "context_length", "maximum model length", "max_model_len", "too long")


class EndpointError(UserError):
    """No completion could be had; the text says from where and why."""


class _Stopped(Exception):
    """Whoever asked has gone."""


@dataclass(slots=True)
class _Server:
    url: str
    in_flight: int = 0
    failures: int = 0
    failed_at: float = 0.0
    reason: str = ""
    rests_until: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether it may be asked: after a failure one request at a time, when the pause is over."""
        return not self.failures or (not self.in_flight and self.rests_until <= time.monotonic())


@dataclass(slots=True)
class _Pool:
    """The servers, and whose turn it is."""

    servers: list[_Server]
    first_pause_s: float
    tries: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    stopped: bool = False

    def take(self) -> _Server:
        with self.changed:
            while not self.stopped:
                if all(server.failures >= self.tries for server in self.servers):
                    said = "; ".join(server.reason for server in self.servers)
                    raise EndpointError(f"no server answers ({said}); start one, then run the same again")
                ready = [server for server in self.servers if server.ready]
                if ready:
                    server = min(ready, key=lambda one: (one.in_flight, one.failures))
                    server.in_flight += 1
                    return server
                wakes = [one.rests_until for one in self.servers if not one.in_flight]
                self.changed.wait(max(0.01, min(wakes) - time.monotonic()) if wakes else None)
        raise _Stopped

    def give_back(self, server: _Server, asked_at: float, reason: str, rest_s: float | None) -> None:
        """Note how it went: `reason` says what failed and is empty where nothing did."""
        with self.changed:
            server.in_flight -= 1
            server.reason = reason
            if not reason:
                server.failures = 0
            elif asked_at >= server.failed_at:  # those that were in flight beside a failure are the same one
                pause = min(LONGEST_PAUSE_S, self.first_pause_s * 2**server.failures)
                server.failures += 1
                server.failed_at = time.monotonic()
                pause = random.uniform(0.5, 1) * pause if rest_s is None else min(rest_s, LONGEST_PAUSE_S)
                server.rests_until = server.failed_at + pause
            self.changed.notify_all()

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


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
            served = self._ask(_Call("/models", None), self._pool())
            names = [str(one.get("id")) for one in served.get("data", ()) if isinstance(one, dict)]
            if len(names) != 1:
                listed = ", ".join(names) or "none"
                raise UserError(
                    f"{self._urls[0]} serves {len(names)} models ({listed}); name one with --model"
                )
            self._model = names[0]
        return self._model

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(index, completion)` as they land.

        A request that failed `tries` times does not keep the others from being answered; when all are
        through, an EndpointError says how many failed. When every server failed so often in a row, it comes
        at once.
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
                except _Stopped:
                    return
                except Exception as error:  # noqa: BLE001 - raised where the completions are awaited
                    landed.put((index, error))

        for _ in range(min(self._concurrency, len(calls))):
            threading.Thread(target=work, daemon=True).start()
        failures: list[EndpointError] = []
        try:
            for _ in range(len(calls)):
                index, answer = landed.get()
                if isinstance(answer, Completion):
                    yield index, answer
                elif isinstance(answer, _Failed):
                    failures.append(answer)
                else:
                    raise answer
        finally:
            pool.stop()
        if failures:
            raise EndpointError(f"{len(failures)} of {len(calls)} requests failed; the first: {failures[0]}")

    def _pool(self) -> _Pool:
        return _Pool([_Server(url) for url in self._urls], self._first_pause_s, self._tries)

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
        return _Call("/chat/completions", {**body, "messages": prompt})

    def _completion(self, call: _Call, pool: _Pool) -> Completion:
        try:
            return _read(self._ask(call, pool), self._template)
        except _TooLong:
            return Completion("", (), "prompt_too_long", 0, counted=0)

    def _ask(self, call: _Call, pool: _Pool) -> Mapping[str, Any]:
        """The reply to one call, after as many tries as it takes."""
        reason = ""
        for _ in range(self._tries):
            server = pool.take()
            asked_at, reason, rest_s = time.monotonic(), "", None
            try:
                reason, rest_s, reply = self._send(server.url, call)
            finally:
                pool.give_back(server, asked_at, reason, rest_s)
            if reply is not None:
                return reply
        raise _Failed(f"{reason}, {self._tries} times")

    def _send(self, url: str, call: _Call) -> tuple[str, float | None, Mapping[str, Any] | None]:
        """What is wrong and how long to wait, or the reply."""
        import httpx

        try:
            if call.body is None:
                response = self._client.get(url + call.path)
            else:
                response = self._client.post(url + call.path, json=call.body)
        except httpx.TransportError as error:
            return f"{url}: {type(error).__name__} ({error})", None, None
        except RuntimeError:  # the client was closed: whoever asked has gone
            raise _Stopped from None
        if response.status_code in _PASSING:
            return f"{url}: status {response.status_code} ({_said(response)})", _retry_after(response), None
        if response.status_code == 400 and any(sign in response.text.lower() for sign in _TOO_LONG):
            raise _TooLong(f"{url}: the prompt is too long")
        if response.status_code != 200:
            raise EndpointError(f"{url} refuses: status {response.status_code} ({_said(response)})")
        try:
            reply = response.json()
        except ValueError:
            return f"{url}: the reply is not JSON", None, None
        if not isinstance(reply, dict) or not (reply.get("choices") or reply.get("data")):
            return f"{url}: the reply holds no completion", None, None
        return "", None, reply


class _Failed(EndpointError):
    """One request failed as often as it was tried."""


class _TooLong(EndpointError):
    """The server cannot take a prompt of this length."""


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    body: Mapping[str, Any] | None


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


def _read(reply: Mapping[str, Any], template: Template) -> Completion:
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    message = choice.get("message") or {"content": choice.get("text")}
    content = message.get("content") or ""
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


def _said(response: httpx.Response) -> str:
    return " ".join(response.text.split())[:200] or response.reason_phrase


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that a server asks to wait; its dates are not read."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None
