"""Verdicts: what passes, what fails and why, and what is nobody's fault but the grader's."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from r1rewards import code
from r1rewards.code.pool import POOL, SAFE_TIERS
from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict

SQUARES = {"tests": [{"input": str(n), "output": str(n * n)} for n in (2, 3, 4)]}
SQUARE = "print(int(input()) ** 2)"
SHORT = {"time_s": 0.5, "memory_mb": 200, "output_mb": 4}

apart = pytest.mark.skipif("POOL.best_tier()[0] in ('B', 'C')", reason="programs may start no processes here")


def statuses(verdict: Verdict) -> list[str]:
    return list(verdict.details["tests"])


def test_pass() -> None:
    verdict = code.check(SQUARE, SQUARES)
    assert (verdict.value, statuses(verdict)) == (1.0, ["ok"] * 3)
    assert verdict.details["tier"].removesuffix("+cgroup") in SAFE_TIERS


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("print(4)", "wrong"),
        ("while True: pass", "time"),
        ("import time\ntime.sleep(60)", "time"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
        ("x = 'a' * 10 ** 12", "memory"),
        ("while True: print('x' * 1000)", "output"),
        ("raise ValueError(1)", "runtime"),
        ("def f(:", "compile"),
        ("import nothing_like_this", "runtime"),
    ],
)
def test_status(program: str, status: str) -> None:
    limits = SHORT | ({"time_s": 5} if status == "memory" else {})  # touching memory takes time as well
    verdict = code.check(program, SQUARES, limits=limits)
    assert verdict.value == 0
    assert next(name for name in statuses(verdict) if name != "ok") == status
    assert verdict.reason


def test_many_threads_at_one_time_are_honest() -> None:
    program = """
import threading
n = int(input())
start = threading.Barrier(201)
found = []
threads = [threading.Thread(target=lambda: (start.wait(), found.append(n))) for _ in range(200)]
for thread in threads:
    thread.start()
start.wait()
for thread in threads:
    thread.join()
print(sum(found) * n // 200)
"""
    verdict = code.check(program, SQUARES)
    assert verdict.value == 1, verdict


def test_first_failure_ends_the_program() -> None:
    verdict = code.check("n = int(input())\nprint(n * n if n != 3 else 0)", SQUARES)
    assert (verdict.value, statuses(verdict)) == (0.0, ["ok", "wrong", "skipped"])


@pytest.mark.parametrize(
    "leaves",
    [
        "assert os.listdir() == ['program.py']\nopen('left', 'w').close()",
        "assert os.path.getsize('program.py') < 200\nopen('program.py', 'a').write('#' * 200)",
        "os.unlink('program.py')",
        "os.mkdir('left')\nos.rmdir('left')",
        "os.chmod('.', 0)",
    ],
)
def test_each_test_finds_the_working_folder_as_the_first_one_did(leaves: str) -> None:
    tests = [{"input": "", "output": "1"}] * 3
    verdict = code.check(f"import os\n{leaves}\nprint(1)", {"tests": tests})
    assert verdict.value == 1, verdict


def test_partial() -> None:
    verdict = code.check("n = int(input())\nprint(n * n if n != 3 else 0)", SQUARES, partial=True)
    assert statuses(verdict) == ["ok", "wrong", "ok"]
    assert verdict.value == pytest.approx(2 / 3)


def test_partial_goes_on_after_a_crash_in_asserts() -> None:
    program = "import os\ndef f(n):\n    if n == 2: os._exit(0)\n    return n"
    reference = {"asserts": [f"assert f({n}) == {n}" for n in (1, 2, 3)]}
    verdict = code.check(program, reference, partial=True)
    assert statuses(verdict) == ["ok", "runtime", "ok"]


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"tests": []},
        {"asserts": []},
        {"tests": [{"input": "1"}]},
        {"tests": [{"input": "1", "output": "1"}], "asserts": ["assert True"]},
        {"asserts": ["assert f(1) =="]},
        {"asserts": ["assert f(1) == 1"], "setup": "raise OSError('no file')"},
        {"tests": [{"input": "1", "output": "1"}], "lang": "cobol"},
        {"tests": [{"input": "1", "output": "1"}], "checker": "nonsense"},
        {"tests": [{"input": "1", "output": "1"}], "limits": {"time": 1}},
        "no object",
    ],
)
def test_a_broken_reference_is_an_error_not_a_reward(reference: Any) -> None:
    assert code.check("def f(n): return n", reference).status == "error"


def test_wrong_options_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="isolation"):
        code.check(SQUARE, SQUARES, isolation="some")
    with pytest.raises(UserError, match="limit"):
        code.CodeReward(limits={"seconds": 3})


def test_checkers() -> None:
    exact = {"tests": [{"input": "", "output": "1\n"}], "checker": "exact"}
    assert code.check("print(1)", exact).value == 1
    assert code.check("print(1, end=' \\n')", exact).value == 0


PRIME_CHECKER = {
    "lang": "python",
    "source": (
        "import json, sys\n"
        "case = json.load(sys.stdin)\n"
        "n, goal = int(case['output']), int(case['input'])\n"
        "print('accept' if n > goal and all(n % d for d in range(2, n)) else 'reject not a larger prime')"
    ),
}


def test_checker_program() -> None:
    reference = {"tests": [{"input": "10", "output": "11"}], "checker": PRIME_CHECKER}
    assert code.check("print(13)", reference).value == 1
    rejected = code.check("print(12)", reference)
    assert (rejected.value, statuses(rejected)) == (0.0, ["wrong"])
    assert "not a larger prime" in rejected.reason


def test_a_checker_that_fails_is_an_error() -> None:
    reference = {"tests": [{"input": "10", "output": "11"}], "checker": {"source": "1 / 0"}}
    assert code.check("print(13)", reference).status == "error"


def test_humaneval_form() -> None:
    reference = {
        "setup": "def check(f):\n    assert f([3, 1]) == [1, 3]\n    assert f([]) == []",
        "asserts": ["check(sort)"],
    }
    assert code.check("def sort(x): return sorted(x)", reference).value == 1
    assert code.check("def sort(x): return x", reference).value == 0


def test_arguments_that_the_program_changes_change_in_the_test() -> None:
    reference = {"asserts": ["x = [3, 1, 2]\nf(x)\nassert x == [1, 2, 3]"]}
    assert code.check("def f(x): x.sort()", reference).value == 1
    assert code.check("def f(x): sorted(x)", reference).value == 0


def test_exceptions_reach_the_tests() -> None:
    reference = {"asserts": ["try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False"]}
    assert code.check("def f(n): raise ValueError('negative')", reference).value == 1
    assert code.check("def f(n): return n", reference).value == 0
    assert code.check("def f(n): raise KeyError(n)", reference).value == 0


def test_a_swallowed_death_is_no_pass() -> None:
    reference = {"asserts": ["try:\n    f(1)\nexcept BaseException:\n    pass"]}
    assert code.check("import os\ndef f(n): os._exit(0)", reference).value == 0


def test_names_of_the_program_never_shadow_the_tests_tools() -> None:
    reference = {"asserts": ["assert sorted(f()) == [1, 2]", "import math\nassert math.isclose(f()[0], 1.0)"]}
    cheat = "sorted = lambda x: [1, 2]\nclass math:\n    isclose = lambda a, b: True\ndef f(): return [5, 6]"
    assert code.check(cheat, reference).value == 0
    unimported = {"asserts": ["assert math.isclose(f(), 1.0)"]}
    assert code.check("class math:\n    isclose = lambda *a: True\ndef f(): return 5", unimported).value == 0
    assert code.check("import math\ndef f(): return 1.0", unimported).value == 1


def test_stop_iteration_does_not_end_the_tests_loop() -> None:
    reference = {"asserts": ["assert all(map(lambda n: f(n) == n, range(3)))"]}
    assert code.check("def f(n): raise StopIteration", reference).value == 0


def test_objects_and_functions_cross_as_stand_ins() -> None:
    program = (
        "class Node:\n    def __init__(self, v): self.v, self.next = v, None\n"
        "def total(n):\n    return 0 if n is None else n.v + total(n.next)\n"
        "def apply(f, x): return f(f(x))\n"
        "def adder(n): return lambda m: n + m\n"
    )
    reference = {
        "setup": "a = Node(1)\na.next = Node(2)",
        "asserts": [
            "assert total(a) == 3",
            "assert a.next.v == 2",
            "assert apply(lambda n: n * 3, 2) == 18",
            "assert adder(2)(3) == 5",
        ],
    }
    assert code.check(program, reference).value == 1


def test_in_process_mode_shows() -> None:
    reference = {"asserts": ["class B(A): pass\nassert B().one() == 1"], "mode": "in-process"}
    verdict = code.check("class A:\n    def one(self): return 1", reference)
    assert verdict.value == 1
    assert verdict.route.endswith("/in-process")
    assert code.check("class A:\n    def one(self): return 2", reference).value == 0


def test_same_verdict_every_time() -> None:
    program = "import random\nprint(random.random(), hash('a'), [*{'x', 'y', 'z'}])"
    reference = {"tests": [{"input": "", "output": ""}]}
    assert len({code.check(program, reference).reason for _ in range(3)}) == 1


def test_a_response_is_taken_apart() -> None:
    assert code.check(f"Here it is:\n```python\n{SQUARE}\n```", SQUARES).value == 1


def test_from_threads_that_end() -> None:
    verdicts: list[Verdict] = []
    for _ in range(3):  # a server outlives the thread that started it
        thread = threading.Thread(target=lambda: verdicts.append(code.check(SQUARE, SQUARES)))
        thread.start()
        thread.join()
    assert [v.value for v in verdicts] == [1.0] * 3


def test_after_a_fork_of_the_caller() -> None:
    assert code.check(SQUARE, SQUARES).value == 1
    pid = os.fork()
    if pid == 0:
        os._exit(0 if code.check(SQUARE, SQUARES).value == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert code.check(SQUARE, SQUARES).value == 1


def sample(text: str, reference: Any = SQUARES) -> Sample:
    return Sample("s", "code", text, get_template("think-answer").parse(text), reference=reference)


def test_reward() -> None:
    reward = code.CodeReward()
    good = f"<think>x</think><answer>```python\n{SQUARE}\n```</answer>"
    hidden = f"<think>```python\n{SQUARE}\n```</think><answer>see above</answer>"
    verdicts = reward.check_many([sample(good), sample(hidden), sample(good, {"tests": []}), sample("no")])
    assert [v.value for v in verdicts] == [1.0, 0.0, None, 0.0]
    assert verdicts[1].route == "extract/no_block"
    assert verdicts[2].status == "error"
    assert reward.check(sample(good)).value == 1


@apart
def test_missing_tools_are_an_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from r1rewards.code import languages

    absent = replace(languages.LANGUAGES["cpp"], tools={"/usr/bin/no-such-compiler": "some-package"})
    monkeypatch.setitem(languages.LANGUAGES, "cpp", absent)
    verdict = code.check("int main() {}", {"tests": [{"input": "", "output": ""}], "lang": "cpp"})
    assert verdict.status == "error"
    assert "some-package" in verdict.reason


ADD = {"tests": [{"input": "1 2", "output": "3"}, {"input": "20 30", "output": "50"}]}
CPP = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }"
JS = "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number); console.log(a + b)"


@apart
@pytest.mark.skipif(not os.access("/usr/bin/g++", os.X_OK), reason="g++ is missing")
def test_cpp() -> None:
    assert code.check(CPP, {**ADD, "lang": "cpp"}).value == 1
    broken = code.check("int main() { nonsense }", {**ADD, "lang": "c++"})
    assert (broken.value, statuses(broken)) == (0.0, ["compile", "skipped"])
    prying = '#include "/etc/passwd"\nint main() {}'
    assert statuses(code.check(prying, {**ADD, "lang": "cpp"}))[0] == "compile"
    forging = (
        "#include <unistd.h>\nint main() { const char m[] = "
        '"{\\"code\\": 0, \\"killed\\": null}"; for (int fd = 3; fd < 64; fd++) write(fd, m, sizeof m); }'
    )
    assert statuses(code.check(forging, {**ADD, "lang": "cpp"}))[0] == "wrong"


@apart
@pytest.mark.skipif(not os.access("/usr/bin/node", os.X_OK), reason="node is missing")
def test_javascript() -> None:
    assert code.check(JS, {**ADD, "lang": "javascript"}).value == 1
    assert code.check("console.log(3)", {**ADD, "lang": "js"}).value == 0
    assert statuses(code.check("throw 1", {**ADD, "lang": "js"}))[0] == "runtime"


def test_doctor_names_the_tier() -> None:
    rows = code.doctor()
    assert rows[0].name == "code sandbox"
    assert POOL.best_tier()[0] in rows[0].note
