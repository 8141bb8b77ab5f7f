"""Recipes: what ships loads, and every mistake is one sentence with file, key and remedy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from r1rewards.core.errors import UserError
from r1train.recipe import RlStage, SftStage
from r1train.recipe_file import dump_recipe, load_recipe, read_resolved

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = sorted(path.parent for path in RECIPES.glob("*/pipeline.yaml"))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A copy of the tiny recipe, to be spoilt."""
    shutil.copytree(RECIPES / "tiny", tmp_path / "tiny")
    shutil.copytree(RECIPES / "specs", tmp_path / "specs")
    return tmp_path / "tiny"


def mistake(recipe: Path, changes: Sequence[str] = ()) -> str:
    with pytest.raises(UserError) as told:
        load_recipe(recipe, changes)
    text = str(told.value)
    assert "\n" not in text and "Traceback" not in text
    return text


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_ships_loads_and_survives_being_written_down(folder: Path, tmp_path: Path) -> None:
    loaded = load_recipe(folder, files=False)  # those that a user brings are not there
    assert loaded.name == folder.name
    (tmp_path / "recipe.yaml").write_text(dump_recipe(loaded))
    assert read_resolved(tmp_path / "recipe.yaml") == loaded


def test_the_shipped_recipes_are_the_four_stages() -> None:
    """The one most often misread: stage 3 starts from the base model, not from stage 2."""
    stages = load_recipe(RECIPES / "tiny").stages
    trained = {name: stage for name, stage in stages.items() if isinstance(stage, SftStage | RlStage)}
    models = {name: stage.model for name, stage in trained.items()}
    assert models == {
        "1-cold-start": "$base",
        "2-reasoning-rl": "$stage.1-cold-start",
        "3-rejection-sft": "$base",
        "4-all-scenarios-rl": "$stage.3-rejection-sft",
    }
    assert {s.optim.epochs for s in trained.values() if isinstance(s, SftStage)} == {2}
    for stage in trained.values():
        if isinstance(stage, RlStage):
            assert (stage.optim.beta, stage.optim.clip) == (0.001, 10)


def test_set_changes_values_of_the_pipeline_of_stages_and_inside_lists(recipe: Path) -> None:
    changes = [
        "seed=3",
        "engine.max_batch=7",
        "2-reasoning-rl.optim.learning_rate=1e-5",
        "0-data.sources.0.train=11",
    ]
    loaded = load_recipe(recipe, changes)
    stage, data = loaded.stages["2-reasoning-rl"], loaded.stages["0-data"]
    assert loaded.seed == 3 and loaded.engine.max_batch == 7
    assert isinstance(stage, RlStage) and stage.optim.learning_rate == 1e-5
    assert data.kind == "data" and data.sources[0].train == 11


@pytest.mark.parametrize(
    ("change", "file", "key", "near"),
    [
        ("sed=3", "pipeline.yaml", "sed", "seed"),
        ("engine.max_lenght=3", "pipeline.yaml", "engine.max_lenght", "max_length"),
        ("2-reasoning-rl.rollout.qestions=3", "2-reasoning-rl.yaml", "rollout.qestions", "questions"),
        ("1-cold-start.optim.epoch=3", "1-cold-start.yaml", "optim.epoch", "epochs"),
        ("1-cold-start.data.0.sorce=worked", "1-cold-start.yaml", "data.0.sorce", "source"),
        ("0-data.decontaminate.ngrams=3", "0-data.yaml", "decontaminate.ngrams", "ngram"),
    ],
)
def test_an_unknown_key_names_its_file_and_the_nearest_key(
    recipe: Path, change: str, file: str, key: str, near: str
) -> None:
    said = mistake(recipe, [change])
    assert f"{recipe}/{file}: there is no key {key!r}" in said
    assert f"did you mean {near!r}?" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("seed", "write it as key=value"),
        ("2-reasoning.optim.learning_rate=1", "did you mean 2-reasoning-rl?"),
        ("0-data.sources.99.train=1", "nothing at '99'"),
        ("seed=[1", "'seed' cannot be set there"),
        ("seed=many", "pipeline.yaml: seed:"),
        ("evaluation.top_p=2", "pipeline.yaml: evaluation.top_p:"),
        ("evaluation.rewards=nowhere.yaml", "nowhere.yaml"),
        ("2-reasoning-rl.rewards=../specs/none.yaml", "../specs/none.yaml"),
        ("2-reasoning-rl.kind=grpo", "2-reasoning-rl.yaml"),
        ("2-reasoning-rl.model=$stage.1-cold", "no stage '1-cold' comes before it; try 1-cold-start"),
        ("1-cold-start.model=$stage.4-all-scenarios-rl", "no stage '4-all-scenarios-rl' comes before it"),
        ("3-rejection-sft.data.0.judge.model=$stage.5", "no stage '5' comes before it"),
        ("2-reasoning-rl.segments.0.problems.tasks=[maths]", "no task 'maths'"),
        ("2-reasoning-rl.segments.0.problems.count=0", "2-reasoning-rl.yaml: segments.0.problems.count:"),
        ("2-reasoning-rl.rollout.group=1", "2-reasoning-rl.yaml: rollout.group:"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(recipe: Path, change: str, told: str) -> None:
    assert told in mistake(recipe, [change])


def test_segments_are_whole_rollouts(recipe: Path) -> None:
    said = mistake(recipe, ["2-reasoning-rl.rollout.minibatches=2"])
    assert "segment 0 has 3 steps, which is not a whole number of rollouts of 2 minibatches" in said
    assert f"{recipe}/2-reasoning-rl.yaml" in said
    said = mistake(recipe, ["2-reasoning-rl.rollout.minibatches=3", "2-reasoning-rl.rollout.group=4"])
    assert "must divide into the minibatches" in said


def test_a_stage_without_a_file_and_files_that_are_no_recipe(recipe: Path) -> None:
    text = (recipe / "pipeline.yaml").read_text()
    (recipe / "pipeline.yaml").write_text(text.replace("1-cold-start,", "1-cold-strat,"))
    assert f"there is no file {recipe}/1-cold-strat.yaml" in mistake(recipe)
    (recipe / "pipeline.yaml").write_text("stages: []")
    assert "stages must list" in mistake(recipe)
    (recipe / "pipeline.yaml").write_text("- a list")
    assert "a recipe file is a mapping" in mistake(recipe)
    (recipe / "pipeline.yaml").write_text("stages: [unclosed")
    assert "pipeline.yaml" in mistake(recipe)


def test_no_recipe_names_those_beside_it(recipe: Path) -> None:
    said = mistake(recipe.parent / "tny")
    assert "it has no pipeline.yaml" in said and "recipes beside it: tiny" in said


def test_a_missing_key_is_named(recipe: Path) -> None:
    text = (recipe / "2-reasoning-rl.yaml").read_text()
    (recipe / "2-reasoning-rl.yaml").write_text(text.replace("model:", "# model:"))
    assert f"{recipe}/2-reasoning-rl.yaml: the key 'model' is missing" in mistake(recipe)
