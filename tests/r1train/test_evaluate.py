"""`r1train eval`: benchmarks by name and file, resuming, and models compared, over a real HTTP server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, write_rows
from r1train.benchmark import known, load_benchmark
from tests.conftest import DATA, Command
from tests.r1rewards.llm.test_endpoint import reply, serving

PROBLEMS = [
    {"id": f"sum-{n}", "task": "math", "prompt": f"{n} + 1 = ?", "reference": str(n + 1)} for n in range(12)
]
PROBLEMS += [
    {
        "id": f"letter-{n}",
        "task": "choice",
        "domain": "stem",
        "prompt": f"{n}?\nA. no\nB. yes",
        "reference": "B",
    }
    for n in range(4)
]


@pytest.fixture
def r1train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]) -> Command:
    """Runs the command in a folder with PROBLEMS in it: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    write_rows("heldout.jsonl", PROBLEMS)
    return command("r1train")


def answers(skill: float) -> Callable[[dict[str, Any], int], tuple[int, Any]]:
    """A model that is right with this chance, decided by the seed of the request; else it is off by one."""

    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        asked = body["messages"][-1]["content"]
        right = body["seed"] % 1000 < 1000 * skill
        if "?\n" in asked:
            answer = "B" if right else "A"
        else:
            answer = str(int(asked.split()[0]) + (1 if right else 2))
        return 200, reply(
            body, content=f"<think>It has to be {answer} here.</think><answer>{answer}</answer>"
        )

    return behave


def test_a_file_is_sampled_graded_and_told(r1train: Command) -> None:
    with serving(answers(0.6)) as server:
        given = ("eval", "m", "--on", "heldout.jsonl", "--url", server.url, "-n", "8")
        code, said, told = r1train(*given)
        assert code == 0, told
        body = server.asked[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.95, 32768)
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]  # zero-shot
    assert "heldout: 16 problems, 8 samples each" in said
    for column in ("pass@1", "pass@8", "cons@8", "format", "  stem"):
        assert column in said
    rows = list(read_rows("evals/m/heldout/evaluation/scored.jsonl"))
    summary = json.loads(Path("evals/m/heldout/evaluation/summary.json").read_text())
    assert len(rows) == len(PROBLEMS) * 8
    right = [row["rewards"][row["task"]] for row in rows]
    assert summary["all"]["accuracy"]["mean"] == pytest.approx(sum(right) / len(right))
    assert summary["all"]["cons@8"]["mean"] > summary["all"]["accuracy"]["mean"]
    assert set(summary["domains"]) == {"math", "stem"}


def test_it_goes_on_after_a_stop_and_only_grades_again_for_another_spec(r1train: Command) -> None:
    def stops(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return (404, "gone") if number == 20 else answers(0.5)(body, number)

    given = ("eval", "m", "--on", "heldout.jsonl", "-n", "4", "--concurrency", "2", "--json")
    with serving(stops) as server:
        assert r1train(*given, "--url", server.url)[0] == 2
    landed = Path("evals/m/heldout/.samples.part/responses.jsonl").read_bytes()
    before = landed.count(b"\n")
    assert 0 < before < 64
    with serving(answers(0.5)) as server:
        code, said, told = r1train(*given, "--url", server.url)
        assert (code, len(server.asked)) == (0, 64 - before), told
        assert Path("evals/m/heldout/samples/responses.jsonl").read_bytes().startswith(landed)
        Path("strict.yaml").write_text("rewards: {math: {}, choice: {}}")
        code, again, _ = r1train(*given, "--url", server.url, "--spec", "strict.yaml")
        assert (code, len(server.asked)) == (0, 64 - before)
        first, second = (json.loads(text)["heldout"]["models"]["m"]["all"] for text in (said, again))
        assert first["accuracy"] == second["accuracy"]
        assert first["format"]["mean"] == 1.0 and second["format"] is None


def test_two_models_are_compared_problem_by_problem(r1train: Command) -> None:
    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return answers(0.9 if body["model"] == "good" else 0.2)(body, number)

    with serving(behave) as server:
        given = ("eval", "poor", "good", "--on", "heldout.jsonl", "--url", server.url, "-n", "4")
        code, said, told = r1train(*given)
        assert code == 0, told
        assert "heldout: good less poor, paired by problem" in said
        found = json.loads(r1train(*given, "--json")[1])["heldout"]
    (compared,) = found["compare"]
    accuracy = compared["all"]["accuracy"]
    means = [found["models"][name]["all"]["accuracy"]["mean"] for name in ("poor", "good")]
    assert accuracy["difference"] == pytest.approx(means[1] - means[0])
    assert accuracy["problems"] == 16 and accuracy["low"] > 0 and accuracy["p"] < 0.01
    assert r1train(*given[:2], *given[1:])[2].startswith("r1train: two of the models are called the same")


@pytest.mark.data
def test_a_copy_of_a_benchmark_and_its_samples() -> None:
    copy = f"aime-2022-2024={DATA / 'aime_2022_2024_aimo.jsonl.gz'}"
    found = load_benchmark(copy, limit=20, columns={"id": "id", "prompt": "question", "reference": "answer"})
    assert (found.name, found.samples, len(found.problems)) == ("aime-2022-2024", 64, 20)
    assert all(problem["reference"].isdigit() for problem in found.problems)
    assert load_benchmark(f"humaneval={DATA / 'humaneval.jsonl.gz'}", limit=3).problems[0]["task"] == "code"


def test_a_benchmark_that_takes_a_judge(r1train: Command) -> None:
    """SimpleQA: answers of a model, compared with the reference by another one behind the same server."""
    rows = [{"problem": f"What is the name of number {n}?", "answer": f"Ada {n}"} for n in range(6)]
    write_rows("simpleqa.jsonl", rows)

    def behave(body: dict[str, Any], number: int) -> tuple[int, Any]:
        asked = body["messages"][-1]["content"]
        if body["model"] == "judge":
            named = re.findall(r"Ada \d", asked)
            word = "correct" if len(set(named)) == 1 else "incorrect"
            return 200, reply(body, content=json.dumps({"analysis": "compared", "verdict": word}))
        name = re.findall(r"\d", asked)[-1]
        told = f"Ada {name}" if int(name) % 3 else "Ada 9"
        return 200, reply(body, content=f"<think>Whose name is it?</think><answer>{told}</answer>")

    with serving(behave) as server:
        given = ("eval", "m", "--on", "simpleqa=simpleqa.jsonl", "--url", server.url, "--json")
        code, _, told = r1train(*given)
        assert code == 2 and "no rule can grade the answers to simpleqa" in told and not server.asked
        options = f"{{judge: correctness, url: '{server.url}', model: judge, record: calls.jsonl}}"
        Path("judged.yaml").write_text(f"rewards: {{general: {{use: judge, options: {options}}}}}")
        code, said, told = r1train(*given, "--spec", "judged.yaml")
        assert code == 0, told
    found = json.loads(said)["simpleqa"]["models"]["m"]["all"]
    assert found["accuracy"]["mean"] == pytest.approx(4 / 6)


def test_every_benchmark_is_a_preset() -> None:
    from r1data.sources.columns import presets

    assert set(known()) <= set(presets())
    assert {name: known()[name]["samples"] for name in ("aime-2024", "gpqa-diamond", "math-500")} == {
        "aime-2024": 64,
        "gpqa-diamond": 64,
        "math-500": 16,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("math500", "did you mean 'math-500'?"),
        ("math-5000=x.jsonl", "there is no benchmark 'math-5000'"),
        ("math-500=nowhere.jsonl", "there is no file nowhere.jsonl"),
    ],
)
def test_what_is_no_benchmark(text: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        load_benchmark(text)
    assert told in str(error.value)


@pytest.mark.slow
def test_models_of_this_machine_take_turns_in_one_engine(
    r1train: Command, make_model: Callable[[int], Path], tmp_path: Path
) -> None:
    models = [str(make_model(seed)) for seed in (0, 1)]
    given = ("--on", "heldout.jsonl", "-n", "2", "--limit", "4", "--max-tokens", "8", "--json")
    code, said, told = r1train("eval", *models, *given)
    assert code == 0, told
    found = json.loads(said)["heldout"]["models"]
    assert set(found) == set(models)
    for name in models:
        rows = list(read_rows(Path(found[name]["folder"]) / "scored.jsonl"))
        assert len(rows) == 8 and {row["model"] for row in rows} == {name}
        assert all(0 < row["tokens"] <= 8 for row in rows)
    assert not list(tmp_path.glob("**/.*.part"))
