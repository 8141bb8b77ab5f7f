"""Which sandboxes this machine holds, and the servers that stand ready: borrowed, used, given back."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from r1rewards.code import bubblewrap, cgroup
from r1rewards.code.cutoff import LOOK_S, Cutoff
from r1rewards.code.probe import self_test
from r1rewards.code.server import BoxLost, Refused, Server
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.processes import cores

TIERS = {
    "A": "namespaces, seccomp and Landlock; no network, a root of its own, nothing survives",
    bubblewrap.TIER: "the same by way of bubblewrap, which starts an interpreter for each program",
    "B": "Landlock and seccomp without namespaces; programs cannot start processes",
    "C": "resource limits only: a program can read and write what this user can",
}
#: The tiers that are taken without being asked for, the best first.
SAFE_TIERS = ("A", bubblewrap.TIER, "B")
#: What `isolation=` may say; "unsafe" is the only way to tier C.
ISOLATIONS = ("auto", *SAFE_TIERS, "unsafe")


def described(tier: str) -> str:
    """What verdicts call a tier here: with what is added to it where this user may."""
    return f"{tier}+cgroup" if tier in SAFE_TIERS and cgroup.fault() is None else tier


def _turns() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(2 * cores())


class Pool:
    """Idle servers by kind. A borrowed server serves one program; any thread may borrow."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[Server]] = {}
        self._lock, self._trying = threading.Lock(), threading.Lock()
        self._turns = _turns()
        self._faults: dict[str, str | None] = {}

    @contextmanager
    def turn(self, cutoff: Cutoff) -> Iterator[None]:
        """Wait for a turn: only so many programs run at one time, however many threads ask."""
        turns = self._turns
        while not turns.acquire(timeout=LOOK_S):
            cutoff.check()
        try:
            yield
        finally:
            turns.release()

    def borrow(self, flavour: str, tier: str) -> Server:
        while True:
            with self._lock:
                idle = self._idle.get((flavour, tier))
                server = idle.pop() if idle else None
            if server is None:
                return Server(flavour, tier)
            if server.usable:
                return server
            server.close()

    def give_back(self, server: Server) -> None:
        if not server.usable:
            server.close()
            return
        with self._lock:
            self._idle.setdefault((server.flavour, server.tier), []).append(server)

    def tier(self, isolation: str) -> str:
        """The tier that `isolation` asks for here; refuses what is not safe unless it says so."""
        if isolation not in ISOLATIONS:
            raise UserError(
                f"isolation is {isolation!r}; it must be one of {', '.join(ISOLATIONS)}, or the address of a"
                " SandboxFusion server"
            )
        if isolation == "unsafe":
            return "C"
        tier, why_not = self.best_tier() if isolation == "auto" else (isolation, {})
        if isolation != "auto" and (fault := self.fault(isolation)) is not None:
            tier, why_not = "C", {isolation: fault}
        if tier == "C":
            wanted = "safe" if isolation == "auto" else f"tier {isolation}"
            raise UserError(
                f"no {wanted} sandbox on this machine ({'; '.join(why_not.values())}); "
                "see `r1rewards doctor`, or say isolation='unsafe' for programs that you trust"
            )
        return tier

    def best_tier(self) -> tuple[str, dict[str, str]]:
        """The best tier that starts and proves itself here, and why better ones do not."""
        why_not: dict[str, str] = {}
        for tier in SAFE_TIERS:
            fault = self.fault(tier)
            if fault is None:
                return tier, why_not
            why_not[tier] = fault
        return "C", why_not

    def fault(self, tier: str) -> str | None:
        """Why a tier does not hold here, None where it does; tried once.

        Raises BoxLost where that could not be found out now: a lower tier is no answer to a busy machine.
        """
        with self._trying:
            if tier not in self._faults:
                self._faults[tier] = self._tried(tier)
            return self._faults[tier]

    def _tried(self, tier: str) -> str | None:
        try:
            with borrowed("python", tier) as server:
                return self_test(server)
        except Refused as error:
            return str(error)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for servers in idle.values():
            for server in servers:
                server.close()

    def after_fork(self) -> None:
        idle, self._idle = self._idle, {}
        self._lock, self._trying, self._turns = threading.Lock(), threading.Lock(), _turns()
        for servers in idle.values():
            for server in servers:
                server.forget()


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.after_fork)


@contextmanager
def borrowed(flavour: str, tier: str) -> Iterator[Server]:
    """A server of this kind; one that lost a box, or was interrupted, is not used again."""
    server = POOL.borrow(flavour, tier)
    whole = False
    try:
        yield server
        whole = True
    except GraderError as error:
        whole = not isinstance(error, BoxLost)
        raise
    finally:
        if whole:
            POOL.give_back(server)
        else:
            server.close()
