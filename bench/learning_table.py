"""The table of `learning.py`, from saved metrics alone: what each stage and each ablation changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from r1train.summary import MEASURES

Metrics = dict[str, Any]
#: The seeds that belong to the benchmark, by ablation; None is the full recipe.
Planned = Mapping[str | None, Sequence[int]]

SFT, RL = "1-cold-start", "2-reasoning-rl"


def table(saved: Sequence[Metrics], planned: Planned) -> str:
    """The whole of learning.md; the same metrics give the same text, whatever their order."""
    saved = [m for name in planned for m in sorted(saved, key=_seed) if m["ablation"] == name]
    parts = [
        "# What the recipe teaches",
        "`recipes/smollm2-135m` over seeds and without its parts, on held-out problems. Written by\n"
        "`python bench/learning.py` from the metrics in `learning/`; not to be edited.",
    ]
    if not saved:
        return _document([*parts, "No run saved yet."])
    full = [m for m in saved if m["ablation"] is None]
    parts += [_missing(saved, planned), "## Runs", *_runs(saved)]
    if full:
        parts += ["## The full recipe, by stage", *_stages(full)]
        parts += [f"## {RL} less {SFT}, by seed", *_step(full)]
    for name in planned:
        ablated = [m for m in saved if m["ablation"] == name]
        if name and ablated:
            parts += [f"## {name}", *_ablation(ablated)]
    return _document(parts)


def _seed(metrics: Metrics) -> int:
    seed: int = metrics["seed"]
    return seed


def _missing(saved: Sequence[Metrics], planned: Planned) -> str:
    """Which of the runs that this benchmark is made of have not been run, in a sentence."""
    have = {(m["ablation"], m["seed"]) for m in saved}
    missing = []
    for name, seeds in planned.items():
        left = [str(seed) for seed in seeds if (name, seed) not in have]
        if left:
            missing.append(f"{name or 'the full recipe'} with seed{'s' * (len(left) > 1)} {', '.join(left)}")
    return f"Not run yet: {'; '.join(missing)}." if missing else "Every run of this benchmark is in it."


def _runs(saved: Sequence[Metrics]) -> list[str]:
    rows = [
        [
            m["ablation"] or "full recipe",
            str(m["seed"]),
            f"`{m['recipe']}`",
            f"`{(m['commit'] or 'unknown')[:10]}`",
            str(m["cores"]),
            f"{m['seconds'] / 60:.0f} min",
        ]
        for m in saved
    ]
    recipes = len({m["recipe"] for m in saved})
    parts = [
        _rows(["run", "seed", "recipe", "commit", "cores", "wall time"], rows),
        "Wall time is that of all steps in all sittings; of an ablation, of what it does not share with the\n"
        "full run. `recipe` is a fingerprint of stages, settings and reward specs.",
    ]
    if recipes > 1:
        parts.append(f"**These runs are of {recipes} different versions of the recipe**, and not comparable.")
    return parts


def _stages(full: Sequence[Metrics]) -> list[str]:
    rows = []
    for name in dict.fromkeys(name for m in full for name in m["stages"]):
        found = [m["stages"][name]["evaluation"]["all"] for m in full if _evaluated(m, name)]
        if found:
            rows.append([name, str(len(found)), *(spread(measure, found) for measure in MEASURES)])
    return [
        _rows(["model", "seeds", *MEASURES], rows),
        "Mean over seeds, in brackets the lowest and the highest; per cent, but for the reward. `language`\n"
        "is the share of words in the prompt's language, where a response has enough words to tell.",
    ]


def _step(full: Sequence[Metrics]) -> list[str]:
    rows = []
    for m in full:
        found = m["stages"].get(RL, {}).get("compare", {})
        if found.get("previous") == SFT:
            rows.append([str(m["seed"]), *(difference(measure, found["all"]) for measure in MEASURES)])
    if not rows:
        return ["No saved run has both stages."]
    return [
        _rows(["seed", *MEASURES], rows),
        "Paired by problem, with the 95 % bootstrap interval over problems; in points.",
    ]


def _ablation(ablated: Sequence[Metrics]) -> list[str]:
    """For each seed the full recipe, the ablation and their difference; language by the prompt's as well."""
    languages = sorted({language for m in ablated for language in m["difference"]["languages"]})
    rows = []
    for m in ablated:
        for label, key in (("full recipe", "full"), ("ablation", "ablated"), ("difference", "difference")):
            show = difference if key == "difference" else mean
            cells = [show(measure, m[key]["all"]) for measure in MEASURES]
            cells += [show("language", m[key]["languages"].get(language, {})) for language in languages]
            rows.append([str(m["seed"]), label, *cells])
    head = ["seed", "", *MEASURES, *(f"language, {language} prompts" for language in languages)]
    return [
        f"{ablated[0]['what']}; both after `{ablated[0]['stage']}`.",
        _rows(head, rows),
    ]


def mean(measure: str, figures: Mapping[str, Any]) -> str:
    found = figures.get(measure)
    return _number(measure, found["mean"]) if found else "–"


def spread(measure: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    """The mean over the seeds that have the measure, with their range; a note where some lack it."""
    values = [figures[measure]["mean"] for figures in seeds if figures.get(measure)]
    if not values:
        return "–"
    middle, low, high = (_number(measure, value) for value in (fmean(values), min(values), max(values)))
    notes = [f"{low}–{high}"] if len(values) > 1 else []
    if len(values) < len(seeds):
        notes.append(f"{len(values)} of {len(seeds)} seeds")
    return f"{middle} ({'; '.join(notes)})" if notes else middle


def difference(measure: str, figures: Mapping[str, Any]) -> str:
    found = figures.get(measure)
    if not found:
        return "–"
    middle, low, high = (_number(measure, found[key], sign="+") for key in ("difference", "low", "high"))
    return f"{middle} ({low} to {high})"


def _number(measure: str, value: float, sign: str = "-") -> str:
    scaled, places = (value, 2) if measure == "reward" else (100 * value, 1)
    text = f"{round(scaled, places) + 0.0:{sign}.{places}f}"  # + 0.0: no minus before a zero
    return text.replace("-", "−")


def _evaluated(metrics: Metrics, stage: str) -> bool:
    return "evaluation" in metrics["stages"].get(stage, {})


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _document(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
