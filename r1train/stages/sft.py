"""Stages 1 and 3: collect traces, curate them, mix them, and fine-tune."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1data.align import align
from r1data.content import load
from r1data.curate import curate
from r1data.mix import mix
from r1data.select import select_responses
from r1data.worked import worked_trace
from r1rewards import choice, math
from r1rewards.core.errors import UserError
from r1rewards.core.rows import check_problem, response_uid
from r1rewards.core.store import read_rows, write_rows
from r1train.recipe import Problems, SftStage, Traces
from r1train.run import RunFolder
from r1train.sampling import responses
from r1train.stages.fit import fit
from r1train.stages.judge import judge
from r1train.stages.train import train


def run_sft(run: RunFolder, folder: Path, stage: SftStage) -> None:
    """Each source of traces is a folder of steps; what they keep is mixed, tokenised, trained on."""
    kept = [path for traces in stage.data if (path := collect(run, folder / traces.name, traces))]
    if not kept:
        raise UserError(f"{folder.name}: no trace was kept by any source; see the ledgers in {folder}")
    rows: Sequence[Path] = kept
    if stage.mix is not None:
        mix(kept, folder / "mix", quotas=stage.mix.quota, total=stage.mix.total, seed=run.recipe.seed)
        rows = [folder / "mix" / "kept.parquet"]
    model = run.model(stage.model)
    data = fit(run, folder / "dataset", model, rows, max_length=stage.optim.max_length)
    train(run, folder / "train", stage=folder.name, kind="sft", model=model, settings=stage, data=data)


def collect(run: RunFolder, folder: Path, traces: Traces) -> Path | None:
    """The curated traces of one source, a Parquet file of flat rows; None where the rules kept nothing."""
    collected = Source(run, folder, traces).rows()
    counts = curate(collected, traces.rules, folder / "curate")
    kept = folder / "curate" / "kept.parquet"
    if counts["kept"] and traces.judge is not None:
        kept, counts = judge(run, folder / "judge", kept, traces.judge)
    if counts["kept"] and traces.source == "samples":
        seed = run.recipe.seed
        counts = select_responses(kept, folder / "select", k=traces.per_problem, seed=seed)
        kept = folder / "select" / "kept.parquet"
    run.progress.say(f"  {folder.name}: {counts['kept']} kept")
    return kept if counts["kept"] else None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of one `Traces` come from; every kind leaves a file of flat rows."""

    run: RunFolder
    folder: Path
    traces: Traces

    def rows(self) -> Path:
        if self.traces.source == "file":
            return Path(str(self.traces.path))
        if self.traces.source == "samples":
            return self._samples()
        config = self.traces.model_dump(mode="json") | {"template": self.run.template.name}
        train = self.run.folder / "0-data" / "train.parquet"
        with self.run.step(self.folder / "rows", config, [train]) as step:
            if step is not None:
                made = {"worked": self._worked, "written": self._written, "answers": self._answers}
                count = write_rows(step.path / "rows.parquet", made[self.traces.source]())
                if count == 0:
                    raise UserError(
                        f"{self.folder.name}: this source has no rows; see its problems and tasks"
                    )
                step.finish({"rows": count})
        return self.folder / "rows" / "rows.parquet"

    def _row(self, problem: Mapping[str, Any], text: str, maker: str) -> dict[str, Any]:
        return {
            **problem,
            "uid": response_uid(str(problem["id"]), maker, {}, 0),
            "sample": 0,
            "text": text,
            "finish_reason": "stop",
            "model": maker,
        }

    def _worked(self) -> Iterator[dict[str, Any]]:
        for problem in choose(self.run, self.traces.problems):
            trace = worked_trace(problem)
            if trace is not None:
                yield self._row(problem, self.run.template.render(*trace), "worked")

    def _written(self) -> Iterator[dict[str, Any]]:
        for row in load("traces"):
            problem = check_problem({"source": "written", **row}, f"content/traces {row['id']}")
            text = self.run.template.render(row["reasoning"], row["answer"])
            yield self._row(problem, text, "written")

    def _answers(self) -> Iterator[dict[str, Any]]:
        """General prompts with the answers written for them; those of the training split only."""
        ids = {problem["id"] for problem in choose(self.run, self.traces.problems)}
        for name in ("general", "safety"):
            for row in load(name):
                if row["id"] not in ids:
                    continue
                more = {"task": name, "reference": row["answer"], "source": f"answers/{name}"}
                problem = check_problem({**row, **more}, f"content/{name} {row['id']}")
                reasoning = row.get("reasoning") or ""
                if not reasoning:
                    problem["thinking"] = "none"
                text = self.run.template.render(reasoning, row["answer"], thinking=bool(reasoning))
                yield self._row(problem, text, "written")

    def _samples(self) -> Path:
        """Responses of a model, brought into the template where the source asks for it."""
        run, traces = self.run, self.traces
        model = run.model(traces.model)
        train = run.folder / "0-data" / "train.parquet"
        config = traces.model_dump(mode="json") | {"model": model.key, "seed": run.recipe.seed}
        with run.step(self.folder / "sample", config, [train]) as step:
            if step is not None:
                problems = choose(run, traces.problems)
                rows = responses(run, model, step, problems, traces.sampling, f"sample {model.name}")
                if traces.align:
                    rows = [self._aligned(row) for row in rows]
                step.finish({"rows": write_rows(step.path / "rows.parquet", rows)})
        return self.folder / "sample" / "rows.parquet"

    def _aligned(self, row: dict[str, Any]) -> dict[str, Any]:
        """A free-form response in the template: its text is the reasoning, what a grader finds the answer."""
        if row["task"] == "math":
            found = math.check(row["text"], row["reference"]).details.get("extracted")
        elif row["task"] == "choice":
            found = choice.check(row["text"], row["reference"]).details.get("chosen")
        else:
            found = None
        aligned = align(row["text"], self.run.template, answer=found)
        return row if aligned is None else {**row, "text": aligned}


def choose(run: RunFolder, wanted: Problems) -> list[Any]:
    """Training problems by task, an even spread over the file, the same for the same recipe."""
    rows = [
        row
        for row in read_rows(run.folder / "0-data" / "train.parquet")
        if not wanted.tasks or row["task"] in wanted.tasks
    ]
    rows.sort(key=lambda row: response_uid(row["id"], "order", {"seed": run.recipe.seed}, 0))
    end = None if wanted.count is None else wanted.offset + wanted.count
    chosen = rows[wanted.offset : end]
    if not chosen:
        raise UserError(
            f"no training problem of the tasks {', '.join(wanted.tasks) or 'all'} is left from number "
            f"{wanted.offset} on; stage 0 makes {len(rows)}"
        )
    return chosen
