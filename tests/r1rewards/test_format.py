from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards import format as format_reward
from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.template import FAULTS, TEMPLATES, get_template
from r1rewards.format import COSTS, FormatReward, check

GOOD = "<think>2 + 2 is 4</think><answer>4</answer>"


def sample(text: str, template: str = "think-answer", **how: bool) -> Sample:
    return Sample("a", "math", text, get_template(template).parse(text, **how))


def test_each_template_by_name():
    for name, template in TEMPLATES.items():
        text = template.render("a", "b")
        assert check(text, name).value == check(text, template).value == 1.0
        assert check("b", name).value == 0.0
    with pytest.raises(UserError, match="no template 'r1'"):
        check(GOOD, "r1")


def test_the_faults_are_named():
    verdict = check("<think>a<answer>4</answer>")
    assert verdict.value == 0.0
    assert verdict.route == "unclosed_reasoning"
    assert verdict.reason == FAULTS["unclosed_reasoning"]
    assert verdict.details["faults"] == ["unclosed_reasoning"]


def test_prefilled_and_without_thinking():
    assert check("a</think><answer>4</answer>").value == 0.0
    assert check("a</think><answer>4</answer>", prefilled=True).value == 1.0
    assert check("<answer>4</answer>", thinking=False).value == 1.0
    assert check(GOOD, thinking=False).value == 0.0


def test_lenient_forgives_text_outside_and_nothing_else():
    assert check("Sure! " + GOOD).value == 0.0
    assert check("Sure! " + GOOD, policy="lenient").value == 1.0
    assert check("Sure! " + GOOD, policy="lenient").details["faults"] == ["text_outside"]
    for bad in ("4", GOOD * 2, "<think></think><answer>4</answer>", "<answer>4</answer><think>a</think>"):
        assert check(bad, policy="lenient").value == 0.0


def test_graded_pays_for_the_tags_that_are_right():
    ladder = [
        "",
        "4",
        "<think>a",
        "<think>a</think>",
        "<think>a</think> 4",
        "<think>a</think><answer>4",
        "so " + GOOD,
        GOOD,
    ]
    values = [check(text, graded=True).value for text in ladder]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert len(set(values)) >= 4


@pytest.mark.parametrize("nothing", ["", " \n", "\u200b", "\ufeff \u2060", "\u3164"])
def test_what_cannot_be_seen_is_nothing(nothing):
    assert check(f"<think>{nothing}</think><answer>4</answer>").details["faults"] == ["empty_reasoning"]
    assert check(f"<think>a</think><answer>{nothing}</answer>").details["faults"] == ["empty_answer"]
    assert check(f"<think>{nothing}</think><answer>4</answer>", thinking=False).value == 1.0


@given(st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", " ", "x"])).map("".join))
def test_graded_is_full_exactly_where_exact_is(text):
    graded, exact = check(text, graded=True).value, check(text).value
    assert 0.0 <= graded <= 1.0
    assert (graded == 1.0) == (exact == 1.0)


def test_every_fault_has_its_cost():
    assert set(COSTS) == set(FAULTS)
    assert set(FAULTS) >= format_reward.FORGIVEN


def test_the_reward_reads_the_parsed_trace():
    reward = FormatReward()
    assert reward.tasks is None
    verdicts = reward.check_many(
        [sample(GOOD), sample("4"), sample("a</think>4", "think-summary", prefilled=True)]
    )
    assert [v.value for v in verdicts] == [1.0, 0.0, 1.0]
    assert FormatReward(policy="lenient").check(sample("so " + GOOD)).value == 1.0
    assert 0 < FormatReward(graded=True).check(sample("<think>a</think>4")).value < 1
    with pytest.raises(UserError, match="no policy 'loose'"):
        FormatReward(policy="loose")
