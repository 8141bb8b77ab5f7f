"""Whose turn it is among servers of one model: the one with the fewest requests, and none that rests."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

from r1rewards.llm import EndpointError

LONGEST_PAUSE_S = 60.0
#: Failures without an answer between, after which they are the server's.
_FAILURES = 3


class Stopped(Exception):
    """Whoever asked has gone."""


@dataclass(slots=True)
class Server:
    """One server: how busy it is, how often it failed without an answer between, and until when it rests."""

    url: str
    in_flight: int = 0
    failures: int = 0
    failed_at: float = 0.0
    reason: str = ""
    rests: bool = False
    rests_until: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether it may be asked: after a rest one request at a time, until it answers."""
        return not self.rests or (not self.in_flight and self.rests_until <= time.monotonic())


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with a try that is worth another.

    of_server  it is no matter of this one request
    rest_s     how long the server asks to be left alone
    """

    reason: str
    of_server: bool = False
    rest_s: float | None = None


@dataclass(slots=True)
class Pool:
    """The servers, and whose turn it is."""

    servers: list[Server]
    first_pause_s: float
    tries: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    stopped: bool = False

    def take(self) -> Server:
        """The next server to ask, awaited while all rest; EndpointError where every one failed too often."""
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
        raise Stopped

    def give_back(self, server: Server, asked_at: float, failure: Failure | None) -> None:
        """Note how it went."""
        with self.changed:
            server.in_flight -= 1
            if failure is None:
                server.failures, server.rests = 0, False
            elif asked_at >= server.failed_at:  # those that were in flight beside a failure are the same one
                server.reason = failure.reason
                server.failures += 1
                if failure.of_server or server.failures >= _FAILURES:
                    server.rests, server.failed_at = True, time.monotonic()
                    pause = self.pause_s(server.failures - 1) if failure.rest_s is None else failure.rest_s
                    server.rests_until = server.failed_at + min(pause, LONGEST_PAUSE_S)
            self.changed.notify_all()

    def pause_s(self, failures: int) -> float:
        """How long to wait after so many failures before the last one."""
        return random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, self.first_pause_s * 2.0**failures)

    def wait(self, seconds: float) -> None:
        """Let that time pass, or less where nobody waits for the answer any more."""
        until = time.monotonic() + seconds
        with self.changed:
            while not self.stopped and (left := until - time.monotonic()) > 0:
                self.changed.wait(left)

    def stop(self) -> None:
        """Nobody waits for answers any more: `take` raises Stopped from now on."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
