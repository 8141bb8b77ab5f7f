"""The documents are true: what they show runs and prints what they say, what they name is there.

The fenced blocks of a document are gone through in order, in one folder, as a reader would:

    console    each `$ command` runs and prints the lines below it; `...` stands for any text
    python     runs in a process of its own; a comment behind a `print(...)` is what it prints
    <!-- file: NAME -->       before a block: its text is that file
    <!-- entry-points -->     before a block of TOML: a package with these entry points is installed
    <!-- not run: REASON -->  before a block: its commands are only checked to be there

Other kinds of block are text, whatever they hold: a longer fence quotes shorter ones.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")]
)
COMMANDS = {"r1rewards", "r1data", "r1train"}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^(?P<fence>`{3,})(?P<kind>\w+)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PRINT = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the comment before it, its language and its text."""

    line: int
    note: str
    kind: str
    text: str


def blocks(document: str) -> Iterator[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("kind")) + 1
        yield Block(line, match["note"] or "", match["kind"], match["text"])


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def agrees(printed: str, said: str) -> bool:
    """Whether the text is the one that is shown, spaces apart; `...` stands for anything."""

    def squeezed(text: str) -> str:
        return "\n".join(line for raw in text.splitlines() if (line := " ".join(raw.split())))

    pattern = ".*".join(re.escape(part) for part in squeezed(said).split("..."))
    return re.fullmatch(pattern, squeezed(printed), re.DOTALL) is not None


def install(folder: Path, text: str) -> None:
    """What installing a package with these entry points leaves for `importlib.metadata` to find."""
    info = folder / "documented-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: documented\nVersion: 1.0\n")
    lines = []
    for group, names in tomllib.loads(text)["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "100",
    }
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if any(blocks(name))])
def test_what_a_document_shows_happens(document: str, tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    for block in blocks(document):
        where = f"{document}, line {block.line}"
        if block.note.startswith("file: "):
            file = tmp_path / block.note.removeprefix("file: ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.note == "entry-points":
            install(tmp_path, block.text)
        elif block.note.startswith("not run: "):
            continue
        elif block.kind == "python":
            done = run([sys.executable, "-c", block.text], tmp_path)
            assert done.returncode == 0, f"{where}: {done.stderr}"
            assert agrees(done.stdout, "\n".join(_PRINT.findall(block.text))), (
                f"{where} printed {done.stdout}"
            )
        elif block.kind == "console":
            for command, said in commands(block):
                done = run(["bash", "-c", command], tmp_path)
                assert done.returncode in (0, 1), f"{where}: {command}: {done.stderr}"
                assert agrees(done.stdout, said), f"{where}: {command} printed\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_that_are_not_run_are_there(document: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in blocks(document):
        if block.kind != "console" or not block.note.startswith("not run: "):
            continue
        for command, _ in commands(block):
            where = f"{document}, line {block.line}: {command}"
            words = shlex.split(command, comments=True)
            if words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, where
            elif words[:2] == ["r1train", "run"]:
                done = run([*words, "--dry-run"], ROOT)  # reads the recipe and what --set says
                assert done.returncode == 0, f"{where}: {done.stderr}"
            elif words[0] in COMMANDS:
                told = run([words[0], words[1], "--help"], ROOT)
                assert told.returncode == 0, f"{where}: {told.stderr}"
                assert {w for w in words if w.startswith("--")} <= set(
                    re.findall(r"--[\w-]+", told.stdout)
                ), where
            elif words[0].endswith("python"):
                assert (ROOT / words[1]).is_file() or words[1] == "-m", where


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for link in _LINK.findall(_BLOCK.sub("", text)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), f"{document} links to {link}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}, link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_exist(document: str) -> None:
    """A name in code type that begins with a folder of the repository is something in it, or a pattern."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"runs"}
    text = _BLOCK.sub("", (ROOT / document).read_text(encoding="utf-8"))
    for name in _CODE.findall(text):
        first, slash, _ = name.partition("/")
        if slash and first in folders and " " not in name:
            assert list(ROOT.glob(name.rstrip("/"))), f"{document} names {name}"
