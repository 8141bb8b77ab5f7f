"""What a program may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from r1rewards.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one program. A wall-clock limit of `2 * time_s + 1` seconds holds as well. Time spent
    ready to run and waiting for a core counts nowhere: a busy machine changes no verdict.

    time_s     processor seconds for one test, of all its processes together
    memory_mb  resident memory of all its processes together, MiB; also what tmpfs adds to it
    output_mb  bytes it may write to one stream or file, MiB
    procs      processes and threads at one time
    program_s  seconds at work or asleep for all tests of the program together
    compile_s  seconds for compiling it
    """

    time_s: float = 5.0
    memory_mb: int = 1024
    output_mb: int = 32
    procs: int = 256
    program_s: float = 60.0
    compile_s: float = 20.0

    @classmethod
    def of(cls, *overrides: Mapping[str, Any] | None) -> Limits:
        """The defaults changed by each mapping in turn."""
        limits = cls()
        known = {field.name for field in fields(cls)}
        for override in overrides:
            for name, value in (override or {}).items():
                if name not in known:
                    raise UserError(f"there is no limit {name!r}; use {', '.join(sorted(known))}")
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
                    raise UserError(f"the limit {name} must be a positive number, not {value!r}")
                if isinstance(getattr(limits, name), int):
                    value = int(value)
                limits = replace(limits, **{name: value})
        return limits

    @property
    def wall_s(self) -> float:
        """Wall seconds for one test."""
        return 2 * self.time_s + 1

    def to_dict(self) -> dict[str, float]:
        return asdict(self)
