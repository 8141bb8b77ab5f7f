"""GRPO as it comes out of the trainer, against the paper's formula in double precision (arXiv 2501.12948).

    J = mean over responses of  mean over tokens of  min(rho A, clip(rho, 1 - eps, 1 + eps) A) - beta KL
    KL = pi_ref / pi - log(pi_ref / pi) - 1,    A = (r - mean of its group) / deviation of its group

The rollouts come from a real engine; only the reward is the test's own, so that it can fail on purpose.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from r1rewards.component import Component
from r1rewards.core.errors import GraderError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.store import read_rows, write_rows
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.llm.engine import Engine
from r1rewards.spec import ErrorSettings, Spec
from r1train.job import Job, JobSegment

pytestmark = pytest.mark.slow

QUESTIONS, GROUP, BETA, TEMPERATURE = 2, 4, 0.3, 0.8


def lot(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


class Lottery(Reward):
    """A value between 0 and 1 that the text decides; for one text in four the grader fails."""

    def check(self, sample: Sample) -> Verdict:
        if lot(sample.text) % 4 == 0:
            raise GraderError("told to fail")
        return Verdict.of(lot(sample.text) / 255, "drawn")


def spec() -> Spec:
    rewards = [Component("lottery", Lottery()), Component("sure", Sure())]
    return Spec(rewards, get_template("think-answer"), on_error=ErrorSettings(retries=0))


class Sure(Reward):
    """Never fails: what it gives must not survive where the other one failed."""

    def check(self, sample: Sample) -> Verdict:
        return Verdict.of(0.5, "always")


@pytest.fixture(scope="module")
def engine(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    with Engine(tiny_model, log=log, backend="transformers", dtype="float32") as running:
        yield running


@pytest.fixture
def job(tiny_model: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("R1KIT_ENGINE", engine.address)
    (tmp_path / "spec.yaml").write_text("rewards: {format: {}}")  # replaced by `spec()` in every trainer
    rows = [
        {
            "id": f"p{n}",
            "task": "math",
            "domain": "math",
            "prompt": f"What is {n} + {n}?",
            "reference": str(2 * n),
            "ask": [{"role": "user", "content": f"What is {n} + {n}?"}],
        }
        for n in range(3)
    ]
    write_rows(tmp_path / "prompts.jsonl", rows)
    segment = JobSegment(2, str(tmp_path / "prompts.jsonl"), str(tmp_path / "spec.yaml"), 12, False)
    return Job(
        stage="2-test",
        kind="rl",
        model=str(tiny_model),
        output=str(tmp_path),
        seed=5,
        template="think-answer",
        save_steps=1,
        optim={
            "learning_rate": 0.05,
            "final_ratio": 1.0,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_grad_norm": 1e9,
            "micro_batch": 3,
            "precision": "fp32",
            "beta": BETA,
            "clip": 10.0,
        },
        rollout={
            "questions": QUESTIONS,
            "group": GROUP,
            "minibatches": 1,
            "temperature": TEMPERATURE,
            "top_p": 1.0,
            "max_tokens": 12,
            "truncated": "score",
            "dtype": "float32",
        },
        segments=(segment,),
        native={"args": {"optim": "sgd", "save_total_limit": None}},
    )


def make(job: Job) -> Any:
    from r1train.backends.trl.grpo import make_trainer

    trainer = make_trainer(job)
    trainer.specs = {path: spec() for path in trainer.specs}
    return trainer


def watch(trainer: Any) -> dict[int, dict[str, Any]]:
    """For every optimiser step (from 1): the weights it starts from, its micro-batches, its gradients."""
    from transformers import TrainerCallback

    seen: dict[int, dict[str, Any]] = {}
    compute_loss = trainer._compute_loss

    def loss(model: Any, inputs: Any) -> Any:
        seen[trainer.state.global_step + 1]["batches"].append(inputs)
        value = compute_loss(model, inputs)
        seen[trainer.state.global_step + 1]["loss"] += float(value.detach())
        return value

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
            reference = {name: p.detach().clone() for name, p in trainer.ref_model.named_parameters()}
            now = {"weights": weights, "reference": reference, "batches": [], "loss": 0.0}
            seen[state.global_step + 1] = now

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            grads = {name: p.grad.detach().clone() for name, p in trainer.model.named_parameters()}
            seen[state.global_step + 1]["gradients"] = grads

    trainer._compute_loss = loss
    trainer.add_callback(Watch())
    return seen


def double(folder: str, weights: dict[str, Any]) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    model.load_state_dict({name: value.double() for name, value in weights.items()}, strict=False)
    return model.eval()


def log_probs(model: Any, prompt: list[int], completion: list[int]) -> Any:
    ids = torch.tensor([[*prompt, *completion]])
    table = (model(ids).logits[0, len(prompt) - 1 : -1] / TEMPERATURE).log_softmax(-1)
    return table[torch.arange(len(completion)), torch.tensor(completion)]


def paper_loss(policy: Any, old: Any, reference: Any, rows: list[Any], eps: float) -> Any:
    """The negated objective over rows of (prompt, completion, advantage)."""
    total = 0.0
    for prompt, completion, advantage in rows:
        logp = log_probs(policy, prompt, completion)
        with torch.no_grad():
            before, ref = log_probs(old, prompt, completion), log_probs(reference, prompt, completion)
        rho = (logp - before).exp()
        gain = torch.minimum(rho * advantage, rho.clamp(1 - eps, 1 + eps) * advantage)
        kl = (ref - logp).exp() - (ref - logp) - 1
        total = total + (gain - BETA * kl).mean()
    return -total / len(rows)


def rows_of(batches: list[Any]) -> list[tuple[list[int], list[int], float]]:
    """Prompt, completion and advantage of each row, without the padding."""
    rows = []
    for batch in batches:
        masks = batch["prompt_mask"].bool(), batch["completion_mask"].bool()
        for i, advantage in enumerate(batch["advantages"].tolist()):
            prompt, completion = batch["prompt_ids"][i][masks[0][i]], batch["completion_ids"][i][masks[1][i]]
            rows.append((prompt.tolist(), completion.tolist(), advantage))
    return rows


def rollouts(job: Job) -> dict[int, list[dict[str, Any]]]:
    files = sorted((Path(job.output) / "rollouts").glob("*"))
    return {int(file.stem.removeprefix("step-")): list(read_rows(file)) for file in files}


def check_advantages(rows: list[dict[str, Any]]) -> int:
    """The advantages of one rollout against the formula; how many rows had no total."""
    failed = 0
    for start in range(0, len(rows), GROUP):
        group = rows[start : start + GROUP]
        assert len({row["id"] for row in group}) == 1
        known = [row["reward"] for row in group if row["reward"] is not None]
        for row in group:
            fails = lot(row["response"]) % 4 == 0
            assert row["verdicts"]["lottery"]["status"] == ("error" if fails else "value")
            assert row["verdicts"]["sure"]["value"] == 0.5
            if fails:
                failed += 1
                assert (row["reward"], row["advantage"], row["status"]) == (None, 0.0, "error")
                continue
            assert row["reward"] == pytest.approx(lot(row["response"]) / 255 + 0.5)
            spread = statistics.stdev(known) if len(known) > 1 else 0.0
            expected = (row["reward"] - statistics.fmean(known)) / (spread + 1e-4)
            assert row["advantage"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    return failed


def check_step(job: Job, step: dict[str, Any], old: dict[str, Any], eps: float) -> None:
    policy, before = double(job.model, step["weights"]), double(job.model, old)
    loss = paper_loss(policy, before, double(job.model, step["reference"]), rows_of(step["batches"]), eps)
    assert step["loss"] == pytest.approx(float(loss.detach()), rel=1e-3, abs=1e-5)
    loss.backward()
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(step["gradients"][name].double(), parameter.grad, rtol=2e-3, atol=2e-5)


def test_loss_gradient_and_advantages_are_the_papers(job: Job) -> None:
    """Two rollouts of a step each: micro-batches of 2 out of 8, the reference at a distance in the second."""
    trainer = make(job)
    seen = watch(trainer)
    trainer.train()
    found = rollouts(job)
    assert sorted(found) == sorted(seen) == [1, 2]
    assert sum(check_advantages(rows) for rows in found.values()) > 0, "no grader failed: nothing was tested"
    for number, step in seen.items():
        assert sorted(row[2] for row in rows_of(step["batches"])) == pytest.approx(
            sorted(row["advantage"] for row in found[number])
        )
        check_step(job, step, old=step["weights"], eps=10.0)
    metrics = [json.loads(line) for line in (Path(job.output) / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in metrics] == [1, 2]
    totals = [row["reward"] for row in found[1]]
    assert metrics[0]["rewards/without_total"] == pytest.approx(totals.count(None) / len(totals))
    assert metrics[0]["reward"] == pytest.approx(statistics.fmean(t for t in totals if t is not None))
    assert metrics[0]["kl"] == pytest.approx(0.0, abs=1e-6) and metrics[1]["kl"] > 0


@pytest.mark.parametrize("eps", [10.0, 0.05])
def test_minibatches_are_clipped_against_the_policy_that_sampled(job: Job, eps: float) -> None:
    """The second half of a rollout: ratios away from 1. At eps = 10 nothing below 11 is clipped."""
    rollout = {**job.rollout, "minibatches": 2}
    optim = {**job.optim, "clip": eps, "learning_rate": 0.5, "micro_batch": 4}
    trainer = make(replace(job, rollout=rollout, optim=optim))
    seen = watch(trainer)
    trainer.train()
    assert list(rollouts(job)) == [1], "one rollout serves both steps"
    second = seen[2]
    policy, before = double(job.model, second["weights"]), double(job.model, seen[1]["weights"])
    rows = rows_of(second["batches"])
    assert len(rows) == QUESTIONS * GROUP / 2
    with torch.no_grad():
        ratios = torch.cat([(log_probs(policy, p, c) - log_probs(before, p, c)).exp() for p, c, _ in rows])
    assert bool(((ratios < 0.95) | (ratios > 1.05)).any()), "no ratio is far from 1: nothing was tested"
    for step in (seen[1], second):
        check_step(job, step, old=seen[1]["weights"], eps=eps)


def fingerprint(weights: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def segments(job: Job) -> Job:
    """Two segments of two steps; the second has its own length and a fresh reference."""
    first = job.segments[0]
    second = replace(first, max_tokens=7, refresh_reference=True)
    return replace(job, segments=(first, second))


def test_the_reference_is_refreshed_saved_and_restored(
    segments: Job, tmp_path: Path, make_model: Callable[[int], Path]
) -> None:
    from r1train.backends.trl import checkpoints

    trainer = make(segments)
    seen = watch(trainer)
    trainer.train()
    start = fingerprint(seen[1]["weights"])
    policy = {number: fingerprint(step["weights"]) for number, step in seen.items()}
    assert len(set(policy.values())) == 4, "the policy did not move"
    folders = {n: tmp_path / "checkpoints" / f"checkpoint-{n}" for n in range(1, 5)}
    saved = {n: fingerprint(load_file(folder / "reference.safetensors")) for n, folder in folders.items()}
    assert saved == {1: start, 2: start, 3: policy[3], 4: policy[3]}
    whole = rollouts(segments)
    longest = {number: max(row["tokens"] for row in rows) for number, rows in whole.items()}
    assert longest[1] > 7 and max(longest[3], longest[4]) <= 7
    assert [rows[0]["segment"] for rows in whole.values()] == [0, 0, 1, 1]

    checkpoints.rewind(tmp_path, folders[3])
    assert sorted(rollouts(segments)) == [1, 2, 3]
    resumed = make(segments)
    again = watch(resumed)
    resumed.train(resume_from_checkpoint=str(folders[3]))
    assert list(again) == [4]
    assert fingerprint(again[4]["reference"]) == policy[3], "the reference was not restored"
    assert fingerprint(again[4]["weights"]) == policy[4]
    rows = rollouts(segments)
    assert [[(row["uid"], row["response"]) for row in rows[n]] for n in sorted(rows)] == [
        [(row["uid"], row["response"]) for row in whole[n]] for n in sorted(whole)
    ]
    ends = [dict(t.model.named_parameters()) for t in (trainer, resumed)]
    for name in ends[0]:
        torch.testing.assert_close(ends[0][name], ends[1][name])
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_questions_come_in_whole_epochs_and_in_the_same_order(segments: Job) -> None:
    from r1train.backends.questions import questions

    first, second = questions(segments, 0), questions(segments, 1)
    assert len(first) == len(second) == 2 * QUESTIONS
    assert sorted(row["id"] for row in first[:3]) == sorted(row["id"] for row in second[:3])
    assert sorted(row["id"] for row in first[:3]) == ["p0", "p1", "p2"]
    assert first == questions(segments, 0)
    assert first + second != questions(other := replace(segments, seed=6), 0) + questions(other, 1)


@pytest.mark.parametrize(
    ("rules", "total", "masked"),
    [
        ({"truncated": "score"}, "scored", False),
        ({"truncated": "zero"}, 0.0, False),
        ({"truncated": "mask"}, "scored", True),
        ({"truncated": "zero", "truncated_in": {"math": "mask"}}, "scored", True),
        ({"truncated": "mask", "truncated_in": {"math": "score"}}, "scored", False),
    ],
)
def test_a_response_that_was_cut_is_scored_worth_nothing_or_masked(
    job: Job, rules: dict[str, Any], total: float | str, masked: bool
) -> None:
    """All prompts are of the domain math; a random model seldom ends within the tokens that it may write."""
    segment = replace(job.segments[0], steps=1, max_tokens=6)
    trainer = make(replace(job, rollout={**job.rollout, **rules}, segments=(segment,)))
    seen = watch(trainer)
    trainer.train()
    rows = rollouts(job)[1]
    cut = [row["finish_reason"] == "length" for row in rows]
    assert any(cut), "no response was cut: nothing was tested"
    for row, was_cut in zip(rows, cut, strict=True):
        if was_cut and total == 0.0:
            assert (row["reward"], row["status"]) == (0.0, "ok")
        elif row["status"] == "ok":
            assert row["reward"] == pytest.approx(lot(row["response"]) / 255 + 0.5)
    lengths = [int(mask.sum()) for batch in seen[1]["batches"] for mask in batch["completion_mask"]]
    assert lengths.count(0) == (sum(cut) if masked else 0)


def test_a_stop_inside_a_rollout_waits_for_its_end(job: Job) -> None:
    """SIGTERM in the first of two minibatches: the checkpoint that a run resumes from is on a boundary."""
    segment = replace(job.segments[0], steps=4)
    trainer = make(replace(job, rollout={**job.rollout, "minibatches": 2}, segments=(segment,)))
    seen = watch(trainer)
    compute_loss = trainer._compute_loss

    def stop_at_once(model: Any, inputs: Any) -> Any:
        trainer.recorder.stopping = True
        return compute_loss(model, inputs)

    trainer._compute_loss = stop_at_once
    trainer.train()
    assert sorted(seen) == [1, 2]
