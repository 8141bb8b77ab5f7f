"""Sampling that is killed: what was written stays, and the next try asks for the rest only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from r1data.sample import sample
from r1rewards.core.rows import check_problem
from r1rewards.core.template import get_template
from r1rewards.llm import Completion, Request

TEMPLATE = get_template("think-answer")
PROBLEMS: list[Any] = [
    check_problem(
        {"id": f"p{n}", "task": "math", "prompt": f"What is {n} + 1?", "reference": str(n + 1)}, "here"
    )
    for n in range(6)
]
SAMPLES = 5


class Scripted:
    """Answers last to first with a text that the request alone decides; counts what it is asked."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.asked += requests
        for index in reversed(range(len(requests))):
            time.sleep(self.pause)
            words = f"{requests[index].prompt[-1]['content']} {requests[index].sampling.seed}"  # type: ignore[index]
            yield index, Completion(words, (1, 2, 3), "stop", 7)


def run(log: Path, model: Scripted, **settings: Any) -> list[Any]:
    wanted: dict[str, Any] = {"name": "m", "template": TEMPLATE, "samples": SAMPLES, **settings}
    return sample(PROBLEMS, lambda: model, log, **wanted)


def test_every_sample_once_in_the_order_of_the_problems(tmp_path: Path) -> None:
    model, seen = Scripted(), list[tuple[int, int, int]]()
    rows = run(tmp_path / "log.jsonl", model, landed=lambda *what: seen.append(what))
    assert [(row["problem_id"], row["sample"]) for row in rows] == [
        (problem["id"], number) for problem in PROBLEMS for number in range(SAMPLES)
    ]
    total = len(PROBLEMS) * SAMPLES
    assert len({row["uid"] for row in rows}) == total
    assert len({request.sampling.seed for request in model.asked}) == total
    assert seen == [(done, total, 3) for done in range(1, total + 1)]
    assert "<think>" in str(model.asked[0].prompt), "the template's instruction is missing"


def test_seeds_and_uids_do_not_depend_on_what_else_is_sampled(tmp_path: Path) -> None:
    few = sample(PROBLEMS[3:4], Scripted, tmp_path / "few.jsonl", name="m", template=TEMPLATE, samples=2)
    many = {row["uid"]: row for row in run(tmp_path / "many.jsonl", Scripted())}
    assert [many[row["uid"]] for row in few] == few
    other = {row["uid"] for row in run(tmp_path / "other.jsonl", Scripted(), seed=1)}
    assert not other & set(many)


def test_two_models_draw_the_same_random_numbers(tmp_path: Path) -> None:
    models = {name: Scripted() for name in ("one", "two")}
    for name, model in models.items():
        run(tmp_path / f"{name}.jsonl", model, name=name)
    first, second = ([request.sampling.seed for request in model.asked] for model in models.values())
    assert first == second


def test_a_complete_log_asks_no_model(tmp_path: Path) -> None:
    rows = run(tmp_path / "log.jsonl", Scripted())

    def never() -> Scripted:
        raise AssertionError("the model was started for nothing")

    again = sample(PROBLEMS, never, tmp_path / "log.jsonl", name="m", template=TEMPLATE, samples=SAMPLES)
    assert again == rows


def test_more_samples_keep_those_that_are_there(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    run(log, Scripted())
    before = log.read_bytes()
    more = Scripted()
    assert len(run(log, more, samples=SAMPLES + 2)) == len(PROBLEMS) * (SAMPLES + 2)
    assert len(more.asked) == len(PROBLEMS) * 2
    assert log.read_bytes().startswith(before)


SLOW = """
import importlib.util, sys
from pathlib import Path
found = importlib.util.spec_from_file_location("scripted", sys.argv[1])
module = importlib.util.module_from_spec(found)
found.loader.exec_module(module)
module.run(Path(sys.argv[2]), module.Scripted(pause=0.02))
"""


@pytest.mark.parametrize("torn", [False, True])
def test_a_kill_loses_and_doubles_nothing(tmp_path: Path, torn: bool) -> None:
    log, whole = tmp_path / "log.jsonl", tmp_path / "whole.jsonl"
    process = subprocess.Popen([sys.executable, "-c", SLOW, __file__, str(log)])
    while not log.exists() or log.read_bytes().count(b"\n") < 7:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    written = log.read_bytes()
    assert written.count(b"\n") < len(PROBLEMS) * SAMPLES, "it was killed too late to show anything"
    if torn:
        log.write_bytes(written + written.splitlines()[0][:40])
    model = Scripted()
    rows = run(log, model)
    assert rows == run(whole, Scripted())
    assert log.read_bytes().startswith(written)
    uids = [json.loads(line)["uid"] for line in log.read_bytes().splitlines()]
    assert len(uids) == len(set(uids)) == len(PROBLEMS) * SAMPLES
    assert len(model.asked) == len(uids) - written.count(b"\n")
