"""What the commands share."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

import pytest

from r1rewards.core.console import bar, parse_pairs, print_table, track
from r1rewards.core.errors import UserError


def test_pairs() -> None:
    assert parse_pairs(["a=b, c = d", "e=f=g"], "--map") == {"a": "b", "c": "d", "e": "f=g"}
    assert parse_pairs([], "--map") == {}
    for bad in ("a", "a=", "=b", "a=b,", ""):
        with pytest.raises(UserError, match=r"^--map .*: write it as name=value"):
            parse_pairs([bad], "--map")


def test_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 1.0, 11.0, 12.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with bar("sampling") as shown:
        for done in (1, 2, 3, 4):
            shown(done, 304, "5 tokens/s")
    assert capsys.readouterr().err.splitlines() == [
        "sampling: 2 of 304, 55 min 22 s left, 5 tokens/s",
        "sampling: 4 of 304, 50 min 00 s left, 5 tokens/s",
    ]


@pytest.mark.parametrize(("quiet", "shown"), [(False, True), (True, False)])
def test_a_bar_on_a_terminal_unless_quiet(quiet: bool, shown: bool) -> None:
    leader, follower = pty.openpty()
    code = (
        f"from r1rewards.core.console import track\nprint(list(track(range(3), 'counting', quiet={quiet})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code.replace("\\\n", "\n")],
        stderr=follower,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.write(follower, b"end")
    assert (b"counting" in os.read(leader, 65536)) == shown
    assert done.stdout == "[0, 1, 2]\n"
    os.close(leader)
    os.close(follower)


def test_a_table_aligns_numbers_and_disarms_what_models_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "n", "x"], [["[bold]a[/bold]\x1b[2J", 1234567, 0.5], ["b", None, True]])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[bold]a[/bold]\N{REPLACEMENT CHARACTER}[2J" in out
    assert "1,234,567" in out
    assert [line.split() for line in out.splitlines() if line.strip().startswith("b")] == [["b", "-", "yes"]]
