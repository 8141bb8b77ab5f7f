"""The row that curation works on: a problem and, mostly, one response to it, in one flat row.

    id uid task domain prompt reference language source meta [thinking]      the problem
    text finish_reason tokens model sampling sample                          the response, where there is one

`uid` names the response, `id` the problem; rows without a response (problems to filter) have no `uid`. Other
columns, such as what `r1rewards score` adds, are carried along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem, check_response, derived_name, messages, question_of

PROBLEM_COLUMNS = ("id", "task", "domain", "prompt", "reference", "language", "source", "meta", "thinking")


def flat_row(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The row checked and completed; `where` begins the sentence of the `UserError` if it is none.

    A row without an id gets one from its prompt, a response without a uid one from its id and text, so that
    equal rows get equal names and the samples of one problem stay together.
    """
    text = row.get("text", row.get("response"))
    if text is None and ("text" in row or "response" in row):
        raise UserError(f"{where}: the response is null; give it text or leave the row out")
    row = {name: value for name, value in row.items() if name not in ("response", "problem_id")}
    if row.get("id") is None and row.get("prompt") is not None:
        row["id"] = derived_name(question_of(messages(row["prompt"])))
    flat = {**row, **check_problem(row, where)}
    if text is None:
        return flat
    uid = row.get("uid") or (None if row.get("sample") is not None else derived_name(flat["id"], str(text)))
    response = check_response({**row, "uid": uid, "problem_id": flat["id"], "text": text}, where)
    return {**flat, **{name: value for name, value in response.items() if name != "problem_id"}}


def flatten(
    problems: Iterable[Mapping[str, Any]], responses: Iterable[Mapping[str, Any]], where: str = "response"
) -> Iterator[dict[str, Any]]:
    """Each response with its problem, in the order of the responses. The problems are held in memory."""
    by_id: dict[str, Mapping[str, Any]] = {}
    for number, given in enumerate(problems, 1):
        name = str(given.get("id"))
        if given.get("id") is None or name in by_id:
            wrong = "has no id" if given.get("id") is None else f"is another one with the id {name!r}"
            raise UserError(f"problem {number} {wrong}; each problem needs one of its own")
        by_id[name] = given
    for number, response in enumerate(responses, 1):
        problem = by_id.get(str(response.get("problem_id")))
        if problem is None:
            raise UserError(
                f"{where} {number}: there is no problem {response.get('problem_id')!r}; "
                "give the file of problems that was sampled"
            )
        yield flat_row({**response, **problem}, f"{where} {number}")


def unflatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """The problem of a flat row."""
    return {name: row[name] for name in PROBLEM_COLUMNS if row.get(name) is not None}


def uid_hash(uid: str, seed: int) -> int:
    """64 bits by which rows are put in an order that depends on nothing but their names and the seed."""
    import xxhash

    return xxhash.xxh3_64_intdigest(uid.encode("utf-8", "replace"), seed)
