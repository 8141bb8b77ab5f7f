"""The specs that come with the project load, and grade what they are for."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows
from r1rewards.spec import load_spec

SPECS = Path(__file__).parents[2] / "recipes" / "specs"
VARIABLES = {"helpfulness": "/models/helpful", "harmlessness": "/models/harmless"}
DATA = Path(os.environ.get("R1KIT_DATA") or Path(__file__).parents[3] / "shared" / "data")

ENGLISH = "First we read what is asked of us, then we think about it for a while and write down the result."
GERMAN = "Zuerst lesen wir die Frage, dann denken wir eine Weile nach und schreiben das Ergebnis auf."


def response(answer: str, reasoning: str = ENGLISH) -> str:
    return f"<think>{reasoning}</think><answer>{answer}</answer>"


def row(task: str, reference: Any, text: str) -> dict[str, Any]:
    return {"task": task, "reference": reference, "response": text, "language": "en", "prompt": "What is it?"}


ADD_ONE = {"tests": [{"input": "1", "output": "2"}]}
#: Rows and what reasoning.yaml gives them: accuracy, format, language (None: neither 0 nor 1).
GRADED: list[tuple[dict[str, Any], tuple[float, float, float | None]]] = [
    (row("math", "1/2", response(r"\boxed{0.5}")), (1, 1, 1)),
    (row("math", "1/2", response(r"\boxed{0.6}")), (0, 1, 1)),
    (row("math", "1/2", "The result is 1/2."), (0, 0, None)),  # strict: no box, no tag
    (row("math", "1/2", response(r"\boxed{0.5}", GERMAN)), (1, 1, 0)),
    (row("code", ADD_ONE, response("```python\nprint(int(input()) + 1)\n```")), (1, 1, 1)),
    (row("code", ADD_ONE, response("```python\nprint(7)\n```")), (0, 1, 1)),
    (row("choice", "B", response("B")), (1, 1, 1)),
    (row("choice", "B", response("C")), (0, 1, 1)),
]


@pytest.mark.parametrize("name", ["zero", "reasoning", "all-scenarios"])
def test_every_spec_loads_and_says_what_it_is(name: str) -> None:
    file = SPECS / f"{name}.yaml"
    assert file.read_text().startswith("# ")
    load_spec(file, variables=VARIABLES).close()
    assert {f.stem for f in SPECS.glob("*.yaml")} == {"zero", "reasoning", "all-scenarios"}


def test_reasoning_adds_accuracy_format_and_language() -> None:
    with load_spec(SPECS / "reasoning.yaml") as spec:
        scores = spec.score_many(given for given, _ in GRADED)
    for (given, (accuracy, layout, language)), score in zip(GRADED, scores, strict=True):
        assert score.status == "ok", score.reason
        assert score.rewards[given["task"]] == accuracy
        assert score.rewards["format"] == layout
        if language is not None:
            assert score.rewards["language"] == pytest.approx(language, abs=0.05)
        untold = 1.0 if score.rewards["language"] is None else 0.0  # the spec's `if_abstains`
        values = [value for value in score.rewards.values() if value is not None]
        assert score.total == pytest.approx(sum(values) + untold)


def test_zero_leaves_language_out() -> None:
    with load_spec(SPECS / "zero.yaml") as spec:
        scores = spec.score_many(given for given, _ in GRADED)
    assert [score.total for score in scores] == [accuracy + layout for _, (accuracy, layout, _) in GRADED]


def test_all_scenarios_routes_general_rows_to_one_reward_model() -> None:
    with load_spec(SPECS / "all-scenarios.yaml", variables=VARIABLES) as spec:
        for task, expected in (
            ("math", {"math", "format", "language"}),
            ("general", {"helpfulness", "format", "language"}),
            ("safety", {"harmlessness", "format", "language"}),
        ):
            sample = spec.sample(row(task, "1", response("1")), "row 1")
            assert {c.name for c in spec.components if c.applies(sample, None)} == expected
        scopes = {c.name: c.reward.scope for c in spec.components}
        assert (scopes["helpfulness"], scopes["harmlessness"]) == ("answer", "response")


def test_all_scenarios_needs_to_know_its_reward_models() -> None:
    with pytest.raises(UserError, match=r"helpfulness\.options\.model: nothing says what \$helpfulness is"):
        load_spec(SPECS / "all-scenarios.yaml")


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="R1KIT_DATA names no folder")
def test_published_traces_score_as_they_should() -> None:
    columns = {"prompt": "problem", "reference": "ground_truth"}
    rows = [
        r | {"task": "math"}
        for r in islice(read_rows(DATA / "math_think_traces.jsonl.gz", columns=columns), 200)
    ]
    with load_spec(SPECS / "reasoning.yaml") as spec:
        scores = spec.score_many(rows)
    assert sum(score.rewards["math"] == 1.0 for score in scores) > 180
    assert sum(score.rewards["format"] == 1.0 for score in scores) > 180
    assert all(score.status == "ok" for score in scores)
