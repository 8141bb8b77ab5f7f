from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from r1train.report.run import load_run
from r1train.report.samples import CHANGES, cases
from r1train.report.verdicts import places


def test_the_same_problem_is_answered_by_every_model(run: Path) -> None:
    shown = cases(load_run(run))
    assert len(shown) == 12
    assert len({case.problem_id for case in shown}) == 12
    stages = ["base", "1 · cold start", "2 · reasoning RL", "3 · rejection SFT", "4 · all scenarios RL"]
    assert all([answer.stage for answer in case.answers] == stages for case in shown)


def test_domains_take_turns_and_so_do_changes(run: Path) -> None:
    shown = cases(load_run(run))
    assert [case.domain for case in shown[:5]] == ["math", "code", "stem", "logic", "writing"]
    assert shown[0].change == CHANGES[0]
    assert shown[4].change == CHANGES[4]
    first, last = shown[0].answers[0], shown[0].answers[-1]
    assert (first.right, last.right) == (0.0, 1.0)


def test_a_response_is_taken_apart(run: Path) -> None:
    case = next(case for case in cases(load_run(run)) if case.domain == "math")
    answer = case.answers[0]
    assert answer.reasoning.startswith("Let me see")
    assert answer.answer.isdigit()
    assert {name for name, _, _ in answer.verdicts} == {"format", "language", "math"}


def test_one_evaluation_is_enough(unfinished: Callable[[int], Path]) -> None:
    shown = cases(load_run(unfinished(1)))
    assert shown
    assert all(case.change == "" and len(case.answers) == 1 for case in shown)
    assert cases(load_run(unfinished(0))) == []


def test_verdicts_are_counted_once(run: Path) -> None:
    found = {(place.stage, place.part): place for place in places(load_run(run))}
    base = found["base", "evaluation"]
    assert base.rows == 5 * 20 * 2
    assert base.rewards["format"].tally.values == base.rows
    maths = base.rewards["math"]
    assert (maths.tally.values, maths.tally.abstained, maths.tally.errors) == (36, 2, 2)
    assert maths.why() == [
        ("error", "the worker died after 7 s", 2),
        ("abstained", "no answer found in <b>the response</b>", 2),
    ]
    assert found["2 · reasoning RL", "training"].rows == 2 * 8 * 4
