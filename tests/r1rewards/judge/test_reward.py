"""A judge in a reward spec, by itself and behind a rule, over a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1rewards.adapters.trl import report
from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1rewards.judge.reward import _ranked
from r1rewards.score_file import score_file
from r1rewards.spec import Spec, load_spec
from tests.r1rewards.judge.test_judge import fenced
from tests.r1rewards.llm.test_endpoint import Server, reply, serving

Behave = Callable[[dict[str, Any], int], tuple[int, Any]]


def agrees(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """Says that an answer is correct where it holds the reference, and does not answer about `mute`."""
    prompt = body["messages"][-1]["content"]
    answer = fenced(prompt, "answer")
    word = "correct" if fenced(prompt, "reference") in answer else "incorrect"
    said = {"analysis": f"says {word}", "verdict": word}
    return 200, reply(body, content="..." if "mute" in answer else json.dumps(said))


def row(answer: str, reference: str = "Paris", task: str = "general", **more: Any) -> dict[str, Any]:
    response = f"<think>hm</think><answer>{answer}</answer>"
    return {"task": task, "prompt": "Which?", "reference": reference, "response": response, **more}


def spec(server: Server | str, folder: Path, **options: Any) -> Spec:
    url = server if isinstance(server, str) else server.url
    judge = {
        "judge": "correctness",
        "url": url,
        "model": "m",
        "record": str(folder / "calls.jsonl"),
        **options,
    }
    return load_spec({"rewards": {"answer": {"use": "judge", "options": judge}}})


def test_a_judge_is_a_reward_and_a_rerun_is_answered_from_the_record(tmp_path: Path) -> None:
    rows = [row("Paris"), row("Rome"), row("mute"), row("")]
    with serving(agrees) as server, spec(server, tmp_path) as loaded:
        scores = loaded.score_many(rows)
        assert [score.total for score in scores] == [1.0, 0.0, None, 0.0]
        assert scores[2].verdicts["answer"].route == "form"
        asked = len(server.asked)
    calls = list(read_rows(tmp_path / "calls.jsonl"))
    assert len(calls) == asked == 2 + 3  # what failed is graded once more by the spec, from the record
    assert sum(call["read"] is None for call in calls) == 3
    with spec("http://127.0.0.1:9", tmp_path) as again:
        assert [score.total for score in again.score_many(rows[:2])] == [1.0, 0.0]


def hybrid(server: Server, folder: Path, audit: float) -> dict[str, Any]:
    judge = {"judge": "correctness", "url": server.url, "model": "m", "record": str(folder / "calls.jsonl")}
    options = {"rule": {"use": "math", "policy": "strict"}, "judge": judge, "audit": audit}
    return {"rewards": {"math": {"use": "hybrid", "required": True, "options": options}}}


#: The first two a rule decides, the third one is prose; the rule calls the second wrong, the judge does not.
ROWS = [
    row("7", "7", "math", id="same"),
    row("not 7 but 8", "7", "math", id="hedged"),
    row("It can be cut along its midline", "cut along its midline", "math", id="prose"),
]


def test_rule_first_then_the_judge_and_both_are_recorded(tmp_path: Path) -> None:
    with serving(agrees) as server, load_spec(hybrid(server, tmp_path, 0.0)) as loaded:
        same, hedged, prose = (score.verdicts["math"] for score in loaded.score_many(ROWS))
        assert len(server.asked) == 1
    assert (same.value, same.route.split("/")[0], "judge" in same.details) == (1.0, "rule", False)
    assert (hedged.value, hedged.route.split("/")[0]) == (0.0, "rule")
    assert (prose.value, prose.route) == (1.0, "judge/judge")
    assert prose.details["rule"]["status"] == "abstain"
    assert prose.details["judge"]["value"] == 1.0


def test_an_audit_tells_where_the_two_disagree_and_the_rule_stands(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    with serving(agrees) as server:
        (tmp_path / "spec.yaml").write_text(json.dumps(hybrid(server, tmp_path, 1.0)))
        summary = score_file(
            tmp_path / "rows.jsonl", tmp_path / "spec.yaml", tmp_path / "out.jsonl", quiet=True
        )
    scored = {one["id"]: one for one in read_rows(tmp_path / "out.jsonl")}
    assert [scored[name]["reward"] for name in ("same", "hedged", "prose")] == [1.0, 0.0, 1.0]
    assert summary.audit_table()[1] == [["math", 2, 1, 2, 1]]
    ((name, place, rule, judge),) = summary.disagreements()
    assert (name, place, rule[:2], judge[:2]) == ("math", "hedged", "0:", "1:")
    assert summary.to_dict()["hybrid"]["math"]["disagreed"] == 1


def test_which_rows_are_audited_depends_on_the_rows_alone(tmp_path: Path) -> None:
    rows = [row(str(n), str(n), "math", id=str(n)) for n in range(200)]
    seen: list[set[str]] = []
    for part in (rows, rows[::-1]):
        with serving(agrees) as server, load_spec(hybrid(server, tmp_path, 0.2)) as loaded:
            verdicts = [score.verdicts["math"] for score in loaded.score_many(part)]
        seen.append({one["id"] for one, v in zip(part, verdicts, strict=True) if "agree" in v.details})
    assert seen[0] == seen[1]
    assert 15 < len(seen[0]) < 70


def test_a_judge_that_fails_is_an_error_where_it_decides_and_none_where_it_audits(tmp_path: Path) -> None:
    with (
        serving(lambda body, number: (200, reply(body, content="?"))) as server,
        load_spec(hybrid(server, tmp_path, 1.0)) as loaded,
    ):
        same, _, prose = loaded.score_many(ROWS)
    assert (same.total, same.verdicts["math"].details["judge"]["status"]) == (1.0, "error")
    assert (prose.total, prose.status) == (None, "error")


def test_trainers_see_the_shares(tmp_path: Path) -> None:
    metrics: dict[str, float] = {}
    with serving(agrees) as server, load_spec(hybrid(server, tmp_path, 1.0)) as loaded:
        report(loaded.score_many(ROWS), metrics.__setitem__, None)
    assert metrics["rewards/math/judged"] == pytest.approx(1 / 3)
    assert metrics["rewards/math/disagreed"] == 0.5


def test_scope_is_what_the_judge_sees(tmp_path: Path) -> None:
    with serving(agrees) as server:
        judge = {"judge": "correctness", "url": server.url, "model": "m", "record": str(tmp_path / "c.jsonl")}
        entry = {"use": "judge", "scope": "response", "options": judge}
        with load_spec({"rewards": {"answer": entry}}) as loaded:
            loaded.score_many([row("Paris")])
        assert "hm" in fenced(server.asked[-1]["messages"][-1]["content"], "answer")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"judge": "corectness"}, "no judge 'corectness'"),
        ({"prompt_file": "/no/such.txt"}, "/no/such.txt"),
        ({"rubric": [{"points": 1}], "judge": "rubric"}, "criterion 1"),
        ({"retries": -1}, "retries"),
        ({"url": []}, "name a model"),
    ],
)
def test_mistakes_are_told_when_the_spec_is_read(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    given = {"model": None} if options.get("url") == [] else {}
    with pytest.raises(UserError, match=why):
        spec("http://127.0.0.1:9", tmp_path, **options, **given)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rule": {"policy": "strict"}}, "needs `use`"),
        ({"audit": 2}, "share"),
        ({"rule": {"use": "maths"}}, "math"),
    ],
)
def test_mistakes_of_a_hybrid(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    judge = {"judge": "correctness", "url": "http://127.0.0.1:9", "record": str(tmp_path / "c.jsonl")}
    made = {"rule": {"use": "math"}, "judge": judge, **options}
    with pytest.raises(UserError, match=why):
        load_spec({"rewards": {"math": {"use": "hybrid", "options": made}}})


def test_processes_that_train_side_by_side_have_a_record_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ranked(Path("a/calls.jsonl")) == Path("a/calls.jsonl")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert _ranked(Path("a/calls.jsonl")) == Path("a/calls.rank-3.jsonl")
