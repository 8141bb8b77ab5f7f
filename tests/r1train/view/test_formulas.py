from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from r1train.view.formulas import ATTRIBUTES, ELEMENTS, FORMULAS, LENGTH, formulas, mathml

#: Commands by which LaTeX reaches markup, styles, links or macros.
HOSTILE = [
    r"$\text{<script>window.broken=true</script>}$",
    r"$\text{&lt;img src=x onerror=window.broken=true&gt;}$",
    r"$\text{&#60;script&#62;window.broken=true&#60;/script&#62;}$",
    r"$\href{javascript:window.broken=true}{x}$",
    r"$\style{position:fixed;background:url(http://x)}{x}$",
    r"$\class{bar}{x}$",
    r"$\color{red}{x}$",
    r'$\hspace{1em" onclick="window.broken=true}$',
    r"\boxed{<b onclick=window.broken=true>1</b>}",
    r"$\def\a{\a\a}\a$",
    r"$\newcommand{\a}{xx}\a$",
]


def elements(page: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(f"<div>{page}</div>").iter())


def test_formulas_of_every_kind_are_drawn() -> None:
    page = formulas(r"So $x = \frac{1}{2}$, \(y\), \[z\], $$w^2$$ and \boxed{\sqrt{3}} hold.")
    assert page.count("<math") == 5
    assert page.count('display="block"') == 2
    assert "<mfrac>" in page and "<menclose" in page
    assert page.startswith("So <span") and page.endswith(" hold.")


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and then $6 more.",
        r"an escaped \$5\$ price",
        "$ x $",
        "open $x and never closed",
        r"\[ never closed",
        r"\boxed{never closed",
        "$$$$",
        "$x^$",
        "nothing here",
    ],
)
def test_what_is_no_formula_stays_text(text: str) -> None:
    assert "<math" not in formulas(text)
    assert formulas(text) == text.replace("<", "&lt;")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_formula_becomes_no_markup_and_no_link(text: str) -> None:
    page = formulas(text)
    for element in elements(page):
        assert element.tag in ELEMENTS | {"div", "span"}, text
        assert set(element.attrib) <= (ATTRIBUTES if element.tag in ELEMENTS else {"class", "title"}), text
        assert not any(
            value.startswith("javascript") for name, value in element.attrib.items() if name != "title"
        )


@given(st.lists(st.sampled_from([*"$\\{}[]()&<>\"'^_ ab1/|", "\\frac", "\\text{", "\\boxed{"])).map("".join))
@example("$a<b$ & $\\text{<}$")
def test_any_text_becomes_a_well_formed_page_of_known_elements(text: str) -> None:
    for element in elements(formulas(text)):
        assert element.tag in ELEMENTS | {"div", "span"}


def test_hidden_characters_are_marked_also_where_a_formula_holds_them() -> None:
    page = formulas("$x\u202ey$ and \u200b")
    assert "<math" not in page
    assert page.count("hidden-char") == 2 and "\u202e" not in re.sub("<[^>]*>", "", page)


@pytest.mark.parametrize(
    "text",
    [
        "$" * 200_000,
        "\\[" * 100_000,
        "\\boxed{" * 30_000,
        "$" + "{" * 300_000,
        "$x$" * 60_000,
        "\\(" + "x" * 300_000,
    ],
)
def test_a_long_text_takes_no_time(text: str) -> None:
    began = time.perf_counter()
    page = formulas(text)
    assert time.perf_counter() - began < 20
    assert page.count("<math") <= FORMULAS


@pytest.mark.parametrize(
    "latex", ["x" * (LENGTH + 1), "{" * 40 + "}" * 40, r"\left(" * 30, r"\def\a{b}\a", r"\newcommand\a{b}\a"]
)
def test_what_could_grow_is_not_read(latex: str) -> None:
    assert mathml(latex, False) is None
