"""What goes in and what comes out: large, odd, and none at all."""

from __future__ import annotations

import pytest

from r1rewards import code

pytestmark = pytest.mark.skipif("code.pool.POOL.best_tier()[0] == 'C'", reason="no safe sandbox here")

LARGE = "\n".join(str(n) for n in range(1_400_000))  # ten million characters
ECHO = "import sys\nsys.stdout.write(sys.stdin.read())"


def value(program: str, given: str, wanted: str, **reference: str) -> float | None:
    return code.check(program, {"tests": [{"input": given, "output": wanted}], **reference}).value


def test_ten_megabytes_in_and_out() -> None:
    assert value(ECHO, LARGE, LARGE) == 1
    assert value(ECHO, LARGE, LARGE, checker="exact") == 1
    assert value("for n in range(1_400_000): print(n)", "", LARGE) == 1
    assert value("for n in range(1_400_000): print(n)", "", f"{LARGE}0") == 0
    assert value("print('x' * 10_000_000)", "", "x" * 10_000_000) == 1
    assert value("print(sum(map(int, open(0))))", LARGE, "979999300000") == 1


@pytest.mark.parametrize("given", ["é 你好 \U0001f600", "a\tb", "no end of line", "\n\n1\n\n", "\x00", ""])
def test_text_passes_as_it_is(given: str) -> None:
    assert value(ECHO, given, given, checker="exact") == 1


def test_line_endings_of_windows() -> None:
    assert value("print(int(input()) + int(input()))", "1\r\n2\r\n", "3\r\n") == 1
    assert value("import os\nos.write(1, os.read(0, 99))", "1\r\n2", "1\r\n2", checker="exact") == 1


def test_no_input_is_the_end_of_the_file() -> None:
    program = "try:\n    input()\nexcept EOFError:\n    print('end')"
    assert value(program, "", "end") == 1


def test_bytes_that_are_no_text_are_no_answer() -> None:
    assert value("import sys\nsys.stdout.buffer.write(b'\\xff9')", "", "9") == 0
    assert value("print('9\\0')", "", "9") == 0
