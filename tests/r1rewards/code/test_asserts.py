"""Assert tests in two processes: what honest tests may do with the program's values, and what cheats gain."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from r1rewards import code
from r1rewards.code.pool import POOL
from r1rewards.code.zygote import APART

CASES = tomllib.loads((Path(__file__).parent / "programs" / "honest_asserts.toml").read_text())["case"]
#: Honest programs that start processes, which tier B refuses.
NEEDS_PROCESSES = frozenset({"multiprocessing-inside"})
#: Messages that a program may write to its channel in place of an honest answer.
FORGE = """
import json, os
def say(message):
    text = json.dumps(message).encode()
    os.write(3, len(text).to_bytes(4, "little") + text)
"""

pytestmark = pytest.mark.skipif("POOL.best_tier()[0] == 'C'", reason="no safe sandbox on this machine")


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_honest(case: dict[str, Any]) -> None:
    if case["name"] in NEEDS_PROCESSES and POOL.best_tier()[0] not in APART:
        pytest.skip("programs may start no processes here")
    verdict = code.check(case["program"], {"asserts": case["asserts"]})
    assert verdict.value == 1, verdict


ANY = """
class Any({base}):
    def answer(self, *args): return True
    def same(self, *args): return self
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = answer
    __sub__ = __rsub__ = __add__ = __radd__ = __mod__ = __getitem__ = __round__ = same
    def __ne__(self, other): return False
    def __abs__(self): return 0
    def __float__(self): return 0.0
    def __bool__(self): return True
    def __hash__(self): return 9
    def __iter__(self): return iter([])
    def __len__(self): return 1
def f(*args): return Any()
"""


@pytest.mark.parametrize("base", ["", "int", "list", "dict", "str", "float", "Exception"])
@pytest.mark.parametrize(
    "text",
    [
        "assert f(3) == 9",
        "assert 9 == f(3)",
        "assert not f(3) != 9",
        "assert abs(f(3) - 9.5) < 1e-6",
        "assert abs(9.5 - f(3)) < 1e-6",
        "import math\nassert math.isclose(f(3), 9.5)",
        "assert f(3) > 8",
        "assert f(3) in [9, 10]",
        "assert f(3) in {9}",
        "assert 9 in f(3)",
        "assert f(3)[0] == 9",
        "assert [f(3)] == [9]",
        "assert {'k': f(3)} == {'k': 9}",
        "assert (f(3) - 1) % 8 == 1",
        "assert round(f(3) + 0.4) == 9",
    ],
)
def test_an_object_that_agrees_to_everything_passes_nothing(base: str, text: str) -> None:
    verdict = code.check(ANY.format(base=base), {"asserts": [text]})
    assert verdict.status == "value"
    assert verdict.value == 0, verdict


@pytest.mark.parametrize(
    "message",
    [
        {"stop": True},
        {"value": {"t": "object", "given": 9}},
        {"value": {"t": "object", "id": 0, "like": "int"}},
        {"value": {"t": "object", "id": "x"}},
        {"value": {"t": "iterator", "id": -1}},
        {"value": {"t": "namedtuple", "v": [["P", "import os"], [1]]}},
        {"value": {"t": "array", "v": ["O", [1], [9]]}},
        {"raised": [["AssertionError", None]], "with": [], "state": {"from_program": False}},
        {"raised": [["SystemExit", None]], "with": [0], "state": {}},
        {"raised": [["x y", 1]], "with": [], "state": {}},
        {"raised": [["A", 1]] * 1000, "with": [], "state": {}},
        {"raised": 3, "with": 3},
        {"callback": 0, "args": [], "kwargs": {}},
        {"value": True, "args": {"0": 1}, "kwargs": [1]},
        [],
        9.5,
        None,
    ],
)
def test_a_forged_answer_passes_nothing(message: Any) -> None:
    program = FORGE + f"def f(n):\n    say({message!r})\n    os._exit(0)"
    for text in ("assert f(3) == 9", "assert all(map(lambda n: f(n) == n * n, [3]))"):
        verdict = code.check(program, {"asserts": [text]})
        assert (verdict.status, verdict.value) == ("value", 0.0), verdict


def test_a_test_that_needs_the_programs_class_is_told() -> None:
    program = "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, other): return True"
    reference = {"asserts": ["assert P(1) == P(1)"]}
    verdict = code.check(program, reference)
    assert verdict.value == 0
    assert '"mode": "in-process"' in verdict.reason
    assert code.check(program, {**reference, "mode": "in-process"}).value == 1


def test_objects_of_the_tests_are_an_error_that_names_the_mode() -> None:
    reference = {"asserts": ["class R:\n    w = 2\nassert area(R()) == 4"]}
    verdict = code.check("def area(r): return r.w ** 2", reference)
    assert verdict.status == "error"
    assert '"mode": "in-process"' in verdict.reason


def test_an_endless_list_of_a_generator_ends() -> None:
    program = "def f():\n    while True: yield 'x' * 1000"
    verdict = code.check(program, {"asserts": ["assert list(f()) == 1"]}, limits={"time_s": 1})
    assert (verdict.status, verdict.value) == ("value", 0.0)


@pytest.mark.skipif(
    "POOL.best_tier()[0] not in APART", reason="boxes are kept only in namespaces of their own"
)
@pytest.mark.parametrize(
    "leaves",
    [
        "open('/tmp/left', 'w').close()",
        "import sys\nsys.left = 1",
        "import subprocess\nsubprocess.Popen(['/bin/sleep', '60'])",
        "import os\nos.fork() or time.sleep(60)",
        "",
    ],
)
def test_tests_find_nothing_of_an_earlier_programs_tests(leaves: str) -> None:
    """They share a box where nothing was left in it, and never a process."""
    for _ in range(2):
        assert code.check("def f(): return 1", {"asserts": [f"{leaves}\nassert f() == 1"]}).value == 1
    clean = (
        "import os, sys\n"
        "assert (f(), os.listdir('/tmp'), hasattr(sys, 'left')) == (1, [], False)\n"
        "assert {int(name) for name in os.listdir('/proc') if name.isdigit()} == {1, os.getpid()}"
    )
    verdict = code.check("def f(): return 1", {"asserts": [clean]})
    assert verdict.value == 1, verdict
