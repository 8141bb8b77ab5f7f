"""What a model can do: sample and score by R1's protocol (arXiv 2501.12948), within a run and outside of one.

Zero-shot, at temperature 0.6 and top-p 0.95, several samples of each problem: pass@1 is the mean over them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from r1data.flat import flatten
from r1data.sample import sample
from r1data.sources.base import digest
from r1rewards.core.errors import UserError
from r1rewards.core.settings import check_settings
from r1rewards.core.store import Step, read_rows, replacing, write_rows
from r1rewards.core.template import Template
from r1rewards.llm import LanguageModel
from r1rewards.llm.model_source import ModelSource
from r1rewards.spec import Spec, load_spec
from r1train.benchmark import Benchmark
from r1train.engines import Engines
from r1train.models import context_length, fingerprint, named_model
from r1train.progress import Progress
from r1train.recipe import Sampling
from r1train.run import Model, RunFolder
from r1train.sampling import responses
from r1train.summary import compare, summarize

Row = dict[str, Any]

#: Room for a prompt in the engine of `r1train eval`, beside the longest response.
PROMPT_TOKENS = 2048


def evaluate(run: RunFolder, model: Model, stage: Path, *, previous: Path | None) -> None:
    """Leave `evaluation/` in the stage's folder: every held-out sample with its verdicts, and the summary.

    previous  the stage folder to compare with, problem by problem
    """
    settings = run.recipe.evaluation
    heldout = run.folder / "0-data" / "heldout.parquet"
    config = settings.model_dump() | {"model": model.key, "seed": run.recipe.seed}
    compared = [previous / "evaluation" / "scored.jsonl"] if previous else []
    with run.step(stage / "evaluation", config, [heldout, Path(settings.rewards), *compared]) as step:
        if step is None:
            return
        problems = list(read_rows(heldout))
        bar = f"evaluate {model.name}"
        rows = score_samples(run, model, step, problems, sampling=settings, rewards=settings.rewards, bar=bar)
        summary = summarize(rows)
        if previous is not None:
            summary["compare"] = {"previous": previous.name, **compare(read_rows(compared[0]), rows)}
        _write(step.path, rows, summary)
        step.finish({"in": len(rows), "problems": summary["problems"]})


def score_samples(
    run: RunFolder,
    model: Model,
    step: Step,
    problems: Sequence[Any],
    *,
    sampling: Sampling,
    rewards: str,
    bar: str,
) -> list[Row]:
    """Responses of the model to each problem, kept in the step's `responses.jsonl`, with their verdicts."""
    flat = responses(run, model, step, problems, sampling, bar)
    with load_spec(rewards) as spec:
        return _scored(spec, flat)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How `r1train eval` samples and grades; R1's own where nothing else is said.

    samples  responses to each problem; None for what the benchmark says
    rewards  the reward spec; None for that of `evaluation.yaml`
    """

    samples: int | None = None
    temperature: float = 0.6
    top_p: float = 0.95
    max_tokens: int = 32768
    seed: int = 0
    rewards: Path | None = None

    def sampling(self, benchmark: Benchmark) -> Sampling:
        return check_settings(
            Sampling,
            {
                "samples": benchmark.samples if self.samples is None else self.samples,
                "temperature": self.temperature,
                "top_p": self.top_p,
                "max_tokens": self.max_tokens,
            },
            "the sampling",
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of one model on one benchmark: its folder, and the summary (see `r1train.summary`)."""

    benchmark: Benchmark
    model: str
    folder: Path
    summary: dict[str, Any]

    def rows(self) -> Iterable[Row]:
        """Every response with its problem and its verdicts."""
        return read_rows(self.folder / "scored.jsonl")


def evaluate_models(
    models: Sequence[str],
    benchmarks: Sequence[Benchmark],
    folder: Path,
    protocol: Protocol,
    endpoint: ModelSource | None = None,
) -> list[Evaluation]:
    """Every model on every benchmark, into `folder/MODEL/BENCHMARK`; what stands there is not made again.

    models    model folders, hub ids, folders of runs or their stages; at an endpoint the names that it knows
    endpoint  how to reach a server; without one the models are loaded here, one after the other
    """
    progress = Progress()
    rewards = protocol.rewards or Path(str(files("r1train") / "evaluation.yaml"))
    with load_spec(rewards) as spec, ExitStack() as opened:
        _check_judges(benchmarks, spec)
        if endpoint is None:
            candidates = _loaded(models, folder, protocol, opened)
        else:
            candidates = [_served(name, endpoint, spec.template, folder, opened) for name in models]
        names = [candidate.name for candidate in candidates]
        if len(set(names)) < len(names):
            raise UserError(f"two of the models are called the same: {', '.join(names)}; name each once")
        return [
            _evaluate_on(benchmark, candidate, folder, protocol, spec, rewards, progress)
            for candidate in candidates
            for benchmark in benchmarks
        ]


def _check_judges(benchmarks: Sequence[Benchmark], spec: Spec) -> None:
    """Nobody samples for hours what then cannot be graded."""
    if any(component.name == "general" for component in spec.components):
        return
    for benchmark in benchmarks:
        if benchmark.judged:
            raise UserError(
                f"no rule can grade the answers to {benchmark.name}; give --spec with a judge named general: "
                "`general: {use: judge, options: {judge: correctness, url: ..., record: judge.calls.jsonl}}`"
            )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model to evaluate: what rows call it, what its weights depend on, and the model when it is asked."""

    name: str
    key: str
    model: Callable[[], LanguageModel]


def _loaded(models: Sequence[str], folder: Path, protocol: Protocol, opened: ExitStack) -> list[_Candidate]:
    """Models of this machine, which take turns in one engine that starts when the first is asked."""
    found = [named_model(text) for text in models]
    # Room for the longest response and its prompt, as far as every model has it.
    lengths = [protocol.max_tokens + PROMPT_TOKENS, *(context_length(path) for _, path in found)]
    longest = min(length for length in lengths if length is not None)
    engines = Engines(folder / "engine.log", max_length=longest)
    opened.callback(engines.close)
    return [_Candidate(name, fingerprint(path), partial(engines.get, path)) for name, path in found]


def _served(
    name: str, endpoint: ModelSource, template: Template, folder: Path, opened: ExitStack
) -> _Candidate:
    served = replace(endpoint, model=name)
    name, model = opened.enter_context(served.open(log=folder / "engine.log", template=template))
    return _Candidate(name, name, model)


def _evaluate_on(
    benchmark: Benchmark,
    candidate: _Candidate,
    out: Path,
    protocol: Protocol,
    spec: Spec,
    rewards: Path,
    progress: Progress,
) -> Evaluation:
    """Sample and score, into two steps below `out/MODEL/BENCHMARK`.

    samples/     problems.jsonl and responses.jsonl, appended to as they land
    evaluation/  scored.jsonl and summary.json, made again where only the reward spec has changed
    """
    folder = out / re.sub(r"[^\w.-]+", "-", candidate.name).strip("-.") / benchmark.name
    sampling = protocol.sampling(benchmark)
    made_by = {
        "model": candidate.key,
        "name": candidate.name,
        "template": spec.template.name,
        "problems": digest(benchmark.problems, size=16),
        "seed": protocol.seed,
        **sampling.model_dump(),
    }
    with Step(folder / "samples", "sample", config=made_by) as step:
        if not step.done:
            with progress.bar(f"{benchmark.name}: sample {candidate.name}") as bar:
                found = sample(
                    benchmark.problems,
                    candidate.model,
                    step.path / "responses.jsonl",
                    name=candidate.name,
                    template=spec.template,
                    seed=protocol.seed,
                    landed=lambda done, total, _: bar(done, total),
                    **sampling.model_dump(),
                )
            write_rows(step.path / "problems.jsonl", benchmark.problems)
            step.finish({"responses": len(found)})
    sampled = [folder / "samples" / "problems.jsonl", folder / "samples" / "responses.jsonl"]
    with Step(folder / "evaluation", "evaluate", config={}, inputs=[*sampled, rewards]) as step:
        if not step.done:
            with progress.bar(f"{benchmark.name}: grade {candidate.name}") as bar:
                rows = _scored(spec, list(flatten(benchmark.problems, read_rows(sampled[1]))), bar)
            summary = summarize(rows)
            _write(step.path, rows, summary)
            step.finish({"rows": len(rows), "problems": summary["problems"]})
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    return Evaluation(benchmark, candidate.name, folder / "evaluation", summary)


def _scored(
    spec: Spec, flat: Sequence[Row], bar: Callable[[int, int], None] = lambda done, total: None
) -> list[Row]:
    rows = []
    for row, score in zip(flat, spec.score(flat), strict=True):
        rows.append(score.to_row(row) | {"problem_id": row["id"]})
        bar(len(rows), len(flat))
    return rows


def _write(folder: Path, rows: Sequence[Row], summary: Mapping[str, Any]) -> None:
    write_rows(folder / "scored.jsonl", rows)
    with replacing(folder / "summary.json") as part:
        part.write_text(json.dumps(summary, indent=1, ensure_ascii=False))
