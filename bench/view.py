"""How `r1train view` stands a large run: time until it serves, memory, and milliseconds of every request.

    python bench/view.py                      100,000 rollouts of 2,000 characters
    python bench/view.py --rollouts 20000 --characters 20000

A run folder with that many rollouts of GRPO, 512 to a step, is made up in a temporary folder and served by
the command itself; requests go through HTTP one after the other, median of five. Then a step is added, as in
a run in progress, and what the next request takes is the time to follow. Memory is the server's own, and what
it has mapped from disk, which the system takes back when it needs it.
"""

from __future__ import annotations

import argparse
import html
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from r1rewards.core.console import print_table
from r1rewards.core.store import write_rows
from r1rewards.core.verdict import Verdict

GROUP, STEP, REPEATS = 8, 512, 5
WORDS = ("so", "we", "add", "both", "numbers", "let", "me", "check", "that", "it", "holds")
TASKS = {"math": "math", "code": "code", "stem": "choice", "logic": "puzzle"}
#: What a reader does, as addresses.
REQUESTS = {
    "page": "rollouts",
    "stage": "rows?place=2-reasoning-rl/train",
    "domain": "rows?domain=code",
    "verdict": "rows?said=math:+1",
    "steps": "rows?first_step=20&last_step=30",
    "reward, lowest first": "rows?lowest=1&order=low",
    "longest first": "rows?order=long",
    "five conditions": "rows?domain=math&task=math&said=math:+0&first_step=5&highest=1.5",
    "text in few": "rows?text=number+77+is",
    "text in none": "rows?text=nobody+says+this",
    "text within a domain": "rows?domain=code&text=number+77+is",
    "page 1,000": "rows?start=60000",
}


def rollout(number: int, characters: int, dice: random.Random) -> dict[str, Any]:
    problem, step = number // GROUP, number // STEP + 1
    domain, task = list(TASKS.items())[problem % 4]
    right = dice.random() < 0.4
    words = " ".join(dice.choices(WORDS, k=characters // 5))
    verdicts = {
        task: Verdict.of(right, "equal" if right else f"{problem} and {problem + 1}", "boxed/integer"),
        "format": Verdict.of(1, "well formed", "think-answer"),
        "language": Verdict.of(0.9 + dice.random() / 10, "94 of 98 words are en", "share"),
    }
    return {
        "uid": f"{number:032x}",
        "problem_id": f"{domain}-{problem}",
        "sample": number % GROUP,
        "group": problem,
        "step": step,
        "task": task,
        "domain": domain,
        "language": "en",
        "prompt": [{"role": "user", "content": f"What comes after number {problem} is what is asked here."}],
        "reference": str(problem + 1),
        "text": f"<think>\nnumber {problem} is {words}\n</think>\n<answer>{problem + right}</answer>",
        "tokens": characters // 4,
        "finish_reason": "stop",
        "model": "2-reasoning-rl",
        "reward": 2.0 + right,
        "rewards": {name: verdict.value for name, verdict in verdicts.items()},
        "advantage": dice.gauss(0, 1),
        "status": "ok",
        "verdicts": {name: verdict.to_dict() for name, verdict in verdicts.items()},
    }


def write_steps(run: Path, first: int, count: int, characters: int) -> None:
    dice = random.Random(first)
    folder = run / "2-reasoning-rl" / "train" / "rollouts"
    for start in range(first, first + count, STEP):
        rows = [rollout(n, characters, dice) for n in range(start, min(start + STEP, first + count))]
        write_rows(folder / f"step-{start // STEP + 1:06}.parquet", rows)


def memory(pid: int) -> tuple[float, float]:
    """MB of a process: its own, and mapped from files."""
    status = Path(f"/proc/{pid}/status").read_text()
    figures = dict(re.findall(r"(\w+):\s+(\d+) kB", status))
    return int(figures["RssAnon"]) / 1024, int(figures["RssFile"]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rollouts", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=2000, help="of each response")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_steps(run, 0, asked.rollouts, asked.characters)
        began = time.perf_counter()
        argv = [sys.executable, "-m", "r1train", "view", str(run), "--port", "0"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            try:
                assert server.stdout is not None
                address = re.search(r"http://\S+?:\d+", server.stdout.readline())
                assert address is not None
                ready, before = time.perf_counter() - began, memory(server.pid)
                with httpx.Client(base_url=f"{address[0]}/", timeout=60) as client:
                    lines = list(requests(client, run, asked.rollouts, asked.characters))
                after = memory(server.pid)
            finally:
                server.terminate()
    print(f"{asked.rollouts:,} rollouts of {asked.characters:,} characters\n")
    print_table(["request", "ms", "found"], lines)
    serving = [["serving", round(ready, 1), *before], ["after the requests", "", *after]]
    print_table(["", "seconds", "own MB", "mapped MB"], serving)


def requests(client: httpx.Client, run: Path, rollouts: int, characters: int) -> Iterator[list[Any]]:
    for name, path in REQUESTS.items():
        yield [name, milliseconds(client, path), found(client, path)]
    link = re.search(r'href="rollouts(\?[^"]*open=[^"]+)"', client.get("rows").text)
    assert link is not None
    yield ["a group of eight", milliseconds(client, "group" + html.unescape(link[1])), ""]
    yield ["nothing is new", milliseconds(client, "news"), ""]
    write_steps(run, -(-rollouts // STEP) * STEP, STEP, characters)
    yield ["a step of 512 is new", milliseconds(client, "news", 1), ""]


def milliseconds(client: httpx.Client, path: str, repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 1)


def found(client: httpx.Client, path: str) -> str:
    match = re.search(r"<b>([\d,]+)</b> responses", client.get(path).text)
    return match[1] if match else ""


if __name__ == "__main__":
    main()
