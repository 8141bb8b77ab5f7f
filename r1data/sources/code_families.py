"""Families of small Python functions: how each is asked for, its solution, and the same again as a check.

`body` is what a model should write; `result` computes the expected outputs without running any text, so
that the two are independent and the sandbox can hold one against the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Params = dict[str, Any]
WORDS = ("river", "apple", "bee", "lantern", "tea", "banana", "sky", "garden", "moon", "paper", "a", "otter")
LABELS = (
    ("high", "low"),
    ("big", "small"),
    ("hot", "cold"),
    ("far", "near"),
    ("old", "young"),
    ("rich", "poor"),
)


def _ints(rng: random.Random) -> list[int]:
    return [rng.randint(-9, 60) for _ in range(rng.randint(2, 6))]


#: What an argument of this name is drawn from; the first draws of a list or text are the edge cases.
ARGUMENTS: dict[str, Callable[[random.Random], Any]] = {
    "x": lambda rng: rng.randint(-20, 80),
    "n": lambda rng: rng.randint(1, 40),
    "a": lambda rng: rng.randint(-20, 40),
    "b": lambda rng: rng.randint(-20, 40),
    "numbers": _ints,
    "text": lambda rng: rng.choice(WORDS),
    "words": lambda rng: [rng.choice(WORDS) for _ in range(rng.randint(2, 4))],
}
EMPTY: dict[str, Any] = {"numbers": [], "text": "", "words": []}
PARAMS: dict[str, Callable[[random.Random], Any]] = {
    "k": lambda rng: rng.randint(2, 50),
    "m": lambda rng: rng.randint(1, 30),
    "d": lambda rng: rng.randint(2, 12),
    "s": lambda rng: rng.randint(2, 5),
    "letter": lambda rng: rng.choice("aenoprst"),
    "other": lambda rng: rng.choice("xyzquv"),
    "word": lambda rng: rng.choice(("hello", "good", "my", "the", "not", "re", "super", "old")),
    "mark": lambda rng: rng.choice("!?*#-+"),
    "labels": lambda rng: rng.choice(LABELS),
}


@dataclass(frozen=True, slots=True)
class Family:
    """Texts and body are formatted with the parameters; `labels` gives `{yes}` and `{no}`."""

    args: str
    params: tuple[str, ...]
    names: tuple[str, ...]
    ask: tuple[str, str]
    idea: tuple[str, str]
    body: str
    result: Callable[..., Any]


FAMILIES: dict[str, Family] = {
    "add": Family(
        "x",
        ("k",),
        ("add_{k}", "plus", "increase"),
        ("returns x plus {k}", "返回 x 加 {k} 的结果"),
        ("To add {k} I return x + {k}.", "加 {k} 就是 x + {k}。"),
        "return x + {k}",
        lambda p, x: x + p["k"],
    ),
    "subtract": Family(
        "x",
        ("k",),
        ("minus_{k}", "decrease", "reduce_by"),
        ("returns x minus {k}", "返回 x 减 {k} 的结果"),
        ("I take {k} away: x - {k}.", "减去 {k}，也就是 x - {k}。"),
        "return x - {k}",
        lambda p, x: x - p["k"],
    ),
    "times": Family(
        "x",
        ("k",),
        ("times_{k}", "multiply", "scale"),
        ("returns {k} times x", "返回 x 的 {k} 倍"),
        ("{k} times x is {k} * x.", "{k} 倍就是 {k} * x。"),
        "return {k} * x",
        lambda p, x: x * p["k"],
    ),
    "times-plus": Family(
        "x",
        ("d", "m"),
        ("linear", "line", "compute"),
        ("returns {d} times x plus {m}", "返回 x 的 {d} 倍再加 {m}"),
        ("First {d} * x, then I add {m}.", "先算 {d} * x，再加 {m}。"),
        "return {d} * x + {m}",
        lambda p, x: p["d"] * x + p["m"],
    ),
    "square-plus": Family(
        "x",
        ("k",),
        ("square_plus", "shifted_square", "f"),
        ("returns the square of x plus {k}", "返回 x 的平方加 {k}"),
        ("The square is x * x, and I add {k}.", "平方是 x * x，再加 {k}。"),
        "return x * x + {k}",
        lambda p, x: x**2 + p["k"],
    ),
    "remainder": Family(
        "x",
        ("k",),
        ("remainder", "rest", "mod_{k}"),
        ("returns the remainder of x divided by {k}", "返回 x 除以 {k} 的余数"),
        ("The remainder operator is %, so x % {k}.", "余数用 %，所以是 x % {k}。"),
        "return x % {k}",
        lambda p, x: x - (x // p["k"]) * p["k"],
    ),
    "divisible": Family(
        "x",
        ("k",),
        ("divisible", "is_multiple", "divides"),
        ("returns True if x is divisible by {k}, else False", "判断 x 能否被 {k} 整除，返回 True 或 False"),
        ("x is divisible when x % {k} is 0.", "x % {k} 等于 0 就能整除。"),
        "return x % {k} == 0",
        lambda p, x: (x // p["k"]) * p["k"] == x,
    ),
    "above": Family(
        "x",
        ("k",),
        ("is_above", "more_than", "exceeds"),
        ("returns True if x is greater than {k}, else False", "判断 x 是否大于 {k}，返回 True 或 False"),
        ("I compare: x > {k}.", "直接比较 x > {k}。"),
        "return x > {k}",
        lambda p, x: not x <= p["k"],
    ),
    "at-most": Family(
        "x",
        ("k",),
        ("at_most", "cap", "limit"),
        ("returns x, but never more than {k}", "返回 x，但最大不超过 {k}"),
        ("The smaller of x and {k} is min(x, {k}).", "取 x 和 {k} 中较小的，用 min(x, {k})。"),
        "return min(x, {k})",
        lambda p, x: x if x < p["k"] else p["k"],
    ),
    "at-least": Family(
        "x",
        ("k",),
        ("at_least", "floor_at", "raise_to"),
        ("returns x, but never less than {k}", "返回 x，但最小不低于 {k}"),
        ("The larger of x and {k} is max(x, {k}).", "取 x 和 {k} 中较大的，用 max(x, {k})。"),
        "return max(x, {k})",
        lambda p, x: x if x > p["k"] else p["k"],
    ),
    "distance": Family(
        "x",
        ("k",),
        ("distance", "gap", "how_far"),
        ("returns the distance between x and {k}", "返回 x 与 {k} 之间的距离"),
        ("The distance is the absolute value of x - {k}.", "距离是 x - {k} 的绝对值，用 abs。"),
        "return abs(x - {k})",
        lambda p, x: max(x - p["k"], p["k"] - x),
    ),
    "label": Family(
        "x",
        ("k", "labels"),
        ("label", "classify", "describe"),
        (
            "returns '{yes}' if x is greater than {k} and '{no}' otherwise",
            "当 x 大于 {k} 时返回 '{yes}'，否则返回 '{no}'",
        ),
        (
            "An if for x > {k} returns '{yes}'; after it I return '{no}'.",
            "用 if 判断 x > {k}，否则返回 '{no}'。",
        ),
        "if x > {k}:\n    return '{yes}'\nreturn '{no}'",
        lambda p, x: p["labels"][0] if x > p["k"] else p["labels"][1],
    ),
    "larger-plus": Family(
        "a, b",
        ("k",),
        ("larger_plus", "best_of", "top"),
        ("returns the larger of a and b plus {k}", "返回 a 和 b 中较大的数加 {k}"),
        ("max(a, b) is the larger one, then I add {k}.", "max(a, b) 是较大的数，再加 {k}。"),
        "return max(a, b) + {k}",
        lambda p, a, b: (a if a > b else b) + p["k"],
    ),
    "sum-times": Family(
        "a, b",
        ("k",),
        ("sum_times", "combine", "total"),
        ("returns the sum of a and b times {k}", "返回 a 与 b 的和乘以 {k}"),
        ("I add first, so I need brackets: (a + b) * {k}.", "先求和再乘，要用括号：(a + b) * {k}。"),
        "return (a + b) * {k}",
        lambda p, a, b: a * p["k"] + b * p["k"],
    ),
    "difference-above": Family(
        "a, b",
        ("m",),
        ("far_apart", "differ_by_more", "big_gap"),
        (
            "returns True if a - b is greater than {m}, else False",
            "判断 a - b 是否大于 {m}，返回 True 或 False",
        ),
        ("I compare the difference: a - b > {m}.", "比较差：a - b > {m}。"),
        "return a - b > {m}",
        lambda p, a, b: a > b + p["m"],
    ),
    "sum-plus": Family(
        "numbers",
        ("k",),
        ("sum_plus", "total_with", "add_up"),
        ("returns the sum of the list plus {k}", "返回列表 numbers 的总和加 {k}"),
        ("sum(numbers) gives the total, then I add {k}.", "sum(numbers) 求总和，再加 {k}。"),
        "return sum(numbers) + {k}",
        lambda p, numbers: sum(numbers, p["k"]),
    ),
    "scale-list": Family(
        "numbers",
        ("k",),
        ("scale_all", "multiply_all", "times_each"),
        ("returns a list with every number times {k}", "返回每个数都乘以 {k} 的新列表"),
        ("A list comprehension does it for every x: x * {k}.", "用列表推导式，每个 x 变成 x * {k}。"),
        "return [x * {k} for x in numbers]",
        lambda p, numbers: [p["k"] * x for x in numbers],
    ),
    "shift-list": Family(
        "numbers",
        ("k",),
        ("add_to_all", "shift_all", "raise_each"),
        ("returns a list with {k} added to every number", "返回每个数都加 {k} 的新列表"),
        ("I go through the list and take x + {k}.", "遍历列表，取 x + {k}。"),
        "return [x + {k} for x in numbers]",
        lambda p, numbers: [p["k"] + x for x in numbers],
    ),
    "keep-above": Family(
        "numbers",
        ("k",),
        ("keep_above", "larger_ones", "filter_high"),
        ("returns the numbers of the list that are greater than {k}", "返回列表中大于 {k} 的数"),
        ("I keep x only if x > {k}.", "只保留 x > {k} 的数。"),
        "return [x for x in numbers if x > {k}]",
        lambda p, numbers: list(filter(lambda x: x > p["k"], numbers)),
    ),
    "keep-below": Family(
        "numbers",
        ("k",),
        ("keep_below", "smaller_ones", "filter_low"),
        ("returns the numbers of the list that are less than {k}", "返回列表中小于 {k} 的数"),
        ("I keep x only if x < {k}.", "只保留 x < {k} 的数。"),
        "return [x for x in numbers if x < {k}]",
        lambda p, numbers: list(filter(lambda x: x < p["k"], numbers)),
    ),
    "keep-multiples": Family(
        "numbers",
        ("d",),
        ("multiples", "keep_multiples", "only_divisible"),
        ("returns the numbers of the list that are divisible by {d}", "返回列表中能被 {d} 整除的数"),
        ("I keep x only if x % {d} is 0.", "只保留 x % {d} 等于 0 的数。"),
        "return [x for x in numbers if x % {d} == 0]",
        lambda p, numbers: list(filter(lambda x: x // p["d"] * p["d"] == x, numbers)),
    ),
    "sum-above": Family(
        "numbers",
        ("k",),
        ("sum_above", "total_high", "add_large"),
        (
            "returns the sum of the numbers in the list that are greater than {k}",
            "返回列表中大于 {k} 的数的和",
        ),
        ("I start at 0 and add each x with x > {k}.", "从 0 开始，把 x > {k} 的数加起来。"),
        "total = 0\nfor x in numbers:\n    if x > {k}:\n        total += x\nreturn total",
        lambda p, numbers: sum(x for x in numbers if x > p["k"]),
    ),
    "count-above": Family(
        "numbers",
        ("k",),
        ("count_above", "how_many_above", "count_large"),
        ("returns how many numbers in the list are greater than {k}", "返回列表中大于 {k} 的数的个数"),
        ("I count each x with x > {k}.", "每遇到 x > {k} 就加一。"),
        "count = 0\nfor x in numbers:\n    if x > {k}:\n        count += 1\nreturn count",
        lambda p, numbers: len([x for x in numbers if x > p["k"]]),
    ),
    "contains": Family(
        "numbers",
        ("k",),
        ("contains", "has_number", "includes"),
        ("returns True if {k} is in the list, else False", "判断 {k} 是否在列表中，返回 True 或 False"),
        ("The operator in tells it: {k} in numbers.", "用 in 判断：{k} in numbers。"),
        "return {k} in numbers",
        lambda p, numbers: numbers.count(p["k"]) > 0,
    ),
    "append": Family(
        "numbers",
        ("k",),
        ("with_last", "append_number", "extended"),
        ("returns a new list with {k} added at the end", "返回在末尾加上 {k} 的新列表"),
        ("I join the list and [{k}].", "把列表和 [{k}] 相接。"),
        "return numbers + [{k}]",
        lambda p, numbers: [*numbers, p["k"]],
    ),
    "first": Family(
        "numbers",
        ("s",),
        ("first_{s}", "head", "start_of"),
        ("returns the first {s} items of the list", "返回列表的前 {s} 个元素"),
        ("A slice from the start: numbers[:{s}].", "从头切片：numbers[:{s}]。"),
        "return numbers[:{s}]",
        lambda p, numbers: [x for i, x in enumerate(numbers) if i < p["s"]],
    ),
    "last": Family(
        "numbers",
        ("s",),
        ("last_{s}", "tail", "end_of"),
        ("returns the last {s} items of the list", "返回列表的最后 {s} 个元素"),
        ("A slice from the end: numbers[-{s}:].", "从末尾切片：numbers[-{s}:]。"),
        "return numbers[-{s}:]",
        lambda p, numbers: [x for i, x in enumerate(numbers) if i >= len(numbers) - p["s"]],
    ),
    "sum-multiples": Family(
        "n",
        ("d",),
        ("sum_multiples", "add_multiples", "multiples_total"),
        ("returns the sum of all multiples of {d} from {d} up to n", "返回从 {d} 到 n 所有 {d} 的倍数的和"),
        (
            "range({d}, n + 1, {d}) gives the multiples; sum adds them.",
            "range({d}, n + 1, {d}) 给出倍数，再用 sum 求和。",
        ),
        "return sum(range({d}, n + 1, {d}))",
        lambda p, n: sum(x for x in range(1, n + 1) if x % p["d"] == 0),
    ),
    "repeat": Family(
        "text",
        ("s",),
        ("repeat", "repeat_text", "echo"),
        ("returns the text repeated {s} times", "返回重复 {s} 次的文字"),
        ("Text times a number repeats it: text * {s}.", "字符串乘以数字就会重复：text * {s}。"),
        "return text * {s}",
        lambda p, text: "".join(text for _ in range(p["s"])),
    ),
    "prefix": Family(
        "text",
        ("word", "mark"),
        ("with_prefix", "greet", "prepend"),
        ("returns '{word}{mark}' followed by the text", "返回 '{word}{mark}' 后面接上 text"),
        ("I put the two together: '{word}{mark}' + text.", "把两部分相接：'{word}{mark}' + text。"),
        "return '{word}{mark}' + text",
        lambda p, text: f"{p['word']}{p['mark']}{text}",
    ),
    "suffix": Family(
        "text",
        ("word", "mark"),
        ("with_suffix", "finish", "append_text"),
        ("returns the text followed by '{mark}{word}'", "返回 text 后面接上 '{mark}{word}'"),
        ("I add at the end: text + '{mark}{word}'.", "在末尾相接：text + '{mark}{word}'。"),
        "return text + '{mark}{word}'",
        lambda p, text: f"{text}{p['mark']}{p['word']}",
    ),
    "count-letter": Family(
        "text",
        ("letter", "s"),
        ("count_letter", "letter_score", "count_{letter}"),
        (
            "returns how often '{letter}' is in the text, times {s}",
            "返回字母 '{letter}' 在 text 中出现的次数乘以 {s}",
        ),
        (
            "text.count('{letter}') counts it, and I multiply by {s}.",
            "用 text.count('{letter}') 计数，再乘以 {s}。",
        ),
        "return text.count('{letter}') * {s}",
        lambda p, text: sum(p["s"] for c in text if c == p["letter"]),
    ),
    "replace-letter": Family(
        "text",
        ("letter", "other"),
        ("replace_letter", "swap_letter", "change"),
        (
            "returns the text with every '{letter}' replaced by '{other}'",
            "把 text 中的 '{letter}' 都换成 '{other}' 并返回",
        ),
        ("The method replace does this.", "用 replace 方法就可以。"),
        "return text.replace('{letter}', '{other}')",
        lambda p, text: "".join(p["other"] if c == p["letter"] else c for c in text),
    ),
    "longer": Family(
        "text",
        ("s",),
        ("is_longer", "long_text", "longer_than"),
        (
            "returns True if the text has more than {s} letters, else False",
            "判断 text 是否多于 {s} 个字母，返回 True 或 False",
        ),
        ("The length is len(text), so len(text) > {s}.", "长度是 len(text)，比较 len(text) > {s}。"),
        "return len(text) > {s}",
        lambda p, text: len(list(text)) - p["s"] > 0,
    ),
    "long-words": Family(
        "words",
        ("s",),
        ("long_words", "keep_long", "filter_words"),
        ("returns the words that have more than {s} letters", "返回列表中多于 {s} 个字母的单词"),
        ("I keep w only if len(w) > {s}.", "只保留 len(w) > {s} 的单词。"),
        "return [w for w in words if len(w) > {s}]",
        lambda p, words: list(filter(lambda w: len(w) > p["s"], words)),
    ),
    "join": Family(
        "words",
        ("mark", "letter"),
        ("join_words", "connect", "glue"),
        (
            "returns the words joined with '{mark}' and '{letter}' at the end",
            "用 '{mark}' 连接单词，末尾加 '{letter}'，并返回",
        ),
        (
            "'{mark}'.join(words) joins them, then I add '{letter}'.",
            "用 '{mark}'.join(words) 连接，再加 '{letter}'。",
        ),
        "return '{mark}'.join(words) + '{letter}'",
        lambda p, words: "".join(w if i == 0 else p["mark"] + w for i, w in enumerate(words)) + p["letter"],
    ),
}
