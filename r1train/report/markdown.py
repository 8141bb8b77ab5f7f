"""A run as a Markdown document with its pictures beside it: what a repository shows of a finished run.

Model text stands in fences that it cannot close; names out of the run's data are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import yaml

from r1rewards.core.errors import UserError
from r1rewards.core.store import replacing
from r1train.report.figures import curves, duration
from r1train.report.headline import ABSENT, AMOUNTS, Cell, amount, checked_domains, headline, percent, signed
from r1train.report.page import Comparison, comparisons
from r1train.report.pictures import write_picture
from r1train.report.run import Run, Stage, load_run
from r1train.report.samples import Answered, cases
from r1train.report.text import spelled

SAMPLES = 3
SAMPLE_LIMIT = 1200
#: The curves that are drawn, by the titles of `figures.PANELS`; a training without reward shows its loss.
RL_CURVES = (
    "Reward",
    "Reward by part",
    "KL to the reference",
    "Response length",
    "Truncated rollouts",
    "Groups without variance",
)
SFT_CURVES = ("Loss",)
#: What a reward model is measured by on held-out prompts.
RM_FIGURES = {
    "accuracy": "held-out pairs or labels told right",
    "ranked": "good answers ranked above bad ones to the same prompt",
}
READINGS = GAINED, LOST, UNCLEAR = "gained", "lost", "no clear difference"

Difference = Mapping[str, float]


def write_markdown(run: Path, document: Path, notes: Path | None = None) -> Path:
    """Write the document of a run, finished or not, and its pictures into the folder of the same name.

    notes  a hand-written notebook, quoted as it is; `recipes/NAME/NOTES.md` where it is there

    Raises UserError where the run, the notes, the place or matplotlib is not what it should be.
    """
    if document.suffix != ".md":
        raise UserError(f"{document}: the document's name must end in .md, such as docs/run.md")
    loaded = load_run(run)
    if notes is None:
        usual = Path("recipes") / loaded.name / "NOTES.md"
        notes = usual if usual.is_file() else None
    elif not notes.is_file():
        raise UserError(f"{notes}: there is no such file; give --notes a Markdown file, or leave it out")
    said = notes.read_text(encoding="utf-8", errors="replace").strip() if notes else ""
    text = "\n\n".join(_sections(loaded, document, said)) + "\n"
    with replacing(document) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))
    return document


def fenced(text: str, kind: str = "text") -> str:
    """A code block that its text cannot close: its fence is longer than any run of backticks in it."""
    text = spelled(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{kind}\n{text}\n{fence}"


def inline(text: object) -> str:
    """A name as one line of plain text, also in the cell of a table."""
    line = " ".join(spelled(str(text)).split())
    return re.sub(r"[\\`*\[\]<>|~$&]|(?<!\w)_|_(?!\w)", r"\\\g<0>", line)


def _sections(run: Run, document: Path, notes: str) -> Iterator[str]:
    yield f"# {document.stem.replace('-', ' ').capitalize()}"
    yield "<!-- Written by `r1train report --markdown`: run it again instead of editing this. -->"
    yield from _origin(run, document)
    yield "## Results by stage"
    yield from _results(run)
    yield "## Is each stage better than the one before?"
    yield from _differences(run)
    if general := _general(run):
        yield "## General prompts"
        yield "Prompts without an answer that a rule can check: the mean reward and what changed, as above."
        yield general
    yield "## Training curves"
    yield from _curves(run, document)
    yield "## What curation kept"
    yield _data(run) or "No curation step has finished yet."
    yield "## Where the time went"
    yield _time(run) or "Nothing is timed yet."
    yield "## The same problems, stage by stage"
    yield from _samples(run)
    if notes:
        yield "## What did not work"
        yield notes


def _origin(run: Run, document: Path) -> Iterator[str]:
    """What the run was, how long it took, and how to make run and document again."""
    try:
        recipe = yaml.safe_load(run.recipe)
    except yaml.YAMLError:
        recipe = None
    recipe = recipe if isinstance(recipe, dict) else {}
    versions = run.versions
    packages = ", ".join(f"{name} {version}" for name, version in versions.get("packages", {}).items())
    facts = [
        f"recipe {run.name}",
        *(f"{key} {recipe[key]}" for key in ("model", "seed") if key in recipe),
        f"commit {str(versions['commit'])[:12]}" if versions.get("commit") else "",
        f"Python {versions['python']}" if versions.get("python") else "",
        packages,
        f"{versions['cpus']} cores" if versions.get("cpus") else "",
        f"{duration(sum(stage.seconds for stage in run.stages))} of steps",
    ]
    told = inline(", ".join(filter(None, facts)))
    yield f"One run: {told}. Every figure here comes out of its folder. To make it again:"
    again = [_command(run), f"r1train report {_from_here(run.path)} --markdown {_from_here(document)}"]
    yield "<!-- not run: takes many minutes -->\n" + fenced(
        "\n".join(f"$ {line}" for line in again), "console"
    )
    if not run.finished:
        yield "**This run is unfinished.**"
    if run.missing:
        yield "\n".join(f"- {inline(sentence)}" for sentence in run.missing)


def _command(run: Run) -> str:
    """The command of the run, without the folder that r1train was installed in."""
    _, *arguments = str(run.versions.get("command") or "").split() or [""]
    return " ".join(["r1train", *(arguments if arguments[:1] == ["run"] else ["run", f"recipes/{run.name}"])])


def _from_here(path: Path) -> Path:
    full, here = path.resolve(), Path.cwd()
    return full.relative_to(here) if full.is_relative_to(here) else path


def _results(run: Run) -> Iterator[str]:
    rows = headline(run)
    first = next((stage.summary for stage, _ in rows if stage.summary), None)
    if first is None:
        yield "Nothing is evaluated yet."
        return
    yield (
        f"Each model on the same {first['problems']:,} held-out problems, {first['samples']} samples each. "
        "Shares are in percent; below each figure its 95 % interval, bootstrapped over problems. Tokens are "
        "the mean length of a response; truncated ones met the length limit."
    )
    yield _table(
        ["model", *map(inline, rows[0][1])],
        ([_model(stage), *map(_cell, cells.values())] for stage, cells in rows),
    )


def _model(stage: Stage) -> str:
    return inline(stage.title if stage.summary else f"{stage.title} ({stage.status})")


def _cell(cell: Cell) -> str:
    return cell.lines().replace("\n", "<br>")


def _differences(run: Run) -> Iterator[str]:
    compared = comparisons(run)
    if not compared:
        yield "No stage has been compared with the one before it yet."
        return
    yield (
        "Paired over the same problems: shares in points, the 95 % interval of the difference and its "
        "two-sided p. *Gained* and *lost* are said where the interval leaves 0 out; elsewhere these problems "
        "are too few to tell. Of many figures that do not differ, one in twenty is said to, by chance."
    )
    yield "\n".join(map(_told, compared))
    yield _table(
        ["model less the one before", *map(inline, compared[0].cells)],
        (
            [inline(line.stage.title), *(_difference_cell(name, found) for name, found in line.cells.items())]
            for line in compared
        ),
    )


def _told(line: Comparison) -> str:
    """A comparison in plain words: accuracy with its figures, then what else gained, lost, or did neither."""
    told = f"- **{inline(line.stage.title)}** against {inline(line.previous)}:"
    accuracy = line.cells["accuracy"]
    if accuracy:
        value, interval, p = _difference("accuracy", accuracy)
        told += f" {reading(accuracy)} in accuracy, {value} points ({interval}, {p})."
    words: dict[str, list[str]] = {said: [] for said in READINGS}
    for name, found in line.cells.items():
        if found and name != "accuracy":
            words[reading(found)].append(inline(name))
    others = [f"{said}: {', '.join(names)}" for said, names in words.items() if names]
    return f"{told} The rest: {'; '.join(others)}." if others else told


def reading(found: Difference) -> str:
    """What a difference says in words: one of `READINGS`."""
    return GAINED if found["low"] > 0 else LOST if found["high"] < 0 else UNCLEAR


def _difference_cell(name: str, found: Difference | None) -> str:
    if not found:
        return ABSENT
    said = reading(found)
    return "<br>".join([*_difference(name, found), *([f"**{said}**"] if said != UNCLEAR else [])])


def _difference(name: str, found: Difference) -> tuple[str, str, str]:
    """The difference, its interval and its p; a share in points."""
    digits, scale = (2, 1) if name in AMOUNTS else (1, 100)
    value, low, high = (signed(scale * found[key], digits) for key in ("difference", "low", "high"))
    p = "p < 0.001" if found["p"] < 0.001 else f"p = {found['p']:.3f}"
    return value, f"{low} to {high}", p


def _general(run: Run) -> str:
    """The reward by stage in the domains that no rule checks; empty where there are none."""
    checked = set(checked_domains(run))
    domains = {stage.name: (stage.summary or {}).get("domains") or {} for stage in run.models}
    names = sorted({name for found in domains.values() for name in found} - checked)
    rows = []
    for stage in run.models:
        compared = ((stage.summary or {}).get("compare") or {}).get("domains") or {}
        cells = []
        for name in names:
            change = (compared.get(name) or {}).get("reward")
            cell = _cell(amount((domains[stage.name].get(name) or {}).get("reward")))
            cells.append(f"{cell}<br>{_difference_cell('reward', change)}" if change else cell)
        rows.append([_model(stage), *cells])
    return _table(["model", *map(inline, names)], rows) if names else ""


def _curves(run: Run, document: Path) -> Iterator[str]:
    folder = document.with_suffix("")
    trainings = [(stage, training) for stage in run.stages for training in stage.trainings]
    if not trainings:
        yield "No stage has trained yet."
        return
    yield "Over the optimiser's steps; dotted lines part the segments of a training."
    for stage, training in trainings:
        if training.name != "policy":
            for key, measured in RM_FIGURES.items():
                if held_out := (training.evaluation or {}).get(key):
                    low, high = percent(held_out["low"]), percent(held_out["high"])
                    yield (
                        f"{inline(stage.title)}, {inline(training.name)}: {percent(held_out['mean'])} % of "
                        f"{measured} ({low} to {high}), averaged over prompts."
                    )
            continue
        by_title = {figure.title: figure for figure in curves(training)}
        titles = RL_CURVES if "Reward" in by_title else SFT_CURVES
        shown = [by_title[title] for title in titles if title in by_title]
        if shown:
            write_picture(shown, folder / f"{stage.name}.svg")
            what = ", ".join(figure.title.lower() for figure in shown)
            yield f"### {inline(stage.title)}"
            yield f"![{inline(stage.title)}: {what} by step]({quote(f'{folder.name}/{stage.name}.svg')})"


def _data(run: Run) -> str:
    rows = [
        [
            inline(stage.title),
            inline(ledger.name),
            f"{ledger.rows:,}",
            _counts(ledger.dropped),
            _counts(ledger.parts),
        ]
        for stage in run.stages
        for ledger in stage.ledgers
    ]
    return _table(["stage", "step", "rows in", "dropped by", "kept or put in a part"], rows) if rows else ""


def _counts(counts: Mapping[str, int]) -> str:
    return "<br>".join(f"{inline(name)} {n:,}" for name, n in counts.items()) or ABSENT


def _time(run: Run) -> str:
    total = sum(stage.seconds for stage in run.stages)
    rows = [
        [
            inline(stage.title),
            duration(stage.seconds),
            percent(stage.seconds / total),
            ", ".join(f"{inline(step)} {duration(seconds)}" for step, seconds in stage.steps) or ABSENT,
        ]
        for stage in run.stages
        if stage.seconds
    ]
    return _table(["stage", "time", "% of the run", "steps"], rows) if rows else ""


def _samples(run: Run) -> Iterator[str]:
    shown = cases(run, SAMPLES, SAMPLE_LIMIT)
    if not shown:
        yield "Nothing is evaluated yet."
        return
    yield (
        "The first sample of every model, as it was written; very long ones without their middle. Chosen by "
        "a rule, not by hand: domains take turns, then problems by how the first and the last model compare."
    )
    for case in shown:
        change = f": {case.change}" if case.change else ""
        yield f"### {inline(case.domain or case.problem_id)}{change}"
        yield f"Problem {inline(case.problem_id)}:"
        yield fenced(case.question)
        if case.reference:
            yield "Reference:"
            yield fenced(case.reference)
        for answer in case.answers:
            yield f"**{inline(answer.stage)}**, {_outcome(answer)}:"
            yield fenced(answer.text)


def _outcome(answer: Answered) -> str:
    right = "not checked by a rule" if answer.right is None else "right" if answer.right >= 1 else "wrong"
    reward = "no reward" if answer.reward is None else f"reward {answer.reward:.2f}"
    cut = ", cut at the length limit" * answer.truncated
    return f"{right}, {reward}, {answer.tokens:,} tokens{cut}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
