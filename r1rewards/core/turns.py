"""Other people's conversations as ours: a list of {role, content}, the last turn the answer.

Known are messages ({role, content}, content also in parts, thinking also apart in `reasoning_content`),
ShareGPT's turns ({from, value}) and the transcripts of Anthropic's HH data (Human: ... Assistant: ...).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message

_ROLES = {
    "system": "system",
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "bing", "bard"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "function_call", "function_response"), "tool"),
}
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
#: Where a row may have its conversation.
CHAT_COLUMNS = ("messages", "conversations", "conversation", "turns")


def turns_of(value: Any, where: str) -> list[Message]:
    """A conversation in any of the known forms; text without speakers is one user turn."""
    if isinstance(value, str):
        return _transcript(value) or [{"role": "user", "content": value}]
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: a conversation is a list of turns or text, not {type(value).__name__}")
    return [_turn(turn, f"{where}, turn {number}") for number, turn in enumerate(value, 1)]


def turns_of_row(row: Mapping[str, Any], where: str) -> tuple[list[Message], set[str]]:
    """The turns of a chat, and the columns they came from."""
    column = next((name for name in CHAT_COLUMNS if row.get(name)), None)
    if column is not None:
        turns, used = turns_of(row[column], where), {column}
    elif row.get("instruction") is not None and row.get("output") is not None:  # Alpaca
        asked = "\n\n".join(str(row[name]) for name in ("instruction", "input") if row.get(name))
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": str(row["output"])}]
        used = {"instruction", "input", "output"}
    elif row.get("prompt") is not None and (text := row.get("text", row.get("response"))) is not None:
        turns = [*turns_of(row["prompt"], where), {"role": "assistant", "content": str(text)}]
        used = {"prompt", "text", "response"}
    else:
        have = ", ".join(sorted(row))
        raise UserError(f"{where}: no conversation in this row (it has {have}); name it: --map messages=NAME")
    if isinstance(row.get("system"), str) and row["system"].strip() and turns[0]["role"] != "system":
        turns = [{"role": "system", "content": row["system"]}, *turns]
        used.add("system")
    return turns, used


def question_and_answer(turns: list[Message], where: str) -> tuple[list[Message], str]:
    """All turns but the last, and the text of the last, which is the assistant's."""
    if turns[-1]["role"] != "assistant":
        raise UserError(f"{where}: the conversation ends with the {turns[-1]['role']}, unanswered")
    asked = turns[:-1]
    if not any(turn["role"] == "user" for turn in asked):
        raise UserError(f"{where}: nobody asks anything before the answer")
    return asked, turns[-1]["content"]


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
