"""The report in a real browser, with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r1train.report import write_report

pytestmark = pytest.mark.long


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, run: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The report opened offline; at the end nothing may have been asked for or complained about."""
    problems: list[str] = []
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": 1300, "height": 900}, offline=True
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda sent: problems.append(sent.url) if not sent.url.startswith(("file:", "data:")) else None,
    )
    page.goto(write_report(run).as_uri())
    yield page
    assert problems == []
    assert page.evaluate("window.broken") is None
    context.close()


def background(page: Any) -> int:
    """How light the page is: the red part of its background."""
    return int(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))


def test_all_charts_are_drawn_when_they_are_reached(page: Any) -> None:
    charts = page.locator(".chart")
    assert charts.count() > 40
    for index in range(charts.count()):
        chart = charts.nth(index)
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_theme_follows_the_system_and_the_button(page: Any) -> None:
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (background(page) < 128) == dark
    page.locator(".chart").first.scroll_into_view_if_needed()
    page.locator(".chart .main-svg").first.wait_for()
    ink = "getComputedStyle(document.querySelector('.chart .legendtext')).fill"
    seen = set()
    for name, light in (("light", True), ("dark", False)):
        page.click("#theme")
        assert page.inner_text("#theme") == f"Theme: {name}"
        assert (background(page) > 128) == light
        page.wait_for_timeout(300)
        seen.add(page.evaluate(ink))
    assert len(seen) == 2
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: auto"


def test_a_chart_zooms_and_tells_its_values(page: Any) -> None:
    chart = page.locator("#curves .chart").first
    chart.scroll_into_view_if_needed()
    chart.locator(".main-svg").first.wait_for()
    axis = "chart => chart._fullLayout.xaxis.range.map(Number)"
    before = chart.evaluate(axis)
    box = chart.locator(".nsewdrag").first.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    chart.locator(".hoverlayer text").first.wait_for()
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    after = chart.evaluate(axis)
    assert before[0] < after[0] < after[1] < before[1]


def test_thinking_unfolds_and_hostile_text_is_only_read(page: Any) -> None:
    thinking = page.locator("#samples details").first
    assert not thinking.locator(".model-text").is_visible()
    thinking.locator("summary").click()
    assert "Let me see" in thinking.locator(".model-text").inner_text()
    assert page.locator("main img, main a, main script").count() == 0
    assert "<img src=x onerror" in page.inner_text("#samples")
