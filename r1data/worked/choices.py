"""Worked traces of multiple choice: solve the question, then find the option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from r1data.sources.word_groups import COMPARISONS, GROUPS, compare
from r1data.worked.voice import Voice

Facts = dict[str, Any]
Work = tuple[str, str]


def work_choice(facts: Facts, voice: Voice, kinds: Mapping[str, Callable[[Facts, Voice], Work]]) -> Work:
    """The question's own trace, then the letter of the option that says the same."""
    reasoning, answer = kinds[facts["of"]["kind"]](facts["of"], voice)
    letter = "ABCD"[facts["options"].index(answer)]
    closing = voice.say(
        ("That is option {letter}.", "{letter} says {answer}.", "Option {letter} is {answer}."),
        ("对应选项{letter}。", "所以选{letter}。", "选项{letter}正是{answer}。"),
        letter=letter,
        answer=answer,
    )
    return voice.join(reasoning, closing), letter


def work_extreme(facts: Facts, voice: Voice) -> Work:
    """Keep the best number seen so far."""
    numbers, largest = facts["numbers"], facts["largest"]
    best, steps = numbers[0], []
    for number in numbers[1:]:
        sign = ">" if number > best else "<"
        steps.append(f"{number} {sign} {best}")
        if (number > best) == largest:
            best = number
    opening = voice.say(
        ("I start with {first} and compare.", "I compare one number after the other.", "Begin with {first}."),
        ("从{first}开始比较。", "逐个比较。"),
        first=numbers[0],
    )
    word = ("largest", "大") if largest else ("smallest", "小")
    closing = voice.say(
        ("The {english} is {best}.",),
        ("最{chinese}的是{best}。",),
        english=word[0],
        chinese=word[1],
        best=best,
    )
    separator, stop = ("，", "。") if voice.chinese else (", ", ".")
    return voice.join(opening, separator.join(steps) + stop, closing), str(best)


def work_odd_one(facts: Facts, voice: Voice) -> Work:
    """Name what three have in common."""
    language = "zh" if voice.chinese else "en"
    one, two, three = facts["words"]
    text = voice.say(
        (
            "The rule: each of {a}, {b} and {c} is {group}. But {odd} is {other}, so it does not belong.",
            "What do they share? I see that {a}, {b} and {c} are each {group}, while {odd} is {other}.",
        ),
        (
            "规律：{a}、{b}、{c}都是{group}，而{odd}是{other}，不同类。",
            "我看它们的共同点：{a}、{b}、{c}都是{group}，只有{odd}是{other}。",
        ),
        a=one,
        b=two,
        c=three,
        odd=facts["odd"],
        group=GROUPS[facts["group"]][language][0],
        other=GROUPS[facts["odd_group"]][language][0],
    )
    return text, facts["odd"]


def work_member(facts: Facts, voice: Voice) -> Work:
    """Say of each word what it is."""
    language = "zh" if voice.chinese else "en"
    names = [GROUPS[group][language][0] for group in facts["groups"]]
    verb, separator, stop = ("是", "，", "。") if voice.chinese else (" is ", ", ", ".")
    said = separator.join(
        f"{word}{verb}{name}" for word, name in reversed(list(zip(facts["words"], names, strict=True)))
    )
    opening = voice.say(
        ("I look for {name}:", "What is each of them?", "I go through the words:"),
        ("我要找{name}：", "逐个判断："),
        name=names[0],
    )
    return voice.join(opening, said + stop), facts["words"][0]


def work_order(facts: Facts, voice: Voice) -> Work:
    """Put the comparisons into one line."""
    language = "zh" if voice.chinese else "en"
    names, most = facts["names"], facts["most"]
    answer = names[0] if most else names[-1]
    opening = voice.say(
        ("I put the names in order:", "Let me line them up:", "From most to least:"),
        ("我把他们排成一列：", "从大到小排列："),
    )
    first = compare(facts["comparison"], names[0], names[1], language)
    question = COMPARISONS[facts["comparison"]][language][1 if most else 2]
    chain = " > ".join(names)
    if voice.chinese:
        return voice.join(opening, f"{chain}。", f"{first}。", f"{question}是{answer}。"), answer
    return voice.join(opening, f"{chain}.", f"{first}.", f"{question} It is {answer}."), answer
