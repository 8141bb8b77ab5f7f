from __future__ import annotations

import math
from pathlib import Path

import pytest

from r1train.report.figures import (
    POINTS,
    accuracy_by_stage,
    curves,
    duration,
    funnel,
    paper_by_stage,
    time_spent,
)
from r1train.report.run import Training, load_run


def training(**series: list[float]) -> Training:
    length = len(next(iter(series.values())))
    lines = [
        {"step": i + 1, "segment": 0}
        | {name.replace("__", "/"): values[i] for name, values in series.items()}
        for i in range(length)
    ]
    return Training("policy", lines)


def test_a_training_shows_the_metrics_that_it_has(run: Path) -> None:
    stages = {stage.name: stage for stage in load_run(run).stages}
    sft = [figure.title for figure in curves(stages["1-cold-start"].trainings[0])]
    rl = [figure.title for figure in curves(stages["2-reasoning-rl"].trainings[0])]
    assert sft == [
        "Loss",
        "Token accuracy",
        "Gradient norm",
        "Learning rate",
        "Seconds per step",
        "Tokens per step",
    ]
    assert {"Reward", "Reward by part", "KL to the reference", "Entropy", "Response length"} < set(rl)
    assert {"Truncated rollouts", "Groups without variance", "Clipped ratios"} < set(rl)


def test_parts_have_a_line_each_and_segments_are_parted(run: Path) -> None:
    stages = {stage.name: stage for stage in load_run(run).stages}
    figures = {figure.title: figure for figure in curves(stages["2-reasoning-rl"].trainings[0])}
    parts = figures["Reward by part"]
    assert [trace["name"] for trace in parts.traces] == ["format", "language", "math"]
    assert [trace["tone"] for trace in parts.traces] == [0, 1, 2]
    assert [trace["name"] for trace in figures["Without a value"].traces] == ["language/abstained"]
    assert set(figures["Tokens per step"].traces[0]["y"]) == {4500.0}
    assert [shape["x0"] for shape in parts.layout["shapes"]] == [20.5]


def test_what_is_not_a_number_is_left_out_of_a_curve() -> None:
    (figure,) = curves(training(loss=[1.0, math.nan, 3.0, math.inf]))
    assert figure.traces[0]["x"] == [1, 3]
    assert figure.traces[0]["y"] == [1.0, 3.0]
    assert curves(training(loss=[math.nan])) == []


def test_a_long_curve_is_averaged_in_bins() -> None:
    (figure,) = curves(training(loss=[float(i) for i in range(10 * POINTS)]))
    trace = figure.traces[0]
    assert len(trace["x"]) == len(trace["y"]) == POINTS
    assert trace["y"][0] == pytest.approx(4.5)
    assert trace["x"][0] == pytest.approx(5.5)


def test_the_band_of_the_reward_lies_around_it() -> None:
    (figure,) = curves(training(reward=[1.0, 2.0], reward_std=[0.5, 0.25]))
    band, line = figure.traces
    assert band["y"] == [1.5, 2.25, 1.75, 0.5]
    assert band["x"] == [1, 2, 2, 1]
    assert line["y"] == [1.0, 2.0]


def test_names_are_not_taken_for_markup() -> None:
    (figure,) = curves(training(**{"rewards__<b>x</b>": [1.0]}))
    assert figure.traces[0]["name"] == "&lt;b&gt;x&lt;/b&gt;"


def test_a_funnel_holds_everything_that_was_read(run: Path) -> None:
    stage = next(stage for stage in load_run(run).stages if stage.name == "1-cold-start")
    (bars,) = funnel(stage, stage.ledgers[0]).traces
    assert bars["y"] == ["read", "wrong_answer", "unclosed", "mixed_language", "kept"]
    assert bars["x"][0] == sum(bars["x"][1:]) == 800
    assert bars["text"][1] == "410 · 51.2 %"


def test_stages_stand_side_by_side_with_the_paper(run: Path) -> None:
    ours, paper = accuracy_by_stage(load_run(run)), paper_by_stage()
    assert ours.layout["xaxis"]["categoryarray"] == ["base", "after 1", "after 2", "after 3", "after 4"]
    assert [trace["name"] for trace in ours.traces] == ["all", "math", "code", "stem", "logic"]
    assert all(value >= 0 for trace in ours.traces for value in trace["error_y"]["arrayminus"])
    assert all(len(trace["y"]) == 5 for trace in paper.traces)


def test_every_timed_step_has_a_bar(run: Path) -> None:
    figure = time_spent(load_run(run))
    assert figure is not None
    assert len(figure.traces[0]["x"]) == 1 + 5 * 4  # the base model as a whole, four steps of each stage


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3840, "1 h 04 min")],
)
def test_durations_are_for_reading(seconds: float, text: str) -> None:
    assert duration(seconds) == text
