"""Rows that others made, as ours: `r1data import --as traces|chats|pairs|labels`.

    traces    a problem and a response in one row; or `reasoning` and `text` (or `answer`) apart, as people
              write chains of thought by hand: they are laid out by the template
    chats     conversations (messages, ShareGPT, OpenThoughts, Alpaca): the last answer is the response, all
              turns before it are the prompt
    pairs     two answers to one prompt (HH transcripts, {prompt, chosen, rejected}, lists of messages):
              {id, uid, prompt, chosen, rejected, ...}, for a pair-wise reward model
    labels    a response that is good (1) or bad (0): {id, uid, prompt, response, label, ...}, point-wise

A row that is none stops the import with its file and line; with `skip_bad` it is left out and told to
`left_out`, so that nothing is lost silently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1data.flat import derived_name, flat_row
from r1data.turns import laid_out, question_and_answer, turns_of
from r1rewards.core.errors import UserError
from r1rewards.core.rows import Message, question_of
from r1rewards.core.settings import suggest
from r1rewards.core.store import numbered_rows
from r1rewards.core.template import TEMPLATES, Template

Row = Mapping[str, Any]
_CHAT_COLUMNS = ("messages", "conversations", "conversation", "turns")
_GOOD = {"1", "true", "yes", "safe", "good", "chosen", "harmless"}
_BAD = {"0", "-1", "false", "no", "unsafe", "bad", "rejected", "harmful"}


@dataclass(frozen=True, slots=True)
class Import:
    """How a file is read.

    columns   our name -> theirs
    defaults  values for columns that the rows lack, such as {"task": "math"}
    template  the layout that responses are brought into
    good      the values of the column `label` that mean 1; all others then mean 0
    """

    kind: str
    columns: Mapping[str, str]
    defaults: Mapping[str, Any]
    template: Template = TEMPLATES["think-answer"]
    good: Collection[str] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"--as {self.kind}: there is no such kind{suggest(self.kind, KINDS)}")

    def rows(
        self, path: Path, left_out: Callable[[str, str], None] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The rows of the file, in order.

        left_out  told the place and the reason of each row that is none; without it the first one raises
        """
        seen: dict[str, int] = {}
        for where, row in numbered_rows(path, columns=self.columns):
            given = {name: value for name, value in self.defaults.items() if row.get(name) is None}
            source = row.get("source") or path.name.split(".")[0]
            try:
                made = KINDS[self.kind](self, {**row, **given, "source": source}, where)
            except UserError as error:
                if left_out is None:
                    raise UserError(f"{error} (or leave such rows out with --skip-bad)") from None
                left_out(where, str(error).removeprefix(f"{where}: "))
                continue
            if row.get("uid") is None and row.get("sample") is None and "uid" in made:
                made = {**made, "uid": _numbered(made["uid"], seen)}
            yield made


def _numbered(uid: str, seen: dict[str, int]) -> str:
    """Equal rows are rows of their own: the second of them gets another name."""
    earlier = seen.get(uid, 0)
    seen[uid] = earlier + 1
    return derived_name(uid, str(earlier)) if earlier else uid


def _trace(how: Import, row: Row, where: str) -> dict[str, Any]:
    reasoning = row.get("reasoning")
    if reasoning is None:
        return flat_row(row, where)
    answer = next((row[name] for name in ("text", "response", "answer") if row.get(name) is not None), None)
    if not isinstance(reasoning, str) or not isinstance(answer, str | int | float) or not reasoning.strip():
        raise UserError(f"{where}: a chain of thought needs text in `reasoning` and in `text` or `answer`")
    gone = ("reasoning", "text", "response", "answer")
    rest = {name: value for name, value in row.items() if name not in gone}
    return flat_row({**rest, "text": how.template.render(reasoning, str(answer))}, where)


def _chat(how: Import, row: Row, where: str) -> dict[str, Any]:
    turns, used = _turns(row, where)
    prompt, answer = question_and_answer(turns, where)
    text, thinks = laid_out(answer, how.template)
    kept = {name: value for name, value in row.items() if name not in used}
    return flat_row(
        {"task": "general", **kept, "prompt": prompt, "text": text, "thinking": None if thinks else "none"},
        where,
    )


def _turns(row: Row, where: str) -> tuple[list[Message], set[str]]:
    """The turns of a chat, and the columns they came from."""
    column = next((name for name in _CHAT_COLUMNS if row.get(name)), None)
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


def _pair(how: Import, row: Row, where: str) -> dict[str, Any]:
    del how
    for name in ("chosen", "rejected"):
        if not row.get(name):
            raise UserError(f"{where}: a pair needs {name!r} (this row has {', '.join(sorted(row))})")
    before = _asked(row, where)
    (prompt, chosen), (other, rejected) = (
        _answered(row[name], before, f"{where}, {name}") for name in ("chosen", "rejected")
    )
    if prompt != other:
        raise UserError(f"{where}: the two conversations differ before their last turn")
    if chosen.strip() == rejected.strip():
        raise UserError(f"{where}: chosen and rejected are the same text")
    return _judged(row, prompt, where, chosen=chosen, rejected=rejected)


def _label(how: Import, row: Row, where: str) -> dict[str, Any]:
    said = row.get("label")
    if said is None:
        raise UserError(f"{where}: no 'label' in this row; name its column: --map label=NAME")
    word = str(said).strip().lower()
    if how.good:
        label = int(word in {str(value).strip().lower() for value in how.good})
    elif word in _GOOD | _BAD:
        label = int(word in _GOOD)
    else:
        raise UserError(f"{where}: the label {said!r} says neither good nor bad; say which do: --good VALUE")
    if (response := row.get("response", row.get("text"))) is not None:
        prompt, response = _answered(response, _asked(row, where), where)
    else:
        turns, _ = _turns(row, where)
        prompt, response = question_and_answer(turns, where)
    return _judged(row, prompt, where, response=response, label=label)


def _asked(row: Row, where: str) -> list[Message]:
    """The conversation before the answers, where the row has it apart."""
    for name in ("prompt", *_CHAT_COLUMNS):
        if row.get(name):
            return turns_of(row[name], where)
    return []


def _answered(value: Any, before: list[Message], where: str) -> tuple[list[Message], str]:
    """The prompt and the answer: of a whole conversation, or of an answer to what stands before."""
    turns = turns_of(value, where)
    if len(turns) == 1 and before:
        return before, turns[0]["content"]
    return question_and_answer(turns, where)


def _judged(row: Row, prompt: list[Message], where: str, **answers: Any) -> dict[str, Any]:
    for name, text in answers.items():
        if isinstance(text, str) and not text.strip():
            raise UserError(f"{where}: the answer in {name!r} is empty")
    gone = {"prompt", "text", "response", "label", "chosen", "rejected", "system", *_CHAT_COLUMNS}
    identity = str(row.get("id") or derived_name(question_of(prompt)))
    named = {"id": identity, "uid": derived_name(identity, *map(str, answers.values()))}
    rest = {name: value for name, value in row.items() if name not in gone}
    return {**named, **rest, "id": identity, "prompt": prompt, **answers}


KINDS: dict[str, Callable[[Import, Row, str], dict[str, Any]]] = {
    "traces": _trace,
    "chats": _chat,
    "pairs": _pair,
    "labels": _label,
}
