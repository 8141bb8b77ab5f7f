"""Short word problems as data: how each is asked and how each is solved, in English and Chinese.

`amounts` are numbers of the size asked for, `factors` small ones (2 to 9). `solve` adds every intermediate
result and `answer`; a draw in which one of them is not positive is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Values = dict[str, int]

NAMES = {
    "en": ("Mia", "Tom", "Lena", "Sam", "Nora", "Ben", "Ruth", "Omar", "Ivy", "Paul"),
    "zh": ("小明", "小红", "小华", "小丽", "小刚", "小芳", "乐乐", "朵朵"),
}
THINGS: dict[str, tuple[dict[str, str], ...]] = {
    "en": tuple(
        {"thing": w} for w in ("apples", "books", "stamps", "marbles", "cards", "coins", "shells", "pens")
    ),
    "zh": tuple(
        {"thing": thing, "unit": unit}
        for thing, unit in (
            ("苹果", "个"),
            ("书", "本"),
            ("邮票", "张"),
            ("糖果", "颗"),
            ("铅笔", "支"),
            ("贝壳", "个"),
            ("卡片", "张"),
        )
    ),
}


@dataclass(frozen=True, slots=True)
class Story:
    """`asks` and `steps` by language; placeholders are the drawn and the derived values, who and thing."""

    amounts: tuple[str, ...]
    factors: tuple[str, ...]
    solve: Callable[[Values], Values]
    asks: dict[str, tuple[str, ...]]
    steps: dict[str, tuple[str, ...]]

    def values(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The facts with everything that follows from them."""
        return {**facts, **self.solve({name: facts[name] for name in (*self.amounts, *self.factors)})}


STORIES: dict[str, Story] = {
    "gain": Story(
        ("a", "b"),
        (),
        lambda v: {"answer": v["a"] + v["b"]},
        {
            "en": (
                "{who} has {a} {thing} and gets {b} more. How many {thing} does {who} have now?",
                "There are {a} {thing} in a box. {who} puts in {b} more. How many {thing} are in the box?",
            ),
            "zh": (
                "{who}有{a}{unit}{thing}，又得到{b}{unit}，现在一共有多少{unit}{thing}？",
                "盒子里有{a}{unit}{thing}，{who}又放进{b}{unit}，现在盒子里有多少{unit}{thing}？",
            ),
        },
        {
            "en": ("We start with {a} {thing}.", "Adding {b} gives {a} + {b} = {answer}."),
            "zh": ("原来有{a}{unit}{thing}。", "再加上{b}{unit}，{a} + {b} = {answer}。"),
        },
    ),
    "lose": Story(
        ("a", "b"),
        (),
        lambda v: {"answer": v["a"] - v["b"]},
        {
            "en": (
                "{who} has {a} {thing} and gives {b} away. How many {thing} are left?",
                "{who} had {a} {thing} and lost {b} of them. How many does {who} still have?",
            ),
            "zh": (
                "{who}有{a}{unit}{thing}，送给朋友{b}{unit}，还剩多少{unit}？",
                "{who}原来有{a}{unit}{thing}，丢了{b}{unit}，还有多少{unit}？",
            ),
        },
        {
            "en": ("At first there are {a} {thing}.", "Taking away {b} leaves {a} - {b} = {answer}."),
            "zh": ("开始有{a}{unit}{thing}。", "减去{b}{unit}，{a} - {b} = {answer}。"),
        },
    ),
    "gain-lose": Story(
        ("a", "b", "c"),
        (),
        lambda v: {"sum": v["a"] + v["b"], "answer": v["a"] + v["b"] - v["c"]},
        {
            "en": (
                "{who} has {a} {thing}, buys {b} more and then gives away {c}. How many {thing} are left?",
                "A bus has {a} people on it. {b} get on and {c} get off. How many people are on the bus now?",
            ),
            "zh": (
                "{who}有{a}{unit}{thing}，又买了{b}{unit}，然后送出{c}{unit}，还剩多少{unit}？",
                "公交车上有{a}人，上来{b}人，下去{c}人，现在车上有多少人？",
            ),
        },
        {
            "en": ("First the number grows: {a} + {b} = {sum}.", "Then {c} go away: {sum} - {c} = {answer}."),
            "zh": ("先增加：{a} + {b} = {sum}。", "再减少{c}：{sum} - {c} = {answer}。"),
        },
    ),
    "groups": Story(
        (),
        ("m", "n"),
        lambda v: {"answer": v["m"] * v["n"]},
        {
            "en": (
                "There are {m} bags with {n} {thing} in each. How many {thing} are there in all?",
                "{who} fills {m} boxes and puts {n} {thing} into each box. How many {thing} is that?",
            ),
            "zh": (
                "有{m}个袋子，每个袋子里有{n}{unit}{thing}，一共有多少{unit}{thing}？",
                "{who}装了{m}个盒子，每盒放{n}{unit}{thing}，一共放了多少{unit}？",
            ),
        },
        {
            "en": ("There are {m} groups of {n}.", "I multiply: {m} * {n} = {answer}."),
            "zh": ("一共有{m}份，每份{n}{unit}。", "用乘法：{m} * {n} = {answer}。"),
        },
    ),
    "groups-more": Story(
        ("c",),
        ("m", "n"),
        lambda v: {"product": v["m"] * v["n"], "answer": v["m"] * v["n"] + v["c"]},
        {
            "en": (
                "{who} has {m} bags of {n} {thing} each and {c} more on the table. How many in all?",
                "A shelf has {m} rows of {n} {thing} and {c} lie beside it. How many {thing} are there?",
            ),
            "zh": (
                "{who}有{m}袋{thing}，每袋{n}{unit}，桌上还有{c}{unit}，一共有多少{unit}？",
                "架子上有{m}排{thing}，每排{n}{unit}，旁边还有{c}{unit}，一共多少{unit}？",
            ),
        },
        {
            "en": (
                "The groups hold {m} * {n} = {product}.",
                "With the other {c}: {product} + {c} = {answer}.",
            ),
            "zh": ("先算整份：{m} * {n} = {product}。", "再加上{c}{unit}：{product} + {c} = {answer}。"),
        },
    ),
    "share": Story(
        (),
        ("m", "answer_each"),
        lambda v: {"total": v["m"] * v["answer_each"], "answer": v["answer_each"]},
        {
            "en": (
                "{who} shares {total} {thing} equally among {m} children. How many does each child get?",
                "{total} {thing} are put into {m} equal piles. How many {thing} are in one pile?",
            ),
            "zh": (
                "{who}把{total}{unit}{thing}平均分给{m}个小朋友，每人分到多少{unit}？",
                "把{total}{unit}{thing}平均分成{m}堆，每堆有多少{unit}？",
            ),
        },
        {
            "en": (
                "Equal parts mean division.",
                "{total} / {m} = {answer}, because {m} * {answer} = {total}.",
            ),
            "zh": ("平均分要用除法。", "{total} / {m} = {answer}，因为 {m} * {answer} = {total}。"),
        },
    ),
    "change": Story(
        ("c",),
        ("m", "n"),
        lambda v: {"cost": v["m"] * v["n"], "paid": v["m"] * v["n"] + v["c"], "answer": v["c"]},
        {
            "en": (
                "{who} buys {m} pens for {n} dollars each and pays {paid} dollars. How much change is due?",
                "A ticket costs {n} dollars. {who} had {paid} and buys {m} tickets. How much is left?",
            ),
            "zh": (
                "一支笔{n}元，{who}买了{m}支，付了{paid}元，应找回多少元？",
                "一张票{n}元，{who}带了{paid}元，买了{m}张，还剩多少元？",
            ),
        },
        {
            "en": ("The cost is {m} * {n} = {cost} dollars.", "What remains is {paid} - {cost} = {answer}."),
            "zh": ("花费是 {m} * {n} = {cost} 元。", "剩下 {paid} - {cost} = {answer} 元。"),
        },
    ),
    "together": Story(
        ("a", "b"),
        (),
        lambda v: {"other": v["a"] + v["b"], "answer": 2 * v["a"] + v["b"]},
        {
            "en": (
                "{who} has {a} {thing}. Kim has {b} more than {who}. How many do they have together?",
                "One box holds {a} {thing}, another holds {b} more than that. How many {thing} are in both?",
            ),
            "zh": (
                "{who}有{a}{unit}{thing}，小美比{who}多{b}{unit}，两人一共有多少{unit}？",
                "第一盒有{a}{unit}{thing}，第二盒比第一盒多{b}{unit}，两盒一共多少{unit}？",
            ),
        },
        {
            "en": ("The second amount is {a} + {b} = {other}.", "Together: {a} + {other} = {answer}."),
            "zh": ("第二份是 {a} + {b} = {other}。", "合起来：{a} + {other} = {answer}。"),
        },
    ),
    "pages": Story(
        ("c",),
        ("m", "n"),
        lambda v: {"read": v["m"] * v["n"], "total": v["m"] * v["n"] + v["c"], "answer": v["c"]},
        {
            "en": (
                "A book has {total} pages. {who} reads {n} a day for {m} days. How many pages are left?",
                "{who} must walk {total} km and walks {n} km a day for {m} days. How many km are left?",
            ),
            "zh": (
                "一本书有{total}页，{who}每天读{n}页，读了{m}天，还剩多少页？",
                "一条路长{total}千米，{who}每天走{n}千米，走了{m}天，还剩多少千米？",
            ),
        },
        {
            "en": ("In {m} days that makes {m} * {n} = {read}.", "Left over: {total} - {read} = {answer}."),
            "zh": ("{m}天一共 {m} * {n} = {read}。", "还剩 {total} - {read} = {answer}。"),
        },
    ),
    "age": Story(
        ("a", "b"),
        (),
        lambda v: {"answer": v["a"] + v["b"]},
        {
            "en": (
                "{who} is {a} years old. How old will {who} be in {b} years?",
                "{who} was {a} years old {b} years ago. How old is {who} now?",
            ),
            "zh": ("{who}今年{a}岁，{b}年后{who}多少岁？", "{b}年前{who}{a}岁，{who}今年多少岁？"),
        },
        {
            "en": ("Each year adds one.", "{a} + {b} = {answer}."),
            "zh": ("每过一年长一岁。", "{a} + {b} = {answer}。"),
        },
    ),
    "twice": Story(
        ("a",),
        ("m",),
        lambda v: {"other": v["m"] * v["a"], "answer": v["m"] * v["a"] + v["a"]},
        {
            "en": (
                "{who} has {a} {thing} and Kim has {m} times as many. How many do they have together?",
                "A cup holds {a} {thing}, a jar holds {m} times as many. How many {thing} fit in both?",
            ),
            "zh": (
                "{who}有{a}{unit}{thing}，小美的是{who}的{m}倍，两人一共有多少{unit}？",
                "小杯装{a}{unit}{thing}，大罐装的是它的{m}倍，两个一共装多少{unit}？",
            ),
        },
        {
            "en": ("{m} times {a} is {m} * {a} = {other}.", "Together: {a} + {other} = {answer}."),
            "zh": ("{a}的{m}倍是 {m} * {a} = {other}。", "合起来：{a} + {other} = {answer}。"),
        },
    ),
}
