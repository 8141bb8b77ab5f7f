"""Where the time of a GRPO step and of an SFT step goes, beside plain TRL; on the CPU, with SmolLM2-135M.

    python bench/grpo_step.py                  both tables, minutes on two idle cores
    python bench/grpo_step.py --questions 2 --group 4 --max-tokens 16 --steps 1      a quick look

GRPO, three contenders:

    r1kit        the trl backend as `r1train run` starts it, the engine (vLLM) in a process beside it
    TRL          GRPOTrainer, rollouts by transformers' generate
    TRL + vLLM   GRPOTrainer with vLLM in its own process. TRL's own push of weights fails on the CPU, so that
                 it is done by hand, the quickest way that vLLM has; nothing else is changed. TRL would also
                 correct for the distance between vLLM's log-probabilities and its own, at the price of one
                 more forward pass: that is left out, in its favour.

SFT, two: r1kit, and SFTTrainer with its defaults, loss on the completion only. Their default of recomputing
activations is switched off in both of TRL's trainers: without a GPU it only costs time.

The same for all: a float32 model under bfloat16 autocast, the learning rate, KL and clipping of the recipe
smollm2-135m, the questions (asked anew in every step), one optimiser step for each batch, and the rewards,
format and language: cheap, and different enough between responses to leave a gradient. Every rollout has
exactly `--max-tokens` tokens: the model is a copy whose end-of-text token has a number past its vocabulary,
which no sampler draws. Up to 64 responses, the recipe's number, are computed side by side;
`--trl-micro-batch` gives TRL fewer at a time, whose gradients it adds up: less memory, and another speed.

Each contender runs in a process of its own, one after the other. Other programs can make a step ten times as
long: how busy they were meanwhile is told on standard error, and figures count only where that is close to 0.
The first step is not counted. A step lasts from the end of the one before to its own end, the loading of data
and the log included; nobody saves checkpoints. What one phase does inside another counts for the inner one:

    generate      prompts to completions            reference    log-probabilities of the reference model
    weight push   the policy into the engine        forward      the policy's (SFT: the loss), with gradients
    score         completions to rewards            optimiser    clipping of gradients, AdamW
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from step_contenders import CONTENDERS, RECIPE, SPEC, STAGES  # noqa: E402

from r1data.sample import ask  # noqa: E402 - the repository's own copy, wherever this is started from
from r1data.sources.arithmetic import arithmetic  # noqa: E402
from r1data.sources.choice import choice  # noqa: E402
from r1data.worked import worked_trace  # noqa: E402
from r1rewards.core.console import print_table  # noqa: E402
from r1rewards.core.store import write_rows  # noqa: E402
from r1rewards.core.template import get_template  # noqa: E402
from r1train.job import Job, JobSegment  # noqa: E402
from r1train.models import resolve_model  # noqa: E402
from r1train.stages.fit import encode, load_tokenizer  # noqa: E402

MODEL = "smollm2-135m"
PHASES = ("generate", "weight push", "score", "reference", "forward", "backward", "optimiser", "other")
MODEL_WORK = ("generate", "forward", "backward")
SFT_ROWS = 48

Figures = dict[str, float]


# -- the work, the same for all


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Write what the contenders read: a model, questions, tokenised rows, and a job for each kind of step."""
    model, template = resolve_model(MODEL), get_template(RECIPE.template)
    steps = 1 + options.steps
    questions = list(arithmetic(count=options.questions, seed=0, language="en"))
    write_rows(folder / "questions.jsonl", [row | {"ask": ask(row, template)} for row in questions])
    (folder / "spec.yaml").write_text(SPEC)
    stage = STAGES["2-reasoning-rl"]
    shape = {"questions": options.questions, "group": options.group, "max_tokens": options.max_tokens}
    segment = JobSegment(
        steps, str(folder / "questions.jsonl"), str(folder / "spec.yaml"), options.max_tokens, False
    )
    grpo = Job(
        stage="grpo",
        kind="rl",
        model=str(endless(model, folder / "endless")),
        output=str(folder / "grpo"),
        seed=0,
        template=template.name,
        save_steps=steps,
        optim=stage.optim.model_dump() | {"precision": "bf16"},
        rollout=stage.rollout.model_dump(exclude_none=True)
        | shape
        | {"minibatches": 1, "dtype": RECIPE.engine.dtype},
        segments=(segment,),
        native={"args": {"save_strategy": "no"}},
    )
    tokenizer, rows = load_tokenizer(model), []
    sources = (
        arithmetic(count=SFT_ROWS * 2 // 3, seed=0, language="en"),
        choice(count=SFT_ROWS // 3, seed=0, language="en"),
    )
    for problem in (problem for source in sources for problem in source):
        trace = worked_trace(problem)
        assert trace is not None, problem
        rows.append(encode(tokenizer, ask(problem, template), template.render(*trace)))
    write_rows(folder / "rows.jsonl", rows)
    sft = replace(
        grpo,
        stage="sft",
        kind="sft",
        model=str(model),
        output=str(folder / "sft"),
        optim=STAGES["1-cold-start"].optim.model_dump() | {"precision": "bf16"},
        data=str(folder / "rows.jsonl"),
        rollout={},
        segments=(),
        native={"args": {"save_strategy": "no", "max_steps": steps}},
    )
    for job in (grpo, sft):
        Path(job.output).mkdir()
        job.write(folder / f"{job.stage}.json")


def endless(model: Path, folder: Path) -> Path:
    """A copy of the model whose end-of-text token has a number past the vocabulary: it is never drawn."""
    tokenizer = load_tokenizer(model)
    tokenizer.add_special_tokens({"eos_token": "<|never|>"})
    tokenizer.save_pretrained(folder)
    for name in ("config.json", "generation_config.json"):
        config = json.loads((model / name).read_text()) | {"eos_token_id": tokenizer.eos_token_id}
        assert tokenizer.eos_token_id >= config.get("vocab_size", 0)
        (folder / name).write_text(json.dumps(config))
    for file in model.glob("*.safetensors"):
        (folder / file.name).symlink_to(file)
    return folder


# -- the clock


class Clock:
    """Seconds by phase, and tokens. A phase inside another is taken out of the outer one."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.tokens = 0
        self._inner: list[float] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self.spent[name] += took - self._inner.pop()
            if self._inner:
                self._inner[-1] += took

    def wrap(
        self,
        owner: Any,
        method: str,
        phase: str | Callable[[], str],
        tokens: Callable[[Any, Any], int] = lambda arguments, result: 0,
    ) -> None:
        """Time every call of this one object's method; `tokens` counts in arguments and result."""
        original = getattr(owner, method)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            with self.phase(phase if isinstance(phase, str) else phase()):
                result = original(*arguments, **keywords)
            self.tokens += tokens(arguments, result)
            return result

        setattr(owner, method, timed)

    def take(self, total: float) -> Figures:
        """The figures of a step that took `total` seconds; the next one starts from nothing."""
        known = dict(self.spent)
        figures = known | {"other": total - sum(known.values()), "step": total, "tokens": self.tokens}
        self.spent.clear()
        self.tokens = 0
        return figures


def measure(trainer: Any, kind: str, length: int | None) -> list[Figures]:
    """Run the trainer; the figures of each step after the first."""
    import torch
    from transformers import TrainerCallback

    clock, steps = Clock(), list[Figures]()

    def rollout_tokens(_arguments: Any, result: Any) -> int:
        lengths = [len(ids) for ids in result[0]]
        assert set(lengths) == {length}, f"rollouts of {sorted(set(lengths))} tokens, not {length}"
        return sum(lengths)

    def logprobs() -> str:
        return "forward" if torch.is_grad_enabled() else "reference"

    def trained_tokens(arguments: Any, _result: Any) -> int:
        return int((arguments[1]["labels"] != -100).sum())

    if kind == "grpo":
        if hasattr(trainer, "_push_weights"):
            clock.wrap(trainer, "_push_weights", "weight push")
        clock.wrap(trainer, "_generate_single_turn", "generate", rollout_tokens)
        clock.wrap(trainer, "_calculate_rewards", "score")
        clock.wrap(trainer, "_get_per_token_logps_and_entropies", logprobs)
    else:
        clock.wrap(trainer, "compute_loss", "forward", trained_tokens)
    clock.wrap(trainer.accelerator, "backward", "backward")
    clock.wrap(trainer, "_clip_grad_norm", "optimiser")

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any, **_: Any) -> None:
            clock.wrap(optimizer, "step", "optimiser")
            self.since = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            now = time.perf_counter()
            steps.append(clock.take(now - self.since))
            self.since = now

    trainer.add_callback(Steps())
    trainer.train()
    return steps[1:]


# -- running and printing


def run(folder: Path, kind: str, name: str) -> list[Figures]:
    """One contender in a new process, with the environment that `r1train run` gives a trainer."""
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    log, result = folder / "log", folder / "result.json"
    command = [sys.executable, __file__, *sys.argv[1:], "--contender", str(folder), kind, name]
    print(f"{kind}: {name}", end="", file=sys.stderr, flush=True)
    begun, before = time.perf_counter(), others()
    with log.open("wb") as file:
        ended = subprocess.run(command, env=os.environ | quiet, stdout=file, stderr=file, check=False)
    rest = max(0.0, others() - before) / (time.perf_counter() - begun)
    print(f", the rest of the machine kept {rest:.2f} processors busy", file=sys.stderr, flush=True)
    if ended.returncode:
        sys.exit(f"{name} failed:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:]))
    steps: list[Figures] = json.loads(result.read_text())
    return steps


def others() -> float:
    """Processor seconds since the start of the machine that no finished child of this process has used."""
    user, nice, system, _idle, _wait, *interrupts = Path("/proc/stat").read_text().split()[1:8]
    ticks = sum(map(int, (user, nice, system, *interrupts)))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") - children.ru_utime - children.ru_stime


def mean(steps: list[Figures]) -> Figures:
    return {name: sum(step.get(name, 0.0) for step in steps) / len(steps) for name in steps[0]}


def print_steps(title: str, found: dict[str, list[Figures]], tokens: str) -> None:
    """A table of the phases, and a line for each contender."""
    means = {name: mean(steps) for name, steps in found.items()}
    print(f"\n{title}")
    rows: list[list[Any]] = []
    for phase in (*PHASES, "step"):
        seconds = [figures.get(phase) for figures in means.values()]
        if all(value is None for value in seconds):
            continue
        row: list[Any] = [phase]
        for value, figures in zip(seconds, means.values(), strict=True):
            share = None if value is None else round(100 * value / figures["step"], 1)
            row += [None if value is None else round(value, 2), share]
        rows.append(row)
    print_table(["seconds a step", *(column for name in means for column in (name, "%"))], rows)
    for name, figures in means.items():
        lengths, rate = [step["step"] for step in found[name]], figures["tokens"] / figures["step"]
        print(
            f"{name}: {figures['tokens']:.0f} {tokens} a step, {rate:.0f} a second; "
            f"steps of {min(lengths):.1f} to {max(lengths):.1f} s; "
            f"{figures['step'] / means['r1kit']['step']:.2f} times the time of r1kit"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3, help="timed steps, after one that is not")
    parser.add_argument("--questions", type=int, default=8, help="questions of a GRPO step")
    parser.add_argument("--group", type=int, default=8, help="rollouts of each question")
    parser.add_argument("--max-tokens", type=int, default=64, help="tokens of each rollout")
    parser.add_argument("--trl-micro-batch", type=int, help="rollouts that TRL computes side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every step there")
    parser.add_argument("--contender", nargs=3, help=argparse.SUPPRESS)  # how `run` calls this file again
    options = parser.parse_args()
    if options.contender:
        folder, kind, name = options.contender
        job = Job.read(Path(folder) / f"{kind}.json")
        micro = options.trl_micro_batch or job.optim["micro_batch"]
        with CONTENDERS[kind][name](job, micro) as trainer:
            figures = measure(trainer, kind, job.rollout.get("max_tokens"))
        (Path(folder) / "result.json").write_text(json.dumps(figures))
        return
    found: dict[str, dict[str, list[Figures]]] = {}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for kind, contenders in CONTENDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), options)
            found[kind] = {name: run(Path(folder), kind, name) for name in contenders}
    rollouts = f"{options.questions} x {options.group} rollouts of {options.max_tokens} tokens"
    print_steps(f"GRPO, {rollouts}, mean of {options.steps} steps", found["grpo"], "sampled tokens")
    ours = mean(found["grpo"]["r1kit"])
    share = sum(ours[phase] for phase in MODEL_WORK) / ours["step"]
    print(f"r1kit spends {share:.1%} of a step on {', '.join(MODEL_WORK)}")
    batch = STAGES["1-cold-start"].optim.batch_size
    print_steps(
        f"SFT, {batch} worked traces a step, mean of {options.steps} steps", found["sft"], "trained tokens"
    )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
