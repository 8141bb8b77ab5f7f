"""What a total means, and that it depends on nothing but the row."""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1rewards.component import Component
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.score import combine, group_advantages
from r1rewards.spec import BATCH, ErrorSettings, Spec, load_spec


class Says(Reward):
    """The verdict that the answer spells: a number, `abstain`, `error`, `crash`, `nan`."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def check(self, sample: Sample) -> Verdict:
        word = sample.trace.answer
        self.seen.append(word)
        if word == "abstain":
            return Verdict.abstain("asked to")
        if word == "error":
            raise GraderError("asked to")
        if word == "crash":
            raise ZeroDivisionError("asked to")
        return Verdict.of(float(word), "asked to")


class Constant(Reward):
    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def check(self, sample: Sample) -> Verdict:
        return self.verdict


def row(answer: str, task: str = "general", **more: Any) -> dict[str, Any]:
    return {"task": task, "response": f"<think>t</think><answer>{answer}</answer>", **more}


def spec(*components: Component, retries: int = 0, then: str = "skip") -> Spec:
    on_error = ErrorSettings(retries=retries, then=then)  # type: ignore[arg-type]
    return Spec(components, get_template("think-answer"), on_error=on_error)


def says(name: str = "says", **settings: Any) -> Component:
    return Component(name, Says(), **settings)


ONE = Constant(Verdict.of(1, "always"))


def test_the_total_is_the_weighted_sum() -> None:
    with spec(says(weight=2.0), Component("one", ONE, weight=0.5)) as s:
        (score,) = s.score([row("0.25")])
    assert score.total == 1.0
    assert score.status == "ok"
    assert score.rewards == {"says": 0.25, "one": 1.0}  # as graded, without the weights


@pytest.mark.parametrize("word", ["error", "crash", "nan", "inf"])
def test_a_failure_leaves_no_total_whatever_the_others_say(word: str) -> None:
    with spec(says(), Component("one", ONE)) as s:
        (score,) = s.score([row(word)])
    assert (score.total, score.status) == (None, "error")
    assert score.rewards == {"says": None, "one": 1.0}
    assert score.verdicts["says"].status == "error"
    assert score.reason.startswith("says: ")


def test_only_a_required_abstention_takes_the_total() -> None:
    with (
        spec(says(), Component("one", ONE)) as free,
        spec(says(required=True), Component("one", ONE)) as bound,
    ):
        assert free.score_many([row("abstain")])[0].total == 1.0
        (score,) = bound.score([row("abstain")])
    assert (score.total, score.status, score.reason) == (None, "abstain", "says: asked to")


def test_a_row_that_no_reward_applies_to_has_no_total() -> None:
    with spec(says(tasks=frozenset({"math"}))) as s:
        (score,) = s.score([row("1")])
    assert (score.total, score.status, score.reason) == (None, "abstain", "no reward applies")
    assert score.rewards == {"says": None}
    assert score.verdicts == {}


def test_a_required_reward_that_does_not_apply_is_no_abstention() -> None:
    with spec(says(required=True, tasks=frozenset({"math"})), Component("one", ONE)) as s:
        assert s.score_many([row("7")])[0].total == 1.0


def test_routing_by_task_domain_and_step() -> None:
    late = Component("late", ONE, from_step=10, until_step=20)
    with spec(says(tasks=frozenset({"choice"}), domains=frozenset({"stem"})), late) as s:
        stem = row("1", task="choice", domain="stem", reference="B")
        assert s.score_many([stem])[0].rewards == {
            "says": 1.0,
            "late": 1.0,
        }  # outside training every phase counts
        assert s.score_many([stem | {"domain": "qa"}], step=10)[0].rewards == {"says": None, "late": 1.0}
        assert [s.score_many([stem], step=n)[0].rewards["late"] for n in (9, 10, 19, 20)] == [
            None,
            1.0,
            1.0,
            None,
        ]


def test_a_gate_multiplies_what_the_others_add_up_to() -> None:
    with spec(says("gate", gate=True), Component("a", ONE), Component("b", ONE, weight=2.0)) as s:
        assert [score.total for score in s.score([row("0"), row("0.5"), row("1")])] == [0.0, 1.5, 3.0]


def test_the_scored_row_carries_everything_and_changes_nothing() -> None:
    given_row = row("error", uid="u1", source="x")
    with spec(says(), Component("one", ONE)) as s:
        out = s.score_many([given_row])[0].to_row(given_row)
    assert {key: out[key] for key in given_row} == given_row
    assert out["reward"] is None
    assert out["rewards"] == {"says": None, "one": 1.0}
    assert out["status"] == "error"
    assert out["verdicts"]["says"] == {
        "status": "error",
        "value": None,
        "reason": "asked to",
        "route": "grader",
    }


def test_an_error_is_graded_again_and_only_then_stands() -> None:
    class Flaky(Reward):
        calls = 0

        def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
            self.calls += 1
            if self.calls == 1:
                raise GraderError("the worker died")
            return [Verdict.of(1, "fine")] * len(samples)

    flaky = Flaky()
    with spec(Component("flaky", flaky), retries=1) as s:
        assert [score.total for score in s.score([row("1"), row("2")])] == [1.0, 1.0]
    with spec(Component("flaky", Flaky()), retries=0) as s:
        assert [score.status for score in s.score([row("1"), row("2")])] == ["error", "error"]


def test_then_stop_ends_the_run_with_the_reason() -> None:
    with spec(says(), then="stop") as s, pytest.raises(UserError, match=r"^u9: .*says: asked to$"):
        s.score_many([row("1"), row("error", uid="u9")])


def test_a_reward_that_miscounts_is_an_error() -> None:
    class Short(Reward):
        def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
            return []

    with spec(Component("short", Short())) as s:
        assert "0 verdicts for 2 samples" in s.score_many([row("1"), row("2")])[0].reason


def test_equal_rows_are_graded_once_and_different_problems_are_not_confused() -> None:
    component = says()
    with spec(component) as s:
        rows = [row("1", id=i, reference="a") for i in range(5)]
        rows += [row("1", reference="b"), row("1", reference="a", thinking="none"), row("1", prompt="other")]
        assert [score.total for score in s.score(rows)] == [1.0] * 8
    assert len(component.reward.seen) == 4  # type: ignore[attr-defined]


def test_components_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=30)

    class Meets(Reward):
        def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
            meeting.wait()
            return [Verdict.of(1, "met")] * len(samples)

    with spec(Component("a", Meets()), Component("b", Meets())) as s:
        assert s.score_many([row("1")])[0].total == 2.0


def test_scoring_is_lazy_bounded_and_in_order() -> None:
    drawn = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal drawn
        for i in range(10 * BATCH):
            drawn += 1
            yield row(str(i))

    with spec(says()) as s:
        scores = s.score(rows())
        assert drawn == 0
        assert [next(scores).total for _ in range(BATCH + 1)] == [float(i) for i in range(BATCH + 1)]
        assert drawn == 2 * BATCH


@settings(deadline=None)
@given(st.lists(st.sampled_from(["0", "1", "0.5", "abstain", "error", "crash"]), max_size=20), st.randoms())
def test_a_score_depends_on_its_row_alone(words: list[str], random: Any) -> None:
    rows = [row(word, id=i) for i, word in enumerate(words)]
    with spec(says(), Component("one", ONE)) as s:
        together = s.score_many(rows)
        alone = [s.score_many([r])[0] for r in rows]
        order = random.sample(range(len(rows)), len(rows))
        shuffled = s.score_many([rows[i] for i in order])
    assert together == alone == [shuffled[order.index(i)] for i in range(len(rows))]


VERDICTS = st.one_of(
    st.floats(-5, 5).map(lambda value: Verdict.of(value, "v")),
    st.just(Verdict.abstain("a")),
    st.just(Verdict.error("e")),
)


@settings(deadline=None)
@given(st.lists(st.tuples(VERDICTS, st.booleans(), st.booleans(), st.booleans()), max_size=5))
def test_total_and_status_follow_the_definition(parts: list[tuple[Verdict, bool, bool, bool]]) -> None:
    components = [
        Component(str(i), ONE, required=required, gate=gate) for i, (_, required, gate, _) in enumerate(parts)
    ]
    verdicts = {str(i): verdict for i, (verdict, _, _, applies) in enumerate(parts) if applies}
    score = combine(components, verdicts)
    assert (score.total is None) == (score.status != "ok")
    assert set(score.rewards) == {c.name for c in components}
    if any(v.status == "error" for v in verdicts.values()):
        assert score.status == "error"
    elif any(c.required and verdicts.get(c.name, Verdict.of(0, "")).status == "abstain" for c in components):
        assert score.status == "abstain"
    if score.total is not None:
        assert math.isfinite(score.total)


def test_malformed_rows_are_told_with_their_place() -> None:
    with spec(says()) as s:
        for bad, message in [
            ({"response": "x"}, r"^row 2: no 'task'"),
            ({"task": "maths", "response": "x"}, r"^row 2: task is 'maths'"),
            ({"task": "general", "answer": "x"}, r"^row 2: no 'response' text .*it has answer, task.*--map"),
            ({"task": "math", "response": "x"}, r"^row 2: a math problem needs a reference"),
            ({"task": "code", "response": "x", "reference": "["}, r"^row 2: .*JSON object"),
        ]:
            with pytest.raises(UserError, match=message):
                s.score_many([row("1"), bad])


TOTALS = st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=4, max_size=4)


@settings(deadline=None)
@given(TOTALS)
def test_advantages_of_a_group(totals: list[float | None]) -> None:
    advantages = group_advantages(totals, 4)
    known = [total for total in totals if total is not None]
    assert all(a == 0.0 for a, total in zip(advantages, totals, strict=True) if total is None)
    if len(set(known)) < 2:
        assert advantages == [0.0] * 4
    else:
        mean, deviation = statistics.fmean(known), statistics.stdev(known)
        expected = [0.0 if t is None else (t - mean) / (deviation + 1e-4) for t in totals]
        assert advantages == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert sum(advantages) == pytest.approx(0, abs=1e-6)


def test_groups_do_not_touch_each_other() -> None:
    assert group_advantages([1.0, 0.0, None, 5.0, 2.0, 2.0], 2) == [
        *group_advantages([1.0, 0.0], 2),
        0.0,
        0.0,
        0.0,
        0.0,
    ]
    assert group_advantages([1.0, 0.0], 2, scale=False) == [0.5, -0.5]
    with pytest.raises(ValueError, match="whole groups"):
        group_advantages([1.0], 2)


def test_an_abstention_counts_for_what_the_spec_says() -> None:
    plain = says("language")
    neutral = says("language", if_abstains=1.0, weight=2.0)
    accuracy = Component("accuracy", Constant(Verdict.of(1.0, "right")))
    with spec(accuracy, plain) as loaded:
        assert [score.total for score in loaded.score([row("abstain"), row("0.5")])] == [1.0, 1.5]
    with spec(accuracy, neutral) as loaded:
        scores = list(loaded.score([row("abstain"), row("0.5"), row("error")]))
    assert [score.total for score in scores] == [3.0, 2.0, None]
    assert scores[0].rewards == {"accuracy": 1.0, "language": None}


def test_a_required_reward_takes_no_worth_for_abstaining() -> None:
    settings = {"rewards": {"format": {"required": True, "if_abstains": 1.0}}}
    with pytest.raises(UserError, match="takes no if_abstains"):
        load_spec(settings)
