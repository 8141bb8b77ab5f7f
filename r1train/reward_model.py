"""One reward model by itself, without a recipe: what `r1train rm` does.

    report = train_reward_model(Path("pairs.jsonl"), Path("runs/helpfulness"), model=folder)

The rows are split by prompt; of pairs the lengths are matched, for in most preference data the longer answer
wins and a model would learn that. Trained is on the first part, pair-wise (helpfulness) or point-wise on
labels (harmlessness), and what comes out is measured on the other, beside chance, length and words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Scope
from r1rewards.core.rows import drawn_hash
from r1rewards.core.store import Step, read_rows, replacing, write_rows
from r1rewards.core.template import TEMPLATES, Template
from r1rewards.judge.evaluate import Report, by_reward_model, evaluate, length_matched
from r1rewards.judge.labelled import Kind, Labelled, prompt_key, read_labelled
from r1train.backends import get_backend
from r1train.job import Job
from r1train.progress import Progress
from r1train.recipe import SftOptim
from r1train.stages.train import train_job

#: DeepSeek-R1's settings for both models (arXiv 2501.12948, supplement); how the rate falls is not published.
R1 = SftOptim(learning_rate=6e-6, epochs=1, batch_size=256, max_length=8192)


def train_reward_model(
    data: Path,
    output: Path,
    *,
    model: Path,
    scope: Scope | None = None,
    optim: SftOptim = R1,
    heldout: float = 0.1,
    match_lengths: bool = True,
    seed: int = 0,
    save_steps: int = 20,
    template: Template = TEMPLATES["think-answer"],
    columns: Mapping[str, str] | None = None,
    good: Collection[str] = (),
    backend: str = "trl",
    say: Callable[[str], None] = lambda sentence: None,
) -> Report | None:
    """Train into `output/train/model`, and measure it; a second try goes on where the first one stopped.

    data     pairs or labelled responses, see `r1rewards.judge.labelled`; `columns` and `good` as there
    model    a folder with a causal language model; it gets a scalar head
    scope    what the model is shown of a response; by default R1's: of pairs the answer, of labels all of it
    heldout  the share of the prompts that it is measured on; with 0 nothing is measured
    say      told what a user should know: rows left out, texts cut

    Returns the figures, None where no row is held out.
    """
    if not 0 <= heldout < 1:
        raise UserError("the share of prompts held out lies between 0 and 1")
    read = read_labelled(data, columns=columns, good=good)
    shown: Scope = scope or ("answer" if read.kind == "pairs" else "response")
    rows = _prepare(read, output, data, shown, heldout, match_lengths, seed, template, say)
    parts = {name: output / "data" / f"{name}.jsonl" for name in ("train", "heldout")}
    trained = _train(
        rows, parts["train"], output / "train", model, optim, seed, save_steps, template, backend
    )
    texts = json.loads((output / "train" / "texts.json").read_text())
    if texts["cut"]:
        say(
            f"{texts['cut']:,} of {texts['texts']:,} texts were longer than {optim.max_length} tokens: "
            f"their beginnings were cut ({texts['tokens_cut']:,} tokens); --max-length takes more"
        )
    held = list(read_rows(parts["heldout"]))
    if not held:
        return None
    grader = by_reward_model(trained, scope="response", max_length=optim.max_length, template=template)
    others = list(read_rows(parts["train"]))
    report = evaluate(rows, held, output.name, grader, also=others)
    with replacing(output / "evaluation.json") as part:
        part.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    return report


def _prepare(
    read: Labelled,
    output: Path,
    data: Path,
    scope: Scope,
    heldout: float,
    match_lengths: bool,
    seed: int,
    template: Template,
    say: Callable[[str], None],
) -> Kind:
    """Write the two parts of the rows, in the part of each response that the model is shown."""
    config = {
        "rows": [row["uid"] for row in read.rows],
        "scope": scope,
        "heldout": heldout,
        "match_lengths": match_lengths,
        "seed": seed,
        "template": template.name,
    }
    with Step(output / "data", "rm data", config=config, inputs=[data]) as step:
        if not step.done:
            rows = list(_shown(read, scope, template))
            empty = len(read.rows) - len(rows)
            held = [_part(row, seed) < heldout for row in rows]
            parts: dict[str, Sequence[Mapping[str, Any]]] = {
                "train": [row for row, out in zip(rows, held, strict=True) if not out],
                "heldout": [row for row, out in zip(rows, held, strict=True) if out],
            }
            if match_lengths and read.kind == "pairs":
                parts = {name: length_matched(part) for name, part in parts.items()}
            counts = {name: write_rows(step.path / f"{name}.jsonl", part) for name, part in parts.items()}
            unmatched = len(rows) - sum(counts.values())
            step.finish({**counts, "left_out": len(read.left_out), "empty": empty, "unmatched": unmatched})
        counts = step.counts
    if read.left_out:
        say(read.left_out_sentence)
    if counts["empty"]:
        say(f"{counts['empty']:,} rows were left out: nothing of their response is in the scope {scope!r}")
    if counts["unmatched"]:
        why = "so that longer answers win no more than shorter ones"
        say(f"{counts['unmatched']:,} pairs were left out, {why} (--no-match-lengths keeps them)")
    if not counts["train"]:
        raise UserError(f"{data}: no rows are left to train on")
    say(f"{counts['train']:,} {read.kind} to train on, {counts['heldout']:,} of other prompts held out")
    return read.kind


def _shown(read: Labelled, scope: Scope, template: Template) -> Iterator[dict[str, Any]]:
    """The rows with their responses cut down to the scope, those left out of which nothing is left."""
    names = ("chosen", "rejected") if read.kind == "pairs" else ("response",)
    for row in read.rows:
        texts = {name: row[name].strip() for name in names}
        if scope == "answer":
            texts = {name: template.parse(text).answer for name, text in texts.items()}
        if all(texts.values()):
            one = {"id": row["id"], "uid": row["uid"], "prompt": row["prompt"], **texts}
            yield one if read.kind == "pairs" else {**one, "text": one["response"], "label": row["label"]}


def _part(row: Mapping[str, Any], seed: int) -> float:
    """A number from 0 to 1 that rows of the same prompt share."""
    return drawn_hash(f"{seed} {prompt_key(row)}".encode()) / 2**64


def _train(
    kind: Kind,
    data: Path,
    folder: Path,
    model: Path,
    optim: SftOptim,
    seed: int,
    save_steps: int,
    template: Template,
    backend: str,
) -> Path:
    config = {"kind": kind, "model": str(model), "optim": optim.model_dump(exclude_none=True), "seed": seed}
    with Step(folder, "rm train", config=config, inputs=[data]) as step:
        if not step.done:
            job = Job(
                stage=folder.parent.name,
                kind=kind,
                model=str(model),
                output=str(step.path.resolve()),
                seed=seed,
                template=template.name,
                save_steps=save_steps,
                optim=optim.model_dump(exclude_none=True),
                data=str(data.resolve()),
            )
            with Progress().bar(f"train {kind}") as bar:
                result = train_job(job, get_backend(backend), step.path, bar)
            step.finish({"steps": result.steps})
    return folder / "model"
