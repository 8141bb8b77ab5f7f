"""The verl backend: GRPO and SFT with verl 0.9.1 on Ray, on one machine or many, in its own environment.

verl has no refresh of its reference and no switch of prompts, rewards or length: each segment of a job is a
launch. Its actor, optimizer included, goes on from the checkpoint of the segment before; its reference is
the model that verl is told to start from, so a refresh is a matter of which model that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from r1rewards.core.errors import UserError
from r1train.backends import Backend, Launch, Metrics, Result
from r1train.backends.verl import overrides
from r1train.backends.verl.layout import Layout
from r1train.job import Job

#: What `backend.verl` may say. python: that of the environment with verl. engine: how a model is sharded.
#: tensor_parallel: GPUs that share one vLLM. workers: processes that grade. args: more Hydra overrides.
KEYS = ("python", "engine", "tensor_parallel", "workers", "args")
ENGINES = ("fsdp", "fsdp2", "megatron")
VERSION = "0.9.1"


class Verl(Backend):
    """A job is a command that writes verl's data, then two for each segment: train and merge."""

    def check(self, job: Job) -> list[str]:
        found = [
            f"backend.verl has no key {key!r}; it knows {', '.join(KEYS)}"
            for key in sorted(set(job.native) - set(KEYS))
        ]
        engine = job.native.get("engine", "fsdp")
        if engine not in ENGINES:
            found.append(f"backend.verl.engine {engine!r} is not one of {', '.join(ENGINES)}")
        if job.kind not in ("sft", "rl"):
            return [*found, f"verl trains no {job.kind}: say trained_by: trl for it"]
        if job.optim["precision"] == "fp32":
            found.append("verl computes in bfloat16 (over float32 weights); remove optim.precision: fp32")
        return [*found, *(_sft(job) if job.kind == "sft" else _rl(job)), *overrides.clashes(job)]

    def missing(self, job: Job) -> list[str]:
        python = str(job.native.get("python", "python"))
        if which(python) is None:
            return [
                f"there is no {python}; make an environment with verl=={VERSION} and r1kit in it, "
                "and name its Python in backend.verl.python"
            ]
        return []

    def launch(self, job: Job, path: Path, *, resume: bool) -> Sequence[Launch]:
        layout = Layout(job)
        launches = [layout.prepare(path)]
        parts = range(len(job.segments)) if job.kind == "rl" else range(1)
        for number in parts:
            if number:
                launches.append(layout.seed(path, number))
            launches.append(layout.train(number))
            if number + 1 == len(parts) or layout.wanted(number):
                launches.append(layout.merge(number))
        return launches

    def collect(self, job: Job) -> Result:
        layout = Layout(job)
        model = layout.model
        if not (model / "config.json").is_file():
            raise UserError(f"verl ended without a model in {model}; see trainer.log beside it")
        last = layout.last_step(max(0, len(job.segments) - 1))
        if last is None:
            raise UserError(f"verl ended without a checkpoint in {job.output}; see trainer.log beside it")
        return Result(model, last * (int(job.rollout["minibatches"]) if job.kind == "rl" else 1))

    def metrics(self, job: Job, line: Metrics) -> Metrics | None:
        """verl counts rollouts in RL, and optimiser steps in SFT."""
        data: dict[str, Any] = line["data"]
        each = job.rollout["minibatches"] if job.kind == "rl" else 1
        names = NAMES["rl" if job.kind == "rl" else "sft"]
        known = {ours: data[theirs] for ours, theirs in names.items() if theirs in data}
        if "loss" not in known:
            return None
        step = line["step"] * each
        return {"step": step, "of": job.steps or Layout(job).sft_steps or step, **known}


#: Our names of what verl logs.
NAMES = {
    "rl": {
        "loss": "actor/pg_loss",
        "reward": "critic/score/mean",
        "kl": "actor/kl_loss",
        "entropy": "actor/entropy",
        "grad_norm": "actor/grad_norm",
        "learning_rate": "actor/lr",
        "completions/mean_length": "response_length/mean",
        "completions/clipped_ratio": "response_length/clip_ratio",
        "seconds": "perf/time_per_step",
    },
    "sft": {"loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/lr"},
}


def _sft(job: Job) -> list[str]:
    found = []
    if float(job.optim["epochs"]) != int(job.optim["epochs"]):
        found.append(f"verl trains whole epochs, and optim.epochs is {job.optim['epochs']}")
    if job.optim.get("packing"):
        found.append(
            "verl lays rows end to end by itself, and batch_size counts rows there; remove optim.packing"
        )
    if job.optim["batch_size"] % overrides.data_parallel(job):
        found.append(
            f"optim.batch_size is {job.optim['batch_size']}, which does not divide into "
            f"{overrides.data_parallel(job)} parts, one for each GPU or group of GPUs that holds a model"
        )
    return found


def _rl(job: Job) -> list[str]:
    rollout, found = job.rollout, []
    each = rollout["minibatches"]
    if "max_prompt" not in rollout:
        found.append(
            "verl pads every prompt to one length: say rollout.max_prompt, the longest prompt in tokens"
        )
    rules = {rollout["truncated"], *rollout.get("truncated_in", {}).values()}
    if rules != {"score"}:
        other = ", ".join(sorted(rules - {"score"}))
        found.append(
            "verl tells a reward not whether a response was cut: rollout.truncated can only be "
            f"score, not {other}"
        )
    if "generation" in rollout:
        found.append("verl generates by itself, on the GPUs that train; remove rollout.generation")
    if job.optim["warmup_steps"] % each:
        found.append(
            "verl changes the learning rate between rollouts: optim.warmup_steps must be a multiple "
            f"of {each}"
        )
    if job.optim["final_ratio"] != 1 and len(job.segments) > 1:
        found.append(
            "each launch of verl runs its whole schedule, and there is one for each segment: with a cosine "
            "(optim.final_ratio below 1) the stage needs a single segment"
        )
    if rollout["questions"] % each:
        found.append(
            f"verl cuts a rollout between questions: {rollout['questions']} do not divide into {each}"
        )
    if "lora" in job.optim and any(segment.refresh_reference for segment in job.segments):
        found.append("with LoRA the reference is the model without its adapters, which cannot be refreshed")
    found += [
        f"verl knows no response without a reward, and a grader can fail: {spec} must say what it is "
        "worth there, on_error: {neutral: 0.0}"
        for spec in dict.fromkeys(segment.rewards for segment in job.segments)
        if not _has_neutral(Path(spec))
    ]
    gpus, parts = job.nodes * job.gpus, overrides.data_parallel(job)
    if rollout["questions"] // each * rollout["group"] % parts:
        found.append(
            f"rollout.questions x group / minibatches must divide into {parts} parts, one for each GPU or "
            "group of GPUs that holds a model"
        )
    share = int(job.native.get("tensor_parallel", 1))
    if gpus % share:
        found.append(f"{gpus} GPUs do not divide into vLLM engines of backend.verl.tensor_parallel {share}")
    return found


def _has_neutral(spec: Path) -> bool:
    """Whether a reward spec says what a row without a total is worth; a missing file is told elsewhere."""
    if not spec.is_file():
        return True
    said = yaml.safe_load(spec.read_text())
    settings = (said.get("on_error") or {}) if isinstance(said, dict) else {}
    return settings.get("neutral") is not None
