"""Other people's conversations as ours: a list of {role, content}, the last turn the answer.

Known are messages ({role, content}, content also in parts, thinking also apart in `reasoning_content`),
ShareGPT's turns ({from, value}) and the transcripts of Anthropic's HH data (Human: ... Assistant: ...).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from r1data.align import align
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message
from r1rewards.core.template import Template

_ROLES = {
    "system": "system",
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "bing", "bard"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_call", "function_response"), "tool"),
}
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
#: How some data sets mark thinking and answer; the first is OpenThoughts'.
_MARKERS = (
    ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<Thought>", "</Thought>", "<Output>", "</Output>"),
    ("## Thinking", "## Final Response", "", ""),
)


def turns_of(value: Any, where: str) -> list[Message]:
    """A conversation in any of the known forms; text without speakers is one user turn."""
    if isinstance(value, str):
        return _transcript(value) or [{"role": "user", "content": value}]
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: a conversation is a list of turns or text, not {type(value).__name__}")
    return [_turn(turn, f"{where}, turn {number}") for number, turn in enumerate(value, 1)]


def question_and_answer(turns: list[Message], where: str) -> tuple[list[Message], str]:
    """All turns but the last, and the text of the last, which is the assistant's."""
    if turns[-1]["role"] != "assistant":
        raise UserError(f"{where}: the conversation ends with the {turns[-1]['role']}, unanswered")
    asked = turns[:-1]
    if not any(turn["role"] == "user" for turn in asked):
        raise UserError(f"{where}: nobody asks anything before the answer")
    return asked, turns[-1]["content"]


def laid_out(text: str, template: Template) -> tuple[str, bool]:
    """A response in the layout of `template`, and whether it thinks; known marks are read."""
    for head, tail, answer_head, answer_tail in _MARKERS:
        before, opened, rest = text.partition(head)
        reasoning, closed, answer = rest.partition(tail)
        if opened and closed and not before.strip():
            answer = answer.replace(answer_head, "").replace(answer_tail, "") if answer_head else answer
            return template.render(reasoning, answer), True
    aligned = align(text, template)
    if aligned is not None:
        return aligned, True
    if any(tag in text for tag in template.reasoning_tags):
        return text, True  # broken thinking: for `curate` to name
    return template.render("", text, thinking=False), False


def _turn(turn: Any, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise UserError(f"{where}: a turn is an object with role and content, not {type(turn).__name__}")
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    known = _ROLES.get(str(role).lower())
    if known is None:
        raise UserError(f"{where}: {role!r} is no speaker that is known; use user, assistant, system or tool")
    if isinstance(content, list) and all(isinstance(part, Mapping) for part in content):
        if any(part.get("type", "text") != "text" for part in content):
            raise UserError(f"{where}: this turn holds more than text")
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise UserError(f"{where}: the content of a turn is text, not {type(content).__name__}")
    thinking = turn.get("reasoning_content") or turn.get("reasoning")
    if isinstance(thinking, str) and thinking.strip():
        content = f"<think>\n{thinking.strip()}\n</think>\n{content}"
    return {"role": known, "content": content}


def _transcript(text: str) -> list[Message]:
    """The turns of an HH transcript; none where the text does not begin as one."""
    parts = _SPEAKER.split(text)
    if len(parts) < 3 or parts[0].strip():
        return []
    spoken = zip(parts[1::2], parts[2::2], strict=True)
    return [{"role": _ROLES[name.lower()], "content": said.strip()} for name, said in spoken]
