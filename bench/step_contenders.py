"""The contenders of `grpo_step.py`: trainers for the same job, r1kit's and TRL's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1rewards import format, language
from r1rewards.core.store import read_rows
from r1train.job import Job
from r1train.recipe_file import load_recipe
from r1train.stages.fit import load_tokenizer

RECIPE = load_recipe(Path(__file__).resolve().parent.parent / "recipes/smollm2-135m")
STAGES: dict[str, Any] = dict(RECIPE.stages)
#: The rewards; `spec_total` says the same to TRL.
SPEC = "rewards: {format: {}, language: {scope: response}}\n"


def spec_total(completions: list[Any], **_: Any) -> list[float]:
    """What `SPEC` says, as a reward function of TRL."""
    texts = [completion[0]["content"] for completion in completions]
    verdicts = [(format.check(text), language.check(text, "en")) for text in texts]
    return [sum(verdict.value or 0.0 for verdict in pair) for pair in verdicts]


@contextmanager
def ours_grpo(job: Job, _micro: int) -> Iterator[Any]:
    from r1rewards.llm.engine import Engine
    from r1train.backends.trl.grpo import make_trainer

    log = Path(job.output) / "engine.log"
    with Engine(Path(job.model), log=log, **RECIPE.engine.model_dump()) as engine:
        os.environ["R1KIT_ENGINE"] = engine.address
        yield make_trainer(job)


@contextmanager
def trl_grpo(job: Job, micro: int) -> Iterator[Any]:
    from trl import GRPOTrainer

    yield GRPOTrainer(**grpo_arguments(job, micro))


@contextmanager
def trl_vllm_grpo(job: Job, micro: int) -> Iterator[Any]:
    os.environ |= {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }
    import torch
    from trl import GRPOTrainer
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt

    threads, set_threads = torch.get_num_threads(), torch.set_num_threads
    llm = LLM(
        model=job.model,
        dtype=job.rollout["dtype"],
        max_model_len=RECIPE.engine.max_length,
        max_num_seqs=job.rollout["questions"] * job.rollout["group"],
        enforce_eager=True,
        disable_log_stats=True,
    )
    set_threads(threads)  # vLLM leaves one thread behind, and nothing where torch's own function was
    sampling = SamplingParams(
        temperature=job.rollout["temperature"],
        top_p=job.rollout["top_p"],
        max_tokens=job.rollout["max_tokens"],
    )

    class VllmTrainer(GRPOTrainer):  # type: ignore[misc]
        def _push_weights(self) -> None:
            model = self.accelerator.unwrap_model(self.model)
            weights = [(name, value.detach().bfloat16()) for name, value in model.named_parameters()]
            head = model.get_output_embeddings().weight  # tied, but vLLM keeps a packed copy of it
            weights.append(("lm_head.weight", head.detach().bfloat16()))
            llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
            llm.reset_prefix_cache()

        def _generate_single_turn(
            self, prompt_ids: list[list[int]], *_: Any, **__: Any
        ) -> tuple[list[list[int]], None]:
            self._push_weights()
            prompts = [TokensPrompt(prompt_token_ids=ids) for ids in prompt_ids]
            outputs = llm.generate(prompts, sampling, use_tqdm=False)
            return [list(output.outputs[0].token_ids) for output in outputs], None

    yield VllmTrainer(**grpo_arguments(job, micro))


@contextmanager
def ours_sft(job: Job, _micro: int) -> Iterator[Any]:
    from r1train.backends.trl.sft import make_trainer

    yield make_trainer(job)


@contextmanager
def trl_sft(job: Job, _micro: int) -> Iterator[Any]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": row["prompt_ids"] + row["completion_ids"],
            "completion_mask": [0] * len(row["prompt_ids"]) + [1] * len(row["completion_ids"]),
        }
        for row in read_rows(str(job.data))
    ]
    config = SFTConfig(
        **shared_settings(job),
        max_steps=job.native["args"]["max_steps"],
        per_device_train_batch_size=job.optim["batch_size"],
        completion_only_loss=True,
    )
    yield SFTTrainer(
        model=float32_model(job),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(Path(job.model)),
    )


CONTENDERS: dict[str, dict[str, Callable[[Job, int], Any]]] = {
    "grpo": {"r1kit": ours_grpo, "TRL": trl_grpo, "TRL + vLLM": trl_vllm_grpo},
    "sft": {"r1kit": ours_sft, "TRL": trl_sft},
}


def grpo_arguments(job: Job, micro: int) -> dict[str, Any]:
    from datasets import Dataset
    from trl import GRPOConfig

    rollout = job.rollout
    outputs = rollout["questions"] * rollout["group"]
    micro = next(size for size in range(min(micro, outputs), 0, -1) if outputs % size == 0)
    config = GRPOConfig(
        **shared_settings(job),
        max_steps=job.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=outputs // micro,
        num_generations=rollout["group"],
        max_completion_length=rollout["max_tokens"],
        temperature=rollout["temperature"],
        top_p=rollout["top_p"],
        beta=job.optim["beta"],
        epsilon=job.optim["clip"],
        loss_type="grpo",
        use_vllm=False,
    )
    rows = [{"prompt": row["ask"]} for row in read_rows(job.segments[0].prompts)]
    return {
        "model": float32_model(job),
        "reward_funcs": spec_total,
        "args": config,
        "train_dataset": Dataset.from_list(rows),
        "processing_class": load_tokenizer(Path(job.model)),
    }


def shared_settings(job: Job) -> dict[str, Any]:
    return {
        "output_dir": job.output,
        "learning_rate": job.optim["learning_rate"],
        "lr_scheduler_type": "constant",
        "bf16": True,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": job.seed,
        "data_seed": job.seed,
    }


def float32_model(job: Job) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
