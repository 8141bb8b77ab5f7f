"""The trl backend: GRPO, SFT and reward models with TRL, in processes of this environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1train.backends import Backend, Launch, Result
from r1train.job import Job

#: What `backend.trl` may say: arguments of TRL's configuration, how accelerate shards a model (a name from
#: TRL's accelerate_configs, or a file), and, for several nodes, where the first one is and which one this is.
KEYS = ("args", "preset", "address", "port", "node")
PRESETS = {
    "ddp": "multi_gpu",
    "zero1": "zero1",
    "zero2": "zero2",
    "zero3": "zero3",
    "fsdp": "fsdp2",
    "fsdp1": "fsdp1",
}
#: Arguments of TRL that are keys of the recipe; the recipe's would lose without a word.
OURS = {
    "learning_rate": "optim.learning_rate",
    "beta": "optim.beta",
    "epsilon": "optim.clip",
    "num_generations": "rollout.group",
    "temperature": "rollout.temperature",
    "top_p": "rollout.top_p",
    "max_completion_length": "rollout.max_tokens",
    "use_vllm": "rollout.generation",
    "vllm_mode": "rollout.generation",
    "per_device_train_batch_size": "optim.micro_batch",
    "num_train_epochs": "optim.epochs",
    "max_grad_norm": "optim.max_grad_norm",
    "weight_decay": "optim.weight_decay",
    "warmup_steps": "optim.warmup_steps",
    "save_steps": "run.save_steps",
    "report_to": "trackers",
    "seed": "seed",
}


class Trl(Backend):
    """Launches `r1train.backends.trl.main`, through accelerate where there are several GPUs.

    Every segment of a job runs in that one launch.
    """

    needs_engine = True

    def check(self, job: Job) -> list[str]:
        return [*_native(job.native), *_lora(job), *_shape(job)]

    def missing(self, job: Job) -> list[str]:
        wanted = {"trl": "'r1kit[train]'"}
        wanted |= {"peft": "peft"} if "lora" in job.optim else {}
        wanted |= {"vllm": "'r1kit[gpu]'"} if job.rollout.get("generation") == "colocate" else {}
        wanted |= {"deepspeed": "deepspeed"} if str(job.native.get("preset", "")).startswith("zero") else {}
        wanted |= {tracker: tracker for tracker in job.trackers}
        return [
            f"{package} is not installed; pip install {install}"
            for package, install in wanted.items()
            if find_spec(package) is None
        ]

    def launch(self, job: Job, path: Path, *, resume: bool) -> Sequence[Launch]:
        env = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        if "tensorboard" in job.trackers:
            env["TENSORBOARD_LOGGING_DIR"] = f"{job.output}/tensorboard"
        if "wandb" in job.trackers:
            env |= {"WANDB_NAME": job.stage, "WANDB_DIR": job.output}
        module = ["-m", "r1train.backends.trl.main"]
        if job.nodes * job.gpus > 1:
            module = [*_accelerate(job), *module]
        argv = [sys.executable, *module, str(path)]
        return [Launch(argv + ["--resume"] * resume, env)]

    def collect(self, job: Job) -> Result:
        model, steps = Path(job.output) / "model", Path(job.output) / "steps"
        if not (model / "config.json").is_file() or not steps.is_file():
            raise UserError(f"the trainer ended without a model in {model}; its log is beside it")
        return Result(model, int(steps.read_text()))


def _native(native: dict[str, Any]) -> list[str]:
    found = [
        f"backend.trl has no key {key!r}; it knows {', '.join(KEYS)}"
        for key in sorted(set(native) - set(KEYS))
    ]
    preset = native.get("preset", "ddp")
    if preset not in PRESETS and not Path(str(preset)).is_file():
        found.append(
            f"backend.trl.preset {preset!r} is neither a file nor one of {', '.join(sorted(PRESETS))}"
        )
    ours = sorted(set(native.get("args", {})) & set(OURS))
    return found + [f"backend.trl.args.{name} is the recipe's {OURS[name]}; set that" for name in ours]


def _lora(job: Job) -> list[str]:
    if "lora" not in job.optim:
        return []
    if job.kind in ("pairs", "labels", "pretrain"):
        return [f"LoRA is for sft and rl stages, and this trains {job.kind}; remove optim.lora"]
    if any(segment.refresh_reference for segment in job.segments) and job.optim["beta"] > 0:
        return [
            "with LoRA the reference is the model without its adapters, which cannot be refreshed; "
            "remove optim.lora, or refresh_every and reference: refresh"
        ]
    return []


def _shape(job: Job) -> list[str]:
    """Sizes that must divide, and who generates for several processes."""
    processes, found = job.nodes * job.gpus, []
    if job.optim.get("packing") and job.kind in ("pairs", "labels"):
        found.append("packing is for sft: a reward model reads one response at a time; remove optim.packing")
    if job.kind == "rl":
        rows = job.rollout["questions"] * job.rollout["group"] // job.rollout["minibatches"]
        what = "rollout.questions x group / minibatches"
        if processes > 1 and "generation" not in job.rollout:
            found.append(
                f"the run's own engine writes for one process, and there are {processes}; "
                "say rollout.generation: colocate, or server"
            )
    else:
        rows, what = job.optim["batch_size"], "optim.batch_size"
    if rows % processes:
        found.append(f"{what} is {rows}, which does not divide among {processes} GPUs")
    return found


def _accelerate(job: Job) -> list[str]:
    native = job.native
    argv = ["-m", "accelerate.commands.launch", "--config_file", preset_file(native.get("preset", "ddp"))]
    argv += ["--num_processes", str(job.nodes * job.gpus), "--num_machines", str(job.nodes)]
    if job.nodes > 1:
        argv += ["--machine_rank", str(native.get("node", 0))]
        argv += ["--main_process_ip", str(native.get("address", "localhost"))]
    return [*argv, "--main_process_port", str(native.get("port", 29500))]


def preset_file(preset: str) -> str:
    """The file of an accelerate configuration; TRL brings those that have a name."""
    if preset not in PRESETS:
        return str(Path(preset).absolute())
    spec = find_spec("trl")
    places = list(spec.submodule_search_locations or []) if spec else []
    return f"{places[0] if places else 'trl'}/accelerate_configs/{PRESETS[preset]}.yaml"
