"""Math graders side by side on the same cases: r1rewards, math-verify, TRL's and verl's.

    pip install -e '.[bench]'           # math-verify; TRL's reward needs it too
    make bench-env                      # verl's graders, which cannot share this environment, and math-verify
    python bench/math_graders.py        # every grader that this environment or .bench-env holds

Each grader runs each set in a fresh process of its own, one case after another on one core, as a batch is
graded in training; its imports and one warm-up case are not timed. Three sets of cases, from the folder that
R1KIT_DATA names:

    core   labelled (gold, response) pairs, those left out that need a judge or a policy: accuracy
    real   outputs of real models with their golds, which repeat as they do in training: cases per second
    hard   the core cases whose gold is not a number, each once: cases per second

"wrong accepted" is the share of the wrong answers that get a 1, "right rejected" the share of the right ones
that do not; an abstention counts as not accepted. p99 is over core and real. A case that takes longer than
`--hang` seconds is a hang: its process is killed, and a new one goes on with the next case.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Grade = Callable[[str, str], "float | None"]
ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("R1KIT_DATA", ROOT / "../shared/data"))

# verl's package imports its whole trainer; its graders need only their own files.
if (_verl := importlib.util.find_spec("verl")) is not None and _verl.submodule_search_locations:
    _folder = Path(next(iter(_verl.submodule_search_locations)))
    for _name in ("verl", "verl.utils", "verl.utils.reward_score"):
        _module = types.ModuleType(_name)
        _module.__path__ = [str(_folder.joinpath(*_name.split(".")[1:]))]
        sys.modules[_name] = _module
    sys.modules["verl.utils.metric"] = types.ModuleType("verl.utils.metric")
    sys.modules["verl.utils.metric"].Metric = object  # type: ignore[attr-defined]


# -- graders: response, gold -> reward; None abstains


def r1rewards() -> Grade:
    from r1rewards.math import check

    return lambda response, gold: check(response, gold).value


def math_verify() -> Grade:
    from math_verify import parse, verify

    def grade(response: str, gold: str) -> float:
        wanted = parse(gold if "$" in gold or "\\boxed" in gold else f"${gold}$")
        return float(verify(wanted, parse(response)))

    return grade


def trl_accuracy_reward() -> Grade:
    from trl.rewards import accuracy_reward

    def grade(response: str, gold: str) -> float | None:
        wanted = gold if "$" in gold or "\\boxed" in gold else f"${gold}$"
        return accuracy_reward([[{"role": "assistant", "content": response}]], [wanted])[0]

    return grade


def verl_math_verify() -> Grade:
    from verl.utils.reward_score.math_verify import compute_score

    return lambda response, gold: float(compute_score(response, gold))


def verl_prime_math() -> Grade:
    from verl.utils.reward_score.prime_math import compute_score

    return lambda response, gold: float(compute_score(response, gold)[0])


def verl_math_dapo() -> Grade:
    from verl.utils.reward_score.math_dapo import compute_score

    return lambda response, gold: float(compute_score(response, gold)["acc"])


def verl_math_reward() -> Grade:
    from verl.utils.reward_score.math_reward import compute_score

    return lambda response, gold: float(compute_score(response, gold))


HERE = {"r1rewards": r1rewards, "math-verify": math_verify, "TRL accuracy_reward": trl_accuracy_reward}
PEERS = {
    "verl math_verify": verl_math_verify,
    "verl prime_math": verl_prime_math,
    "verl math_dapo": verl_math_dapo,
    "verl math_reward": verl_math_reward,
}


# -- cases


def rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)


def core_cases() -> list[dict[str, Any]]:
    return [
        row
        for row in rows("math_equivalence_half")
        if "judge-needed" not in row["kind"] and "policy" not in row["kind"]
    ]


def real_cases() -> list[dict[str, Any]]:
    cases = []
    for row in rows("qwen25math_8samples_math"):
        cases += [{"response": sample, "gold": row["gt"]} for sample in row["samples"]]
    for row in rows("math_think_traces"):
        cases.append({"response": row["response"], "gold": row["ground_truth"]})
    for row in rows("gsm8k_model_solutions_half"):
        gold = row["ground_truth"].rpartition("A:")[2].strip()
        for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            cases.append({"response": row[model]["solution"], "gold": gold})
    return cases


def hard_cases() -> list[dict[str, Any]]:
    return [case for case in core_cases() if "number" not in case["kind"]]


SETS = {"core": core_cases, "real": real_cases, "hard": hard_cases}


# -- one grader in one process: a line of [reward, seconds] for each case of a set, from one on


def serve(name: str, cases: list[dict[str, Any]]) -> None:
    grade = (HERE | PEERS)[name]()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    grade(r"so \boxed{\frac{2}{4}}", r"\frac{1}{2}")
    print("ready", file=answers, flush=True)
    for case in cases:
        started = time.perf_counter()
        try:
            reward = grade(case["response"], case["gold"])
        except Exception as error:  # noqa: BLE001 - what a grader raises is part of the result
            reward = None
            print(f"{name}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        print(json.dumps([reward, time.perf_counter() - started]), file=answers, flush=True)


class NotInstalledError(Exception):
    """The environment does not hold the grader."""


Result = tuple["float | None", float, bool]


def results(name: str, python: str, which: str, count: int, hang_s: float) -> list[Result]:
    """The reward, the seconds, and whether it hung, of the first `count` cases of a set."""
    done: list[Result] = []
    while len(done) < count:
        done.extend(_until_a_hang(name, python, which, (len(done), count), hang_s))
    return done


def _until_a_hang(
    name: str, python: str, which: str, span: tuple[int, int], hang_s: float
) -> Iterator[Result]:
    """Results of one process, which ends with its first hang."""
    process = subprocess.Popen(
        [python, __file__, "--serve", name, which, *map(str, span)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,  # what a buffer held, select would not see
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != b"ready":
            raise NotInstalledError(f"{name} does not start with {python}")
        output, unread = process.stdout.fileno(), b""
        for _ in range(*span):
            while b"\n" not in unread:
                if not select.select([output], [], [], hang_s)[0]:
                    yield None, hang_s, True
                    return
                if not (more := os.read(output, 65536)):
                    sys.exit(f"{name} died at one of the {which} cases from {span[0]} to {span[1]}")
                unread += more
            line, _, unread = unread.partition(b"\n")
            reward, seconds = json.loads(line)
            yield reward, seconds, False
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with the pools that some graders keep
        process.wait()


def measure(name: str, python: str, hang_s: float, sizes: dict[str, int]) -> dict[str, Any]:
    core, real, hard = (results(name, python, which, sizes[which], hang_s) for which in SETS)
    expected = [case["expected"] for case in core_cases()[: len(core)]]
    wrong = [result[0] == 1 for result, right in zip(core, expected, strict=True) if not right]
    right = [result[0] == 1 for result, right in zip(core, expected, strict=True) if right]
    every = sorted(seconds for _, seconds, _ in [*core, *real])
    return {
        "grader": name,
        "accuracy": 100 * (sum(right) + len(wrong) - sum(wrong)) / len(core),
        "wrong accepted": 100 * sum(wrong) / max(1, len(wrong)),
        "right rejected": 100 * (len(right) - sum(right)) / max(1, len(right)),
        "abstained": 100 * sum(reward is None for reward, _, _ in core) / len(core),
        "real/s": len(real) / sum(seconds for _, seconds, _ in real),
        "hard/s": len(hard) / sum(seconds for _, seconds, _ in hard),
        "p99 ms": 1000 * every[int(0.99 * (len(every) - 1))],
        "hangs": sum(hung for *_, hung in [*core, *real, *hard]),
    }


def table(measured: list[dict[str, Any]]) -> Iterator[str]:
    base = next((row for row in measured if row["grader"] == "math-verify"), None)
    columns = [
        "accuracy",
        "wrong accepted",
        "right rejected",
        "abstained",
        "real/s",
        "hard/s",
        "p99 ms",
        "hangs",
    ]
    yield "| grader | " + " | ".join(columns) + " | real, hard against math-verify |"
    yield "|---" * (len(columns) + 2) + "|"
    for row in measured:
        cells = [
            f"{row[column]:.1f}" if column not in ("real/s", "hard/s", "hangs") else f"{row[column]:,.0f}"
            for column in columns
        ]
        ratio = (
            f"{row['real/s'] / base['real/s']:.1f}x, {row['hard/s'] / base['hard/s']:.1f}x" if base else ""
        )
        yield f"| {row['grader']} | " + " | ".join(cells) + f" | {ratio} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    bench_env = ROOT / ".bench-env/bin/python"
    parser.add_argument(
        "--peers",
        default=str(bench_env) if bench_env.exists() else None,
        help="the Python of the environment of `make bench-env`, for what is not in this one",
    )
    parser.add_argument("--only", action="append", help="the name of a grader; may be given more than once")
    parser.add_argument("--hang", type=float, default=30.0, help="seconds after which a case is a hang")
    parser.add_argument("--limit", type=int, help="the first N cases of each set, for a quick look")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        name, which, first, end = options.serve
        serve(name, SETS[which]()[int(first) : int(end)])
        return
    sizes = {which: len(cases()[: options.limit]) for which, cases in SETS.items()}
    pythons = [sys.executable, *([options.peers] if options.peers else [])]
    measured, missing = [], []
    for name in HERE | PEERS:
        if options.only and name not in options.only:
            continue
        print(f"{name} ...", file=sys.stderr)
        for python in pythons:
            try:
                measured.append(measure(name, python, options.hang, sizes))
                break
            except NotInstalledError:
                continue
        else:
            missing.append(name)
    if not measured:
        sys.exit(f"none of these is installed: {', '.join(missing)}; see the top of this file")
    print("{core} core cases, {real} real model outputs, {hard} hard cases; one core each\n".format(**sizes))
    print("\n".join(table(measured)))
    if missing:
        print(f"\nnot installed, so left out: {', '.join(missing)}; see the top of this file")
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
