"""What a file of rows holds, in a few numbers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows


def describe(path: str | Path) -> list[dict[str, Any]]:
    """One line for each source, task and domain, and one for all: rows, problems, mean words and tokens."""
    rows: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    problems: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    words: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    tokens: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for row in read_rows(path):
        group = (str(row.get("source") or "-"), str(row.get("task") or "-"), str(row.get("domain") or "-"))
        text = row.get("text", row.get("response"))
        rows[group] += 1
        problems[group].add(hash(row.get("id", row.get("problem_id"))))
        words[group] += len(text.split()) if isinstance(text, str) else 0
        tokens[group] += row.get("tokens") or 0
    if not rows:
        raise UserError(f"{path}: there are no rows in this file")

    def line(names: tuple[str, str, str], groups: list[tuple[str, str, str]]) -> dict[str, Any]:
        count = sum(rows[group] for group in groups)
        return {
            **dict(zip(("source", "task", "domain"), names, strict=True)),
            "rows": count,
            "problems": len(set().union(*(problems[group] for group in groups))),
            "words": sum(words[group] for group in groups) / count,
            "tokens": sum(tokens[group] for group in groups) / count,
        }

    return [*(line(group, [group]) for group in sorted(rows)), line(("all", "all", "all"), list(rows))]
