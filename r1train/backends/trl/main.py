"""The process that trains one job with TRL: `python -m r1train.backends.trl.main JOB.json [--resume]`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from r1rewards.core.errors import UserError
from r1rewards.core.store import replacing
from r1train.job import Job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--resume", action="store_true", help="go on from the last complete checkpoint")
    arguments = parser.parse_args()
    job = Job.read(arguments.job)
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        train(job, resume=arguments.resume)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


def train(job: Job, *, resume: bool) -> None:
    """Train to the end and leave `model/` and `steps` in the job's output folder."""
    output = Path(job.output)
    if not (resume and (output / "steps").exists()):  # else it was killed while it tidied up
        _train(job, output, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        shutil.rmtree(output / "checkpoints", ignore_errors=True)


def _train(job: Job, output: Path, *, resume: bool) -> None:
    from r1train.backends.trl import checkpoints

    checkpoint = checkpoints.last(output / "checkpoints") if resume else None
    if job.kind == "rl":
        from r1train.backends.trl.grpo import make_trainer
    elif job.kind in ("sft", "pretrain"):
        from r1train.backends.trl.sft import make_trainer
    else:
        from r1train.backends.trl.reward import make_trainer
    trainer = make_trainer(job)
    if trainer.accelerator.is_main_process:
        checkpoints.rewind(output, checkpoint)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if checkpoints.stopped(trainer):
        sys.exit(143)  # told to stop: a checkpoint is on the disk, and the run goes on from there
    main = trainer.accelerator.is_main_process
    model = output / "model"
    if main:
        shutil.rmtree(model, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    adapted = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(adapted, "merge_and_unload"):
        if main:
            adapted.merge_and_unload().save_pretrained(model)
    else:
        trainer.save_model(str(model))  # all processes take part: each may hold a shard
    trainer.accelerator.wait_for_everyone()
    if not main:
        return
    trainer.processing_class.save_pretrained(model)
    if job.recipe is not None:
        shutil.copy(job.recipe, model / "recipe.yaml")
    with replacing(output / "steps") as part:  # written last: it says that the model is whole
        part.write_text(str(trainer.state.global_step))


if __name__ == "__main__":
    main()
