"""Every worked trace is graded right, every step in it is true, and it is in the problem's language."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from r1data.sources import load_source
from r1data.sources.base import make_problem
from r1data.sources.gym_table import SUITABLE
from r1data.worked import KINDS, worked_trace
from r1rewards import choice, code, language, math, puzzle
from r1rewards.core.rows import question_of
from r1rewards.core.template import get_template

TEMPLATE = get_template("think-answer")
STEP = re.compile(r"(?<![\d*/+-] )(?<!\d)(-?\d+) ([-+*/]) (-?\d+) = (-?\d+)(?! [-+*/])")

ARITHMETIC = [("arithmetic", {"kinds": [kind]}) for kind in ("sum", "product", "equation", "story")]
CHOICE = [
    ("choice", {"kinds": [kind]})
    for kind in ("sum", "product", "equation", "story", "extreme", "odd-one", "member", "order")
]
GYM = [("reasoning-gym", {"dataset": dataset}) for dataset in SUITABLE]
GYM += [
    ("reasoning-gym", {"dataset": dataset, "language": "zh"}) for dataset in ("chain_sum", "number_sequence")
]
CODE = [("small-code", {"language": "both"})]


def graded(problem, response: str) -> float | None:
    if problem["task"] == "math":
        return math.check(response, problem["reference"], policy="strict", template=TEMPLATE).value
    if problem["task"] == "choice":
        return choice.check(response, problem["reference"], template=TEMPLATE).value
    if problem["task"] == "code":
        return code.check(TEMPLATE.parse(response).answer, problem["reference"]).value
    question = question_of(problem["prompt"])
    return puzzle.check(response, problem["reference"], template=TEMPLATE, question=question).value


@pytest.mark.parametrize(("source", "options"), ARITHMETIC + CHOICE + GYM + CODE)
def test_a_worked_trace_is_well_formed_and_graded_right(source, options):
    for problem in load_source(source, count=8, seed=21, **options):
        reasoning, answer = worked_trace(problem)
        response = TEMPLATE.render(reasoning, answer)
        assert TEMPLATE.parse(response).well_formed
        assert graded(problem, response) == 1, (problem, response)


@pytest.mark.parametrize(("source", "options"), ARITHMETIC + CHOICE + GYM)
def test_every_step_is_true_and_the_answer_is_the_known_one(source, options):
    for problem in load_source(source, count=80, seed=22, **options):
        reasoning, answer = worked_trace(problem)
        known = problem["meta"]["answer"] if problem["task"] == "puzzle" else problem["reference"]
        assert answer == known, (problem, reasoning)
        for left, sign, right, result in STEP.findall(reasoning):
            a, b = Fraction(left), Fraction(right)
            value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else None}[sign]
            assert value == Fraction(result), (problem["id"], reasoning)


def test_the_steps_are_seen_by_the_test_above():
    problem = make_problem("p", "math", "?", "5", source="t", meta={"kind": "sum", "terms": [9, -7, 3]})
    assert STEP.findall(worked_trace(problem)[0])[:2] == [("9", "-", "7", "2"), ("2", "+", "3", "5")]


@pytest.mark.parametrize(("source", "options"), [*ARITHMETIC, *CHOICE, *CODE])
@pytest.mark.parametrize("tongue", ["en", "zh"])
def test_a_trace_is_short_and_in_the_language_of_its_problem(source, options, tongue):
    for problem in load_source(source, count=20, seed=23, **{**options, "language": tongue}):
        reasoning, _ = worked_trace(problem)
        han = re.search(r"[\u4e00-\u9fff]", reasoning)
        assert bool(han) == (tongue == "zh") == (problem["language"] == "zh")
        assert 15 <= len(reasoning) <= 330 and "{" not in reasoning and "  " not in reasoning
        verdict = language.check(reasoning, tongue)
        least = 0.5 if source == "small-code" else 0.7  # names of functions are no Chinese words
        assert verdict.value is None or verdict.value >= least, (reasoning, verdict)


def test_the_id_chooses_the_wording_and_the_same_id_the_same():
    def trace(identity: str) -> str:
        facts = {"kind": "sum", "terms": [4, 5]}
        return worked_trace(make_problem(identity, "math", "4 + 5?", "9", source="t", meta=facts))[0]

    assert trace("a") == trace("a")
    assert len({trace(str(n)) for n in range(40)}) > 8


def test_what_was_not_generated_here_has_no_worked_trace():
    foreign = make_problem("f", "math", "2 + 2?", "4", source="elsewhere", meta={})
    assert worked_trace(foreign) is None
    unknown = load_source("reasoning-gym", count=1, seed=0, dataset="count_bits")[0]
    assert worked_trace(unknown) is None


def test_every_kind_is_reached_by_a_source():
    reached = set()
    for source, options in [*ARITHMETIC, *CHOICE, *GYM, *CODE]:
        meta = load_source(source, count=1, seed=0, **options)[0]["meta"]
        reached |= {meta["kind"], meta.get("of", {}).get("kind")}
    assert reached - {None, "choice"} == set(KINDS)


@pytest.mark.parametrize("offset", range(-10, 11))
def test_weekdays_are_counted_over_whole_weeks(offset):
    meta = {"kind": "weekday", "start": "Monday", "offset": offset}
    problem = make_problem("w", "puzzle", "?", {}, source="t", meta=meta)
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    assert worked_trace(problem)[1] == days[offset % 7]
