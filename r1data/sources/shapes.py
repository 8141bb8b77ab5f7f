"""Rows of published data sets that are more than renamed columns, as problems: a function per shape.

Each takes a row and its place, and returns the columns of a problem that it knows. A solution that the data
set brings goes to `meta.solution`, so that `r1data.golds` can run it against the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from r1data.sources.base import digest
from r1data.sources.packed import unpacked
from r1rewards.choice import LETTERS
from r1rewards.core.errors import UserError

Row = Mapping[str, Any]
#: Of the generated tests of CodeContests so many are taken as make this many together with the real ones.
_TESTS = 20
_PYTHON3 = 3
#: Seconds that LiveCodeBench gives a test.
_LIVE_S = 6
_STANDARD = "Write a program that reads standard input and writes standard output."
#: What stands in front of programs for LeetCode, whose site imports as much.
_LEETCODE = """\
from bisect import *
from collections import *
from copy import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from string import *
from sys import *
from typing import *
from builtins import *
import bisect, collections, copy, datetime, functools, heapq, io, itertools, json
import math, operator, random, re, statistics, string, sys
"""
#: Solutions of CodeContests that come along, as many right ones as wrong ones: `r1data tests` runs them.
_SOLUTIONS = 8


def humaneval(row: Row, where: str) -> dict[str, Any]:
    """task_id, prompt (signature and docstring), canonical_solution, test (defines check), entry_point."""
    prompt, test, name = (_text(row, key, where) for key in ("prompt", "test", "entry_point"))
    # What the prompt gives besides comes with the tests, some of which call it: an answer need not repeat it,
    # nor may it decide what it does.
    given = prompt.partition(f"def {name}(")[0]
    return {
        "id": row.get("task_id"),
        "prompt": f"Complete this Python function. Answer with the whole function.\n\n```python\n{prompt}```",
        "reference": {"setup": given + test, "asserts": [f"check({name})"]},
        "meta": _solved(prompt + row["canonical_solution"] if row.get("canonical_solution") else None),
    }


def mbpp(row: Row, where: str) -> dict[str, Any]:
    """task_id, text (or prompt, in the sanitized set), code, test_list, test_setup_code (or test_imports)."""
    asked = row.get("text") or row.get("prompt")
    tests = [*(row.get("test_list") or ()), *(row.get("challenge_test_list") or ())]
    if not isinstance(asked, str) or not tests:
        raise UserError(f"{where}: a row of MBPP has `text` and `test_list`")
    setup = row.get("test_setup_code") or "\n".join(row.get("test_imports") or ())
    shown = "\n".join(row.get("test_list") or tests)
    return {
        "id": _named("mbpp", row.get("task_id")),
        "prompt": f"{asked}\n\nYour code should pass these tests:\n\n```python\n{shown}\n```",
        "reference": {"setup": setup, "asserts": tests},
        "meta": _solved(row.get("code")),
    }


def apps(row: Row, where: str) -> dict[str, Any]:
    """question, starter_code, solutions, input_output (both JSON text): programs, or calls of fn_name."""
    asked, cases = _text(row, "question", where), _json(row, "input_output", where)
    if not isinstance(cases, dict) or not cases.get("inputs"):
        raise UserError(f"{where}: there are no tests in this row")
    starter = row.get("starter_code") or ""
    pairs = list(zip(cases["inputs"], cases.get("outputs") or (), strict=False))
    name = cases.get("fn_name")
    reference: dict[str, Any]
    if name:
        call = f"Solution().{name}" if "class Solution" in starter else name
        reference = {"setup": "", "asserts": [_called(call, given, out) for given, out in pairs]}
    else:
        reference = {"tests": [{"input": _lines(given), "output": _lines(out)} for given, out in pairs]}
    solutions = _json(row, "solutions", where) if row.get("solutions") else []
    return {
        "id": _named("apps", row.get("problem_id", row.get("id"))),
        "prompt": f"{asked}\n\nBegin with:\n\n```python\n{starter}\n```" if starter.strip() else asked,
        "reference": reference,
        "meta": _solved(solutions[0] if solutions else None),
    }


def code_contests(row: Row, where: str) -> dict[str, Any]:
    """name, description, public_, private_, generated_tests (lists: input, output), limits, solutions, and
    incorrect_solutions."""
    asked = _text(row, "description", where)
    tests = [*_tests(row.get("public_tests")), *_tests(row.get("private_tests"))]
    tests += list(_tests(row.get("generated_tests")))[: max(0, _TESTS - len(tests))]
    if not tests:
        raise UserError(f"{where}: there are no tests in this row")
    limits: dict[str, Any] = {}
    time_limit = row.get("time_limit")
    if time_limit:
        limits["time_s"] = (time_limit.get("seconds") or 0) + (time_limit.get("nanos") or 0) / 1e9
    if row.get("memory_limit_bytes"):
        limits["memory_mb"] = int(row["memory_limit_bytes"]) >> 20
    right, wrong = (list(_python(row.get(name))) for name in ("solutions", "incorrect_solutions"))
    known = {"solutions": right[1:_SOLUTIONS], "wrong_solutions": wrong[:_SOLUTIONS]}
    return {
        "id": row.get("name"),
        "prompt": f"{asked}\n\n{_STANDARD}",
        "reference": {"tests": tests, **({"limits": limits} if limits else {})},
        "meta": {
            **_solved(right[0] if right else None),
            **{name: some for name, some in known.items() if some},
        },
    }


def mmlu(row: Row, where: str) -> dict[str, Any]:
    """question, choices, answer (0 to 3)."""
    return _choice(row, where, row.get("choices"), row.get("answer"))


def mmlu_pro(row: Row, where: str) -> dict[str, Any]:
    """question_id, question, options (up to ten), answer_index."""
    shown = _choice(row, where, row.get("options"), row.get("answer_index"))
    return {"id": _named("mmlu-pro", row.get("question_id")), **shown}


def arc(row: Row, where: str) -> dict[str, Any]:
    """id, question, choices ({text, label}), answerKey (a label: a letter or a number)."""
    choices = row.get("choices") or {}
    labels, key = list(choices.get("label") or ()), row.get("answerKey")
    if key not in labels:
        raise UserError(f"{where}: the answer {key!r} is none of the labels {labels}")
    return {"id": row.get("id"), **_choice(row, where, choices.get("text"), labels.index(key))}


def gpqa(row: Row, where: str) -> dict[str, Any]:
    """Question, Correct Answer, Incorrect Answer 1 to 3: put in the order of a hash, the same every time."""
    right = _text(row, "Correct Answer", where).strip()
    options = [right, *(_text(row, f"Incorrect Answer {n}", where).strip() for n in (1, 2, 3))]
    question = _text(row, "Question", where)
    options.sort(key=lambda option: digest(question, option, size=8))
    shown = _choice({"question": question}, where, options, options.index(right))
    return {"id": row.get("Record ID"), **shown}


def lettered(row: Row, where: str) -> dict[str, Any]:
    """question, A, B, C, D, answer (a letter), as in C-Eval."""
    letters, right = list("ABCD"), row.get("answer")
    place = letters.index(right) if right in letters else right
    return _choice(row, where, [row.get(letter) for letter in letters], place)


def ifeval(row: Row, where: str) -> dict[str, Any]:
    """key, prompt, instruction_id_list, kwargs (for each instruction its arguments, the others None)."""
    kinds, arguments = row.get("instruction_id_list"), row.get("kwargs")
    if not kinds or not isinstance(arguments, Sequence) or len(arguments) != len(kinds):
        raise UserError(f"{where}: a row of IF-Eval has as many `kwargs` as it has `instruction_id_list`")
    listed = [
        {"kind": kind} | {name: value for name, value in (own or {}).items() if value is not None}
        for kind, own in zip(kinds, arguments, strict=True)
    ]
    return {
        "id": _named("ifeval", row.get("key")),
        "prompt": _text(row, "prompt", where),
        "reference": {"instructions": listed},
    }


def livecodebench(row: Row, where: str) -> dict[str, Any]:
    """question_content, starter_code, public_ and private_test_cases (JSON, or that packed), metadata.

    Of each kind of problem what its site gives: programs read standard input, or `Solution` has a method
    (`func_name` of the metadata) whose arguments stand one a line, as JSON.
    """
    asked, starter = _text(row, "question_content", where), row.get("starter_code") or ""
    cases = [*_cases(row, "public_test_cases", where), *_cases(row, "private_test_cases", where)]
    if not cases:
        raise UserError(f"{where}: there are no tests in this row")
    reference: dict[str, Any] = {"prelude": _LEETCODE, "limits": {"time_s": _LIVE_S}}
    if cases[0].get("testtype") == "functional":
        name = (_json(row, "metadata", where) or {}).get("func_name")
        try:
            reference["asserts"] = [_method(name, case["input"], case["output"]) for case in cases]
        except ValueError:
            raise UserError(f"{where}: a test of a method is not one JSON value a line") from None
    else:
        reference["tests"] = [{"input": case["input"], "output": case["output"]} for case in cases]
    begin = f"Begin with:\n\n```python\n{starter}\n```" if starter.strip() else _STANDARD
    return {
        "id": _named("livecodebench", row.get("question_id")),
        "prompt": f"{asked}\n\n{begin}",
        "reference": reference,
    }


SHAPES: dict[str, Callable[[Row, str], dict[str, Any]]] = {
    shape.__name__: shape
    for shape in (
        humaneval,
        mbpp,
        apps,
        code_contests,
        livecodebench,
        mmlu,
        mmlu_pro,
        arc,
        gpqa,
        lettered,
        ifeval,
    )
}


def _choice(row: Row, where: str, options: Any, right: Any) -> dict[str, Any]:
    question = _text(row, "question", where)
    if not isinstance(options, Sequence) or isinstance(options, str) or not 2 <= len(options) <= len(LETTERS):
        raise UserError(f"{where}: a choice has from 2 to {len(LETTERS)} options")
    if not isinstance(right, int) or not 0 <= right < len(options):
        raise UserError(f"{where}: the answer {right!r} is no place among {len(options)} options")
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return {"prompt": "\n".join([question, *lines]), "reference": LETTERS[right]}


def _text(row: Row, name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        have = ", ".join(sorted(row))
        raise UserError(f"{where}: no text in the column {name!r} (the row has {have})")
    return value


def _json(row: Row, name: str, where: str) -> Any:
    value = row.get(name)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise UserError(f"{where}: the column {name!r} is no JSON") from None


def _solved(solution: Any) -> dict[str, Any]:
    return {"solution": solution} if isinstance(solution, str) and solution.strip() else {}


def _named(prefix: str, number: Any) -> str | None:
    return None if number is None else f"{prefix}-{number}"


def _lines(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _called(name: str, arguments: Any, output: Any) -> str:
    """APPS wraps the one result of a call in a list."""
    result = output[0] if isinstance(output, list) and len(output) == 1 else output
    return f"assert {name}({', '.join(map(repr, arguments))}) == {result!r}"


def _cases(row: Row, name: str, where: str) -> list[dict[str, Any]]:
    """The tests of a column that holds them as JSON, or packed."""
    text = row.get(name) or "[]"
    try:
        cases = text if isinstance(text, list) else json.loads(text if text[:1] == "[" else unpacked(text))
    except ValueError as error:
        raise UserError(f"{where}: the tests of {name!r} cannot be read: {error}") from None
    if not all(isinstance(case, dict) and {"input", "output"} <= case.keys() for case in cases):
        raise UserError(f"{where}: a test of {name!r} lacks its input or its output")
    return list(cases)


def _method(name: Any, given: str, output: str) -> str:
    arguments = ", ".join(repr(json.loads(line)) for line in given.split("\n") if line.strip())
    return f"assert Solution().{name}({arguments}) == {json.loads(output)!r}"


def _python(solutions: Any) -> Iterator[str]:
    """Those in Python 3 (lists: language, solution)."""
    solutions = solutions or {}
    for language, text in zip(solutions.get("language", ()), solutions.get("solution", ()), strict=False):
        if language == _PYTHON3:
            yield text


def _tests(given: Any) -> Iterator[dict[str, str]]:
    given = given or {}
    for text, output in zip(given.get("input", ()), given.get("output", ()), strict=False):
        yield {"input": str(text), "output": str(output)}
