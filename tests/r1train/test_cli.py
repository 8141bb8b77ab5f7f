"""The command line: a mistake is one sentence, status 2 and nothing written; and --help is light."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import Command

RECIPES = Path(__file__).parents[2] / "recipes"
SMOLLM2, TINY = str(RECIPES / "smollm2-135m"), str(RECIPES / "tiny")


@pytest.fixture
def mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]) -> Mistake:
    return Mistake(tmp_path, monkeypatch, command("r1train"))


class Mistake:
    """Runs the command in an empty folder and returns its one sentence."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, r1train: Command) -> None:
        self.folder = folder / "here"
        self.folder.mkdir()
        self._monkeypatch, self._r1train = monkeypatch, r1train

    def __call__(self, *arguments: str) -> str:
        self._monkeypatch.chdir(self.folder)
        code, said, told = self._r1train(*arguments)
        assert code == 2
        *progress, sentence = told.splitlines()
        assert sentence.startswith("r1train: ") and not said
        assert not any("Traceback" in line for line in progress)
        return sentence


def test_no_such_model(mistake: Mistake) -> None:
    said = mistake("run", SMOLLM2, "--set", "model=/no/such/model")
    assert "there is no model at /no/such/model" in said
    assert not list(mistake.folder.iterdir()), "a run folder was left"


def test_no_such_recipe_key_or_backend(mistake: Mistake) -> None:
    assert "recipes beside it:" in mistake("run", str(RECIPES / "smollm3"))
    assert "did you mean 'seed'?" in mistake("run", TINY, "--set", "sede=1")
    assert "no backend 'trll'" in mistake("run", TINY, "--set", "backend=trll")
    assert not list(mistake.folder.iterdir())


def test_a_model_without_a_chat_template(mistake: Mistake, tiny_model: Path) -> None:
    bare = mistake.folder.parent / "bare"
    bare.mkdir()
    for file in tiny_model.iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).write_bytes(file.read_bytes())
    said = mistake("run", SMOLLM2, "--set", f"model={bare}")
    assert f"the model in {bare} has no chat template" in said
    assert not list(mistake.folder.iterdir())


def test_a_run_folder_that_cannot_be_made(mistake: Mistake) -> None:
    file = mistake.folder.parent / "file"
    file.write_text("mine")
    assert str(file) in mistake("run", TINY, "--out", str(file))
    assert str(file) in mistake("run", TINY, "--out", str(file / "below"))
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("0-data.sources=[]", "the sources give no training problem"),
        ("0-data.sources.0.train=100000000", "ask for fewer"),
        ("0-data.sources.0.source=arithmetics", "'arithmetics'"),
    ],
)
def test_data_that_is_not_there(mistake: Mistake, change: str, told: str) -> None:
    said = mistake("run", TINY, "--set", change, "--out", "out")
    assert told in said
    assert not list(mistake.folder.glob("out/0-data/*.parquet")), "half a stage was left"


def test_a_report_of_no_run(mistake: Mistake) -> None:
    assert "is not the folder of a run" in mistake("report", str(mistake.folder))
    assert "give --markdown FILE" in mistake("report", str(mistake.folder), "--notes", "NOTES.md")


def test_a_hub_id_offline_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "r1train", "run", SMOLLM2, "--set", "model=nobody/nothing"]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "PATH": ""}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1 and "nobody/nothing" in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_prints_every_command_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Command]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, script, _ = command("r1train")("run", TINY, "--dry-run", "--set", "seed=9")
    assert code == 0
    stages = [line.split(":")[0] for line in script.splitlines() if line.startswith("# ")]
    assert stages[1:] == [
        "# 0-base",
        "# 1-cold-start",
        "# 2-reasoning-rl",
        "# 3-rejection-sft",
        "# 4-all-scenarios-rl/helpfulness",
        "# 4-all-scenarios-rl/harmlessness",
        "# 4-all-scenarios-rl",
    ]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0, "no script"
    assert not list(tmp_path.iterdir())


@pytest.fixture
def plan(command: Callable[[str], Command]) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        code, said, _ = command("r1train")("plan", *arguments)
        assert code == 0
        return said

    return call


def test_a_plan_prints_its_table_its_warnings_and_the_resolved_recipe(plan: Callable[..., str]) -> None:
    said = plan(str(RECIPES / "deepseek-r1"))
    assert "GPU-hours" in said and "4-all-scenarios-rl  rl, verl" in said
    assert "warning: run:runs/r1-zero: there is no finished run" in said
    figures = json.loads(plan(str(RECIPES / "deepseek-r1"), "--json"))
    assert figures["gpu_hours"] == pytest.approx(sum(row["gpu_hours"] for row in figures["rows"]))
    recipe = yaml.safe_load(plan(TINY, "--set", "seed=9", "--resolved"))
    assert recipe["seed"] == 9 and list(recipe["stages"])[-1] == "4-all-scenarios-rl"


#: Runs a package as `python -m` does, and then says which of the heavy packages it has loaded.
HELP = """
import json, runpy, sys
name, sys.argv = sys.argv[1], [sys.argv[1], "--help"]
try:
    runpy.run_module(name, run_name="__main__")
except SystemExit as ended:
    heavy = {"torch", "vllm", "sympy", "transformers", "trl", "datasets", "numpy", "polars", "pyarrow"}
    print(json.dumps([ended.code, sorted(heavy & set(sys.modules))]))
"""


@pytest.mark.parametrize("package", ["r1data", "r1rewards", "r1train"])
def test_help_is_light(package: str) -> None:
    ended = subprocess.run([sys.executable, "-c", HELP, package], capture_output=True, text=True, check=True)
    *shown, last = ended.stdout.splitlines()
    assert json.loads(last) in ([0, []], [None, []])
    assert any("Usage" in line for line in shown)
