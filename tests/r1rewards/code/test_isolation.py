"""The tiers, each on the same programs: what holds in all of them, and what only some can give."""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from r1rewards import code
from r1rewards.code import kernel, languages, seccomp
from r1rewards.code.pool import POOL, SAFE_TIERS
from r1rewards.code.zygote import APART
from r1rewards.core.errors import UserError

SQUARES = {"tests": [{"input": "3", "output": "9"}, {"input": "7", "output": "49"}]}
SQUARE = "print(int(input()) ** 2)"


@pytest.fixture(params=SAFE_TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    if fault := POOL.fault(request.param):
        pytest.skip(fault)
    return str(request.param)


def status(program: str, tier: str, **limits: float) -> str:
    return str(code.check(program, SQUARES, isolation=tier, limits=limits).details["tests"][0])


def test_honest_programs_pass(tier: str) -> None:
    assert status(SQUARE, tier) == "ok"
    filing = "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x')\n"
    assert status(filing + SQUARE, tier) == "ok"
    assert (
        status(f"import threading\nthreading.Thread(target=exec, args=({SQUARE!r},)).start()", tier) == "ok"
    )
    asserts = {"asserts": ["assert f(1) == 1", "assert f([1]) == [1]"]}
    assert code.check("def f(n): return n", asserts, isolation=tier).value == 1
    assert code.check("def f(n): return 2", asserts, isolation=tier).value == 0


def test_processes(tier: str) -> None:
    forking = "import os\nif os.fork() == 0:\n    print(int(input()) ** 2, flush=True)\nelse:\n    os.wait()"
    assert status(forking, tier) == ("ok" if tier in APART else "runtime")


@pytest.mark.parametrize(
    ("program", "ends"),
    [
        ("open('/etc/passwd')", "runtime"),
        ("open('/usr/probe', 'w')", "runtime"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 80))", "runtime"),
        ("while True: pass", "time"),
        ("import time\ntime.sleep(100)", "time"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
        ("while True: print('x' * 1000)", "output"),
    ],
)
def test_hostile_programs_fail(program: str, ends: str, tier: str) -> None:
    time_s = 5 if ends == "memory" else 1  # touching memory takes time as well
    assert status(f"{program}\n{SQUARE}", tier, time_s=time_s, memory_mb=200, output_mb=4) == ends
    assert status(SQUARE, tier) == "ok"


def test_the_working_folder_is_small(tier: str) -> None:
    filling = "for i in range(9): open(f'{i}', 'wb').write(bytes(1 << 20))\n"
    assert status(filling + SQUARE, tier, output_mb=4) == ("runtime" if tier in APART else "ok")


@pytest.mark.skipif(not Path("/usr/bin/g++").exists(), reason="g++ is missing")
def test_compilers_need_processes(tier: str) -> None:
    reference = {"tests": [{"input": "", "output": "9"}], "lang": "cpp"}
    verdict = code.check('#include <cstdio>\nint main() { puts("9"); }', reference, isolation=tier)
    assert (verdict.value, verdict.status) == ((1, "value") if tier in APART else (None, "error"))


def test_an_environment_below_tmp_is_seen(monkeypatch: pytest.MonkeyPatch, tier: str) -> None:
    """A box has a /tmp of its own, but what is imported late must be found there all the same."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        package = Path(folder) / "found_late"
        package.mkdir()
        (package / "__init__.py").write_text("power = 2")
        Path(folder).chmod(0o755)
        usual = languages.flavour("python")
        changed = replace(usual, paths=(*usual.paths, folder), folders=(*usual.folders, folder))
        monkeypatch.setattr(languages, "flavour", lambda name: changed)
        POOL.close()
        try:
            program = "import found_late\nprint(int(input()) ** found_late.power)"
            assert status(program, tier) == "ok"
            assert status(f"open({str(package / 'x')!r}, 'w')\n{program}", tier) == "runtime"
        finally:
            POOL.close()


_LOOK = """
import glob, os, sys
said = [repr(vars(module)) for module in list(sys.modules.values())]
said += [sys.executable, *sys.path, sys.prefix, sys.exec_prefix, *sys.orig_argv]
said.append(repr(sys.path_importer_cache))
for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):
    try:
        said.append(open(path).read())
    except OSError:
        pass
frame = sys._getframe()
while frame := frame.f_back:
    said += [repr(part) for part in (frame.f_code, frame.f_code.co_consts, frame.f_locals, frame.f_globals)]
hidden = [text[::-1] for text in HIDDEN]
print(int(input()) ** 2 if not [text for text in said for secret in hidden if secret in text] else 'told')
"""


def test_a_program_is_not_told_where_it_is_on_the_host(tier: str) -> None:
    """Neither by command lines nor by what the sandbox has left in the program's own process."""
    hidden = {str(Path(code.__file__).parents[1])}
    if Path(sys.executable).is_symlink():
        hidden.add(sys.executable)
    assert status(_LOOK.replace("HIDDEN", repr([path[::-1] for path in hidden])), tier) == "ok"


def test_a_tier_that_does_not_hold_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(POOL, "_faults", {"A": "no namespaces", "B+bubblewrap": "no bubblewrap", "B": None})
    with pytest.raises(UserError, match="no namespaces"):
        code.check(SQUARE, SQUARES, isolation="A")
    assert POOL.tier("auto") == "B"
    monkeypatch.setattr(POOL, "_faults", dict.fromkeys(SAFE_TIERS, "nothing"))
    with pytest.raises(UserError, match="unsafe"):
        code.check(SQUARE, SQUARES)


_HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", _HEADERS)
def test_system_calls_have_the_numbers_of_the_headers(machine: str) -> None:
    """Of both machines, so that the table of the one that tests do not run on is right as well."""
    if not _HEADERS[machine].exists():
        pytest.skip(f"there is no {_HEADERS[machine]}")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", _HEADERS[machine].read_text())
    numbers = {name: int(number) for name, number in found}
    column = list(_HEADERS).index(machine)
    ours = {**seccomp.DENIED, **seccomp.SELF_ONLY, **seccomp.FORKS, **seccomp.KILLS, **kernel.NUMBERS}
    known = {name: row[column] for name, row in ours.items() if name in numbers}
    assert len(known) > 80
    assert known == {name: numbers[name] for name in known}
