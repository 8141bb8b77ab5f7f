from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.core.errors import UserError
from r1train.report import write_markdown
from r1train.report.headline import headline
from r1train.report.markdown import fenced, inline, reading
from r1train.report.run import load_run
from r1train.report.text import HIDDEN

#: A fence and what it holds, as CommonMark reads a document: the first fence that is as long closes it.
FENCE = re.compile(r"^(?P<fence>`{3,})\w+\n(?P<text>.*?)\n(?P=fence)`*$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def document(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_markdown(run, tmp_path_factory.mktemp("docs") / "what-the-demo-shows.md")


@pytest.fixture(scope="module")
def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_it_says_what_made_it_and_how_to_make_it_again(text: str) -> None:
    assert text.startswith("# What the demo shows\n")
    said = text.split("\n## ", 1)[0]
    for fact in (
        "recipe smollm2-135m",
        "seed 17",
        "commit abc1234",
        "torch 2.13.0",
        "2 cores",
        " min of steps",
    ):
        assert fact in said
    assert "$ r1train run recipes/smollm2-135m\n$ r1train report " in said
    assert "unfinished" not in said


def test_the_command_is_the_run_s_own(unfinished: Callable[[int], Path], tmp_path: Path) -> None:
    run = unfinished(0)
    versions = json.loads((run / "versions.json").read_text())
    versions["command"] = "/somewhere/.venv/bin/r1train run recipes/smollm2-135m --set seed=1"
    (run / "versions.json").write_text(json.dumps(versions))
    text = write_markdown(run, tmp_path / "it.md").read_text(encoding="utf-8")
    assert "\n$ r1train run recipes/smollm2-135m --set seed=1\n" in text
    assert "somewhere" not in text


def test_each_stage_has_its_row(run: Path, text: str) -> None:
    rows = section(text, "Results by stage")
    for stage, cells in headline(load_run(run)):
        figures = " | ".join(cell.lines().replace("\n", "<br>") for cell in cells.values())
        assert f"\n| {stage.title} | {figures} |" in rows


def test_each_stage_is_compared_with_the_one_before(run: Path, text: str) -> None:
    said = section(text, "Is each stage better than the one before?")
    compared = json.loads((run / "2-reasoning-rl" / "evaluation" / "summary.json").read_text())["compare"]
    found = compared["all"]["accuracy"]
    words = f"{reading(found)} in accuracy, +{100 * found['difference']:.1f} points"
    assert f"- **2 · reasoning RL** against 1 · cold start: {words}" in said
    assert "| writing |" in section(text, "General prompts")


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.3, "gained"),
        (-0.3, -0.1, "lost"),
        (-0.1, 0.2, "no clear difference"),
        (0, 1, "no clear difference"),
    ],
)
def test_a_difference_is_told_in_words(low: float, high: float, word: str) -> None:
    assert reading({"low": low, "high": high}) == word


def test_pictures_are_well_formed_and_labelled(document: Path, text: str) -> None:
    pictures = [document.parent / link for link in PICTURE.findall(FENCE.sub("", text))]
    assert sorted(path.name for path in pictures) == [
        f"{stage}.svg"
        for stage in ("1-cold-start", "2-reasoning-rl", "3-rejection-sft", "4-all-scenarios-rl")
    ]
    for path in pictures:
        assert path.stat().st_size < 150_000
        words = {element.text for element in ElementTree.parse(path).iter() if element.tag.endswith("}text")}
        assert "step" in words
        shown = {"Loss"} if path.stem.endswith("sft") or path.stem.startswith("1") else {"Reward", "math"}
        assert (
            shown | ({"KL to the reference", "Groups without variance"} if "math" in shown else set())
            <= words
        )


def test_data_and_time_are_told(text: str) -> None:
    assert "| 0 · data | split | 594 | – | held_out 100<br>train 494 |" in text
    assert "wrong_answer 410<br>unclosed 64" in section(text, "What curation kept")
    assert "evaluate " in section(text, "Where the time went")


def test_hostile_text_stays_in_its_fence(unfinished: Callable[[int], Path], tmp_path: Path) -> None:
    worst = "\n```\n```python\nimport os\n```\n`````\n# broken\n<script>1</script> \u202e\x1b [x](broken:y)\r"
    run = unfinished(5)
    for file in run.glob("*/evaluation/scored.jsonl"):
        rows = [
            json.loads(line) | {"text": worst, "prompt": worst, "reference": worst} for line in file.open()
        ]
        file.write_text(
            "".join(json.dumps(row | {"problem_id": f"|`<b>{row['problem_id']}"}) + "\n" for row in rows)
        )
    text = write_markdown(run, tmp_path / "it.md").read_text(encoding="utf-8")
    inside = [match["text"] for match in FENCE.finditer(text)]
    assert len(inside) == 1 + 3 * (2 + 5)
    assert all("import os" in found and "⟨U+202E⟩⟨U+001B⟩" in found for found in inside[1:])
    outside = FENCE.sub("", text)
    assert not any(sign in outside for sign in ("broken", "import os", "<script", "```"))
    assert "\\|\\`\\<b\\>math-" in outside
    assert not HIDDEN.search(text)


@given(st.text(st.sampled_from("`~\n a>\\#\r\u2028\u202e")))
def test_a_fence_is_longer_than_what_it_holds(inner: str) -> None:
    found = FENCE.fullmatch(fenced(inner))
    assert found and found["fence"] not in found["text"]


@given(st.text())
def test_a_name_is_one_line_of_plain_text(name: str) -> None:
    shown = inline(name)
    assert "\n" not in shown
    assert not re.search(r"[\\|`<*\[\]]", re.sub(r"\\[^a-zA-Z0-9\s]", "", shown))


def test_the_same_run_gives_the_same_bytes(run: Path, document: Path, tmp_path: Path) -> None:
    again = write_markdown(run, tmp_path / document.name)
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (document.parent, tmp_path)
    )
    assert len(first) == 5 and first.keys() == second.keys()
    # where the document stands is in the command that writes it again
    here, there = (str(path.parent).encode() for path in (document, again))
    assert {path: data.replace(here, there) for path, data in first.items()} == second


@pytest.mark.parametrize("finished", range(5))
def test_a_run_at_work_has_a_document_too(
    unfinished: Callable[[int], Path], finished: int, tmp_path: Path
) -> None:
    text = write_markdown(unfinished(finished), tmp_path / "it.md").read_text(encoding="utf-8")
    assert "**This run is unfinished.**" in text
    assert "(pending)" in text or finished == 0 or "(running)" in text


def test_a_run_that_has_only_begun_has_a_document_too(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"stages": []}')
    text = write_markdown(tmp_path, tmp_path / "it.md").read_text(encoding="utf-8")
    assert "Nothing is evaluated yet." in text and "Nothing is timed yet." in text


def test_notes_are_quoted_as_they_are(
    unfinished: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, said = (
        unfinished(1),
        "Twice the rate:\n\n| tried | came of it |\n| --- | --- |\n| 2e-5 | *nothing* |",
    )
    monkeypatch.chdir(tmp_path)
    assert "What did not work" not in write_markdown(run, Path("it.md")).read_text()
    notes = tmp_path / "recipes" / "smollm2-135m" / "NOTES.md"
    notes.parent.mkdir(parents=True)
    notes.write_text(said)
    assert write_markdown(run, Path("it.md")).read_text().endswith(f"## What did not work\n\n{said}\n")
    other = tmp_path / "other.md"
    other.write_text("Other.")
    assert write_markdown(run, Path("it.md"), other).read_text().endswith("## What did not work\n\nOther.\n")


def test_mistakes_are_told_before_anything_is_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"must end in \.md"):
        write_markdown(run, tmp_path / "docs")
    with pytest.raises(UserError, match="give --notes a Markdown file"):
        write_markdown(run, tmp_path / "it.md", tmp_path / "none.md")
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    with pytest.raises(UserError, match=r"pip install 'r1kit\[docs\]'"):
        write_markdown(run, tmp_path / "it.md")
    assert list(tmp_path.iterdir()) == []
