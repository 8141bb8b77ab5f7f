"""The program in an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1rewards.code import extract
from r1rewards.code.extract import FAULTS


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("Here:\n```py\nprint(1)\n```\nDone.", "print(1)\n"),
        ("```\nprint(1)\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nbetter:\n```python\nprint(2)\n```", "print(2)\n"),
        ("```python\nprint(1)\n```\nrun it:\n```bash\npython x.py\n```", "print(1)\n"),
        ("```python\nprint(1)\n```\nIt prints\n```\n1\n```", "print(1)\n"),
        ("~~~python\nprint(1)\n~~~", "print(1)\n"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
        ("```Python3\r\nprint(1)\r\n```\r\n", "print(1)\n"),
        ('```python title="a.py"\nprint(1)\n```', "print(1)\n"),
    ],
)
def test_block(answer: str, source: str) -> None:
    assert extract(answer).source == source
    assert extract(answer).route == "block"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("I cannot do this.", "no_block"),
        ("42", "no_block"),
        ("```python\nprint(1)", "unclosed_block"),
        ("```cpp\nint main() {}\n```", "other_language"),
        ("```python\n\n```", "empty_block"),
    ],
)
def test_faults(answer: str, fault: str) -> None:
    assert extract(answer).fault == fault
    assert fault in FAULTS


def test_bare_python_is_taken() -> None:
    found = extract("def f(x):\n    return x\n")
    assert (found.route, found.source) == ("bare", "def f(x):\n    return x\n")


def test_language() -> None:
    answer = "```c++\nint main() {}\n```\n```python\nprint(1)\n```"
    assert extract(answer, "cpp").source == "int main() {}\n"
    assert extract(answer, "javascript").fault == "other_language"


@given(st.text(alphabet="`~ \nabpython1()=", max_size=200))
def test_never_fails_and_always_names(answer: str) -> None:
    found = extract(answer)
    assert bool(found.fault) != bool(found.route)
    assert not found.fault or found.fault in FAULTS
    assert bool(found.source.strip()) == bool(found.route)


@given(st.text(alphabet=st.characters(exclude_characters="`~\r", codec="utf-8"), min_size=1, max_size=200))
def test_a_fenced_text_comes_back(source: str) -> None:
    if source.strip():
        assert extract(f"words\n```python\n{source}\n```\nwords").source == source + "\n"
