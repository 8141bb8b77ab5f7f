"""Worked traces of number problems: every step is one operation on two numbers."""

from __future__ import annotations

from typing import Any

from r1data.sources.arithmetic import show_equation, show_sum
from r1data.sources.stories import STORIES
from r1data.worked.voice import Voice

Facts = dict[str, Any]
Work = tuple[str, str]


def work_sum(facts: Facts, voice: Voice) -> Work:
    """A running total, one term at a time."""
    terms = facts["terms"]
    total, steps = terms[0], []
    for term in terms[1:]:
        steps.append(f"{total} {'-' if term < 0 else '+'} {abs(term)} = {total + term}")
        total += term
    opening = voice.say(
        (
            "I keep a running total.",
            "I go from left to right.",
            "Let me do this one step at a time.",
            "I start with {first}.",
            "Let me work out {sum}.",
        ),
        ("我从左到右一步一步算。", "先从{first}开始。", "我来一步一步计算 {sum}。", "我每次只算一步。"),
        first=terms[0],
        sum=show_sum(terms),
    )
    body = voice.join(*(f"{step}。" if voice.chinese else f"{step}." for step in steps))
    return voice.join(opening, body, _sum_check(terms, voice), _closing(total, voice)), str(total)


def _sum_check(terms: list[int], voice: Voice) -> str:
    """For some sums of two terms, the way back."""
    if len(terms) != 2 or not voice.chance(0.3):
        return ""
    first, second = terms
    total = first + second
    back = f"{total} {'+' if second < 0 else '-'} {abs(second)} = {first}"
    return voice.say(("Check: {back}.", "Going back, {back}, so it fits."), ("检验：{back}。",), back=back)


def work_product(facts: Facts, voice: Voice) -> Work:
    """Tens and ones apart where a factor has two digits."""
    a, b = facts["numbers"]
    tens, ones = a - a % 10, a % 10
    if tens == 0 or ones == 0:
        opening = voice.say(
            ("I need {a} times {b}.", "Let me multiply {a} by {b}.", "This is a multiplication."),
            ("我要算{a}乘以{b}等于多少。", "这是一道乘法题。", "我用乘法来计算。"),
            a=a,
            b=b,
        )
        steps = [f"{a} * {b} = {a * b}"]
    else:
        opening = voice.say(
            (
                "I split {a} into {tens} and {ones} and multiply both by {b}.",
                "{a} is {tens} and {ones}, so I take {b} times each of them.",
                "Let me do the tens and the ones of {a} apart.",
            ),
            (
                "我把{a}拆成{tens}和{ones}，分别乘以{b}，再相加。",
                "先算整十的部分，再算个位的部分。",
                "把{a}的十位和个位分开来乘。",
            ),
            a=a,
            b=b,
            tens=tens,
            ones=ones,
        )
        steps = [
            f"{tens} * {b} = {tens * b}",
            f"{ones} * {b} = {ones * b}",
            f"{tens * b} + {ones * b} = {a * b}",
        ]
    body = voice.join(*(f"{step}。" if voice.chinese else f"{step}." for step in steps))
    return voice.join(opening, body, _closing(a * b, voice)), str(a * b)


def work_equation(facts: Facts, voice: Voice) -> Work:
    """Move the constant, then divide."""
    x, coef, const, result = facts["variable"], facts["coef"], facts["const"], facts["result"]
    term = x if coef == 1 else f"{coef}*{x}"
    solution = (result - const) // coef
    opening = voice.say(
        (
            "I want to find out what {x} is.",
            "I have {equation} and I want to know what {x} is.",
            "Let me solve this equation step by step.",
        ),
        ("我要求出 {x}。", "方程是 {equation}。", "我一步一步解这个方程。"),
        x=x,
        equation=show_equation(facts),
    )
    steps = []
    if const:
        verb = ("subtract", "减去") if const > 0 else ("add", "加上")
        moved = f"{result} {'-' if const > 0 else '+'} {abs(const)} = {result - const}"
        steps.append(
            voice.say(
                (
                    "First I {verb} {c} on both sides: {term} = {moved}.",
                    "I {verb} {c}, so that {term} = {moved}.",
                ),
                ("两边{chinese}{c}：{term} = {moved}。",),
                verb=verb[0],
                chinese=verb[1],
                c=abs(const),
                term=term,
                moved=moved,
            )
        )
    if coef != 1:
        steps.append(
            voice.say(
                (
                    "Then I divide by {coef}: {x} = {right} / {coef} = {solution}.",
                    "{x} = {right} / {coef} = {solution}.",
                ),
                ("两边除以{coef}：{x} = {right} / {coef} = {solution}。",),
                coef=coef,
                x=x,
                right=result - const,
                solution=solution,
            )
        )
    return voice.join(opening, *steps, _equation_check(facts, solution, voice)), str(solution)


def _equation_check(facts: Facts, solution: int, voice: Voice) -> str:
    if not voice.chance(0.3):
        return ""
    coef, const, result = facts["coef"], facts["const"], facts["result"]
    left = str(solution) if coef == 1 else f"{coef} * {solution}"
    if const:
        left += f" {'-' if const < 0 else '+'} {abs(const)}"
    return voice.say(("Check: {left} = {right}.",), ("检验：{left} = {right}。",), left=left, right=result)


def work_story(facts: Facts, voice: Voice) -> Work:
    """The steps that stand beside the story."""
    story = STORIES[facts["story"]]
    values = story.values(facts)
    opening = voice.say(
        ("Let me think.", "I go step by step.", "First I look at what is given.", ""),
        ("我想一想。", "一步一步来。", "先看已知条件。", ""),
    )
    language = "zh" if voice.chinese else "en"
    steps = [step.format(**values) for step in story.steps[language]]
    return voice.join(opening, *steps, _closing(values["answer"], voice)), str(values["answer"])


def work_gcd(facts: Facts, voice: Voice) -> Work:
    """Euclid's algorithm."""
    a, b = max(facts["numbers"]), min(facts["numbers"])
    opening = voice.say(
        (
            "I divide and keep the remainder.",
            "I use remainders.",
            "I divide the larger number by the smaller.",
        ),
    )
    steps = []
    while b:
        steps.append(f"{a} = {a // b} * {b} + {a % b}.")
        a, b = b, a % b
    closing = voice.say(("The last divisor is {a}.", "No remainder is left, so the GCD is {a}."), a=a)
    return voice.join(opening, *steps, closing), str(a)


def work_lcm(facts: Facts, voice: Voice) -> Work:
    """Multiples of the larger number until the smaller divides one."""
    a, b = max(facts["numbers"]), min(facts["numbers"])
    steps, multiple = [], a
    while multiple % b:
        steps.append(f"{multiple} is not")
        multiple += a
    steps.append(f"{multiple} is")
    opening = voice.say(
        (
            "I try the multiples of {a}. Which of them is divisible by {b}?",
            "I go through the multiples of {a}. Which is the first that {b} divides?",
        ),
        a=a,
        b=b,
    )
    closing = voice.say(
        ("{m} / {b} = {q}.", "So the LCM is {m}, because {b} * {q} = {m}."), m=multiple, b=b, q=multiple // b
    )
    return voice.join(opening, ", ".join(steps) + ".", closing), str(multiple)


def work_legs(facts: Facts, voice: Voice) -> Work:
    """Legs of each kind of animal, added up as they come."""
    opening = voice.say(
        ("I count the legs of each animal.", "I take one kind of animal at a time.", "Legs per animal first.")
    )
    parts, steps = [], []
    for name, count, legs in facts["animals"]:
        article = "an" if name[0] in "aeiou" else "a"
        steps.append(f"{article.capitalize()} {name} has {legs} legs: {count} * {legs} = {count * legs}.")
        parts.append(count * legs)
    total = parts[0]
    for part in parts[1:]:
        steps.append(f"{total} + {part} = {total + part}.")
        total += part
    return voice.join(opening, *steps), str(total)


def work_friends(facts: Facts, voice: Voice) -> Work:
    """The friend's female friends, and the one who has them."""
    answer = facts["count"] + 1
    text = voice.say(
        (
            "All of them are friends, so he has the same {count} female friends. {name} is his friend too. "
            "{count} + 1 = {answer}.",
            "He knows the {count} female friends of {name}, and {name} herself. {count} + 1 = {answer}.",
            "He knows all of her {count} female friends. I must not forget that he knows {name} too. "
            "{count} + 1 = {answer}.",
        ),
        name=facts["name"],
        count=facts["count"],
        answer=answer,
    )
    return text, str(answer)


def _closing(answer: int, voice: Voice) -> str:
    return voice.say(
        ("So the answer is {answer}.", "The result is {answer}.", "That makes {answer}."),
        ("所以答案是{answer}。", "结果是{answer}。", "得到{answer}。"),
        answer=answer,
    )
