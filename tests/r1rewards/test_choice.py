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
    "\\boxed{{\\textbf{{({}) }}18}}",
    "\\boxed {}",
    "The answer is:\n\n({})\n\nBecause it is the capital.",
    "The answer to this question is {}.",
    "The answer is probably {}",
    "The correct statement is {}.",
    "I conclude that option {} fits best.",
    "So, it's {}.",
    "Hence, ({}).",
    "This corresponds to option {}.",
    "It is Paris ({})",
    "I'd go with {}",
    "Ans. {}",
    "<answer>{}</answer>",
    "The answer is '{}'.",
    "{}: correct. C: wrong.",
    "C is wrong, and {} is right.",
    "The answer is not C; it is {}",
    "The answer is {}, not C.",
    "The answer is {} (Paris), not C (Rome).",
    "not C but {}",
    "The answer is C? No, {}.",
    "**{}**\n\nC. wrong\nH. wrong",
    "答案应为{}",
    "【答案】{}",
    "答案選{}",
    "我认为是{}",
    "故正确的选项是{}",
    "{} 是正确的",
    "{}项符合题意",
    "C错误，{}正确",
    "不应选C，应选{}",
    "答案不是C而是{}",
    "答案是15厘米，即{}选项",
    "정답은 {}입니다.",
    "正解は{}です",
    "La réponse est la {}",
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
        "A\nB\nC\nD",
        "A. one\nB. two\nC. three\nD. four",
        "(A)(B)(C)(D)",
        "\\boxed{A|B}",
        "The answer is A (or B)",
        "The answer is A, or possibly B",
        "Either (A) or (B) is correct.",
        "A and B are correct",
        "maybe A, maybe B",
        "The answer is neither A nor B",
        "The answer cannot be A",
        "I don't think the answer is A",
        "If the answer is A then we are done.",
        "Is the answer A?",
        "It can't be A.",
        "Option A is not the right answer",
        "A: wrong",
        "Answer: A4 paper",
        "Vitamin A",
        "point A",
        "不选A",
        "不能选A",
        "A不正确",
        "选A或B",
        "A、B、C、D都正确",
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
        ("The answer is mass", "A"),
        ("It is not mass", None),
        ("mass or 3.5 m/s", None),
    ],
)
def test_the_text_of_an_option_chooses_it(answer, letter):
    assert chosen_letter(answer, OPTIONS)[0] == letter


def test_options_that_speak_of_letters():
    options = {"A": "Vitamin A", "B": "Vitamin B", "C": "Vitamin C", "D": "Both A and B"}
    for answer in (
        "Both A and B",
        "D. Both A and B",
        "The answer is (D) Both A and B.",
        "\\boxed{Both A and B}",
    ):
        assert chosen_letter(answer, options)[0] == "D"
    assert chosen_letter("It is Vitamin C.", options)[0] == "C"
    assert chosen_letter("Both A and B")[0] is None


def test_letters_beyond_those_of_most_questions():
    assert check("The answer is (R).", "R").value == 1.0
    assert check("The answer is (R).", "A").value == 0.0
    assert check("The answer is (J).", "J").value == 1.0


def test_endless_answers_are_read_from_their_end():
    for unit in (
        "The answer is A ",
        "A",
        "A, ",
        "(",
        "answer ",
        "\n",
        "\\boxed{",
        "it is ",
        "not ",
        "选",
        "B\n",
    ):
        chosen_letter(unit * (300_000 // len(unit)))
    assert check("A, B or C? " * 100_000 + "\nThe answer is B.", "B").value == 1.0


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
    assert options_in("Which? (A) 12 (B) 15 (C) 18") == {"A": "12", "B": "15", "C": "18"}
    assert options_in("Which?\nA.12  B.15\nC.18  D.21") == {"A": "12", "B": "15", "C": "18", "D": "21"}
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
