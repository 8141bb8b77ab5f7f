from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.choice import LETTERS, ChoiceReward, check, chosen_letter, options_in
from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Sample
from r1rewards.core.template import get_template

STATED = [
    "{}",
    "({})",
    "{}.",
    "**{}**",
    " {}\n",
    "{}) Paris",
    "{}. Because Paris is the capital.",
    "**{}. Paris**",
    "\\boxed{{{}}}",
    "\\boxed{{\\text{{{}}}}}",
    "$\\boxed{{\\textbf{{({})}}}}$",
    "\\boxed{{{}. Paris}}",
    "The answer is {}.",
    "The answer is ({}), as shown.",
    "the correct answer is **{}**",
    "So the correct option is {}: Paris.",
    "Answer: {}",
    "**Answer:** {}",
    "Final Answer: option {}",
    "The final answer is $\\text{{{}}}$",
    "ANSWER: {}\n",
    "Answer\uff1a\uff08{}\uff09",
    "I choose {}.",
    "We'll go with ({})",
    "Therefore, option {} is correct.",
    "Thus ({}) is the correct answer, since it is the capital.",
    "{} is the right choice.",
    "The capital is what is asked.\n\n{}",
    "Paris is the capital of France.\n**({})**",
    "The answer should be {}",
    "The best choice is {} because it fits.",
    '{{"answer": "{}"}}',
    "答案是{}。",
    "故选{}。",
    "正确答案为：{}",
    "因此选择（{}）",
    "选项{}正确。",
    "答えは{}です。",
    "Die richtige Antwort ist {}.",
    "La respuesta correcta es: {}",
    "Ответ: {}",
]


@pytest.mark.parametrize("stated", STATED)
@pytest.mark.parametrize("letter", "ABD")
def test_every_usual_way_of_stating_it(stated, letter):
    response = f"<think>It is C. The answer is C.</think>{stated.format(letter)}"
    verdict = check(response, letter)
    assert verdict.value == 1.0, verdict
    assert check(response, "C").value == 0.0


@pytest.mark.parametrize(
    "response",
    [
        "",
        "I do not know.",
        "A, B, C or D",
        "The answer is A, B, C or D.",
        "The answer is A or B.",
        "The answer is A and C",
        "Answer: A/B/C/D",
        "\\boxed{A, B}",
        "\\boxed{A} or \\boxed{}",
        "The answer is not A.",
        "A is not correct.",
        "A is incorrect.",
        "The answer is a matter of taste.",
        "A good question has no answer.",
        "Answer: A good question.",
        "The answer is Avogadro's number.",
        "ABCD",
        "答案是A或B",
        "I'd say the answer is A's opposite",
    ],
)
def test_what_chooses_nothing(response):
    assert check(response, "A").value == 0.0


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("The answer is A. Wait, no. The answer is B.", "B"),
        ("Option A is correct? No: option C is correct.", "C"),
        ("\\boxed{A} I misread it. \\boxed{B}", "B"),
        ("The answer is A.\n\\boxed{B}", "B"),
        ("A is wrong and B is wrong. The answer is D", "D"),
        ("B. It is not A, C or D.", "B"),
        ("The answer is B, a city in France.", "B"),
        ("the answer is (a).", "A"),
        ("b", "B"),
        ("Ｂ", "B"),
    ],
)
def test_the_last_and_surest_statement_counts(response, letter):
    assert check(response, letter).value == 1.0


OPTIONS = {"A": "mass", "B": "mass and charge", "C": "3.5 m/s", "D": "None of the above"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("mass", "A"),
        ("It is conserved: mass and charge", "B"),
        ("\\boxed{3.5 \\text{ m/s}}", "C"),
        ("none of the above", "D"),
        ("A) mass", "A"),
    ],
)
def test_the_text_of_an_option_chooses_it(answer, letter):
    assert chosen_letter(answer, OPTIONS)[0] == letter


def test_only_letters_on_offer_count():
    assert chosen_letter("Answer: E", OPTIONS) == (None, "nothing")
    assert chosen_letter("Answer: E") == ("E", "statement")


def test_the_template_says_where_the_answer_is():
    response = "<think>The answer is A.</think><answer>B</answer>"
    assert check(response, "B", template="think-answer").value == 1.0
    assert check("<think>The answer is A.", "A", template="think-answer").value == 0.0


@pytest.mark.parametrize("letter", ["", "AB", "Paris", "7"])
def test_a_reference_that_is_no_letter_is_the_graders_failure(letter):
    with pytest.raises(GraderError, match="one letter"):
        check("A", letter)
    assert check("A", "(a).").value == 1.0


@given(st.text(alphabet="AB (),.\\{}boxed answer is选答案\n*", max_size=200), st.sampled_from(LETTERS))
def test_at_most_one_letter_is_right(answer, letter):
    chosen, route = chosen_letter(answer)
    assert (chosen is None) == (route in ("nothing", "several"))
    assert check(answer, letter).value == (chosen == letter)


def test_options_are_read_from_the_question():
    question = "Which?\n\nA. one\nB. two\n(C) three\n D) four\n\nA note."
    assert options_in(question) == {"A": "one", "B": "two", "C": "three", "D": "four"}
    assert options_in("A. Smith wrote it. Who is C. Brown?") == {}


def test_the_reward_reads_options_and_answer():
    text = "<think>hm, A</think><answer>Lyon</answer>"
    prompt = [{"role": "user", "content": "Where?\nA) Paris\nB) Lyon"}]
    trace = get_template("think-answer").parse(text)
    reward = ChoiceReward()
    assert reward.tasks == {"choice"}
    assert reward.check(Sample("1", "choice", text, trace, prompt=prompt, reference="B")).value == 1.0
    broken = reward.check_many([Sample("1", "choice", text, trace, prompt=prompt, reference="C")])
    assert broken[0].status == "error"
