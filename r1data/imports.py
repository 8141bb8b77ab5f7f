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

from r1data.align import laid_out
from r1data.flat import flat_row
from r1rewards.core.errors import UserError
from r1rewards.core.rows import derived_name
from r1rewards.core.settings import suggest
from r1rewards.core.store import numbered_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.core.turns import question_and_answer, turns_of_row
from r1rewards.judge.labelled import label_row, pair_row

Row = Mapping[str, Any]


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
    turns, used = turns_of_row(row, where)
    prompt, answer = question_and_answer(turns, where)
    text, thinks = laid_out(answer, how.template)
    kept = {name: value for name, value in row.items() if name not in used}
    return flat_row(
        {"task": "general", **kept, "prompt": prompt, "text": text, "thinking": None if thinks else "none"},
        where,
    )


def _pair(how: Import, row: Row, where: str) -> dict[str, Any]:
    del how
    return pair_row(row, where)


def _label(how: Import, row: Row, where: str) -> dict[str, Any]:
    return label_row(row, where, how.good)


KINDS: dict[str, Callable[[Import, Row, str], dict[str, Any]]] = {
    "traces": _trace,
    "chats": _chat,
    "pairs": _pair,
    "labels": _label,
}
