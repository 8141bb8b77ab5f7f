"""DeepSeek-R1's two reward models, small: trained from SmolLM2-135M as a user trains them, and measured.

    python bench/reward_models.py --validate   on prompts held out of the training part: to choose settings by
    python bench/reward_models.py              on the test part; writes reward_models.md beside this file

helpful   pair-wise, on at most 600 pairs of pref_alpaca_eval_helpful_half, whose lengths are matched in both
          parts: of all its pairs the longer answer wins 80 %.
harmless  point-wise, on safety_xstest_completions_half and safety_do_not_answer_half. A completion of xstest
          is unsafe where it complies in full with a prompt that it should refuse, and left out where it half
          does; one of do_not_answer is unsafe where its annotators call it harmful. Of each set's many safe
          responses, as many are drawn as there are unsafe ones.

Training and test part share no prompt. Long rows (`LONGEST`) are left out of both, for the sake of the CPU.
The commands are `r1train rm` and `r1rewards judge-eval --also`, printed before they run; a model that stands
in the folder `runs/reward-models` is not trained again. The baselines learn from the training part too, and
from four fifths of the prompts of the test part beside it. Intervals are bootstrapped over prompts.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from r1rewards.core.rows import drawn_hash  # noqa: E402 - the repository's own copy
from r1rewards.core.store import read_rows, write_rows  # noqa: E402
from r1rewards.judge.evaluate import drawn, length_matched  # noqa: E402
from r1rewards.judge.labelled import label_row, prompt_key, read_labelled  # noqa: E402

DATA = Path(os.environ.get("R1KIT_DATA", ROOT.parent / "shared" / "data"))
PAIRS = "pref_alpaca_eval_helpful_half"
XSTEST, DO_NOT_ANSWER = "safety_xstest_completions_half", "safety_do_not_answer_half"
#: The share of the prompts that is the test part.
TEST = 0.4
#: Of the training part, in `--validate`.
VALIDATION = 0.3
MOST_PAIRS = 600
#: Characters of a prompt and one answer to it, for the sake of the CPU.
LONGEST = {"helpful": 700, "harmless": 2000}
#: What is not said is DeepSeek-R1's. With a rate of 5e-5 the point-wise loss hardly fell in three epochs; at
#: 1e-4 it was still falling after them (0.69 to 0.53; 78.2 % right on the test part, 70.4 to 85.0), so
#: that it gets six.
SETTINGS = {
    "helpful": "--lr 5e-5 --epochs 2 --batch-size 16 --max-length 640",
    "harmless": "--lr 1e-4 --epochs 6 --batch-size 16 --max-length 640",
}

Row = dict[str, Any]


# -- the rows


def helpful() -> tuple[list[Row], list[Row]]:
    """Training and test part of the pairs."""
    rows = [
        row
        for row in read_labelled(file_of(PAIRS)).rows
        if length(row, "chosen", "rejected") <= LONGEST["helpful"]
    ]
    train, test = map(length_matched, split(rows))
    return drawn(train, MOST_PAIRS)[0], test


def harmless() -> tuple[list[Row], list[Row]]:
    """Training and test part of the labelled responses."""
    train, test = list[Row](), list[Row]()
    for responses in (xstest(), do_not_answer()):
        rows = [row for row in responses if length(row, "response") <= LONGEST["harmless"]]
        for part, chosen in zip((train, test), split(rows), strict=True):
            unsafe = [row for row in chosen if not row["label"]]
            safe, _ = drawn([row for row in chosen if row["label"]], len(unsafe))
            part += [*unsafe, *safe]
    return train, test


def xstest() -> Iterator[Row]:
    for row in read_rows(file_of(XSTEST)):
        should_refuse, label = row["type"].startswith("contrast"), row["final_label"]
        if not (should_refuse and label == "3_partial_refusal"):
            unsafe = should_refuse and label == "1_full_compliance"
            yield labelled(row["prompt"], row["completion"], unsafe)


def do_not_answer() -> Iterator[Row]:
    for row in read_rows(file_of(DO_NOT_ANSWER)):
        for name in row:
            model, found, _ = name.partition("_response")
            if found:
                yield labelled(row["question"], row[name], row[f"{model}_harmful"] == "1")


def labelled(prompt: str, response: str, unsafe: bool) -> Row:
    return label_row({"prompt": prompt, "response": response, "label": int(not unsafe)}, prompt)


def file_of(name: str) -> Path:
    return DATA / f"{name}.jsonl.gz"


def length(row: Mapping[str, Any], *answers: str) -> int:
    """Characters of the prompt and the longer answer."""
    return sum(len(turn["content"]) for turn in row["prompt"]) + max(len(row[name]) for name in answers)


def split(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Training and test part: a prompt is in one of them, by its hash."""
    parts: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        parts[drawn_hash(prompt_key(row).encode()) < TEST * 2**64].append(row)
    return parts


# -- training and measuring


def run(command: str, *more: str) -> None:
    """One of this repository's commands, shown before it runs."""
    words = [*shlex.split(command), *more]
    print(f"$ {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)


def model(name: str, folder: Path, validate: bool) -> dict[str, Any]:
    """Train one of the two; the figures of its report."""
    train, test = (folder / f"{name}.{part}.jsonl" for part in ("train", "test"))
    for file, rows in zip((train, test), {"helpful": helpful, "harmless": harmless}[name](), strict=True):
        write_rows(file, rows)
    trained = folder / (f"{name}-validated" if validate else name)
    held = str(VALIDATION if validate else 0)
    settings = shlex.split(SETTINGS[name])
    training = f"r1train rm {train} --model smollm2-135m -o {trained} --scope response --heldout {held}"
    run(training, *settings, "--save-steps", "10")
    if validate:
        return read(trained / "evaluation.json")
    figures, weights = folder / f"{name}.json", trained / "train" / "model"
    run(f"r1rewards judge-eval {test} --also {train} --reward-model {weights} -o {figures}")
    return read(figures)


def read(file: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


# -- the page


def page(reports: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]) -> str:
    """The whole of reward_models.md."""
    parts = [
        "# What small reward models learn",
        "SmolLM2-135M with a scalar head, on prompts that it has not seen. Written by `python\n"
        "bench/reward_models.py`, whose first lines say on which rows; not to be edited.",
    ]
    for name, report in reports.items():
        what = f"{report['rows']} {report['kind']} of {report['prompts']} prompts"
        lines = [
            [
                grader,
                share(one["accuracy"], one["low"], one["high"]),
                *(f"{one[key]:.3f}" for key in MEASURES),
            ]
            for grader, one in report["graders"].items()
        ]
        told = f"Trained on {counts[name]}, `{SETTINGS[name]}`; measured on {what}."
        parts += [f"## {name}", told, markdown(["grader", "accuracy", *MEASURES], lines)]
    parts.append(
        "Accuracy in per cent, in brackets its 95 % interval, bootstrapped over prompts. Kappa is agreement\n"
        "beyond chance, calibration the expected calibration error over ten bins."
    )
    return "\n\n".join(parts) + "\n"


MEASURES = ("kappa", "calibration", "brier")


def share(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--validate", action="store_true", help="measure on part of the training part")
    parser.add_argument("--only", choices=SETTINGS, help="one of the two")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "reward-models", help="of the runs")
    options = parser.parse_args()
    folder = options.folder.resolve()
    names = [options.only] if options.only else list(SETTINGS)
    reports = {name: model(name, folder, options.validate) for name in names}
    if not options.validate and not options.only:
        counts = {name: sum(1 for _ in read_rows(folder / f"{name}.train.jsonl")) for name in names}
        Path(__file__).with_suffix(".md").write_text(page(reports, counts))


if __name__ == "__main__":
    main()
