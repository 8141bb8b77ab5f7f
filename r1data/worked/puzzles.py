"""Worked traces of the puzzles in `r1data.sources.gym_table`; all but number sequences are English."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from r1data.worked.voice import Voice

Facts = dict[str, Any]
Work = tuple[str, str]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def work_sequence(facts: Facts, voice: Voice) -> Work:
    """The rule between neighbours, then one step more."""
    terms, rule, by = facts["terms"], facts["rule"], facts["by"]
    last = terms[-1]
    if rule == "add":
        sign = "-" if by < 0 else "+"
        seen = [f"{a} {sign} {abs(by)} = {b}" for a, b in pairwise(terms)]
        following, step = last + by, f"{last} {sign} {abs(by)}"
    elif rule == "times":
        seen = [f"{a} * {by} = {b}" for a, b in pairwise(terms)]
        following, step = last * by, f"{last} * {by}"
    else:
        seen = [f"{a} + {b} = {c}" for a, b, c in zip(terms[:2], terms[1:3], terms[2:4], strict=True)]
        following, step = terms[-2] + last, f"{terms[-2]} + {last}"
    opening = voice.say(
        ("I look at neighbours:", "How does one number lead to the next?", "Let me find the rule:"),
        ("我看相邻的数：", "先找规律：", "前后两个数有什么关系？"),
    )
    closing = voice.say(
        ("The next one is {step} = {n}.", "So {step} = {n} follows."),
        ("下一个数是 {step} = {n}。", "所以接下来是 {step} = {n}。"),
        step=step,
        n=following,
    )
    separator, stop = ("，", "。") if voice.chinese else (", ", ".")
    return voice.join(opening, separator.join(seen[:2]) + stop, closing), str(following)


def work_filter(facts: Facts, voice: Voice) -> Work:
    """Each number against the bound."""
    side, bound, keep_hits = facts["side"], facts["bound"], facts["action"] == "keep"
    kept, steps = [], []
    for item in facts["items"]:
        hit = int(item) > bound if side == "larger" else int(item) < bound
        if hit == keep_hits:
            kept.append(item)
        steps.append(f"{item}: {'keep' if hit == keep_hits else 'remove'}")
    opening = voice.say(
        (
            "I {action} what is {side} than {bound}.",
            "Each number is compared with {bound}; the {side} ones I {action}.",
            "Which numbers are {side} than {bound}? Those I {action}.",
        ),
        action=facts["action"],
        side=side,
        bound=bound,
    )
    return voice.join(opening, ", ".join(steps) + "."), str(kept)


def work_backward(facts: Facts, voice: Voice) -> Work:
    """The letters one by one, then from the end."""
    word = facts["word"]
    text = voice.say(
        (
            "The letters are {letters}. From the end they are {reverse}.",
            "I spell it: {letters}. Now backward: {reverse}.",
            "First {letters}, then in reverse {reverse}.",
        ),
        letters=" ".join(word),
        reverse=" ".join(reversed(word)),
    )
    return text, word[::-1]


def work_letters(facts: Facts, voice: Voice) -> Work:
    """The letter counted word by word."""
    letter = facts["letter"]
    counts = [word.lower().count(letter) for word in facts["words"]]
    opening = voice.say(
        (
            'I count "{letter}" word by word:',
            'How often is "{letter}" in each word?',
            "I go through the words:",
        ),
        letter=letter,
    )
    steps = ", ".join(f"{word} {count}" for word, count in zip(facts["words"], counts, strict=True))
    total = " + ".join(map(str, counts)) + f" = {sum(counts)}"
    return voice.join(opening, f"{steps}.", f"{total}."), str(sum(counts))


def work_reversal(facts: Facts, voice: Voice) -> Work:
    """The words taken from the end."""
    words = facts["words"]
    text = voice.say(
        (
            "There are {n} words. The last is {last}, the first is {first}. I read the list from the end.",
            "I start at the end with {last} and go back to {first}.",
            "The list has {n} words. From the back: {numbered}.",
        ),
        n=len(words),
        last=words[-1],
        first=words[0],
        numbered=", ".join(f"{i}. {word}" for i, word in enumerate(reversed(words), 1)),
    )
    return text, ", ".join(reversed(words))


def work_weekday(facts: Facts, voice: Voice) -> Work:
    """Whole weeks away, then day by day."""
    start, offset = DAYS.index(facts["start"]), facts["offset"]
    sign, rest = (-1 if offset < 0 else 1), abs(offset) % 7
    answer = DAYS[(start + offset) % 7]
    opening = ""
    if abs(offset) >= 7:
        opening = voice.say(
            (
                "7 days are a whole week, so {n} days count as {rest}.",
                "{n} - 7 = {rest}, and 7 days change nothing.",
            ),
            n=abs(offset),
            rest=rest,
        )
    if rest == 0:
        return voice.join(opening, f"It is the same weekday, {answer}."), answer
    days = ", ".join(f"{i} {DAYS[(start + sign * i) % 7]}" for i in range(1, rest + 1))
    body = voice.say(
        ("From {start} I count {way}: {days}.", "Counting {way} from {start}: {days}."),
        start=facts["start"],
        way="back" if sign < 0 else "forward",
        days=days,
    )
    return voice.join(opening, body), answer


def work_family(facts: Facts, voice: Voice) -> Work:
    """The sentences that connect the two people, then the word for it."""
    person, other, relation = facts["person"], facts["other"], facts["relation"]
    opening = voice.say(
        ("What is {p} to {o}?", "I look for {p} and {o}.", "How do {p} and {o} belong together?"),
        p=person,
        o=other,
    )
    links = " ".join(_links(facts))
    closing = voice.say(
        ("So {p} is the {r} of {o}.", "That makes {p} the {r}."), p=person, o=other, r=relation
    )
    return voice.join(opening, links, closing), str(relation)


def _links(facts: Facts) -> list[str]:
    person, other, relation = facts["person"], facts["other"], facts["relation"]
    parents = {child: (a, b) for a, b, children in facts["families"] for child in children}

    def child_of(child: str) -> str:
        return f"{child} is a child of {parents[child][0]} and {parents[child][1]}."

    if relation in ("wife", "husband"):
        return [f"{person} is married to {other}."]
    if relation in ("mother", "father"):
        return [child_of(other)]
    if relation in ("daughter", "son"):
        return [child_of(person)]
    if relation in ("sister", "brother"):
        return [child_of(person), child_of(other)]
    middle = next(parent for parent in parents[other] if parent in parents)
    if relation in ("grandmother", "grandfather"):
        return [child_of(other), child_of(middle)]
    return [child_of(other), child_of(middle), child_of(person)]
