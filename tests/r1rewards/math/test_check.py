"""The verdicts of the math reward: policy, layout, abstention, batches, threads, asyncio, processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.core.template import TEMPLATES
from r1rewards.math import MathReward, check, check_many, explain

CASES = [
    (r"so \boxed{0.5}", r"\frac{1}{2}", 1.0),
    (r"so \boxed{0.6}", r"\frac{1}{2}", 0.0),
    (r"\boxed{\lim_{x \to 0} \frac{\sin x}{x}}", "1", 1.0),
    (r"\boxed{\int_0^1 x dx}", r"\frac12", 1.0),
    (r"\boxed{\lim_{x \to 0} \frac{\sin x}{x}}", "2", 0.0),
    ("no idea", "3", 0.0),
    (r"\boxed{cut it}", "The triangle can be cut along the midline", None),
]


@pytest.mark.parametrize(("response", "gold", "value"), CASES)
def test_values(response: str, gold: str, value: float | None) -> None:
    assert check(response, gold).value == value


def test_a_verdict_says_what_why_and_how() -> None:
    verdict = check(r"<think>hm</think> so \boxed{0.5}", r"\frac{1}{2}")
    assert (verdict.value, verdict.route, verdict.reason) == (1.0, "boxed/tree", "equal as rational")
    assert verdict.details["extracted"] == "0.5"
    assert verdict.details["gold_type"] == "rational"
    assert 0 <= verdict.details["seconds"] < 60


def test_a_box_inside_the_thinking_does_not_count() -> None:
    assert check(r"<think>\boxed{5}</think> I do not know", "5").value == 0
    assert check(r"<think>\boxed{4}</think> so \boxed{5}", "5").value == 1


def test_an_unclosed_thinking_has_no_answer() -> None:
    verdict = check(r"<think> it is \boxed{5}", "5")
    assert verdict.value == 0
    assert "not closed" in verdict.reason


@pytest.mark.parametrize(
    ("response", "template", "value"),
    [
        ("<think>a</think> <answer>72</answer>", "think-answer", 1),
        ("<think>a</think> <answer>72", "think-answer", 0),
        ("<think>a</think> 72", "think-answer", 0),
        (r"<think>a</think> the total is \boxed{72}", "think-summary", 1),
        ("<think>a</think> the total is 72", "think-summary", 0),
        ("<reasoning_process>a</reasoning_process><summary>72</summary>", "reasoning-summary", 1),
        ("<think>a</think> <answer>72</answer>", None, 1),
        ("<think>a</think> <answer>72 or 73</answer>", None, 0),
    ],
)
def test_strict_by_template(response: str, template: str | None, value: float) -> None:
    assert check(response, "72", policy="strict", template=template).value == value


def test_a_prefilled_response_starts_inside_the_thinking() -> None:
    assert check("5 is it", "5", prefilled=True).value == 0
    assert check("hm</think> 5", "5", prefilled=True).value == 1


def test_a_correction_scores_and_a_hedge_does_not() -> None:
    assert check(r"\boxed{4}. Wait, that is wrong. It is \boxed{5}.", "5").value == 1
    assert check(r"\boxed{4} \boxed{5}", "5").value == 0
    assert check(r"\boxed{4 \text{ or } 5}", "5").value == 0
    assert check("the answer is 4 or 5", "5").value == 0


def test_a_batch_says_what_single_checks_say() -> None:
    responses = [response for response, _, _ in CASES] * 3
    golds = [gold for _, gold, _ in CASES] * 3
    batch = check_many(responses, golds)
    single = [check(response, gold) for response, gold in zip(responses, golds, strict=True)]
    assert [(v.status, v.value, v.reason, v.route) for v in batch] == [
        (v.status, v.value, v.reason, v.route) for v in single
    ]


@pytest.mark.slow
def test_a_large_batch_on_all_cores_says_the_same() -> None:
    responses = [rf"\boxed{{\frac{{{n}}}{{{n + 1}}}}}" for n in range(5000)]
    golds = [f"{n}/{n + 1 + n % 2}" for n in range(5000)]
    values = [verdict.value for verdict in check_many(responses, golds)]
    assert values == [1.0 if n % 2 == 0 or n == 0 else 0.0 for n in range(5000)]


def test_the_reward_reads_samples() -> None:
    reward = MathReward(policy="strict")
    text = "<think>a</think><answer>72</answer>"
    trace = TEMPLATES["think-answer"].parse(text)
    samples = [Sample("a", "math", text, trace, reference=gold) for gold in ("72", "73")]
    assert [verdict.value for verdict in reward.check_many(samples)] == [1.0, 0.0]
    assert reward.check(samples[0]).value == 1.0
    unknown = Sample("a", "math", "<think>a</think><answer>None</answer>", trace, reference=None)
    assert reward.check(unknown).status == "abstain"
    with pytest.raises(UserError, match="policy"):
        MathReward(policy="loose")  # type: ignore[arg-type]


def test_a_defect_of_the_grader_is_an_error_and_not_a_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(gold: str, answer: str) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr(sys.modules["r1rewards.math.check"], "decide", broken)
    for verdict in (check(r"\boxed{1}", "2"), *check_many([r"\boxed{1}"], ["2"])):
        assert (verdict.status, verdict.value) == ("error", None)
        assert "KeyError" in verdict.reason


def test_explain_tells_every_step() -> None:
    lines = explain(r"<think>hm</think> so \boxed{0.5}", r"\frac{1}{2}")
    text = "\n".join(lines)
    for fact in ("rational", "boxed", "'0.5'", "right", "verdict       1"):
        assert fact in text


def _values() -> list[float | None]:
    return [check(response, gold).value for response, gold, _ in CASES]


def _in_a_process(pipe: multiprocessing.connection.Connection) -> None:
    pipe.send(_values())


def test_the_same_from_threads_asyncio_and_a_daemon_fork() -> None:
    expected = [value for _, _, value in CASES]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: _values(), range(3))) == [expected] * 3

    async def inside() -> list[float | None]:
        return _values()

    assert asyncio.run(inside()) == expected
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_in_a_process, args=(there,), daemon=True)
    process.start()
    assert here.recv() == expected
    process.join()


def test_importing_the_package_loads_no_heavy_library() -> None:
    program = (
        "import sys, r1rewards.math; r1rewards.math.check('\\\\boxed{0.5}', '1/2');"
        "print([m for m in ('sympy', 'torch', 'mpmath', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=True,
    )
    assert done.stdout.strip() == "[]"
