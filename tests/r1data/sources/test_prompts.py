from __future__ import annotations

from r1data.content import load
from r1data.sources import load_source


def test_the_ids_are_those_of_the_content():
    assert [p["id"] for p in load_source("prompts", count=999, seed=0)] == [r["id"] for r in load("general")]


def test_tasks_domains_and_thinking():
    general = load_source("prompts", count=999, seed=0)
    assert {p["task"] for p in general} == {"general"}
    assert {p["domain"] for p in general} >= {"qa", "writing", "roleplay", "long_text"}
    assert all((p.get("thinking") == "none") == (p["domain"] == "greeting") for p in general)
    safety = load_source("prompts", count=999, seed=0, set="safety", language="zh")
    assert {(p["task"], p["domain"], p["language"]) for p in safety} == {("safety", "safety", "zh")}


def test_the_seed_chooses():
    one, two = (load_source("prompts", count=20, seed=seed) for seed in (1, 2))
    assert len(one) == 20 and one != two and one == load_source("prompts", count=20, seed=1)
