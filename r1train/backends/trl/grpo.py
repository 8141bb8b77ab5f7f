"""GRPO with TRL's GRPOTrainer, run as DeepSeek-R1 ran it (arXiv 2501.12948, section 2 and its supplement).

What this adds to TRL:
- rollouts come from the generation engine of the run, which the policy's weights are pushed into;
- the reward is the spec's total, computed once, with every verdict kept beside its rollout;
- segments: prompts, rewards, length and reference change between whole rollouts, in one process;
- the reference model is saved with each checkpoint and restored on resume (TRL would take the start model);
- a response cut by the length limit is scored, worth 0, or masked, as the recipe says for its domain;
- on the CPU, log-probabilities are computed without padding or repeated prompts (`packed`).
What it sets: eps on both sides, plain k3 KL, advantages divided by the group's deviation, the mean over a
response's tokens and then over responses (`loss_type="grpo"`), one inner epoch, no importance sampling
between generation and training. Where the recipe has vLLM beside the trainer write the rollouts, TRL's own
integration does.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from r1rewards.adapters.trl import report
from r1rewards.core.rows import response_uid
from r1rewards.core.store import write_rows
from r1rewards.llm import Request, Sampling
from r1rewards.llm.engine import Connection
from r1rewards.score import Score
from r1rewards.spec import Spec, load_spec
from r1train.backends.questions import questions
from r1train.backends.trl import reference
from r1train.backends.trl.arguments import accumulation, adapters, common
from r1train.backends.trl.checkpoints import Recorder
from r1train.backends.trl.packed import completion_logprobs, packable
from r1train.job import Job

#: The environment variable that tells a trainer where the run's generation engine is.
ENGINE = "R1KIT_ENGINE"


class SegmentTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer over a list of segments; see the module's text."""

    def __init__(self, job: Job, *, recorder: Recorder, **arguments: Any) -> None:
        self.job = job
        self.engine = None if "generation" in job.rollout else Connection(os.environ[ENGINE])
        self.recorder = recorder
        self.specs: dict[str, Spec] = {
            path: load_spec(path, variables=job.variables)
            for path in dict.fromkeys(segment.rewards for segment in job.segments)
        }
        self._scores: list[Score] = []
        self._rows: list[dict[str, Any]] = []
        self._written: list[
            tuple[list[int], str]
        ] = []  # tokens and finish reason of this rollout's completions
        super().__init__(reward_funcs=[self.total], callbacks=[recorder], **arguments)

    @property
    def segment(self) -> int:
        """The number of the segment that the next step belongs to."""
        done = 0
        for number, segment in enumerate(self.job.segments):
            done += segment.steps
            if self.state.global_step < done:
                return number
        return len(self.job.segments) - 1

    # rollouts

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        number = self.segment
        segment = self.job.segments[number]
        first = sum(earlier.steps for earlier in self.job.segments[:number])
        if segment.refresh_reference and self.state.global_step == first and self.ref_model is not None:
            reference.copy(self._policy, self._reference)
        self.max_completion_length = segment.max_tokens
        if self.use_vllm:
            self.vllm_generation.max_completion_length = segment.max_tokens
        self.recorder.extra = {"segment": number}
        output = super()._generate_and_score_completions(inputs)
        for index, row in enumerate(self._rows):
            if row["finish_reason"] == "length" and self._rule(row) == "mask":
                output["completion_mask"][index] = 0
        self._write_rollouts(output["advantages"].tolist())
        return output

    def _rule(self, row: dict[str, Any]) -> str:
        """What is done with a response to this problem that the length limit cut."""
        named: dict[str, str] = self.job.rollout.get("truncated_in", {})
        return named.get(row.get("domain", ""), str(self.job.rollout["truncated"]))

    def _generate_single_turn(
        self, prompt_ids: Any, *more: Any, **named: Any
    ) -> tuple[list[list[int]], None]:
        """One completion for each prompt, with the weights of this step."""
        if self.engine is None:
            ids, _ = super()._generate_single_turn(prompt_ids, *more, **named)
            ends = set(self.eos_token_ids)
            self._written = [(list(row), "stop" if row and row[-1] in ends else "length") for row in ids]
        else:
            self._written = self._from_engine(self.engine, prompt_ids)
        return [tokens for tokens, _ in self._written], None

    def _from_engine(self, engine: Connection, prompt_ids: Any) -> list[tuple[list[int], str]]:
        self._push_weights(engine)
        rollout, step = self.job.rollout, self.state.global_step
        requests = [
            Request(
                ids,
                Sampling(
                    rollout["temperature"],
                    rollout["top_p"],
                    self.max_completion_length,
                    _seed(self.job.seed, step, index),
                ),
            )
            for index, ids in enumerate(prompt_ids)
        ]
        completions = dict(engine.generate(requests))
        ordered = [completions[index] for index in range(len(requests))]
        return [(list(completion.token_ids), completion.finish_reason) for completion in ordered]

    def _push_weights(self, engine: Connection) -> None:
        """The policy, in the engine's precision, through a file in memory."""
        memory = Path("/dev/shm")
        model = self._policy
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="r1kit-") as folder:
            weights = whole_weights(model, getattr(torch, self.job.rollout["dtype"]))
            save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
            model.config.save_pretrained(folder)
            engine.load(Path(folder))

    def total(
        self, prompts: Any, completions: Any, row: list[str], log_metric: Any, **_: Any
    ) -> list[float | None]:
        """The one reward function: the total of the segment's spec, None where a row has none."""
        segment = self.job.segments[self.segment]
        spec = self.specs[segment.rewards]
        self._rows = [
            {
                **json.loads(text),
                "response": spec.template.text_of(completion),
                "finish_reason": reason,
                "tokens": len(tokens),
            }
            for text, completion, (tokens, reason) in zip(row, completions, self._written, strict=True)
        ]
        self._scores = [
            replace(score, total=0.0, status="ok")
            if row["finish_reason"] == "length" and self._rule(row) == "zero"
            else score
            for row, score in zip(
                self._rows, spec.score_many(self._rows, step=self.state.global_step), strict=True
            )
        ]
        report(self._scores, log_metric, None)
        return [score.total for score in self._scores]

    def _write_rollouts(self, advantages: list[float]) -> None:
        """Every rollout with its verdicts, one file a rollout, named by the step that it is first used in."""
        step, group = self.state.global_step + 1, self.num_generations
        drawn: Sequence[Any] = list(zip(self._rows, self._scores, advantages, strict=True))
        if self.accelerator.num_processes > 1:
            drawn = gather_object(drawn)
        if not self.accelerator.is_main_process:
            return
        folder = Path(self.job.output) / "rollouts"
        folder.mkdir(exist_ok=True)
        rows = []
        for index, (row, score, advantage) in enumerate(drawn):
            sampling = {
                "step": step,
                "seed": self.job.seed,
                "slot": index // group,
                "temperature": self.temperature,
            }
            rows.append(
                {
                    "uid": response_uid(row["id"], self.job.stage, sampling, index % group),
                    **score.to_row(row),
                    "problem_id": row["id"],
                    "sample": index % group,
                    "group": index // group,
                    "advantage": advantage,
                    "step": step,
                    "segment": self.segment,
                }
            )
        write_rows(folder / f"step-{step:06d}.parquet", rows)

    # log-probabilities

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Any,
        attention_mask: Any,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **more: Any,
    ) -> tuple[Any, Any, Any]:
        if not packable(model):
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **more
            )
        prompt = input_ids.shape[1] - logits_to_keep
        pairs = []
        for ids, mask in zip(input_ids, attention_mask.bool(), strict=True):
            pairs.append((ids[:prompt][mask[:prompt]].tolist(), ids[prompt:][mask[prompt:]].tolist()))
        with self.accelerator.autocast():
            logps, entropies = completion_logprobs(
                model, pairs, temperature=self.temperature, entropy=compute_entropy
            )
        pad = logits_to_keep - logps.shape[1]
        logps = torch.nn.functional.pad(logps, (0, pad))
        return logps, None if entropies is None else torch.nn.functional.pad(entropies, (0, pad)), None

    # the reference, beside the checkpoint

    @property
    def _policy(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    @property
    def _reference(self) -> Any:
        return self.accelerator.unwrap_model(self.ref_model)

    @property
    def _place(self) -> dict[str, Any]:
        """Which part of the reference is this process's to keep."""
        plugin = self.accelerator.state.deepspeed_plugin
        sharded = self.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3)
        return {"rank": self.accelerator.process_index, "sharded": sharded}

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.ref_model is not None:
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            reference.save(self._reference, folder, **self._place)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """The one thing that is loaded on resume with every way to shard a model."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.ref_model is not None:
            reference.restore(self._reference, Path(checkpoint), **self._place)


def whole_weights(model: Any, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The weights under the names of the plain model, adapters added to what they adapt."""
    adapted = hasattr(model, "merge_adapter")
    if adapted:
        model.merge_adapter()
    try:
        weights = {
            name.removeprefix("base_model.model.").replace(".base_layer", ""): value.detach()
            .to(dtype, copy=adapted)
            .contiguous()
            for name, value in model.named_parameters()
            if "lora_" not in name
        }
    finally:
        if adapted:
            model.unmerge_adapter()
    return weights


def make_trainer(job: Job) -> SegmentTrainer:
    return SegmentTrainer(
        job,
        recorder=Recorder(Path(job.output), rollout=job.rollout["minibatches"], recipe=job.recipe),
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32),
        args=GRPOConfig(**settings(job)),
        train_dataset=Dataset.from_list(
            [
                {"prompt": row["ask"], "row": json.dumps(row, ensure_ascii=False)}
                for number in range(len(job.segments))
                for row in questions(job, number)
            ]
        ),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=adapters(job),
    )


def settings(job: Job) -> dict[str, Any]:
    """The job as arguments of TRL's GRPOConfig."""
    rollout = job.rollout
    outputs = rollout["questions"] * rollout["group"]
    micro, steps = accumulation(outputs // rollout["minibatches"], job.optim["micro_batch"])
    return {
        **common(job),
        "save_steps": -(-job.save_steps // rollout["minibatches"]) * rollout["minibatches"],
        "max_steps": job.steps,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": steps,
        "steps_per_generation": steps * rollout["minibatches"],
        "num_generations": rollout["group"],
        "num_iterations": 1,
        "max_completion_length": max(segment.max_tokens for segment in job.segments),
        "temperature": rollout["temperature"],
        "top_p": rollout["top_p"],
        "beta": job.optim["beta"],
        "epsilon": job.optim["clip"],
        "loss_type": "grpo",
        "scale_rewards": "group",
        "use_bias_correction_kl": False,
        "mask_truncated_completions": False,  # `truncated` is ours: it knows domains
        "shuffle_dataset": False,  # the order of the questions is the order of the rows
        "pad_to_multiple_of": None,
        **beside(job),
    }


def beside(job: Job) -> dict[str, Any]:
    """TRL's settings for vLLM beside the trainer; none where the run's own engine writes."""
    mode = job.rollout.get("generation")
    if mode is None:
        return {}
    longest = max(segment.max_tokens for segment in job.segments)
    prompt = job.rollout.get("max_prompt")
    return {
        "use_vllm": True,
        "vllm_mode": mode,
        "vllm_max_model_length": None if prompt is None else prompt + longest,
        # the paper's ratio is that of the policy to the one that sampled, with no second correction
        "vllm_importance_sampling_correction": False,
    }


def _seed(seed: int, step: int, index: int) -> int:
    """A seed of its own for each completion of a run."""
    return random.Random(f"{seed}/{step}/{index}").getrandbits(31)
