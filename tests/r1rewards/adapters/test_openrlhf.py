"""OpenRLHF's adapter: its translation, and what OpenRLHF 0.11.2 makes of it in an environment of its own."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import r1rewards
from r1rewards.core.errors import UserError

_trainers: Any = importlib.util.spec_from_file_location("trainers", Path(__file__).with_name("trainers.py"))
trainers = importlib.util.module_from_spec(_trainers)
_trainers.loader.exec_module(trainers)

SPEC = {
    "rewards": {
        "math": {"required": True, "options": {"policy": "strict"}},
        "choice": {},
        "format": {"weight": 0.5},
    }
}
GOOD = "<think>t</think><answer>{}</answer>"


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "<|im_end|>",
        "<|im_end|>\n",
        "</s>",
        "<|eot_id|><|end_of_text|>",
        "<｜end▁of▁sentence｜>",
        "<eos><pad><pad>",
    ],
)
def test_special_tokens_behind_a_response_are_no_fault_of_it(tail: str) -> None:
    reward = r1rewards.openrlhf(SPEC, task="math")
    assert reward(["Q " + GOOD.format(4) + tail], ["Q "], ["4"])["rewards"] == [1.5]


def test_labels_are_references_or_rows() -> None:
    reward = r1rewards.openrlhf(SPEC, task="math")
    labels = ["4", '{"task": "choice", "reference": "B"}', {"task": "math", "reference": "4"}]
    said = reward(["Q" + GOOD.format(x) for x in ("5", "B", "4")], ["Q"] * 3, labels)
    assert said["rewards"] == [0.5, 1.5, 1.5]
    assert said["scores"] == [0.0, 1.0, 1.0]
    assert said["extra_logs"] == {"format": [1.0, 1.0, 1.0]}  # the others have no value in some row
    one = reward(["Q" + GOOD.format(4)], ["Q"], ["4"])
    assert one["extra_logs"] == {"math": [1.0], "format": [1.0]}


def test_what_does_not_match_is_told() -> None:
    reward = r1rewards.openrlhf(SPEC, task="math")
    with pytest.raises(UserError, match="does not begin with its prompt"):
        reward(["other"], ["prompt"], ["4"])
    with pytest.raises(UserError, match="2 queries, 1 prompts and 1 labels"):
        reward(["a", "b"], ["a"], ["4"])
    strict = r1rewards.openrlhf({"rewards": {"language": {"required": True}}}, task="math")
    with pytest.raises(UserError, match=r"on_error: \{neutral: 0.0\}"):
        strict(["Q x"], ["Q "], ["4"])


EXPECTED = {
    "rewards": [[1.5], [0.5], [0.0], [0.0]],
    "scores": [1.0, 0.0, 0.0, 0.0],
    "logs": [["format", "math"]] * 4,
}


def normalized(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    deviation = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    return [(reward - mean) / deviation for reward in rewards]


@pytest.mark.long
def test_openrlhf_takes_a_file_with_a_reward_function(tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    file.write_text(f"import r1rewards\nreward_func = r1rewards.openrlhf({SPEC!r}, task='math')\n")
    said = trainers.run_in("openrlhf", file)
    assert said.pop("advantages") == pytest.approx(normalized([1.5, 0.5, 0.0, 0.0]), abs=1e-5)
    assert said == EXPECTED


@pytest.mark.long
def test_openrlhf_asks_the_server(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    argv = [sys.executable, "-m", "r1rewards", "serve", str(tmp_path / "spec.yaml"), "--port", "0"]
    with subprocess.Popen(
        [*argv, "--task", "math", "--token", "secret"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition("http://")[2].partition(";")[0]
            said = trainers.run_in("openrlhf", f"http://any:secret@{address}/get_reward")
        finally:
            server.kill()
    said.pop("advantages")
    assert said == EXPECTED


@pytest.mark.long
def test_openrlhf_has_no_reward_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "reward.py"
    spec: dict[str, Any] = {"rewards": {"language": {"required": True}, "format": {}}}
    file.write_text(f"import r1rewards\nreward_func = r1rewards.openrlhf({spec!r}, task='math')\n")
    assert trainers.run_in("openrlhf", file) == {"failed": [0, 1, 2, 3]}
    spec["on_error"] = {"neutral": -1.0}
    file.write_text(f"import r1rewards\nreward_func = r1rewards.openrlhf({spec!r}, task='math')\n")
    assert trainers.run_in("openrlhf", file)["rewards"] == [[-1.0]] * 4
