"""The browser of rollouts in a real browser, served by the command itself."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r1rewards.core.store import write_rows
from tests.r1train.conftest import scored

pytestmark = pytest.mark.long

STEPS = 13
FORMULA = r"so $x = \frac{1}{2}$, hence \boxed{\sqrt{3}} and $\text{<img src=x onerror=window.broken=1>}$"


def write_step(run: Path, step: int, dice: random.Random) -> Path:
    """The file of a step of training: 400 groups of four, with formulas."""
    rows = []
    for problem in range(2, 402):
        for sample in range(4):
            row = scored(problem, "math", sample, "base", dice)
            row["text"] = (
                row["text"]
                .replace("So it is", FORMULA + " so it is")
                .replace("<answer>", f"<answer>{FORMULA} ")
            )
            more = {"uid": f"{step}-{row['uid']}", "group": problem, "step": step}
            rows.append(row | more | {"advantage": dice.gauss(0, 1)})
    file = run / "2-reasoning-rl" / "train" / "rollouts" / f"step-{step:06}.parquet"
    write_rows(file, rows)
    return file


@pytest.fixture(scope="module")
def viewed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with over 20,000 rollouts."""
    copy = shutil.copytree(run, tmp_path_factory.mktemp("viewed") / "run")
    dice = random.Random(5)
    for step in range(9, 9 + STEPS):
        write_step(copy, step, dice)
    return copy


@pytest.fixture(scope="module")
def address(viewed: Path) -> Iterator[str]:
    """Where the command serves it."""
    command = [sys.executable, "-m", "r1train", "view", str(viewed), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert said is not None
            yield said[0]
        finally:
            server.terminate()


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page that may ask only this server, and complain of nothing."""
    problems: list[str] = []
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1400, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on(
        "request",
        lambda sent: problems.append(sent.url) if not sent.url.startswith((address, "data:")) else None,
    )
    page.goto(f"{address}/rollouts")
    yield page
    assert problems == []
    assert page.evaluate("window.broken") is None
    context.close()


def total(page: Any) -> int:
    return int(page.inner_text("#list .found b").replace(",", ""))


def changes(page: Any, act: Any) -> int:
    """How many responses the list names after this has been done to the filter."""
    with page.expect_response(lambda answer: "/rows?" in answer.url):
        act()
    page.locator("#list:not(.waiting)").wait_for()
    return total(page)


def test_filters_narrow_the_list_and_stand_in_the_address(page: Any) -> None:
    everything = total(page)
    part = changes(page, lambda: page.select_option("[name=place]", "2-reasoning-rl/train"))
    assert part == 64 + STEPS * 1600 < everything
    assert everything > 20_000
    right = changes(page, lambda: page.select_option("[name=said]", "math: 1"))
    step = changes(page, lambda: page.fill("[name=first_step]", "9"))
    changes(page, lambda: page.fill("[name=last_step]", "9"))
    found = changes(page, lambda: page.fill("[name=text]", "What is 1"))
    assert part > right > step > found > 0
    assert "text=What" in page.url
    page.reload()
    assert total(page) == found
    assert page.input_value("[name=text]") == "What is 1"
    assert changes(page, lambda: page.click("#clear")) == everything


def test_the_list_goes_on_as_one_scrolls(page: Any) -> None:
    changes(page, lambda: page.select_option("[name=place]", "2-reasoning-rl/train"))
    rows = page.locator("#list a.row")
    assert rows.count() <= 120
    for _ in range(4):
        before = rows.count()
        page.evaluate("document.querySelector('aside').scrollBy(0, 1e6)")
        rows.nth(before).wait_for(state="attached")
    assert rows.count() > 240
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_group_opens_with_thinking_folded_and_formulas_drawn(page: Any) -> None:
    changes(page, lambda: page.fill("[name=first_step]", "9"))
    page.locator("#list a.row").nth(2).click()
    cards = page.locator(".cards .card")
    cards.first.wait_for()
    assert cards.count() == 4
    assert page.locator(".card.open").count() == 1
    for word in ("reward", "equal", "9 of 10 words"):
        assert word in page.inner_text(".cards") or "different" in page.inner_text(".cards")
    fraction = page.locator(".card .answer mfrac").first
    fraction.wait_for()
    above, below = (fraction.locator("> *").nth(n).bounding_box() for n in (0, 1))
    assert above["y"] + above["height"] <= below["y"] + 1, "the browser draws the fraction"
    thinking = page.locator(".thinking").first
    assert "Let me see" not in page.locator(".card").first.inner_text()
    with page.expect_response(lambda answer: "/thinking?" in answer.url):
        thinking.locator("summary").click()
    thinking.locator("mfrac").first.wait_for()
    assert "Let me see" in thinking.inner_text()
    with page.expect_response(lambda answer: "plain=1" in answer.url):
        page.uncheck("#formulas")
    page.locator(".card mfrac").first.wait_for(state="detached")
    assert r"\frac{1}{2}" in page.inner_text(".card .answer")


def test_a_run_in_progress_is_followed(page: Any, viewed: Path) -> None:
    everything = total(page)
    news = page.locator("#news")
    assert not news.is_visible()
    written = write_step(viewed, 99, random.Random(9))
    try:
        news.wait_for()
        assert news.inner_text() == "1,600 new responses: show"
        news.click()
        page.locator("#list .found b", has_text=f"{everything + 1600:,}").wait_for()
        assert not news.is_visible()
    finally:
        written.unlink()
    news.wait_for()
    assert news.inner_text() == "The run has changed: show"


def test_keys_go_through_the_list(page: Any) -> None:
    page.keyboard.press("j")
    page.locator(".card.open").wait_for()
    first = page.url
    with page.expect_response(lambda answer: "/group?" in answer.url):
        page.keyboard.press("j")
    page.wait_for_url(lambda url: url != first)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "text"


def test_hostile_text_is_only_read(page: Any) -> None:
    assert changes(page, lambda: page.fill("[name=text]", "</script><script>window.broken")) > 0
    page.locator("#list a.row").first.click()
    page.locator(".cards").wait_for()
    for folded in page.locator(".card details").all():
        folded.evaluate("folded => { folded.open = true; }")
    page.wait_for_timeout(300)
    assert page.locator("main img, main script, main iframe, main a[href^=javascript]").count() == 0
    shown = page.inner_text(".cards")
    assert "<img src=x onerror" in shown and "U+202E" in shown and "U+200B" in shown
    assert changes(page, lambda: page.fill("[name=text]", "x" * 40)) > 0
    page.locator("#list a.row").first.click()
    page.locator(".card", has_text="this line goes on").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_curation_shows_what_a_rule_dropped(page: Any, address: str) -> None:
    page.goto(f"{address}/curation")
    page.locator("a.fate", has_text="mixed_language").first.click()
    assert "22 rows" in page.inner_text("#list .found")
    assert "dropped by mixed_language: measured 0.25, threshold 0.95" in page.inner_text("#list")
    with page.expect_response(lambda answer: "/story?" in answer.url):
        page.locator(".story summary").first.click()
    page.locator(".story li").first.wait_for()
    with page.expect_response(lambda answer: "/curation/rows?" in answer.url):
        page.fill("[name=text]", "mixed_language-21")
    page.locator("#list .found b", has_text=re.compile("^1$")).wait_for()


def test_the_theme_follows_the_system_and_the_button(page: Any) -> None:
    light = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 128"
    assert page.evaluate(light) == page.evaluate("matchMedia('(prefers-color-scheme: light)').matches")
    page.click("#theme")
    assert page.evaluate(light)
    page.click("#theme")
    assert not page.evaluate(light)
    page.reload()
    assert not page.evaluate(light)
    page.click("#theme")
