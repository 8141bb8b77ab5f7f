"""What a job of verl needs on the disk: `python -m r1train.backends.verl.prepare JOB.json [--after N]`.

Without --after it writes the data of every segment as Parquet. With it, verl's checkpoint at the end of
segment N is put where verl will look for that of the next one, without the state of its data loader: the
questions are others.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.store import read_rows, replacing, write_rows
from r1train.backends.questions import questions
from r1train.backends.verl.layout import TRACKER, Layout
from r1train.job import Job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--after", type=int, help="number of the segment that has ended")
    arguments = parser.parse_args()
    job = Job.read(arguments.job)
    if arguments.after is None:
        write_data(job)
    else:
        continue_after(job, arguments.after)


def write_data(job: Job) -> None:
    """Rows as verl reads them, and the recipe beside the checkpoints that are to come."""
    layout = Layout(job)
    for number in range(max(1, len(job.segments))):
        layout.data(number).parent.mkdir(parents=True, exist_ok=True)
        (layout.output / "verl").mkdir(exist_ok=True)
        rows = rl_rows(job, number) if job.kind == "rl" else read_rows(str(job.data))
        write_rows(layout.data(number), rows)
        layout.checkpoints(number).mkdir(parents=True, exist_ok=True)
        if job.recipe is not None:
            shutil.copy(job.recipe, layout.checkpoints(number) / "recipe.yaml")


def rl_rows(job: Job, number: int) -> Iterator[dict[str, Any]]:
    """The questions of a segment in the order in which they are asked, with what the reward wants to know.

    `extra_info.row` is JSON: Parquet would give every row the fields of all others.
    """
    for index, row in enumerate(questions(job, number)):
        reference = row.get("reference")
        shown = reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)
        yield {
            "data_source": str(row.get("source") or row["domain"]),
            "prompt": row["ask"],
            "reward_model": {"style": "rule", "ground_truth": shown},
            "extra_info": {"index": index, "row": json.dumps(row, ensure_ascii=False)},
        }


def continue_after(job: Job, number: int) -> None:
    """Make the end of segment `number` the beginning of the next, and drop what no one needs any more."""
    layout = Layout(job)
    end = layout.end(number)
    actor = layout.checkpoints(number) / f"global_step_{end}" / "actor"
    if not actor.is_dir():
        raise UserError(f"segment {number} has left no checkpoint at {actor}; see trainer.log")
    start = layout.checkpoints(number + 1) / f"global_step_{end}"
    start.mkdir(parents=True, exist_ok=True)
    link = start / "actor"
    if not link.is_symlink():
        link.symlink_to(actor)
    with replacing(layout.checkpoints(number + 1) / TRACKER) as part:
        part.write_text(str(end))
    for earlier in range(number):
        shutil.rmtree(layout.checkpoints(earlier), ignore_errors=True)
        if str(layout.reference(earlier)) not in {layout.start_model(number + 1), layout.start_model(number)}:
            shutil.rmtree(layout.reference(earlier), ignore_errors=True)


if __name__ == "__main__":
    main()
