"""The code reward: does a program pass its tests? Every program is hostile until it is boxed.

    from r1rewards import code
    code.check("print(int(input()) + 1)", {"tests": [{"input": "1", "output": "2"}]}).value      # 1.0

How it works, from the outside in: `grade` borrows a `server` of the `pool` and has it make a box; the
server is a process (`zygote`) that left the host (`root`) and clones a `box` for each program; the box
closes itself (`kernel`, `seccomp`), runs the program (`python_program`, or what `languages` says) and
reports how each test ended. Expected outputs and asserts never enter the program's box.
"""

from __future__ import annotations

from r1rewards.code.doctor import doctor
from r1rewards.code.extract import Program, extract
from r1rewards.code.reward import CodeReward, acheck, acheck_many, check, check_many, outputs

__all__ = [
    "CodeReward",
    "Program",
    "acheck",
    "acheck_many",
    "check",
    "check_many",
    "doctor",
    "extract",
    "outputs",
]
