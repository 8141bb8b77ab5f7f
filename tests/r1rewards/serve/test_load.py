"""Many clients at once: each request is answered with its own score. `make test-load` shows the times."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest

CLIENTS, REQUESTS = 200, 20_000


def row(n: int) -> tuple[dict[str, Any], float]:
    """Row `n`, unlike all others, and its reward."""
    said, reward = [(f"{n}", 1.5), (f"{n + 1}", 0.5), (f"{n}</answer><answer>{n}", 1.0)][n % 3]
    response = f"<think>The number {n} was asked for.</think><answer>{said}</answer>"
    return {"id": f"r{n}", "task": "math", "reference": str(n), "response": response}, reward


class Client:
    """One connection that stays open; as little as HTTP can be, so that the server is what is measured."""

    def __init__(self, server: Any) -> None:
        self.server = server

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.server.host, self.server.port)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        head = "POST /score HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        return int(lines[0].split()[1]), await self.reader.readexactly(length)


async def load(server: Any, requests: int) -> tuple[list[float], int]:
    """Seconds of every request, and how often one was told to come later."""
    numbers = iter(range(requests))
    seconds: list[float] = []
    refused = 0

    async def client() -> None:
        nonlocal refused
        connection = Client(server)
        await connection.open()
        for n in numbers:
            given, reward = row(n)
            body = json.dumps({"rows": [given]}).encode()
            began = time.perf_counter()
            status, said = await connection.post(body)
            while status == 429:
                refused += 1
                await asyncio.sleep(0.05)
                status, said = await connection.post(body)
            seconds.append(time.perf_counter() - began)
            assert status == 200, said
            (score,) = json.loads(said)["scores"]
            assert score["reward"] == reward, (given, score)
        connection.writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return seconds, refused


@pytest.mark.long
@pytest.mark.parametrize("queue", [20_000, 50])
def test_none_lost_and_none_wrong(tmp_path: Path, start: Any, queue: int) -> None:
    """With room for all that wait, and with room for a quarter of them."""
    with start(tmp_path, "--queue", str(queue)) as server:
        began = time.perf_counter()
        seconds, refused = asyncio.run(load(server, REQUESTS))
        took = time.perf_counter() - began
    p50, p99 = (1000 * statistics.quantiles(seconds, n=100)[at] for at in (49, 98))
    sys.stdout.write(
        f"\n{REQUESTS:,} requests of {CLIENTS} clients, room for {queue:,}: {took:.1f} s, p50 {p50:.0f} ms, "
        f"p99 {p99:.0f} ms, told to come later {refused:,} times\n"
    )
    assert len(seconds) == REQUESTS
    assert (refused > 0) == (queue < CLIENTS)


@pytest.mark.slow
def test_a_small_load(tmp_path: Path, start: Any) -> None:
    with start(tmp_path) as server:
        seconds, refused = asyncio.run(load(server, 1000))
    assert (len(seconds), refused) == (1000, 0)
