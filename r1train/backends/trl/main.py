"""The process that trains one job with TRL: `python -m r1train.backends.trl.main JOB.json [--resume]`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from r1rewards.core.errors import UserError
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
    from r1train.backends.trl import checkpoints

    output = Path(job.output)
    checkpoint = checkpoints.last(output / "checkpoints") if resume else None
    if job.kind == "rl":
        from r1train.backends.trl.grpo import make_trainer
    elif job.kind in ("sft", "pretrain"):
        from r1train.backends.trl.sft import make_trainer
    else:
        from r1train.backends.trl.reward import make_trainer
    trainer = make_trainer(job)
    checkpoints.rewind(output, checkpoint)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if checkpoints.stopped(trainer):
        sys.exit(143)  # told to stop: a checkpoint is on the disk, and the run goes on from there
    temporary = Path(tempfile.mkdtemp(dir=output))
    trainer.save_model(str(temporary))
    trainer.processing_class.save_pretrained(temporary)
    temporary.chmod(0o755)
    shutil.rmtree(output / "model", ignore_errors=True)
    temporary.rename(output / "model")
    (output / "steps").write_text(str(trainer.state.global_step))
    shutil.rmtree(output / "checkpoints", ignore_errors=True)


if __name__ == "__main__":
    main()
