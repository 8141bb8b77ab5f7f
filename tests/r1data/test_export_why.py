"""What leaves the house, the story of a row, alignment, and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from r1data.align import align
from r1data.dedup import dedup
from r1data.export import FORMS, export
from r1data.mix import mix
from r1data.select import select_problems, select_responses
from r1data.why import why
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template

ROW: dict[str, Any] = {
    "id": "p",
    "uid": "u",
    "task": "code",
    "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
    "reference": {"tests": []},
    "text": "t",
    "source": "here",
    "language": "en",
}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_form_in_both_formats(tmp_path: Path, form: str, suffix: str) -> None:
    write_rows(tmp_path / "in.jsonl", [ROW])
    out = tmp_path / f"out{suffix}"
    if form == "verl" and suffix == ".jsonl":
        with pytest.raises(UserError, match="verl reads Parquet"):
            export(tmp_path / "in.jsonl", out, form=form)
        return
    assert export(tmp_path / "in.jsonl", out, form=form) == 1
    (row,) = pq.read_table(out).to_pylist() if suffix == ".parquet" else read_rows(out)
    reply = {"role": "assistant", "content": "t"}
    expected: dict[str, Any] = {
        "messages": {"messages": [*ROW["prompt"], reply]},
        "prompt-completion": {"prompt": ROW["prompt"], "completion": [reply]},
        "prompt": {"prompt": ROW["prompt"], "id": "p", "task": "code", "domain": "code", "language": "en"}
        | {"reference": '{"tests":[]}'},
        "sharegpt": {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "t"},
            ]
        },
        "verl": {
            "data_source": "here",
            "prompt": ROW["prompt"],
            "ability": "code",
            "reward_model": {"style": "rule", "ground_truth": '{"tests":[]}'},
            "extra_info": {"id": "p", "task": "code", "language": "en"},
        },
    }[form]
    assert row == {**expected, "uid": "u"}


def test_a_template_asks_for_its_layout_in_every_prompt(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [ROW, ROW | {"id": "r", "prompt": "q", "thinking": "none"}])
    template = get_template("think-answer")
    assert export(tmp_path / "in.jsonl", tmp_path / "out.parquet", form="prompt", template=template) == 2
    first, second = (row["prompt"] for row in pq.read_table(tmp_path / "out.parquet").to_pylist())
    assert first[0] == {"role": "system", "content": f"s\n{template.instruction('en')}"}
    assert second == template.ask("q", thinking=False)


def test_a_form_that_needs_a_response_says_which_row_has_none(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", [{name: ROW[name] for name in ("id", "task", "prompt", "reference")}])
    with pytest.raises(UserError, match="line 1: there is no response"):
        export(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(UserError, match="did you mean 'messages'"):
        export(tmp_path / "in.jsonl", tmp_path / "out.jsonl", form="mesages")


def test_a_row_is_followed_from_its_problem_to_its_end(tmp_path: Path) -> None:
    problems = [{"id": f"p{n}", "task": "general", "prompt": f"q{n}"} for n in range(2)]
    write_rows(tmp_path / "problems.jsonl", problems)
    select_problems(tmp_path / "problems.jsonl", tmp_path / "z", rates={"p0": (1, 2), "p1": (1, 2)})
    rows = [{**problems[n % 2], "uid": f"u{n}", "text": "same" if n < 2 else f"t{n}"} for n in range(4)]
    rows[1]["prompt"] = "q0"
    write_rows(tmp_path / "samples.jsonl", rows)
    dedup(tmp_path / "samples.jsonl", tmp_path / "b", by="response")
    select_responses(tmp_path / "b" / "kept.parquet", tmp_path / "a", k=2)
    mix(tmp_path / "a" / "kept.parquet", tmp_path / "c", total=4)
    story = [(chapter.line["step"], chapter.sentence()) for chapter in why("u1", [tmp_path])]
    assert story == [
        ("select-problems", "kept: measured 0.5"),
        ("dedup", "dropped by duplicate: measured 1, threshold 1; match u0"),
    ]
    steps = [chapter.line["step"] for chapter in why("u3", [tmp_path])]
    assert steps == ["select-problems", "dedup", "select-responses", "mix"]
    (tmp_path / "moved").mkdir()
    for folder in "abcz":
        (tmp_path / folder).rename(tmp_path / "moved" / folder)
    assert [chapter.line["step"] for chapter in why("u3", [tmp_path])] == steps
    (tmp_path / "moved" / "b").rename(tmp_path / "b")
    assert {chapter.line["uid"] for chapter in why("p1", [tmp_path / "b"])} == {"u1", "u3"}
    with pytest.raises(UserError, match="no ledger here knows 'nobody'"):
        why("nobody", [tmp_path])
    with pytest.raises(UserError, match=r"there is no ledger\.parquet"):
        (tmp_path / "empty").mkdir()
        why("u1", [tmp_path / "empty"])


@pytest.mark.parametrize(
    ("text", "template", "answer", "expected"),
    [
        ("So it is 4.", "think-answer", "4", "<think>\nSo it is 4.\n</think>\n<answer>4</answer>"),
        ("<think>a</think> b", "think-answer", "4", "<think>\na\n</think>\n<answer>b</answer>"),
        (
            "<think>a</think><answer>b</answer>",
            "reasoning-summary",
            None,
            "<reasoning_process>\na\n</reasoning_process>\n<summary>b</summary>",
        ),
        ("a</think> 4", "think-answer", "4", "<think>\na\n 4\n</think>\n<answer>4</answer>"),
        ("<think>cut off", "think-answer", "4", None),
        ("So it is 4.", "think-answer", None, None),
        ("  ", "think-answer", "4", None),
    ],
)
def test_alignment(text: str, template: str, answer: str | None, expected: str | None) -> None:
    aligned = align(text, template, answer=answer)
    assert aligned == expected
    if aligned is not None:
        assert get_template(template).parse(aligned).well_formed


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "vllm", "sympy", "transformers", "polars", "pyarrow", "numpy", "datasets")
    code = (
        "import sys\nfrom r1data.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\n"
        "sys.exit(' '.join(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "", done.stderr


def test_the_command_line_from_import_to_why(
    tmp_path: Path, r1data: Callable[..., tuple[int, str, str]]
) -> None:
    theirs = [{"problem": f"q{n % 2}", "response": f"<think>x</think>{n // 2}"} for n in range(4)]
    write_rows(tmp_path / "theirs.jsonl", theirs)
    given = ("--map", "prompt=problem,text=response", "--task", "general")
    assert r1data("import", "theirs.jsonl", *given, "-o", "rows.parquet")[0] == 0
    _, said, _ = r1data("dedup", "rows.parquet", "--by", "response", "--json", "-o", "dd")
    assert json.loads(said)["kept"] == 4
    assert "kept" in r1data("select", "responses", "dd/kept.parquet", "-k", "1", "-o", "sel")[1]
    assert "2 rows" in r1data("export", "sel/kept.parquet", "-o", "train.jsonl")[1]
    uid = next(read_rows(tmp_path / "train.jsonl"))["uid"]
    status, told, _ = r1data("why", uid, ".")
    assert status == 0
    assert "of rows.parquet" in told
    assert "select-responses" in told
    assert "prompt" in r1data("show", "dd/kept.parquet", "-n", "1")[1]
    assert "theirs" in r1data("stats", "dd/kept.parquet")[1]
    assert r1data("problems", "arithmetic", "-n", "3", "-o", "p.parquet")[:2] == (0, "3 problems\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("dedup", "none.jsonl", "-o", "x"), "there is no file none.jsonl"),
        (("curate", "a.jsonl", "--rules", "cold-strat", "-o", "x"), "did you mean 'cold-start'"),
        (("dedup", "a.jsonl", "-o", "/proc/x"), "/proc"),
        (("mix", "a.jsonl", "--total", "many", "-o", "x"), "give a number or fit"),
        (("dedup", "a.jsonl", "--map", "prompt", "-o", "x"), "write it as name=value"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    tmp_path: Path, r1data: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], sentence: str
) -> None:
    write_rows(tmp_path / "a.jsonl", [ROW])
    status, _, error = r1data(*arguments)
    assert status == 2
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]


def test_control_characters_in_model_text_do_not_reach_the_terminal(
    tmp_path: Path, r1data: Callable[..., tuple[int, str, str]]
) -> None:
    write_rows(tmp_path / "a.jsonl", [{**ROW, "text": "red \x1b[31m alert \x07"}])
    assert "\x1b[31m" not in r1data("show", "a.jsonl")[1]
