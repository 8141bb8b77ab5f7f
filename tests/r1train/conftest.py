"""A run directory as the pipeline writes it, made up: enough of all that is shown; and a real browser."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from r1rewards.core.store import write_rows
from r1rewards.core.verdict import Verdict
from r1train.summary import compare, summarize

STAGES = ("0-data", "1-cold-start", "2-reasoning-rl", "3-rejection-sft", "4-all-scenarios-rl")
SKILL = {
    "base": 0.1,
    "1-cold-start": 0.3,
    "2-reasoning-rl": 0.55,
    "3-rejection-sft": 0.5,
    "4-all-scenarios-rl": 0.62,
}
DOMAINS = {"math": "math", "code": "code", "logic": "puzzle", "stem": "choice", "writing": "general"}

#: What a model may write to break a page. The first one is the answer to the first problem of each domain.
HOSTILE = (
    "</script><script>window.broken = true</script><img src=x onerror='window.broken = true'>"
    " [link](javascript:window.broken=true) <a href='javascript:window.broken=true'>here</a>"
    " \u202egnp.exe\u202c \u2066isolated\u2069 zero\u200bwidth \x1b[31mred\x00 \U000e0041"
    " ${window.broken=true} {{ 7*7 }}"
)
HUGE = "x" * 300_000


def scored(problem: int, domain: str, sample: int, model: str, dice: random.Random) -> dict[str, Any]:
    task = DOMAINS[domain]
    right = dice.random() < SKILL[model]
    formed = dice.random() < (0.2 if model == "base" else 0.97)
    answer = str(problem if right else problem + 1)
    if problem == 0:
        answer = HOSTILE
    if problem == 1 and domain == "math":
        answer = HUGE
    text = (
        f"<think>\nLet me see: {problem} + 0.\n\nSo it is {answer[:40]}.\n</think>\n<answer>{answer}</answer>"
    )
    verdicts = {
        "format": Verdict.of(formed, "well formed" if formed else "no_reasoning"),
        "language": Verdict.of(0.9 + dice.random() / 10, "9 of 10 words"),
    }
    if task == "general":
        verdicts["helpful"] = Verdict.of(dice.gauss(SKILL[model], 0.2), "scalar head")
    elif problem % 19 == 7:
        verdicts[task] = Verdict.error(f"the worker died after {problem} s", "timeout")
    elif problem % 17 == 5:
        verdicts[task] = Verdict.abstain("no answer found in <b>the response</b>", "extract")
    else:
        verdicts[task] = Verdict.of(right, "equal" if right else "different")
    values = {name: verdict.value for name, verdict in verdicts.items()}
    failed = any(verdict.status == "error" for verdict in verdicts.values())
    return {
        "uid": f"{model}-{domain}-{problem}-{sample}",
        "problem_id": f"{domain}-{problem:03}",
        "sample": sample,
        "task": task,
        "domain": domain,
        "language": "zh" if problem % 5 == 4 else "en",
        "prompt": [{"role": "user", "content": f"What is {problem} + 0? <i>Say why.</i>"}],
        "reference": {"tests": [{"input": "1", "output": "1"}]} if task == "code" else str(problem),
        "text": text,
        "tokens": 20 + dice.randrange(60),
        "finish_reason": "length" if dice.random() < 0.05 else "stop",
        "model": model,
        "reward": None if failed else math.fsum(v for v in values.values() if v is not None),
        "rewards": values,
        "status": "error" if failed else "ok",
        "verdicts": {name: verdict.to_dict() for name, verdict in verdicts.items()},
    }


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluate(run: Path, model: str, previous: str | None, problems: int) -> None:
    dice = random.Random(model)
    rows = [scored(p, d, s, model, dice) for d in DOMAINS for p in range(problems) for s in range(2)]
    summary = summarize(rows)
    if previous:
        with (run / previous / "evaluation" / "scored.jsonl").open() as before:
            summary["compare"] = {"previous": previous} | compare(map(json.loads, before), rows)
    write_lines(run / model / "evaluation" / "scored.jsonl", rows)
    write_json(run / model / "evaluation" / "summary.json", summary)


def grpo_metrics(steps: int, dice: random.Random) -> list[dict[str, Any]]:
    lines = []
    for step in range(1, steps + 1):
        level = 1 - math.exp(-step / 15)
        lines.append(
            {
                "step": step,
                "segment": 0 if step <= steps // 2 else 1,
                "loss": dice.gauss(0, 0.02),
                "reward": 0.6 + 1.4 * level + dice.gauss(0, 0.08),
                "reward_std": 0.6 - 0.2 * level,
                "rewards/math": 0.1 + 0.5 * level + dice.gauss(0, 0.05),
                "rewards/format": 0.3 + 0.68 * level,
                "rewards/language": 0.93 + dice.gauss(0, 0.01),
                "rewards/language/abstained": 0.125 if step % 9 == 0 else 0.0,
                "rewards/math/errors": 0.0,
                "rewards/total": 2.0,
                "rewards/without_total": 0.0,
                "kl": 0.002 * (step % (steps // 2)) + 0.0005,
                "entropy": 0.9 - 0.4 * level,
                "completions/mean_length": 60 + step / 2 + dice.gauss(0, 3),
                "completions/clipped_ratio": max(0.0, dice.gauss(0.05, 0.03)),
                "frac_reward_zero_std": 0.1 + 0.3 * level,
                "grad_norm": float("nan") if step == 3 else 0.4 + dice.random() / 5,
                "learning_rate": 3e-6 * min(1, step / 5),
                "clip_ratio/low_mean": 0.0,
                "clip_ratio/high_mean": 0.001 * dice.random(),
                "seconds": 19 + dice.random() * 4,
                "num_tokens": 4500.0 * (step if step <= steps // 2 else step - steps // 2),
            }
        )
    return lines


def sft_metrics(steps: int, dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "segment": 0,
            "loss": 0.4 + 1.6 * math.exp(-step / 12) + dice.gauss(0, 0.04),
            "mean_token_accuracy": 0.9 - 0.4 * math.exp(-step / 12),
            "grad_norm": 1.0 + dice.random(),
            "learning_rate": 5e-5 * (1 - step / steps),
            "seconds": 4.0 + dice.random(),
            "tokens": 2100,
        }
        for step in range(1, steps + 1)
    ]


def ledger(folder: Path, dropped: dict[str, int], parts: dict[str, int]) -> None:
    """A step of curation as `r1data` leaves it: its ledger, its manifest, and the rows that it read."""
    fates = [("dropped", rule, n) for rule, n in dropped.items()] + [
        (part, None, n) for part, n in parts.items()
    ]
    named = [(fate, rule, f"{fate}-{rule}-{i}") for fate, rule, n in fates for i in range(n)]
    rows = [
        {
            "uid": uid,
            "id": uid,
            "task": "math",
            "prompt": f"Why was {uid} {fate}?",
            "text": f"{HOSTILE} {uid}",
        }
        for fate, _, uid in named
    ]
    read = folder.with_name(f"{folder.name}-rows.parquet")
    write_rows(read, rows)
    lines = [
        {
            "index": i,
            "uid": uid,
            "id": uid,
            "source": "made",
            "task": "math",
            "domain": "math",
            "step": "curate",
        }
        | {"fate": fate, "rule": rule, "value": 0.25 if rule else None, "threshold": 0.95 if rule else None}
        | {"match": None, "span": "<b>the words</b>" if rule else None}
        for i, (fate, rule, uid) in enumerate(named)
    ]
    schema: dict[str, Any] = {"index": pl.UInt32, "value": pl.Float64, "threshold": pl.Float64}
    schema |= dict.fromkeys(("rule", "match", "span"), pl.String)
    folder.mkdir(parents=True)
    pl.DataFrame(lines, schema_overrides=schema).write_parquet(folder / "ledger.parquet")
    write_json(
        folder / "step.json",
        {"step": "curate", "inputs": {f"runs/made/{folder.parent.name}/{read.name}": "0" * 32}},
    )


def train(run: Path, stage: str, dice: random.Random) -> None:
    folder = run / stage
    if stage.endswith("-rl"):
        write_lines(folder / "train" / "metrics.jsonl", grpo_metrics(40, dice))
        for step in (1, 2):
            rows = [
                scored(p, "math", s, "base", dice) | {"group": p, "advantage": dice.gauss(0, 1), "step": step}
                for p in range(2, 10)
                for s in range(4)
            ]
            write_rows(folder / "train" / "rollouts" / f"step-{step:06}.parquet", rows)
    else:
        write_lines(folder / "train" / "metrics.jsonl", sft_metrics(70, dice))
        ledger(folder / "curate", {"mixed_language": 22, "wrong_answer": 410, "unclosed": 64}, {"kept": 304})
    if stage.startswith("4"):
        for name in ("helpful", "harmless"):
            model = folder / "reward-models" / name
            metrics = [line | {"accuracy": 0.5 + line["step"] / 100} for line in sft_metrics(20, dice)]
            write_lines(model / "train" / "metrics.jsonl", metrics)
            accuracy = {"mean": 0.81, "low": 0.74, "high": 0.88}
            figures = {"prompts": 60, "rows": 120, "accuracy": accuracy}
            if name == "harmless":
                figures["ranked"] = {"mean": 0.93, "low": 0.87, "high": 0.98}
            write_json(model / "evaluation" / "evaluation.json", figures)


def make_run(run: Path, *, finished: int = 5, problems: int = 20) -> Path:
    """A run of which the first `finished` stages are done and the next one is at work."""
    dice = random.Random(0)
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text("model: smollm2-135m\nseed: 17\nstages:\n  - {name: 0-data, seed: 3}\n")
    packages = {"torch": "2.13.0", "trl": "1.16.0", "vllm": "0.31.0", "transformers": "5.17.0"}
    write_json(
        run / "versions.json", {"packages": packages, "python": "3.11.2", "commit": "abc1234", "cpus": 2}
    )
    entries: list[dict[str, Any]] = [{"name": "base", "status": "done", "seconds": 12.0, "steps": []}]
    for index, stage in enumerate(STAGES):
        status = "done" if index < finished else "running" if index == finished else "pending"
        steps = [
            {"name": name, "seconds": 30 + 400 * dice.random()}
            for name in ("sample", "curate", "train", "evaluate")
        ]
        if status == "pending":
            steps = []
        entries.append(
            {"name": stage, "status": status, "seconds": sum(s["seconds"] for s in steps), "steps": steps}
        )
        if index >= finished:
            continue
        if index == 0:
            evaluate(run, "base", None, problems)
            ledger(run / stage / "decontaminate", {"ngram_overlap": 6}, {"kept": 594})
            ledger(run / stage / "split", {}, {"train": 494, "held_out": 100})
        else:
            train(run, stage, dice)
            evaluate(run, stage, "base" if index == 1 else STAGES[index - 1], problems)
    if finished == len(STAGES):
        models = ["base", *STAGES[1:]]
        figures = {
            name: summarize(scored(p, "writing", s, name, dice) for p in range(20) for s in range(2))["all"]
            for name in models
        }
        change = {"reward": {"difference": 0.1, "low": 0.02, "high": 0.18, "p": 0.01, "problems": 20}}
        compared = {name: {"previous": before} | change for before, name in pairwise(models)}
        write_json(run / STAGES[-1] / "general" / "summary.json", {"models": figures, "compare": compared})
    write_json(run / "state.json", {"name": "smollm2-135m", "stages": entries})
    return run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture
def unfinished(tmp_path: Path) -> Callable[[int], Path]:
    return lambda finished: make_run(tmp_path / f"run-{finished}", finished=finished, problems=6)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real Chromium, headless; `make test-browser` installs it."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: make test-browser installs it")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        bundled = Path(playwright.chromium.executable_path)  # where `playwright install` puts one
        if found is None and not bundled.is_file():
            pytest.skip("no Chromium: make test-browser installs it")
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()
