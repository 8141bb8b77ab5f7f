"""Worked traces of small code problems: the idea in a sentence or two, the answer as a fenced block."""

from __future__ import annotations

from typing import Any

from r1data.worked.voice import Voice


def work_code(facts: dict[str, Any], voice: Voice) -> tuple[str, str]:
    """The idea that stands beside the solution, and the solution."""
    opening = voice.say(
        ("I need a function `{name}`.", "The function `{name}` takes `{args}`.", "Let me write `{name}`."),
        ("我来写这个函数。", "我先想清楚函数要返回什么。", "先看这个函数要做什么。"),
        name=facts["name"],
        args=facts["args"],
    )
    return voice.join(opening, facts["idea"]), f"```python\n{facts['solution']}\n```"
