"""Put the table of a run where the demo's stands in README.md: tools/readme_demo.py runs/smollm2-135m"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from r1train.report import table

COLUMNS = ("model", "accuracy", "math", "code", "stem", "logic", "format", "reward", "general")
README = Path(__file__).parents[1] / "README.md"


def main(run: Path) -> None:
    lines = [list(COLUMNS)]
    for row in table(run):
        figures, intervals = zip(*(f"{row[name]}\n".split("\n")[:2] for name in COLUMNS), strict=True)
        lines += [list(figures), list(intervals)]
    widths = [max(map(len, column)) + 2 for column in zip(*lines, strict=True)]
    text = "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    old = README.read_text()
    new = re.sub(r"(<!-- demo:begin -->\n```text\n).*?(\n```)", lambda m: m[1] + text + m[2], old, flags=re.S)
    README.write_text(new)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
