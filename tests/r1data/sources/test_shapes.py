"""Presets on rows of the shape that each data set has (written for these tests), and golds on the way in."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from r1data import golds
from r1data.sources import load_source
from r1data.sources.columns import presets
from r1data.sources.packed import unpacked
from r1data.sources.shapes import SHAPES
from r1rewards import code
from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem
from r1rewards.core.store import write_rows
from tests.conftest import DATA


def packed(text: str) -> str:
    """The form in which LiveCodeBench keeps long tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


#: A row of each, with the columns that the data set has on the hub, and what the reference becomes.
ROWS: dict[str, tuple[dict[str, Any], Any]] = {
    "gsm8k": ({"question": "2 + 3?", "answer": "Add <<2+3=5>>5.\n#### 5"}, "5"),
    "math": (
        {"problem": "2 + 3?", "solution": "\\boxed{5}", "answer": "5", "subject": "x", "level": "1"},
        "5",
    ),
    "math-solutions": (
        {"problem": "2 + 3?", "solution": "So \\boxed{5}.", "level": "Level 1", "type": "Algebra"},
        "5",
    ),
    "math-500": (
        {
            "problem": "2 + 3?",
            "solution": "x",
            "answer": "5",
            "subject": "Algebra",
            "level": 1,
            "unique_id": "test/1.json",
        },
        "5",
    ),
    "aime-2024": (
        {"id": 60, "problem": "2 + 3?", "solution": "x", "answer": "5", "url": "x", "year": "2024"},
        "5",
    ),
    "aime-2022-2024": ({"id": 0, "problem": "2 + 3?", "solution": "x", "answer": "5", "url": "x"}, "5"),
    "numinamath": (
        {
            "problem": "2 + 3?",
            "solution": "x",
            "answer": "5",
            "problem_type": "Algebra",
            "question_type": "math-word-problem",
            "problem_is_valid": "Yes",
            "source": "cn_k12",
            "synthetic": False,
        },
        "5",
    ),
    "numinamath-cot": (
        {"source": "synthetic_math", "problem": "2 + 3?", "solution": "So $\\boxed{5}$.", "messages": []},
        "5",
    ),
    "openr1-math": (
        {
            "problem": "2 + 3?",
            "solution": "x",
            "answer": "5",
            "problem_type": "Algebra",
            "source": "olympiads",
            "uuid": "u-1",
            "generations": ["<think>"],
            "correctness_math_verify": [True],
        },
        "5",
    ),
    "apps": (
        {
            "problem_id": 7,
            "question": "Print the sum of the two numbers of a line.",
            "solutions": json.dumps(["print(sum(map(int, input().split())))"]),
            "input_output": json.dumps({"inputs": ["2 3\n", ["4 5"]], "outputs": ["5\n", ["9"]]}),
            "difficulty": "introductory",
            "url": "x",
            "starter_code": "",
        },
        {"tests": [{"input": "2 3\n", "output": "5\n"}, {"input": "4 5", "output": "9"}]},
    ),
    "code-contests": (
        {
            "name": "1_A. Sum",
            "description": "Print the sum of the two numbers of a line.",
            "public_tests": {"input": ["2 3\n"], "output": ["5\n"]},
            "private_tests": {"input": ["1 1\n"], "output": ["2\n"]},
            "generated_tests": {
                "input": [f"{n} 1\n" for n in range(90)],
                "output": [f"{n + 1}\n" for n in range(90)],
            },
            "solutions": {
                "language": [2, 3],
                "solution": ["int main() {}", "a, b = map(int, input().split())\nprint(a + b)"],
            },
            "incorrect_solutions": {"language": [3, 1], "solution": ["print(input()[0])", "print 1"]},
            "time_limit": {"seconds": 2, "nanos": 500000000},
            "memory_limit_bytes": 256000000,
            "source": 2,
            "difficulty": 7,
        },
        None,
    ),
    "humaneval": (
        {
            "task_id": "HumanEval/999",
            "prompt": 'def add(a, b):\n    """ Add two numbers. """\n',
            "canonical_solution": "    return a + b\n",
            "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(2, 3) == 5\n",
            "entry_point": "add",
        },
        None,
    ),
    "mbpp": (
        {
            "task_id": 999,
            "text": "Write a function to add two numbers.",
            "code": "def add(a, b):\r\n\treturn a + b",
            "test_list": ["assert add(2, 3) == 5", "assert add(1, 1) == 2"],
            "test_setup_code": "",
            "challenge_test_list": ["assert add(-1, 1) == 0"],
        },
        {
            "setup": "",
            "asserts": ["assert add(2, 3) == 5", "assert add(1, 1) == 2", "assert add(-1, 1) == 0"],
        },
    ),
    "mmlu": ({"question": "2 + 3?", "subject": "x", "choices": ["4", "5", "6", "7"], "answer": 1}, "B"),
    "mmlu-pro": (
        {
            "question_id": 70,
            "question": "2 + 3?",
            "options": ["4", "6", "7", "8", "9", "5"],
            "answer": "F",
            "answer_index": 5,
            "category": "math",
        },
        "F",
    ),
    "arc-challenge": (
        {
            "id": "Mercury_1",
            "question": "2 + 3?",
            "choices": {"text": ["4", "5"], "label": ["1", "2"]},
            "answerKey": "2",
        },
        "B",
    ),
    "mmlu-redux": (
        {
            "question": "2 + 3?",
            "choices": ["4", "5", "6", "7"],
            "answer": 1,
            "error_type": "ok",
            "source": None,
            "correct_answer": None,
            "potential_reason": None,
        },
        "B",
    ),
    "ceval": (
        {
            "id": 0,
            "question": "2 + 3 = ____",
            "A": "4",
            "B": "5",
            "C": "6",
            "D": "7",
            "answer": "B",
            "explanation": "",
        },
        "B",
    ),
    "cnmo-2024": ({"question": "2 + 3?", "answer": "$5$", "question_type": "问答"}, "$5$"),
    "livecodebench": (
        {
            "question_title": "Sum",
            "question_content": "Print the sum of the two numbers of a line.",
            "platform": "atcoder",
            "question_id": "abc999_a",
            "contest_id": "abc999",
            "contest_date": "2024-08-03T00:00:00",
            "starter_code": "",
            "difficulty": "easy",
            "public_test_cases": json.dumps([{"input": "2 3\n", "output": "5\n", "testtype": "stdin"}]),
            "private_test_cases": packed(json.dumps([{"input": "1 1", "output": "2", "testtype": "stdin"}])),
            "metadata": "{}",
        },
        None,
    ),
    "ifeval": (
        {
            "key": 1000,
            "prompt": "Write about rivers without any commas and at least 30 words.",
            "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
            "kwargs": [
                {"num_words": None, "relation": None},
                {"num_words": 30, "relation": "at least"},
            ],
        },
        {
            "instructions": [
                {"kind": "punctuation:no_comma"},
                {"kind": "length_constraints:number_words", "num_words": 30, "relation": "at least"},
            ]
        },
    ),
    "simpleqa": ({"metadata": "{}", "problem": "Who?", "answer": "Ada"}, "Ada"),
    "frames": ({"Prompt": "Who?", "Answer": "Ada", "reasoning_types": "x", "wiki_links": "[]"}, "Ada"),
    "gpqa-diamond": (
        {
            "Record ID": "rec1",
            "Question": "2 + 3?",
            "Correct Answer": "5\n",
            "Incorrect Answer 1": "4",
            "Incorrect Answer 2": "6",
            "Incorrect Answer 3": "7",
        },
        None,
    ),
}


def load(tmp_path: Path, name: str, row: dict[str, Any]) -> Any:
    write_rows(tmp_path / "rows.jsonl", [row])
    (problem,) = load_source("files", count=1, seed=0, path=str(tmp_path / "rows.jsonl"), preset=name)
    return problem


def test_every_preset_has_a_row_here() -> None:
    assert set(ROWS) == set(presets())
    assert {preset.shape for preset in presets().values()} - {None} == set(SHAPES)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_each_data_set_becomes_a_problem_whose_gold_is_sound(tmp_path: Path, name: str) -> None:
    row, reference = ROWS[name]
    problem = load(tmp_path, name, row)
    if reference is not None:
        assert problem["reference"] == reference
    assert problem["task"] == presets()[name].task
    assert golds.fault(problem) is None
    text = problem["prompt"][0]["content"]
    if problem["task"] == "choice":
        assert f"{problem['reference']}. 5" in text.splitlines()


def test_limits_and_tests_of_code_contests(tmp_path: Path) -> None:
    problem = load(tmp_path, "code-contests", ROWS["code-contests"][0])
    reference, meta = problem["reference"], problem["meta"]
    assert len(reference["tests"]) == 20
    assert reference["limits"] == {"time_s": 2.5, "memory_mb": 244}
    assert meta["solution"].endswith("print(a + b)")
    assert (meta.get("solutions"), meta["wrong_solutions"]) == (None, ["print(input()[0])"])


def test_calls_of_apps(tmp_path: Path) -> None:
    row = ROWS["apps"][0]
    cases = {"fn_name": "add", "inputs": [[2, 3], [[1], "a"]], "outputs": [[5], ["x"]]}
    starter = "class Solution:\n    def add(self, a, b):\n"
    problem = load(tmp_path, "apps", {**row, "input_output": json.dumps(cases), "starter_code": starter})
    assert problem["reference"]["asserts"] == [
        "assert Solution().add(2, 3) == 5",
        "assert Solution().add([1], 'a') == 'x'",
    ]
    assert starter in problem["prompt"][0]["content"]


def test_what_the_prompt_gives_is_the_tests_own(tmp_path: Path) -> None:
    """HumanEval/32 and two more give a function that their tests call: an answer must not bend it."""
    row = {
        "task_id": "HumanEval/998",
        "prompt": 'def double(n):\n    return n + n\n\n\ndef half(n):\n    """ Undo double. """\n',
        "test": "def check(candidate):\n    assert double(candidate(6)) == 6\n",
        "entry_point": "half",
    }
    problem = load(tmp_path, "humaneval", row)
    bent = "def double(n):\n    return 6\ndef half(n):\n    return None"
    assert code.check(bent, problem["reference"]).value == 0
    assert code.check("def half(n):\n    return n // 2", problem["reference"]).value == 1


def test_programs_of_livecodebench(tmp_path: Path) -> None:
    problem = load(tmp_path, "livecodebench", ROWS["livecodebench"][0])
    assert [test["input"] for test in problem["reference"]["tests"]] == ["2 3\n", "1 1"]
    assert problem["id"] == "livecodebench-abc999_a"
    assert code.check("print(sum(map(int, stdin.readline().split())))", problem["reference"]).value == 1
    assert code.check("print(2)", problem["reference"]).value == 0


def test_methods_of_livecodebench_find_what_leetcode_imports(tmp_path: Path) -> None:
    def test(given: str, output: str) -> dict[str, str]:
        return {"input": given, "output": output, "testtype": "functional"}

    starter = "class Solution:\n    def top(self, numbers: List[int], k: int) -> List[int]:\n        "
    row = ROWS["livecodebench"][0] | {
        "starter_code": starter,
        "public_test_cases": json.dumps([test("[3, 1, 2]\n2", "[3, 2]")]),
        "private_test_cases": packed(json.dumps([test("[]\n1", "[]")])),
        "metadata": json.dumps({"func_name": "top"}),
    }
    problem = load(tmp_path, "livecodebench", row)
    assert problem["reference"]["asserts"] == [
        "assert Solution().top([3, 1, 2], 2) == [3, 2]",
        "assert Solution().top([], 1) == []",
    ]
    assert starter in problem["prompt"][0]["content"]
    assert code.check(f"{starter}return nlargest(k, numbers)", problem["reference"]).value == 1
    assert code.check(f"{starter}return heapq.nsmallest(k, numbers)", problem["reference"]).value == 0


def test_what_was_packed_is_read_and_never_loaded() -> None:
    text = json.dumps([{"input": "ü" * 300, "output": "2"}])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(text, protocol=protocol)
        assert unpacked(base64.b64encode(zlib.compress(data)).decode()) == text

    class Loaded:
        def __reduce__(self) -> tuple[Any, ...]:
            return (exec, ("raise SystemExit('loaded')",))

    for value, why in ((Loaded(), "instruction"), (["a"], "instruction"), (None, "instruction")):
        with pytest.raises(ValueError, match=why):
            unpacked(base64.b64encode(zlib.compress(pickle.dumps(value))).decode())
    whole = packed(text)
    for bad in ("", "no base64!", whole[:-12], base64.b64encode(b"no zlib").decode()):
        with pytest.raises(ValueError):
            unpacked(bad)


def test_only_the_rows_that_a_preset_wants(tmp_path: Path) -> None:
    def dated(date: str) -> dict[str, Any]:
        return ROWS["livecodebench"][0] | {"contest_date": date, "question_id": date}

    dates = ["2024-07-31T23:00:00", "2024-08-01", "2025-01-31T17:30:00", "2025-02-01T00:00:00"]
    write_rows(tmp_path / "rows.jsonl", map(dated, dates))
    found = load_source("files", count=9, seed=0, path=str(tmp_path / "rows.jsonl"), preset="livecodebench")
    assert [problem["id"].removeprefix("livecodebench-") for problem in found] == dates[1:3]
    fault = ROWS["mmlu-redux"][0] | {"error_type": "wrong_groundtruth"}
    write_rows(tmp_path / "mmlu.jsonl", [fault, ROWS["mmlu-redux"][0]])
    path = str(tmp_path / "mmlu.jsonl")
    assert len(load_source("files", count=9, seed=0, path=path, preset="mmlu-redux")) == 1


@pytest.mark.parametrize(
    ("name", "changed", "why"),
    [
        ("apps", {"input_output": ""}, "no JSON"),
        ("apps", {"input_output": "{}"}, "no tests"),
        ("code-contests", {"public_tests": None, "private_tests": None, "generated_tests": None}, "no tests"),
        ("mmlu", {"answer": 4}, "no place among 4"),
        ("mmlu", {"choices": ["1"]}, "from 2 to 10 options"),
        ("arc-challenge", {"answerKey": "C"}, "none of the labels"),
        ("gpqa-diamond", {"Incorrect Answer 2": None}, "'Incorrect Answer 2'"),
        ("humaneval", {"test": None}, "'test'"),
        ("mmlu-redux", {"error_type": None}, "no column 'error_type'"),
        ("ceval", {"answer": ""}, "no place among 4"),
        ("ifeval", {"kwargs": [{}]}, "as many `kwargs`"),
        ("livecodebench", {"private_test_cases": "AAAA"}, "'private_test_cases' cannot be read"),
        ("livecodebench", {"public_test_cases": '[{"input": "1"}]'}, "lacks its input or its output"),
        ("livecodebench", {"public_test_cases": "[]", "private_test_cases": "[]"}, "no tests"),
    ],
)
def test_a_row_that_lacks_something_is_named(
    tmp_path: Path, name: str, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(UserError, match=rf"rows.jsonl, line 1: .*{why}"):
        load(tmp_path, name, {**ROWS[name][0], **changed})


@pytest.mark.parametrize(("seconds", "sound"), [(0.6, True), (5.0, False)])
def test_a_solution_may_take_up_to_twice_its_time(seconds: float, sound: bool) -> None:
    solution = f"import time\ndef wait():\n    while time.process_time() < {seconds}: pass\n"
    reference = {"asserts": ["wait()"], "limits": {"time_s": 0.4}}
    row = {"id": "p", "task": "code", "prompt": "Wait.", "reference": reference}
    fault = golds.fault(check_problem({**row, "meta": {"solution": solution}}, "here"))
    assert (fault is None) == sound, fault


@pytest.mark.parametrize(
    ("task", "reference", "why"),
    [
        ("math", "proof", "is no answer"),
        ("math", "word " * 20, "prose of 20 words"),
        ("math", "\\frac{1}{", "cannot be read"),
        ("math", "5 +", "cannot be read"),
        ("choice", "Paris", "no letter"),
        ("choice", "D", "the question shows A, B"),
        ("code", {"tests": []}, "no tests"),
        ("code", {"asserts": ["assert add(1, 1) == 3"]}, "own solution does not pass"),
        ("code", {"asserts": ["assert add(1, 1) =="]}, "cannot be run|does not pass"),
        ("puzzle", {"dataset": "x"}, "lacks 'seed'"),
        ("instructions", {"instructions": [{"kind": "startend:end_checker"}]}, "'end_phrase'"),
    ],
)
def test_golds_that_cannot_be_graded(task: str, reference: Any, why: str) -> None:
    row = {"id": "p", "task": task, "prompt": "Which?\nA. one\nB. two", "reference": reference}
    meta = {"solution": "def add(a, b):\n    return a + b\n"} if task == "code" else {}
    fault = golds.fault(check_problem({**row, "meta": meta}, "here"))
    assert fault is not None
    assert any(part in fault for part in why.split("|")), fault


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "file", "count"),
    [("humaneval", "humaneval", 164), ("mbpp", "mbpp_odd", 487), ("mmlu", "mmlu_stem", 2973)],
)
def test_published_rows_are_all_sound(preset: str, file: str, count: int) -> None:
    path = str(DATA / f"{file}.jsonl.gz")
    problems = load_source("files", count=10**6, seed=0, path=path, preset=preset)
    told: list[tuple[str, str]] = []
    assert len(list(golds.split(problems, lambda *line: told.append(line)))) == count, told[:3]
