"""The pages of docs/reference say what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_reference_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None and spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    written = {file.name: file.read_text() for file in reference.FOLDER.glob("*.md")}
    made = reference.pages()
    assert set(written) == set(made)
    for name, text in made.items():
        assert written[name] == text, f"docs/reference/{name} is old: run make reference"
