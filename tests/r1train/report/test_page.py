from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.core.errors import UserError
from r1train.report import write_report
from r1train.report.page import script_json, seeds


class Page(HTMLParser):
    """The elements of a page with their attributes, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts.append(data)
        elif self._in != "style":
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    path = write_report(run)
    assert path == run / "report.html"
    assert path.stat().st_size < 10_000_000
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_needs_nothing_else(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        assert "src" not in attributes, tag
        if tag == "link":
            assert attributes["href"] == "data:,"
        elif "href" in attributes:
            assert str(attributes["href"]).startswith("#"), attributes
        assert not any(name.startswith("on") for name in attributes), attributes


def test_links_lead_to_sections(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    links = {str(attributes["href"])[1:] for tag, attributes in page.elements if tag == "a"}
    assert links == {
        "results",
        "differences",
        "domains",
        "curves",
        "data",
        "verdicts",
        "samples",
        "time",
        "made-with",
    }
    assert links <= ids


def test_only_the_scripts_of_the_page_may_run(page: Page) -> None:
    """Two scripts by hash, and one that is data; hostile text has not made another."""
    policy = next(str(a["content"]) for tag, a in page.elements if tag == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    kinds = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    assert kinds == ["application/json", None, None]
    plotly, own = page.scripts[-2:]
    for script in (plotly, own):
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert plotly.count("plotly.js v") >= 1


def test_every_chart_has_its_figure(page: Page) -> None:
    figures = json.loads(page.scripts[0])
    charts = [int(str(a["data-figure"])) for tag, a in page.elements if a.get("class") == "chart"]
    assert charts == list(range(len(figures)))
    assert len(figures) > 40


def test_hostile_text_stays_text(text: str, page: Page) -> None:
    words = "".join(page.words)
    assert "</script><script>window.broken = true</script><img src=x onerror='window.broken = true'>" in words
    assert "[link](javascript:window.broken=true)" in words
    assert "{{ 7*7 }}" in words
    assert "this line goes on for 299,000 characters" in words
    assert "U+202E" in words
    body = text[text.index("<main>") : text.index("</main>")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", body)


def test_figures_of_the_run_are_on_the_page(page: Page) -> None:
    words = " ".join(" ".join(page.words).split())
    assert "finished" in words
    assert "less 3 · rejection SFT" in words
    assert "arXiv 2501.12948" in words
    assert "language: zh" in words
    assert "torch 2.13.0" in words
    assert "seed 17" in words
    assert "This run is unfinished" not in words


def test_the_same_run_gives_the_same_page(run: Path, text: str) -> None:
    assert write_report(run).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("finished", range(5))
def test_a_run_at_work_has_a_page_too(unfinished: Callable[[int], Path], finished: int) -> None:
    words = " ".join(Page(write_report(unfinished(finished)).read_text(encoding="utf-8")).words)
    assert "This run is unfinished." in words
    assert "is running" in words


def test_a_run_that_has_only_begun_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"stages": []}')
    words = " ".join(Page(write_report(tmp_path).read_text(encoding="utf-8")).words)
    assert tmp_path.name in words
    assert "Nothing is evaluated yet." in words


def test_the_worst_text_and_a_long_training_do_not_swell_the_page(unfinished: Callable[[int], Path]) -> None:
    run = unfinished(5)
    for file in run.glob("*/evaluation/scored.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        worst = ("\u202e" * 400 + "'<" * 250 + "\n") * 20
        for row in rows:
            row["text"] = f"<think>{worst}</think><answer>{worst}</answer>"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for stage in ("2-reasoning-rl", "4-all-scenarios-rl"):
        metrics = run / stage / "train" / "metrics.jsonl"
        names = json.loads(metrics.read_text().splitlines()[0])
        lines = (dict.fromkeys(names, i / 7) | {"step": i, "segment": 0} for i in range(1, 1501))
        metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert write_report(run).stat().st_size < 10_000_000


def test_no_run_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run directory"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_in_a_script_cannot_leave_it(value: object) -> None:
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_seeds_are_found_where_they_stand() -> None:
    recipe = "seed: 1\nstages:\n  - {seed: 2, name: a}\n  - {train: {seed: 3}}\n"
    assert list(seeds(recipe)) == [("seed", 1), ("stages[0].seed", 2), ("stages[1].train.seed", 3)]
    assert list(seeds("a: [")) == []
