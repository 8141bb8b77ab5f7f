"""GRPO with TRL's GRPOTrainer, run as DeepSeek-R1 ran it (arXiv 2501.12948, section 2 and its supplement).

What this adds to TRL:
- rollouts come from the generation engine of the run, which the policy's weights are pushed into;
- the reward is the spec's total, computed once, with every verdict kept beside its rollout;
- segments: prompts, rewards, length and reference change between whole rollouts, in one process;
- the reference model is saved with each checkpoint and restored on resume (TRL would take the start model);
- on the CPU, log-probabilities are computed without padding or repeated prompts (`packed`).
What it sets: eps on both sides, plain k3 KL, advantages divided by the group's deviation, the mean over a
response's tokens and then over responses (`loss_type="grpo"`), one inner epoch.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from r1rewards.adapters.trl import report
from r1rewards.core.rows import response_uid
from r1rewards.core.store import read_rows, write_rows
from r1rewards.llm import Request, Sampling
from r1rewards.llm.engine import Connection
from r1rewards.score import Score
from r1rewards.spec import Spec, load_spec
from r1train.backends.trl.arguments import accumulation, common
from r1train.backends.trl.checkpoints import Recorder
from r1train.backends.trl.packed import completion_logprobs, packable
from r1train.job import Job

#: The environment variable that tells a trainer where the run's generation engine is.
ENGINE = "R1KIT_ENGINE"


class SegmentTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer over a list of segments; see the module's text."""

    def __init__(self, job: Job, *, recorder: Recorder, **arguments: Any) -> None:
        self.job = job
        self.engine = Connection(os.environ[ENGINE])
        self.recorder = recorder
        self.specs: dict[str, Spec] = {
            path: load_spec(path, variables=job.variables)
            for path in dict.fromkeys(segment.rewards for segment in job.segments)
        }
        self._scores: list[Score] = []
        self._rows: list[dict[str, Any]] = []
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
            self.ref_model.load_state_dict(self.accelerator.unwrap_model(self.model).state_dict())
        self.max_completion_length = segment.max_tokens
        self.recorder.extra = {"segment": number}
        output = super()._generate_and_score_completions(inputs)
        self._write_rollouts(output["advantages"].tolist())
        return output

    def _generate_single_turn(self, prompt_ids: Any, *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        """One completion for each prompt, from the engine, with the weights of this step."""
        self._push_weights()
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
        completions = dict(self.engine.generate(requests))
        self._completions = [completions[index] for index in range(len(requests))]
        return [list(completion.token_ids) for completion in self._completions], None

    def _push_weights(self) -> None:
        """The policy, in the engine's precision, through a file in memory."""
        memory = Path("/dev/shm")
        dtype = getattr(torch, self.job.rollout["dtype"])
        model = self.accelerator.unwrap_model(self.model)
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="r1kit-") as folder:
            weights = {
                name: value.detach().to(dtype).contiguous() for name, value in model.named_parameters()
            }
            save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
            model.config.save_pretrained(folder)
            self.engine.load(Path(folder))

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
                "finish_reason": done.finish_reason,
                "tokens": len(done.token_ids),
            }
            for text, completion, done in zip(row, completions, self._completions, strict=True)
        ]
        self._scores = spec.score_many(self._rows, step=self.state.global_step)
        report(self._scores, log_metric, None)
        return [score.total for score in self._scores]

    def _write_rollouts(self, advantages: list[float]) -> None:
        """Every rollout with its verdicts, one file a rollout, named by the step that it is first used in."""
        step, group = self.state.global_step + 1, self.num_generations
        folder = Path(self.job.output) / "rollouts"
        folder.mkdir(exist_ok=True)
        rows = []
        for index, (row, score, advantage) in enumerate(
            zip(self._rows, self._scores, advantages, strict=True)
        ):
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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.ref_model is not None:
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            weights = {name: value.contiguous() for name, value in self.ref_model.named_parameters()}
            save_file(weights, folder / "reference.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.ref_model is not None:
            weights = load_file(Path(resume_from_checkpoint) / "reference.safetensors")
            self.ref_model.load_state_dict(weights, strict=False)


def make_trainer(job: Job) -> SegmentTrainer:
    rollout = job.rollout
    outputs = rollout["questions"] * rollout["group"]
    minibatch = outputs // rollout["minibatches"]
    micro, steps = accumulation(minibatch, job.optim["micro_batch"])
    settings = common(job)
    settings["save_steps"] = -(-job.save_steps // rollout["minibatches"]) * rollout["minibatches"]
    config = GRPOConfig(
        **settings,
        max_steps=job.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=steps,
        steps_per_generation=outputs // micro,
        num_generations=rollout["group"],
        num_iterations=1,
        max_completion_length=max(segment.max_tokens for segment in job.segments),
        temperature=rollout["temperature"],
        top_p=rollout["top_p"],
        beta=job.optim["beta"],
        epsilon=job.optim["clip"],
        loss_type="grpo",
        scale_rewards="group",
        use_bias_correction_kl=False,
        mask_truncated_completions=rollout["truncated"] == "mask",
        shuffle_dataset=False,  # the order of the questions is the order of the rows
        pad_to_multiple_of=None,
    )
    return SegmentTrainer(
        job,
        recorder=Recorder(Path(job.output), rollout=rollout["minibatches"]),
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list(questions(job)),
        processing_class=AutoTokenizer.from_pretrained(job.model),
    )


def questions(job: Job) -> list[dict[str, Any]]:
    """The questions of every rollout in order: each segment goes through its prompts in shuffled epochs."""
    wanted: list[dict[str, Any]] = []
    for number, segment in enumerate(job.segments):
        prompts = list(read_rows(segment.prompts))
        need = segment.steps // job.rollout["minibatches"] * job.rollout["questions"]
        generator = random.Random(f"{job.seed}/{number}")
        order: list[dict[str, Any]] = []
        while len(order) < need:
            epoch = list(prompts)
            generator.shuffle(epoch)
            order += epoch
        wanted += order[:need]
    return [{"prompt": row["ask"], "row": json.dumps(row, ensure_ascii=False)} for row in wanted]


def _seed(seed: int, step: int, index: int) -> int:
    """A seed of its own for each completion of a run."""
    return random.Random(f"{seed}/{step}/{index}").getrandbits(31)
