"""The rows of r1kit: one schema each, checked where they enter.

A *problem* is what is asked and how an answer is checked; a *response* is one model output to it; a
*flat* row holds both. Rows are plain dictionaries, so that JSON lines and Parquet are the same thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, get_args

from r1rewards.core.errors import UserError

Task = Literal["math", "code", "choice", "puzzle", "instructions", "general", "safety"]
TASKS: tuple[str, ...] = get_args(Task)
#: Tasks that a rule can check; the reward of the same name says whether the answer is right.
CHECKED_TASKS = ("math", "code", "choice", "puzzle", "instructions")
#: Tasks whose reference is a JSON object; in the others it is text, also where the text looks like JSON.
OBJECT_TASKS = frozenset({"code", "puzzle", "instructions"})


class Message(TypedDict):
    role: str
    content: str


class Problem(TypedDict):
    """`reference` by task: math the gold answer; choice the letter; code tests; puzzle its generator;
    instructions what to follow.
    """

    id: str
    task: str
    domain: str
    prompt: list[Message]
    reference: Any
    language: str
    source: str
    meta: dict[str, Any]
    thinking: NotRequired[str]


class Response(TypedDict):
    """One sample. `uid` names it in every later row, ledger and report."""

    uid: str
    problem_id: str
    sample: int
    text: str
    finish_reason: str
    tokens: int
    model: str
    sampling: dict[str, Any]


def response_uid(problem_id: str, model: str, sampling: Mapping[str, Any], sample: int) -> str:
    """The uid of a response: 32 hex digits over problem, model, sampling settings (seed included), sample."""
    key = json.dumps([problem_id, model, dict(sampling), sample], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def derived_name(*parts: str) -> str:
    """A name made of what it names: 32 hex digits."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def drawn_hash(content: bytes) -> int:
    """64 bits that depend on the content alone, to draw rows by."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def messages(prompt: str | list[Message]) -> list[Message]:
    """A prompt as messages; a bare string is one user turn."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def question_of(prompt: str | list[Message]) -> str:
    """The text of the last user turn, which is what a problem asks."""
    for message in reversed(messages(prompt)):
        if message["role"] == "user":
            return message["content"]
    return ""


def conversation_of(prompt: str | list[Message]) -> str:
    """What was said before a response: the question alone, or all turns with their speakers where several."""
    spoken = [turn for turn in messages(prompt) if turn["role"] != "system"]
    if len(spoken) < 2:
        return question_of(prompt)
    return "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in spoken)


def check_problem(row: Mapping[str, Any], where: str) -> Problem:
    """The row as a problem, defaults filled in; `where` (file and line) begins the sentence if it is not."""
    _require(row, where, "id", "task", "prompt")
    task = row["task"]
    if task not in TASKS:
        raise UserError(f"{where}: task is {task!r}; it must be one of {', '.join(TASKS)}")
    problem: Problem = {
        "id": str(row["id"]),
        "task": task,
        "domain": str(row.get("domain") or task),
        "prompt": check_prompt(row["prompt"], where),
        "reference": check_reference(task, row.get("reference"), where),
        "language": str(row.get("language") or ""),
        "source": str(row.get("source") or ""),
        "meta": _object(row, where, "meta"),
    }
    if row.get("thinking"):
        problem["thinking"] = str(row["thinking"])
    return problem


def check_reference(task: str, reference: Any, where: str) -> Any:
    """The reference in the form its task wants: an object for code and puzzle, text for math and choice."""
    if task in OBJECT_TASKS:
        return _as_object(reference, f"{where}: the reference of a {task} problem")
    if task in ("math", "choice") and (reference is None or str(reference).strip() == ""):
        raise UserError(f"{where}: a {task} problem needs a reference answer")
    if isinstance(reference, int | float) and not isinstance(reference, bool):
        return str(reference)
    return reference


def check_response(row: Mapping[str, Any], where: str) -> Response:
    """The row as a response; `where` leads the sentence when it is not one."""
    _require(row, where, "problem_id", "text")
    sampling = _object(row, where, "sampling")
    sample, model = int(row.get("sample") or 0), str(row.get("model") or "")
    problem_id = str(row["problem_id"])
    return {
        "uid": str(row.get("uid") or response_uid(problem_id, model, sampling, sample)),
        "problem_id": problem_id,
        "sample": sample,
        "text": str(row["text"]),
        "finish_reason": str(row.get("finish_reason") or "stop"),
        "tokens": int(row.get("tokens") or 0),
        "model": model,
        "sampling": sampling,
    }


def _object(row: Mapping[str, Any], where: str, key: str) -> dict[str, Any]:
    return _as_object(row.get(key) or {}, f"{where}: {key!r}")


def _as_object(value: Any, what: str) -> dict[str, Any]:
    """The object, or the one in this text: other tools pass our Parquet on with objects as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UserError(f"{what} must be a JSON object") from None
    if not isinstance(value, Mapping):
        raise UserError(f"{what} must be a JSON object")
    return dict(value)


def _require(row: Mapping[str, Any], where: str, *keys: str) -> None:
    for key in keys:
        if row.get(key) is None:
            have = ", ".join(sorted(row)) or "nothing"
            raise UserError(
                f"{where}: no {key!r} in this row (it has {have}); rename a column with --map {key}=NAME"
            )


def check_prompt(prompt: Any, where: str) -> list[Message]:
    """The prompt as messages; `where` leads the sentence when it is none."""
    if isinstance(prompt, str):
        return messages(prompt)
    if isinstance(prompt, list) and prompt:
        turns = [
            m
            for m in prompt
            if isinstance(m, Mapping) and isinstance(m.get("content"), str) and m.get("role")
        ]
        if len(turns) == len(prompt):
            return [{"role": str(m["role"]), "content": m["content"]} for m in turns]
    raise UserError(f"{where}: a prompt is text or a list of {{role, content}} messages")
