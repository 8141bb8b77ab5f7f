"""Honest, cheating, prying and exhausting programs, each against the reward that it must get.

Those that `needs_a` start processes, or read what only a root of their own can show: tier B refuses them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from r1rewards import code
from r1rewards.code.pool import POOL

PROGRAMS = [
    program
    for name in ("honest", "cheats", "prying", "exhaustion", "asserts")
    for program in tomllib.loads((Path(__file__).parent / "programs" / f"{name}.toml").read_text())["program"]
]
TESTS = {
    "stdin": {"tests": [{"input": "3\n", "output": "9\n"}, {"input": "7\n", "output": "49\n"}]},
    "asserts": {"asserts": ["assert square(3) == 9", "assert square(7) == 49"]},
}
LIMITS = {"time_s": 1, "memory_mb": 256, "procs": 40}


def cases() -> list[Any]:
    return [
        pytest.param(program, id=program["name"], marks=[pytest.mark.slow] if program.get("slow") else [])
        for program in PROGRAMS
    ]


@pytest.mark.parametrize("program", cases())
def test_reward_of(program: dict[str, Any]) -> None:
    tier, _ = POOL.best_tier()
    if tier == "C":
        pytest.skip("no safe sandbox on this machine")
    if tier == "B" and program.get("needs_a"):
        pytest.skip("needs tier A, this machine has B")
    verdict = code.check(program["source"], TESTS[program.get("tests", "stdin")], limits=LIMITS)
    assert verdict.status == "value", verdict
    assert verdict.value == program["value"], verdict


def test_the_next_program_is_not_harmed() -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    assert code.check(bomb, TESTS["stdin"], limits={"time_s": 0.3, "procs": 20}).value == 0
    assert code.check("print(int(input()) ** 2)", TESTS["stdin"]).value == 1


def test_there_are_many() -> None:
    assert len(PROGRAMS) >= 100
    assert len({program["name"] for program in PROGRAMS}) == len(PROGRAMS)
