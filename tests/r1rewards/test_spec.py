"""Reward specs: what they accept, and how they say what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.spec import load_spec

PLUGIN = '''
from r1rewards.core.reward import Reward
from r1rewards.core.verdict import Verdict


class Words(Reward):
    """1 for a scoped text of at most `words` words."""

    tasks = frozenset({"general"})
    scope = "answer"

    def __init__(self, words: int = 5, model: str = "", layers: list = ()) -> None:
        if words < 0:
            raise ValueError("words must not be negative")
        self.words, self.model, self.layers = words, model, layers
        self.closed = 0

    def check(self, sample):
        count = len(sample.scoped(self.scope).split())
        return Verdict.of(count <= self.words, f"{count} words")

    def close(self):
        self.closed += 1


class Strict(Words):
    def __init__(self, *, words: int) -> None:
        super().__init__(words)


class Hangs(Words):
    def check(self, sample):
        if sample.trace.answer == "hang":
            while True:
                pass
        return super().check(sample)


class NotOne:
    pass
'''


@pytest.fixture(autouse=True)
def _someone_elses_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewards that come from an installed package of someone else, found through its entry points."""
    (tmp_path / "wordy_plugin.py").write_text(PLUGIN)
    info = tmp_path / "wordy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wordy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[r1rewards.rewards]\nwords = wordy_plugin:Words\nstrict-words = wordy_plugin:Strict\n"
        "hangs = wordy_plugin:Hangs\n"
        "not-one = wordy_plugin:NotOne\ngone = wordy_gone:Gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def row(reasoning: str, answer: str, task: str = "general") -> dict[str, Any]:
    return {"task": task, "response": f"<think>{reasoning}</think><answer>{answer}</answer>"}


def test_a_reward_of_someone_elses_package_is_found_by_name(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("template: think-answer\nrewards:\n  words:\n")
    with load_spec(file) as spec:
        scores = spec.score_many([row("r " * 9, "a b"), row("r", "a " * 9), row("r", "a", task="safety")])
    assert [score.total for score in scores] == [1.0, 0.0, None]


def test_name_use_weight_scope_tasks_and_options() -> None:
    entry = {
        "use": "words",
        "weight": 0.5,
        "scope": "reasoning",
        "tasks": ["safety"],
        "options": {"words": 2},
    }
    with load_spec({"rewards": {"brief": entry, "words": {"scope": "response"}}}) as spec:
        scores = spec.score_many([row("a b", "c d e", "safety"), row("a b c", "d", "safety")])
        assert [score.total for score in scores] == [0.5, 0.0]
        assert [c.reward.scope for c in spec.components] == ["reasoning", "response"]  # each has its own
        assert [set(score.verdicts) for score in scores] == [
            {"brief"},
            {"brief"},
        ]  # `words` is for general rows


def test_variables_fill_whole_values_at_any_depth() -> None:
    options = {"model": "$stage.2-rm", "layers": ["$layer", "costs $5", "$"]}
    variables = {"stage.2-rm": "/models/rm", "layer": "last"}
    spec = load_spec({"rewards": {"words": {"options": options}}}, variables=variables)
    reward: Any = spec.components[0].reward
    assert (reward.model, reward.layers) == ("/models/rm", ["last", "costs $5", "$"])


def test_closing_closes_every_reward_once() -> None:
    with load_spec({"rewards": {"words": {}, "more": {"use": "words"}}}) as spec:
        spec.score_many([row("r", "a")])
    assert [c.reward.closed for c in spec.components] == [1, 1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"reward": {"words": {}}}, "there is no key 'reward'; did you mean 'rewards'?"),
        ({"rewards": {"words": {"wieght": 1}}}, "no key 'wieght' in rewards.words; did you mean 'weight'?"),
        (
            {"rewards": {"words": {}}, "on_error": {"retry": 1}},
            "'retry' in on_error; did you mean 'retries'?",
        ),
        (
            {"rewards": {"wrods": {}}},
            "rewards.wrods: no installed package has a reward 'wrods'; did you mean 'words'?",
        ),
        ({"rewards": {"words": {"tasks": ["maths"]}}}, "no task 'maths'; did you mean 'math'?"),
        (
            {"rewards": {"words": {"scope": "all"}}},
            "rewards.words.scope: input should be 'reasoning', 'answer'",
        ),
        (
            {"rewards": {"words": {"weight": float("nan")}}},
            "rewards.words.weight: input should be a finite number",
        ),
        (
            {"rewards": {"words": {"options": {"word": 1}}}},
            "Words has no option 'word'; did you mean 'words'?",
        ),
        ({"rewards": {"words": {"options": {"words": -1}}}}, "rewards.words: words must not be negative"),
        ({"rewards": {"strict-words": {}}}, "Strict needs the option 'words'"),
        (
            {"rewards": {"words": {"options": {"model": "$modle"}}}},
            "nothing says what $modle is; did you mean 'model'?",
        ),
        (
            {"rewards": {"not-one": {}}},
            "wordy_plugin:NotOne is not a subclass of r1rewards.core.reward.Reward",
        ),
        (
            {"rewards": {"gone": {}}},
            "the reward 'gone' (wordy_gone:Gone) cannot be imported: No module named 'wordy_gone'",
        ),
        ({"rewards": {"total": {}}}, "'total' cannot name a reward"),
        ({"rewards": {}}, "rewards: dictionary should have at least 1 item"),
        ({"template": "think", "rewards": {"words": {}}}, "template: there is no template 'think'"),
        ({}, "the key rewards is missing"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_spec(spec, variables={"model": "m"})
    assert str(caught.value).startswith("the reward spec: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rewards: [", "line 1: "),
        ("rewards:\n  words: {}\n  words: {weight: 2}\n", "line 3: the key 'words' is given twice"),
        ("- words\n", "must hold a mapping"),
        ("", "must hold a mapping"),
    ],
)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_spec(file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


def test_a_missing_file() -> None:
    with pytest.raises(UserError, match=r"^there is no file /no/such\.yaml$"):
        load_spec("/no/such.yaml")


@pytest.mark.slow
def test_a_reward_that_hangs_is_ended_by_its_deadline() -> None:
    entry = {"use": "hangs", "deadline_s": 2, "options": {"words": 1}}
    with load_spec({"rewards": {"brief": entry}, "on_error": {"retries": 0}}) as spec:
        rows = [row("r", "a"), row("r", "hang"), row("r", "a b"), row("r", "a", task="safety")]
        scores = spec.score_many(rows)
    assert [score.total for score in scores] == [1.0, None, 0.0, None]
    assert [score.status for score in scores] == ["ok", "error", "ok", "abstain"]
    assert "missed its deadline" in scores[1].reason
    assert scores[3].verdicts == {}  # the reward's own tasks


def test_what_a_trainer_gets_that_needs_a_number() -> None:
    given = [row("r", "a"), row("r", "a", task="safety")]
    with load_spec({"rewards": {"words": {}}}) as spec:
        scored, without = spec.score_many(given)
        assert spec.number(scored) == 1.0
        with pytest.raises(UserError, match=r"no reward applies.*on_error: \{neutral: 0.0\}"):
            spec.number(without)
    with load_spec({"rewards": {"words": {}}, "on_error": {"neutral": -0.5}}) as spec:
        assert [spec.number(score) for score in spec.score(given)] == [1.0, -0.5]


def test_a_response_may_be_messages() -> None:
    said = [{"role": "assistant", "reasoning_content": "r " * 9, "content": "<answer>a b</answer>"}]
    with load_spec({"rewards": {"words": {}, "format": {}}}) as spec:
        assert spec.score_many([{"task": "general", "response": said}])[0].total == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": 5}, "row 1: a prompt is text or a list"),
        ({"prompt": [{"role": "user"}]}, "row 1: a prompt is text or a list"),
        ({"domain": ["math"]}, "row 1: 'domain' must be text, not list"),
        ({"language": 5}, "row 1: 'language' must be text, not int"),
    ],
)
def test_a_row_of_the_wrong_kind_is_told(change: dict[str, Any], message: str) -> None:
    with load_spec({"rewards": {"words": {}}}) as spec, pytest.raises(UserError, match=message):
        spec.score_many([row("r", "a") | change])
