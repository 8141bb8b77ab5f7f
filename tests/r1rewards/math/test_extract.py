"""Where an answer is found in a response, and where it is not."""

from __future__ import annotations

import pytest

from r1rewards.math.extract import MAX_ANSWER, Policy, find

LENIENT = [
    (r"so \boxed{5}", "5", "boxed"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", "boxed"),
    (r"first \boxed{3}, but that is wrong; so \boxed{4}.", "4", "boxed"),
    (r"\boxed{1} \text{ and } \boxed{2}", "1 , 2", "boxed"),
    (r"\boxed{7} $\boxed{7}$", "7", "boxed"),
    (r"$x = \boxed{1}$ or $x = \boxed{2}$", "1 , 2", "boxed"),
    (r"\boxed{5} and then an open \boxed{6", "5", "boxed"),
    (r"\fbox{8}", "8", "boxed"),
    (r"\boxed 12 is it", "12", "boxed"),
    ("72", "72", "whole"),
    ("$x=1$", "$x=1$", "whole"),
    ("28 percent", "28 percent", "whole"),
    ("We see that. The answer is 42.", "42", "phrase"),
    ("Final Answer: The final answer is $12$. I hope it is correct.", "$12$", "phrase"),
    ("Final answer: The volume of $ABC$ is 120. I hope so.", "120", "phrase"),
    ("some steps\nA: 17", "17", "phrase"),
    ("steps and steps\n#### 1,234", "1,234", "phrase"),
    ("所以答案是 7。", "7", "phrase"),
    ("Adding them up gives **12** in total for everyone", "12", "bold"),
    ("Hence the matrix of the map is $A$ and so $A = 3$ holds", "A = 3", "math"),
    ("He has 3 apples and buys 4 more apples making 7 apples", "7", "number"),
    ("The answer is B.", "B", "phrase"),
    ("Answer: (B) 12", "(B) 12", "phrase"),
    ("Final answer: **Yes**", "Yes", "phrase"),
    ("The answer is either 41 or 42.", "41 or 42", "phrase"),
    ("**B**", "B", "whole"),
    ("It is 40 + 2 = 42", "40 + 2 = 42", "whole"),
    ("So P = 0.5", "P = 0.5", "whole"),
    ("The roots of it turn out to be $x = 1$ and $x = 2$.", "x = 1 , x = 2", "math"),
    ("It costs \\$5 more than this, $x = 7$", "x = 7", "math"),
    ("<|im_start|>assistant\nThe answer is 42<|im_end|>", "42", "phrase"),
    ("not it's not 10 it's 1,000.99m²", "1,000.99", "number"),
]


@pytest.mark.parametrize(("answer", "text", "route"), LENIENT)
def test_lenient_routes(answer: str, text: str, route: str) -> None:
    found = find(answer, tag=False, policy="lenient")
    assert (found.text, found.route) == (text, route)


@pytest.mark.parametrize("answer", ["The answer is 42.", "72", "**7**", "$x = 1$", "x = 5 so 5"])
def test_strict_takes_only_a_box_or_a_tag(answer: str) -> None:
    assert find(answer, tag=False, policy="strict").text == ""


@pytest.mark.parametrize("answer", ["The answer is not 42.", "The answer is not 42"])
def test_what_the_answer_is_said_not_to_be_is_none(answer: str) -> None:
    assert find(answer, tag=False, policy="lenient").text == ""


def test_what_is_said_after_a_denial_counts() -> None:
    assert find("The answer is not 42, it is 43.", tag=False, policy="lenient").text == "43"


def test_a_closed_tag_is_the_answer_under_either_policy() -> None:
    policies: tuple[Policy, ...] = ("strict", "lenient")
    for policy in policies:
        assert find(" 72 ", tag=True, policy=policy) == ("72", "tag")
        assert find(r"so it is \boxed{72}", tag=True, policy=policy) == ("72", "boxed")


def test_a_long_tag_is_no_answer_under_strict() -> None:
    assert find("word " * 200 + "42", tag=True, policy="strict").text == ""


def test_only_the_end_of_an_answer_is_read() -> None:
    assert (
        find(
            r"\boxed{5}" + " " * (MAX_ANSWER - 20) + "words and more words here", tag=False, policy="strict"
        ).text
        == ""
    )


def test_a_box_beyond_the_cap_is_none() -> None:
    assert find(r"\boxed{" + "1" * 5000 + "}", tag=False, policy="strict").text == ""


def test_what_a_chat_template_appends_is_cut() -> None:
    assert find("the answer is 5<|im_end|><|im_start|>user 7", tag=False, policy="lenient").text == "5"


def test_hedging_in_boxes_is_a_list() -> None:
    assert find(r"\boxed{3} or \boxed{4}", tag=False, policy="strict").text == "3 , 4"
