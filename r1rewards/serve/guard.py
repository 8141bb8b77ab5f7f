"""What stands before the routes: the token, and a body that is neither too long nor too slow."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from r1rewards.core.formats import dump_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: Reading on, without keeping it, lets most clients see why they are refused instead of a broken pipe.
_DRAIN_BYTES = 1 << 30


class Guard:
    """An ASGI application before another one, which gets whole bodies of welcome clients only.

    body_limit  bytes of one body; more is 413
    body_s      seconds that a client has to send its body; then 408
    token       what `Authorization: Bearer ...` must say, or the password of `http://user:token@host`; ""
                asks for none. `/health` is open
    """

    def __init__(self, app: App, *, body_limit: int, body_s: float, token: str) -> None:
        self.app, self.body_limit, self.body_s, self.token = app, body_limit, body_s, token

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if (
            self.token
            and scope["path"] != "/health"
            and not self._welcome(headers.get(b"authorization", b""))
        ):
            asks = [(b"www-authenticate", b"Bearer")]
            await refuse(send, 401, "this server wants its token: Authorization: Bearer TOKEN", asks)
            return
        try:
            body = await asyncio.wait_for(self._body(receive), self.body_s)
        except TimeoutError:
            await refuse(send, 408, f"the body did not arrive within {self.body_s:g} s", _CLOSE)
            return
        if body is None:
            limit = f"{self.body_limit / 2**20:g} MiB"
            await refuse(send, 413, f"the body is longer than {limit}; send fewer rows at a time", _CLOSE)
            return
        if isinstance(body, _Gone):
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, again, send)

    def _welcome(self, given: bytes) -> bool:
        kind, _, value = given.partition(b" ")
        if kind.lower() == b"basic":
            try:
                value = base64.b64decode(value, validate=True).partition(b":")[2]
            except (ValueError, binascii.Error):
                return False
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(value.strip(), self.token.encode())

    async def _body(self, receive: Receive) -> bytes | _Gone | None:
        """The body; None where it is too long."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return _Gone()
            part = message.get("body", b"")
            size += len(part)
            if size <= self.body_limit:
                parts.append(part)
            else:
                parts.clear()
            if not message.get("more_body"):
                return b"".join(parts) if size <= self.body_limit else None
            if size > _DRAIN_BYTES:
                return None


class _Gone:
    """The client went away before its body was whole."""


_CLOSE = [(b"connection", b"close")]


async def refuse(
    send: Send, status: int, sentence: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Answer with an error."""
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *(headers or [])]})
    await send({"type": "http.response.body", "body": dump_json({"error": sentence})})
