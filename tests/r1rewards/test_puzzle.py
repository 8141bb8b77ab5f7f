from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards import puzzle_worker
from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template
from r1rewards.core.workers import Workers
from r1rewards.puzzle import ANSWER_CHARS, PuzzleReward, candidates, check
from r1rewards.puzzle_worker import PuzzleError

SUM = {"dataset": "chain_sum", "config": {"min_terms": 2, "max_terms": 3}, "seed": 3, "index": 5}
GOOD = (
    "chain_sum",
    "basic_arithmetic",
    "letter_counting",
    "spell_backward",
    "leg_counting",
    "countdown",
    "n_queens",
)


def gold(reference: dict[str, object]) -> str:
    return str(puzzle_worker.score(reference, ["-"], None)["gold"])


@pytest.fixture(scope="module")
def reward():
    reward = PuzzleReward()
    yield reward
    reward.close()


def sample(answer: str, reference: object = SUM, prompt: str | None = None) -> Sample:
    text = f"<think>..</think><answer>{answer}</answer>"
    turns = [] if prompt is None else [{"role": "user", "content": prompt}]
    trace = get_template("think-answer").parse(text)
    return Sample("1", "puzzle", text, trace, prompt=turns, reference=reference)


@pytest.mark.parametrize("name", GOOD)
def test_the_gold_answer_scores_full_marks_and_another_item_s_does_not(name):
    ours, other = ({"dataset": name, "seed": 11, "index": index} for index in (2, 3))
    answer = gold(ours)
    assert puzzle_worker.score(ours, [answer], None)["score"] == 1.0
    if gold(other) != answer:
        assert puzzle_worker.score(other, [answer], None)["score"] < 1.0


@pytest.mark.parametrize(
    "stated", ["{}", "The answer is {}.", "**Answer:** {}", "so \\boxed{{{}}}", "<think>1</think> {}"]
)
def test_the_answer_is_found_where_it_is_stated(stated):
    assert check(stated.format(gold(SUM)), SUM).value == 1.0
    assert check(stated.format("1" + gold(SUM)), SUM).value == 0.0


def test_part_marks_are_no_marks_unless_asked_for():
    response = f"It might be {gold(SUM)}, who knows"
    assert check(response, SUM).value == 0.0
    assert 0.0 < check(response, SUM, exact=False).value < 1.0
    assert check(response, SUM).details["score"] == check(response, SUM, exact=False).value


def test_what_cannot_grade_is_an_error_not_a_reward():
    for reference in (
        {"dataset": "graph_color", "seed": 1, "index": 0},
        {"dataset": "no_such", "seed": 1, "index": 0},
        {"dataset": "chain_sum", "seed": 1},
        {"dataset": "chain_sum", "config": {"min_terms": -4}, "seed": 1, "index": 0},
    ):
        with pytest.raises(GraderError):
            check("4", reference)


def test_the_prompt_must_hold_the_question(reward):
    question = puzzle_worker._item('{"dataset": "chain_sum", "index": 5, "seed": 3}')[1]["question"]
    plain = {"dataset": "chain_sum", "index": 5, "seed": 3}
    right = gold(plain)
    asked, other, rephrased = reward.check_many(
        [
            sample(right, plain, f"Think first.\n{question}"),
            sample(right, plain, "What is 1 + 1?"),
            sample(right, plain),
        ]
    )
    assert asked.value == rephrased.value == 1.0
    assert other.status == "error"
    assert "does not hold the question" in other.reason


def test_many_in_order_and_apart(reward):
    references = [{"dataset": "chain_sum", "seed": 3, "index": index} for index in range(6)]
    samples = [sample(gold(reference), reference) for reference in references]
    samples[2] = sample("no idea", references[2])
    samples[4] = sample("4", {"dataset": "no_such", "seed": 0, "index": 0})
    verdicts = reward.check_many(samples)
    assert [v.value for v in verdicts] == [1.0, 1.0, 0.0, 1.0, None, 1.0]
    assert [reward.check(s).value for s in samples] == [v.value for v in verdicts]


HOSTILE = [
    "__import__('os').system('touch {}')",
    "[open('{}', 'w')]",
    "(lambda: open('{}', 'w'))()",
    "exec(\"open('{}', 'w')\")",
    "9**9**9**9",
    "x**9**9**9",
    "((((9**999)**999)**999)**999)**x.real",
    "1e999999",
    "().__class__.__base__.__subclasses__()",
    "1" * 50_000,
]
EVALUATING = sorted(puzzle_worker._ALLOWED)


@pytest.mark.parametrize("name", EVALUATING)
def test_scorers_that_evaluate_never_see_a_hostile_answer(name, tmp_path):
    reference = {"dataset": name, "seed": 5, "index": 1}
    assert puzzle_worker.score(reference, [gold(reference)], None)["score"] == 1.0
    mark = tmp_path / "touched"
    for hostile in HOSTILE:
        result = puzzle_worker.score(reference, [hostile.replace("{}", str(mark))], None)
        assert result["refused"]
        assert result["score"] == 0.0
    assert not mark.exists()


@given(st.text(alphabet="0123456789xC+-*/()[]._'\", =lambdexcos", max_size=60))
def test_what_is_let_through_holds_no_name_attribute_or_tower(answer):
    for pattern in set(puzzle_worker._ALLOWED.values()):
        if pattern.fullmatch(answer):
            compact = "".join(answer.split())
            assert not any(word in compact for word in ("exec", "lambda", "__c", "._", ".c", "=", ".x"))
            assert compact.count("**") < 2 or "**" not in compact.partition("**")[2][:2]


@pytest.mark.parametrize("answer", ["True", "nonsense", "", "[]"])
def test_a_scorer_that_pays_for_anything_is_asked_for_its_own_answer(answer):
    # game_of_life_halting takes the truth of a string: that of "False" is True.
    reference = {"dataset": "game_of_life_halting", "seed": 7, "index": 1}
    assert gold(reference) == "False"
    assert puzzle_worker.score(reference, [answer], None)["score"] == 0.0
    assert puzzle_worker.score(reference, ["false"], None)["score"] == 1.0


@pytest.mark.parametrize("answer", ["NaN", "nan", "-inf", "infinity", "nanj"])
def test_what_is_no_number_is_near_none(answer):
    reference = {"dataset": "complex_arithmetic", "seed": 7, "index": 1}
    assert puzzle_worker.score(reference, [answer], None)["score"] == 0.0
    assert puzzle_worker.score(reference, [gold(reference)], None)["score"] == 1.0


def test_a_reference_that_is_no_mapping_is_named():
    with pytest.raises(PuzzleError, match='not "4"'):
        puzzle_worker.score("4", ["4"], None)


def test_a_scorer_that_raises_gives_no_marks():
    class Fussy:
        def score_answer(self, answer, item):
            return {"right": 1.0}[answer]

    assert puzzle_worker._marks(Fussy(), "right", {}) == 1.0
    assert puzzle_worker._marks(Fussy(), "wrong", {}) == 0.0


def test_an_item_that_changes_is_refused(monkeypatch):
    class Changing:
        def __getitem__(self, index):
            return {"question": "?", "answer": os.urandom(8).hex()}

    monkeypatch.setattr(puzzle_worker, "_build", lambda *key: Changing())
    with pytest.raises(PuzzleError, match="not reproducible"):
        puzzle_worker._item.__wrapped__('{"dataset": "d", "seed": 0, "index": 0}')


def test_a_dead_worker_is_an_error_and_is_replaced():
    workers = Workers("r1rewards.puzzle_worker:score", deadline_s=0.001)
    with pytest.raises(GraderError):
        check("4", {**SUM, "dataset": "sokoban"}, workers=workers)
    workers.deadline_s = 60.0
    assert check(gold(SUM), SUM, workers=workers).value == 1.0
    workers.close()


def test_candidates_are_few_and_bounded():
    assert candidates("  ") == []
    assert candidates("x" * (ANSWER_CHARS + 1)) == []
    assert candidates("Answer: 4\nno, the answer is: **5**.")[0] == "5"
    assert candidates("answer: 3, so \\boxed{4}")[0] == "4"
    assert len(candidates("Answer: 4 \\boxed{5}")) <= 4
