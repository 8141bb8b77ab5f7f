"""A job's settings as overrides of verl 0.9.1's Hydra configuration.

What is easily missed, each seen in verl's code:
- `clip_ratio_c` clips once more, where an advantage is negative and the ratio above 3. With eps = 10 the
  formula clips nothing below 11, and on that side nothing at all, so it is set beyond any ratio (verl caps
  them at e^20).
- the mean over a response's tokens, then over responses, is `seq-mean-token-mean`; verl's own is over tokens.
- the norm of gradients is clipped by `optim.clip_grad`; `actor.grad_clip` is read by nobody.
- steps, learning-rate steps and checkpoints are counted in rollouts.
- minibatches are consecutive unless `actor.shuffle` says otherwise; the paper's are random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from r1train.job import Job

if TYPE_CHECKING:
    from r1train.backends.verl.layout import Layout

#: Beyond e^20, the largest ratio that verl's loss lets through.
NEVER = 1e9

Settings = dict[str, Any]


def rl(layout: Layout, number: int) -> Settings:
    """GRPO on one segment; the keys are verl's, `+` before those that its configuration does not have."""
    job, segment = layout.job, layout.job.segments[number]
    rollout, optim = job.rollout, job.optim
    each = int(rollout["minibatches"])
    minibatch = rollout["questions"] // each
    micro = _micro(minibatch * rollout["group"] // data_parallel(job), optim["micro_batch"])
    actor, ref, roll = (f"actor_rollout_ref.{part}" for part in ("actor", "ref", "rollout"))
    file = str(layout.data(number))
    first = layout.end(number - 1) if number else 0
    return {
        **_engine(job),
        "data.train_files": file,
        "data.val_files": file,  # verl wants one; it is read and never asked
        "data.train_batch_size": rollout["questions"],
        "data.max_prompt_length": rollout.get("max_prompt"),
        "data.max_response_length": segment.max_tokens,
        "data.shuffle": False,  # the rows lie in the order in which they are asked
        "data.seed": job.seed,
        "actor_rollout_ref.model.path": layout.start_model(number),
        **_lora("actor_rollout_ref.model", optim),
        **_optimiser(f"{actor}.optim", job, each),
        f"{actor}.ppo_mini_batch_size": minibatch,
        f"{actor}.ppo_micro_batch_size_per_gpu": micro,
        f"{actor}.ppo_epochs": 1,
        f"{actor}.shuffle": True,
        f"{actor}.data_loader_seed": job.seed,
        f"{actor}.clip_ratio": optim["clip"],
        f"{actor}.clip_ratio_low": optim["clip"],
        f"{actor}.clip_ratio_high": optim["clip"],
        f"{actor}.clip_ratio_c": NEVER,
        f"{actor}.loss_agg_mode": "seq-mean-token-mean",
        f"{actor}.use_kl_loss": optim["beta"] > 0,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.kl_loss_coef": optim["beta"],
        f"{actor}.entropy_coeff": 0,
        f"{ref}.log_prob_micro_batch_size_per_gpu": micro,
        f"{roll}.log_prob_micro_batch_size_per_gpu": micro,
        f"{roll}.name": "vllm",
        f"{roll}.n": rollout["group"],
        f"{roll}.temperature": rollout["temperature"],
        f"{roll}.top_p": rollout["top_p"],
        f"{roll}.dtype": rollout["dtype"],
        f"{roll}.seed": job.seed,
        f"{roll}.tensor_model_parallel_size": job.native.get("tensor_parallel", 1),
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": True,
        "algorithm.use_kl_in_reward": False,
        "reward.num_workers": job.native.get("workers", 8),
        "reward.custom_reward_function.path": "pkg://r1rewards.adapters.verl",
        "reward.custom_reward_function.name": "compute_score",
        "+reward.custom_reward_function.reward_kwargs.spec": segment.rewards,
        **{
            f"+reward.custom_reward_function.reward_kwargs.variables.{name}": path
            for name, path in job.variables.items()
        },
        **_trainer(layout, number),
        "trainer.save_freq": ceil(job.save_steps / each),
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        "trainer.total_training_steps": layout.end(number),
        "trainer.total_epochs": layout.end(number) // (layout.end(number) - first) + 1,
        "trainer.max_actor_ckpt_to_keep": 2,
        "trainer.rollout_data_dir": str(layout.output / "dumps" / layout.part(number)),
        "trainer.checkpoint_callback_class": "r1train.backends.verl.keep.KeepRecipe",
        **job.native.get("args", {}),
    }


def sft(layout: Layout) -> Settings:
    """SFT on our own tokens, which are those of generation; see `r1train.backends.verl.rows`."""
    job, optim = layout.job, layout.job.optim
    micro = _micro(optim["batch_size"] // data_parallel(job), optim["micro_batch"])
    return {
        **_engine(job),
        "data.train_files": str(layout.data(0)),
        "data.custom_cls.path": "pkg://r1train.backends.verl.rows",
        "data.custom_cls.name": "TokenRows",
        "data.train_batch_size": optim["batch_size"],
        "data.micro_batch_size_per_gpu": micro,
        "data.use_dynamic_bsz": False,
        "data.max_length": optim["max_length"],
        "model.path": job.model,
        **_lora("model", optim),
        **_optimiser("optim", job, 1),
        **_trainer(layout, 0),
        "trainer.seed": job.seed,
        "trainer.save_freq": job.save_steps,
        "trainer.total_epochs": int(optim["epochs"]),
        "trainer.max_ckpt_to_keep": 2,
        **job.native.get("args", {}),
    }


def data_parallel(job: Job) -> int:
    """The shares of a batch: one for each GPU, or for each group of them that holds one model."""
    together = 1
    if job.native.get("engine") == "megatron":
        place = "actor_rollout_ref.actor.megatron." if job.kind == "rl" else "engine."
        for size in ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size"):
            together *= int(job.native.get("args", {}).get(place + size, 1))
    return max(1, job.nodes * job.gpus // together)


def _engine(job: Job) -> Settings:
    """How the model is sharded; the names of the groups differ between verl's two configurations."""
    engine = job.native.get("engine", "fsdp")
    if job.kind != "rl":
        return (
            {"engine": "megatron", "optim": "megatron"}
            if engine == "megatron"
            else {"engine.strategy": engine}
        )
    if engine == "megatron":
        return {"model_engine": "megatron"}
    return {
        "actor_rollout_ref.actor.strategy": engine,
        "actor_rollout_ref.ref.strategy": engine,
    }


def _optimiser(key: str, job: Job, each: int) -> Settings:
    """AdamW. each: optimiser steps for one of verl's steps of the learning rate."""
    optim = job.optim
    falls = optim["final_ratio"] < 1
    shape = "cosine" if falls else "constant"
    found = {
        f"{key}.lr": optim["learning_rate"],
        f"{key}.lr_warmup_steps": optim["warmup_steps"] // each,
        f"{key}.weight_decay": optim["weight_decay"],
        f"{key}.clip_grad": optim["max_grad_norm"],
    }
    if job.native.get("engine") == "megatron":
        return found | {
            f"{key}.lr_decay_style": shape,
            f"{key}.min_lr": optim["learning_rate"] * optim["final_ratio"],
        }
    return found | {f"{key}.lr_scheduler_type": shape, f"{key}.min_lr_ratio": optim["final_ratio"]}


def _lora(key: str, optim: Mapping[str, Any]) -> Settings:
    lora = optim.get("lora")
    if lora is None:
        return {}
    return {
        f"{key}.lora_rank": lora["rank"],
        f"{key}.lora_alpha": lora["alpha"],
        f"{key}.target_modules": lora["targets"],
    }


def _trainer(layout: Layout, number: int) -> Settings:
    job = layout.job
    return {
        "trainer.project_name": "r1kit",
        "trainer.experiment_name": f"{job.stage}-{layout.part(number)}",
        "trainer.logger": ["console", "file", *job.trackers],
        "trainer.nnodes": job.nodes,
        "trainer.n_gpus_per_node": job.gpus,
        "trainer.default_local_dir": str(layout.checkpoints(number)),
        "trainer.resume_mode": "auto",
    }


def _micro(rows: int, most: int) -> int:
    """The largest micro batch, at most `most`, of which a GPU's share is a whole number."""
    return next(size for size in range(max(1, min(rows, most)), 0, -1) if rows % size == 0 or size == 1)


def clashes(job: Job) -> list[str]:
    """Overrides in `backend.verl.args` of what the recipe has keys for."""
    from r1train.backends.verl.layout import Layout

    plain = Layout(_without_args(job))
    ours = rl(plain, 0) if job.kind == "rl" and job.segments else sft(plain) if job.kind == "sft" else {}
    free = {"data.use_dynamic_bsz", "reward.num_workers"}
    return [
        f"backend.verl.args sets {key}, which the recipe's own keys decide; remove it there"
        for key in sorted(set(job.native.get("args", {})) & (set(ours) - free))
    ]


def _without_args(job: Job) -> Job:
    from dataclasses import replace

    return replace(job, native={key: value for key, value in job.native.items() if key != "args"})


def arguments(settings: Mapping[str, Any]) -> list[str]:
    """The overrides as Hydra reads them from a command line."""
    return [f"{key}={value_of(value)}" for key, value in settings.items()]


def value_of(value: Any) -> str:
    """A value in Hydra's grammar of overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{value_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(value_of(item) for item in value) + "]"
    text = str(value)
    if (
        text
        and all(c.isalnum() or c in "-_./:$@+%" for c in text)
        and text[0] not in "$@"
        and text[-1] != ":"
    ):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
