"""The command `r1rewards`: what it prints, writes, and ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from r1rewards.cli import main
from r1rewards.core.store import read_rows, write_rows

SPEC = "rewards:\n  choice: {required: true}\n  format: {weight: 0.5}\n"


def cli(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["r1rewards", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def row(n: int, letter: str, **more: Any) -> dict[str, Any]:
    answer = f"<think>t</think><answer>{letter}</answer>"
    return {"id": f"p{n}", "task": "choice", "reference": "B", "response": answer, **more}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "spec.yaml"
    file.write_text(SPEC)
    return file


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_score_streams_any_format_into_any_other(
    tmp_path: Path,
    spec: Path,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows, out = tmp_path / f"rows{suffix}", tmp_path / f"scored{suffix}"
    write_rows(rows, [row(n, "B" if n % 2 else "C") for n in range(1500)])
    assert cli("score", rows, "--spec", spec, "-o", out, "--json", monkeypatch=monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"] == 1500
    assert printed["total"] == {"graded": 1500, "mean": 1.0, "abstained": 0, "errors": 0}
    scored = list(read_rows(out))
    assert [r["id"] for r in scored] == [f"p{n}" for n in range(1500)]
    assert [r["reward"] for r in scored] == [1.5 if n % 2 else 0.5 for n in range(1500)]
    assert scored[0]["rewards"] == {"choice": 0.0, "format": 1.0}
    assert scored[0]["status"] == "ok"
    assert scored[0]["verdicts"]["choice"]["reason"]


def test_score_prints_a_table_and_no_bar_into_a_pipe(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "rows.jsonl", [row(1, "B")])
    assert cli("score", tmp_path / "rows.jsonl", "--spec", spec, monkeypatch=monkeypatch) == 0
    said = capsys.readouterr()
    assert "1 rows of" in said.out
    assert [line.split()[:3] for line in said.out.splitlines() if "choice" in line] == [["choice", "1", "1"]]
    assert said.err == ""


def test_score_renames_columns_and_sets_the_task(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = {"generation": "<think>t</think><answer>B</answer>", "gold": "B"}
    write_rows(tmp_path / "rows.jsonl", [theirs])
    naming = ("--map", "response=generation,reference=gold", "--task", "choice")
    out = tmp_path / "out.jsonl"
    assert (
        cli("score", tmp_path / "rows.jsonl", "--spec", spec, *naming, "-o", out, monkeypatch=monkeypatch)
        == 0
    )
    assert next(iter(read_rows(out)))["reward"] == 1.5
    capsys.readouterr()


def test_score_joins_responses_with_their_problems(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"id": "p1", "task": "choice", "prompt": "A or B?", "reference": "B"}
    response = {"uid": "u1", "problem_id": "p1", "sample": 0, "text": "<think>t</think><answer>B</answer>"}
    write_rows(tmp_path / "problems.jsonl", [problem])
    write_rows(tmp_path / "responses.jsonl", [response])
    out = tmp_path / "out.jsonl"
    call = ["score", tmp_path / "responses.jsonl", "--problems", tmp_path / "problems.jsonl", "--spec", spec]
    assert cli(*call, "-o", out, monkeypatch=monkeypatch) == 0
    (scored,) = read_rows(out)
    assert {
        key: scored[key] for key in response
    } == response  # the response and its score, not the problem too
    assert (scored["reward"], "prompt" in scored) == (1.5, False)
    write_rows(tmp_path / "responses.jsonl", [response | {"problem_id": "p2"}])
    assert cli(*call, "-o", out, monkeypatch=monkeypatch) == 2
    assert "the problem 'p2' is not in" in capsys.readouterr().err


def test_a_failed_grader_shows_in_the_table_and_in_the_status(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    puzzle = {
        "task": "puzzle",
        "reference": {"dataset": "no_such_generator", "config": {}, "seed": 1, "index": 0},
    }
    spec.write_text("rewards: {puzzle: {}, format: {}}")
    write_rows(
        tmp_path / "rows.jsonl", [puzzle | {"id": "x", "response": "<think>t</think><answer>1</answer>"}]
    )
    assert cli("score", tmp_path / "rows.jsonl", "--spec", spec, monkeypatch=monkeypatch) == 3
    assert "no_such_generator" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": "no.jsonl"}, "there is no file"),
        ({"spec": "no.yaml"}, "there is no file"),
        ({"--map": "response"}, "--map response: write it as name=value"),
        ({"--map": "response=text"}, "no column 'text'"),
        ({"--task": "chioce"}, "rows.jsonl, line 1: task is 'chioce'; it must be one of math"),
        ({"-o": "out.txt"}, "out.txt"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    tmp_path: Path,
    spec: Path,
    change: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows("rows.jsonl", [row(1, "B") | {"task": None}])
    options = {"--spec": change.pop("spec", "spec.yaml"), "-o": "out.jsonl"}
    rows = change.pop("rows", "rows.jsonl")
    call = [word for pair in (options | change).items() for word in pair]
    before = sorted(tmp_path.iterdir())
    assert cli("score", rows, *call, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr()
    assert said.err.startswith("r1rewards: ")
    assert said.err.count("\n") == 1
    assert message in said.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("response", "status"), [(r"\boxed{0.5}", 0), (r"\boxed{0.6}", 1)])
def test_math(
    response: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("math", "1/2", response, monkeypatch=monkeypatch) == status
    assert capsys.readouterr().out.startswith(f"{1 - status}  ")
    assert cli("math", "1/2", response, "--json", monkeypatch=monkeypatch) == status
    assert json.loads(capsys.readouterr().out)["value"] == 1 - status


def test_math_explains(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    response = r"<think>hm</think> so \boxed{0.5}"
    assert cli("math", r"\frac{1}{2}", response, "--explain", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr().out
    for step in ("thinking", "gold", "rational", "boxed", "fast tiers", "verdict       1"):
        assert step in said
    assert cli("math", "1/2", response, "--explain", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["steps"]


@pytest.mark.parametrize(("program", "status"), [("print(int(input()) + 1)", 0), ("print(7)", 1)])
def test_run(
    tmp_path: Path,
    program: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "tests.json").write_text('{"tests": [{"input": "1", "output": "2"}]}')
    call = ["run", tmp_path / "program.py", "--tests", tmp_path / "tests.json"]
    assert cli(*call, monkeypatch=monkeypatch) == status
    (tmp_path / "tests.json").write_text("[]")
    capsys.readouterr()
    assert cli(*call, monkeypatch=monkeypatch) == 2
    assert "tests.json must hold one JSON object" in capsys.readouterr().err


def test_doctor_finds_every_rule_reward_working(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("doctor", "--json", monkeypatch=monkeypatch) == 0
    found = {finding["what"]: finding["works"] for finding in json.loads(capsys.readouterr().out)}
    assert [found[name] for name in ("math", "code", "choice", "format", "language")] == [True] * 5


HEAVY = {"torch", "vllm", "sympy", "transformers", "polars", "datasets", "reasoning_gym", "langdetect"}


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['r1rewards', *{arguments!r}]\n"
        "try: runpy.run_module('r1rewards', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: r1rewards" in done.stdout
    assert done.stderr == "[]\n"


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    """Also while programs run that would take many minutes to reach their time limits."""
    loop = "<think>t</think><answer>```python\nwhile True: pass\n```</answer>"
    tests = [{"tests": [{"input": "", "output": str(n)}]} for n in range(100)]
    write_rows(
        tmp_path / "rows.jsonl", [{"task": "code", "reference": test, "response": loop} for test in tests]
    )
    (tmp_path / "spec.yaml").write_text("rewards: {code: {}}")
    before = sorted(tmp_path.iterdir())
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background starts without
        "sys.argv = ['r1rewards', 'score', 'rows.jsonl', '--spec', 'spec.yaml', '-o', 'out.jsonl']\n"
        "from r1rewards.cli import main; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, cwd=tmp_path)
    while not (tmp_path / ".out.jsonl.shards.part").exists():
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(1)  # into the grading
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")
    assert sorted(tmp_path.iterdir()) == before
