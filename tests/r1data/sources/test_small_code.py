from __future__ import annotations

import pytest

from r1data.sources import load_source
from r1data.sources.base import rng_for
from r1data.sources.code_families import FAMILIES, PARAMS
from r1data.sources.small_code import ASSERTS, asserts
from r1rewards import code


def test_there_are_families_enough():
    assert len(FAMILIES) >= 25


@pytest.mark.parametrize("name", FAMILIES)
def test_asserts_come_to_an_end_and_no_constant_passes_them(name):
    family = FAMILIES[name]
    for seed in range(40):
        rng = rng_for(name, seed)
        params = {key: PARAMS[key](rng) for key in family.params}
        lines = asserts(rng, family, params, "f")
        assert len(lines) == ASSERTS
        assert len({line.rpartition(" == ")[2] for line in lines}) > 1


def test_the_solution_is_what_the_text_says():
    problem = load_source("small-code", count=1, seed=0, families=["label"])[0]
    k, (yes, no) = problem["meta"]["params"]["k"], problem["meta"]["params"]["labels"]
    name = problem["meta"]["name"]
    assert problem["meta"]["solution"] == (
        f"def {name}(x):\n    if x > {k}:\n        return '{yes}'\n    return '{no}'"
    )
    assert f"`{name}(x)`" in problem["prompt"][0]["content"]
    assert all(line.startswith(f"assert {name}(") for line in problem["reference"]["asserts"])


def test_every_family_is_solved_in_the_sandbox():
    problems = load_source("small-code", count=2 * len(FAMILIES), seed=8, language="both")
    assert {p["meta"]["family"] for p in problems} == set(FAMILIES)
    verdicts = list(code.check_many([(p["meta"]["solution"], p["reference"]) for p in problems]))
    failed = [
        (p["id"], verdict.reason) for p, verdict in zip(problems, verdicts, strict=True) if verdict.value != 1
    ]
    assert failed == []


def test_a_constant_fails_in_the_sandbox():
    problem = load_source("small-code", count=1, seed=8, families=["add"])[0]
    wrong = f"def {problem['meta']['name']}(x):\n    return 0"
    assert code.check(wrong, problem["reference"]).value == 0
