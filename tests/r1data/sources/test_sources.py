"""What holds for every source: names, options, stable ids, no question twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from r1data.sources import get_source, load_source, source_names
from r1data.sources.base import digest, make_problem, rng_for
from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem

GENERATED = [
    ("arithmetic", {}),
    ("choice", {}),
    ("logic", {}),
    ("small-code", {"language": "both"}),
    ("reasoning-gym", {"dataset": "chain_sum"}),
]
BUILT_IN = {"arithmetic", "choice", "files", "hub", "logic", "prompts", "reasoning-gym", "small-code"}


def test_the_built_in_sources_are_found_as_entry_points():
    assert set(source_names()) >= BUILT_IN
    assert all(callable(get_source(name)) for name in BUILT_IN)


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'arithmetic'"):
        load_source("aritmetic", count=1, seed=0)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UserError, match="no option 'langage'; did you mean 'language'"):
        load_source("arithmetic", count=1, seed=0, langage="en")


def test_a_missing_option_is_named():
    with pytest.raises(UserError, match="needs the option 'dataset'"):
        load_source("reasoning-gym", count=1, seed=0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arithmetic", {"language": "fr"}, "must be one of en, zh, both"),
        ("arithmetic", {"kinds": ["sums"]}, "must be one of sum"),
        ("arithmetic", {"terms": [3, 2]}, "terms is"),
        ("arithmetic", {"digits": 0}, "digits is"),
        ("choice", {"kinds": ["essay"]}, "must be one of"),
        ("small-code", {"families": ["quicksort"]}, "must be one of"),
        ("prompts", {"set": "rude"}, "general, safety"),
        ("logic", {"datasets": []}, "datasets is empty"),
    ],
)
def test_a_bad_value_is_one_sentence(name, options, message):
    with pytest.raises(UserError, match=message):
        load_source(name, count=1, seed=0, **options)


@pytest.mark.parametrize(("name", "options"), GENERATED)
def test_equal_arguments_give_equal_rows_and_a_longer_list_begins_the_same(name, options):
    twenty = load_source(name, count=20, seed=4, **options)
    assert twenty == load_source(name, count=20, seed=4, **options)
    assert load_source(name, count=35, seed=4, **options)[:20] == twenty
    assert len({problem["id"] for problem in twenty}) == 20


@pytest.mark.parametrize(("name", "options"), GENERATED)
def test_rows_are_problems_with_distinct_keys(name, options):
    problems = load_source(name, count=40, seed=2, **options)
    assert len({problem["meta"]["key"] for problem in problems}) == 40
    for problem in problems:
        assert check_problem(problem, "here") == problem


@pytest.mark.parametrize(("name", "options"), GENERATED)
def test_neighbouring_seeds_are_different_problems(name, options):
    one = {problem["meta"]["key"] for problem in load_source(name, count=40, seed=1, **options)}
    two = {problem["meta"]["key"] for problem in load_source(name, count=40, seed=2, **options)}
    assert len(one & two) <= 8


def test_a_small_space_is_exhausted_with_a_sentence():
    with pytest.raises(UserError, match=r"only about 1.. different problems"):
        load_source("arithmetic", count=500, seed=0, kinds=["sum"], terms=2, digits=1)


def test_none_are_asked_for_none_come():
    assert load_source("arithmetic", count=0, seed=0) == []


def test_the_key_ignores_how_a_question_is_dressed():
    facts = {"kind": "story", "story": "gain", "a": 3, "b": 4}
    one = make_problem("1", "math", "Mia ...", "7", source="x", meta={**facts, "who": "Mia"})
    two = make_problem("2", "math", "小明 ...", "7", source="x", meta={**facts, "who": "小明", "unit": "个"})
    other = make_problem("3", "math", "Mia ...", "8", source="x", meta={**facts, "b": 5})
    assert one["meta"]["key"] == two["meta"]["key"] != other["meta"]["key"]


def test_the_key_of_a_choice_is_its_question_whatever_the_options():
    first, second = ({"kind": "choice", "of": {"kind": "sum", "terms": [1, n]}} for n in (2, 3))
    one = make_problem("1", "choice", "?", "A", source="x", meta={**first, "options": ["3", "4", "5", "6"]})
    two = make_problem("2", "choice", "?", "B", source="x", meta={**first, "options": ["9", "3", "5", "6"]})
    other = make_problem(
        "3", "choice", "?", "A", source="x", meta={**second, "options": ["3", "4", "5", "6"]}
    )
    assert one["meta"]["key"] == two["meta"]["key"] != other["meta"]["key"]


def test_random_numbers_depend_on_their_names_only():
    assert rng_for("a", 1).random() == rng_for("a", 1).random() != rng_for("a", 2).random()
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_problems_are_the_same_in_another_process():
    program = (
        "from r1data.sources import load_source\n"
        "from r1data.sources.base import digest\n"
        "print(digest([load_source(n, count=14, seed=9, **o) for n, o in ("
        "('logic', {}), ('choice', {}), ('small-code', {}))]))"
    )
    here = [load_source(n, count=14, seed=9) for n in ("logic", "choice", "small-code")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest(here)


def test_importing_the_sources_loads_nothing_heavy():
    program = (
        "import sys, r1data.sources, r1data.content, r1data.worked\n"
        "heavy = {'torch', 'vllm', 'sympy', 'transformers', 'datasets', 'polars', 'reasoning_gym'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
