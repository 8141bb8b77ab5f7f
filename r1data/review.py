"""The human second look: accept, reject or edit rows, and write down who decided what and why.

By file: `hand_out` writes rows to a .jsonl file with an empty `decision` each; people fill in accept, reject
or edit (and then change `text`), with a reason; `take_in` reads it back. In the terminal: `ask` shows one
row after the other and writes each decision down at once, so that one can stop at any time and go on later.

In the ledger of the step, rule is `rejected_in_review`, match the reviewer and span the reason. Rows that
nobody looked at stay, or are dropped as `not_reviewed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from r1data.flat import uid_hash
from r1data.ledger import DROPPED, KEPT, fates, run_step
from r1data.table import Rows, Table, rows_of
from r1rewards.core.errors import UserError
from r1rewards.core.store import RowLog, numbered_rows, read_rows, write_rows

if TYPE_CHECKING:
    import polars as pl

Decision = Literal["accept", "reject", "edit"]
DECISIONS: tuple[Decision, ...] = ("accept", "reject", "edit")
_NOTES = ("decision", "reason", "reviewer")


def hand_out(rows: str | Path, out: str | Path, *, count: int | None = None, seed: int = 0) -> int:
    """Write rows to a file for reviewers and return their number; with `count` a sample by hash."""
    listed = list(rows_of([Path(rows)], {}, {}))
    if count is not None and count < len(listed):
        listed.sort(key=lambda row: uid_hash(_uid(row), seed))
        listed = listed[:count]
    first = ("id", "prompt", "reference", "text")
    return write_rows(
        out,
        (
            {**dict.fromkeys(_NOTES, ""), "uid": _uid(row), **{name: row.get(name) for name in first}}
            for row in listed
        ),
    )


def take_in(
    rows: Rows,
    decisions: str | Path,
    out: str | Path,
    *,
    reviewer: str = "",
    unreviewed: Literal["keep", "drop"] = "keep",
    **reading: Any,
) -> dict[str, Any]:
    """Apply the decisions of a reviewed file to the rows, into the folder `out`, and return the counts.

    reviewer    who decided, for lines that do not say
    unreviewed  what becomes of rows without a decision
    """
    if unreviewed not in ("keep", "drop"):
        raise UserError(f"unreviewed rows are to keep or to drop, not {unreviewed!r}")
    made = _decisions(Path(decisions))

    def decide(table: Table) -> pl.DataFrame:
        uids = table.keys["uid"].to_list()
        unknown = sorted(set(made) - set(uids))
        if unknown:
            raise UserError(
                f"{decisions}: no row here has the uid {unknown[0]!r}; give the file that was handed out"
            )
        return _fates(table, made, reviewer, unreviewed == "drop")

    config = {"reviewer": reviewer, "unreviewed": unreviewed}
    return run_step("review", rows, out, decide, config=config, inputs=[decisions], **reading)


def ask(
    rows: str | Path,
    log: str | Path,
    answer: Callable[[Mapping[str, Any], int, int], Mapping[str, Any] | None],
    *,
    reviewer: str,
) -> int:
    """Go through the rows that have no decision in `log` yet, and return how many were decided now.

    answer   asked for each row with its place and how many there are; the decision as {"decision", "reason",
             "text"}, or None to stop
    """
    done = 0
    with RowLog(log) as decided:
        have = decided.keys("uid")
        listed = list(rows_of([Path(rows)], {}, {}))
        for number, row in enumerate(listed, 1):
            if _uid(row) in have:
                continue
            said = answer(row, number, len(listed))
            if said is None:
                break
            decided.append({"uid": _uid(row), "reviewer": reviewer, **said})
            done += 1
    return done


def _decisions(path: Path) -> dict[str, dict[str, Any]]:
    """What was decided, by uid; lines without a decision are left aside."""
    made: dict[str, dict[str, Any]] = {}
    for where, row in numbered_rows(path):
        decision = str(row.get("decision") or "").strip().lower()
        if not decision:
            continue
        if decision not in DECISIONS:
            raise UserError(f"{where}: the decision {decision!r} is none of {', '.join(DECISIONS)}")
        uid = row.get("uid")
        if not uid:
            raise UserError(f"{where}: no uid in this line; keep those of the file that was handed out")
        if decision == "edit" and not str(row.get("text") or "").strip():
            raise UserError(f"{where}: an edit needs the new `text`")
        if uid in made and made[uid]["decision"] != decision:
            raise UserError(f"{where}: the row {uid} was decided twice, and differently")
        made[str(uid)] = {**row, "decision": decision}
    return made


def _fates(table: Table, made: Mapping[str, Mapping[str, Any]], reviewer: str, drop: bool) -> pl.DataFrame:
    import polars as pl

    found = [made.get(uid) for uid in table.keys["uid"].to_list()]
    rule = [
        ("not_reviewed" if drop else None)
        if said is None
        else "rejected_in_review"
        if said["decision"] == "reject"
        else None
        for said in found
    ]
    frame = fates(
        table,
        fate=[KEPT if broken is None else DROPPED for broken in rule],
        rule=rule,
        match=[None if said is None else str(said.get("reviewer") or reviewer) or None for said in found],
        span=[None if said is None else str(said.get("reason") or "") or None for said in found],
    )
    if "text" not in table.columns:
        return frame
    edits = [said if said is not None and said["decision"] == "edit" else None for said in found]
    old = (row["text"] for row in read_rows(table.path))
    new = [text if edit is None else str(edit["text"]) for text, edit in zip(old, edits, strict=True)]
    return frame.with_columns(
        text=pl.Series(new, dtype=pl.String),
        edited=pl.Series([edit is not None for edit in edits], dtype=pl.Boolean),
    )


def _uid(row: Mapping[str, Any]) -> str:
    return str(row.get("uid") or row["id"])
