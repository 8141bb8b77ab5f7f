"""The queue: bounded, in batches, and what befalls one request is none of the others' business."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from r1rewards.component import Component
from r1rewards.core.errors import GraderError, UserError
from r1rewards.core.reward import Reward, Sample
from r1rewards.core.template import get_template
from r1rewards.core.verdict import Verdict
from r1rewards.serve import Settings, create_app
from r1rewards.serve.queue import FullError, Queue
from r1rewards.spec import ErrorSettings, Spec


class Held(Reward):
    """Says the number in the response, once it is let go on; `error` fails."""

    def __init__(self) -> None:
        self.go, self.batches = threading.Event(), list[int]()

    def check_many(self, samples: Sequence[Sample]) -> list[Verdict]:
        self.go.wait(30)
        self.batches.append(len(samples))
        return super().check_many(samples)

    def check(self, sample: Sample) -> Verdict:
        if sample.text == "error":
            raise GraderError("asked to")
        return Verdict.of(float(sample.text), "as said")


def held(**on_error: Any) -> tuple[Held, Spec]:
    reward = Held()
    return reward, Spec(
        [Component("held", reward)],
        get_template("think-answer"),
        on_error=ErrorSettings(retries=0, **on_error),
    )


def sample(spec: Spec, text: str) -> Sample:
    return spec.sample({"task": "general", "response": text}, text)


def run(check: Any) -> Any:
    return asyncio.run(check)


def test_what_waits_is_bounded_and_graded_together() -> None:
    reward, spec = held()

    async def check() -> None:
        queue = Queue(spec, limit=5)
        running = asyncio.create_task(queue.run())
        asked = [asyncio.create_task(queue.score([sample(spec, str(n))], None)) for n in range(5)]
        await asyncio.sleep(0.1)
        with pytest.raises(FullError) as full:
            await queue.score([sample(spec, "5")], None)
        assert full.value.retry_after >= 1
        reward.go.set()
        scores = await asyncio.gather(*asked)
        assert [score.total for (score,) in scores] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert (await queue.score([sample(spec, "5")], None))[0].total == 5.0
        assert (queue.rows, queue.graded) == (0, 6)
        running.cancel()

    run(check())
    assert len(reward.batches) < 6
    spec.close()


def test_only_the_request_at_fault_hears_of_its_error() -> None:
    reward, spec = held(then="stop")
    reward.go.set()

    async def check() -> None:
        queue = Queue(spec, limit=100)
        texts = ["1", "error", "3"]
        asked = [asyncio.create_task(queue.score([sample(spec, text)], None)) for text in texts]
        await asyncio.sleep(0)
        running = asyncio.create_task(queue.run())
        one, two, three = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(two, UserError)
        assert "on_error says stop: held: asked to" in str(two)
        assert (one[0].total, three[0].total) == (1.0, 3.0)
        assert queue.rows == 0
        running.cancel()

    run(check())
    spec.close()


def test_steps_are_not_mixed() -> None:
    late = Component("late", Held(), from_step=10)
    late.reward.go.set()  # type: ignore[attr-defined]
    always = Component("always", Held())
    always.reward.go.set()  # type: ignore[attr-defined]
    spec = Spec([always, late], get_template("think-answer"))

    async def check() -> None:
        queue = Queue(spec, limit=100)
        asked = [asyncio.create_task(queue.score([sample(spec, "1")], step)) for step in (9, 10, 9, None)]
        await asyncio.sleep(0)
        running = asyncio.create_task(queue.run())
        assert [score.total for (score,) in await asyncio.gather(*asked)] == [1.0, 2.0, 1.0, 2.0]
        running.cancel()

    run(check())
    spec.close()


def test_back_pressure_and_deadlines_over_http() -> None:
    reward, spec = held()
    app = create_app(spec, Settings(task="general", queue_rows=3, grade_s=0.3))
    one = {"rows": [{"response": "1"}]}

    async def check() -> None:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server", timeout=30)
        async with app.router.lifespan_context(app), client:
            asked = [asyncio.create_task(client.post("/score", json=one)) for _ in range(3)]
            await asyncio.sleep(0.1)
            full = await client.post("/score", json=one)
            assert (full.status_code, int(full.headers["retry-after"]) >= 1) == (429, True)
            assert full.json()["error"].startswith("too many rows are waiting")
            large = await client.post("/score", json={"rows": one["rows"] * 4})
            assert (large.status_code, large.json()["error"]) == (
                413,
                "4 rows at a time; this server takes 3",
            )
            assert {response.status_code for response in await asyncio.gather(*asked)} == {504}
            stuck = await client.get("/health")
            assert (stuck.status_code, stuck.json()["status"]) == (503, "stuck")
            reward.go.set()
            while (await client.get("/health")).status_code != 200:
                await asyncio.sleep(0.01)
            answered = await client.post("/score", json=one)
            assert answered.json()["scores"][0]["reward"] == 1.0
            assert (await client.get("/health")).json()["waiting"] == 0

    run(check())
    spec.close()


def test_openrlhf_hears_of_a_row_without_a_reward() -> None:
    async def check(spec: Spec) -> httpx.Response:
        app = create_app(spec, Settings(task="general"))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server", timeout=30)
        async with app.router.lifespan_context(app), client:
            body = {"query": ["p error"], "prompts": ["p "], "labels": [None]}
            return await client.post("/get_reward", json=body)

    for on_error, status in (({}, 500), ({"neutral": -1.0}, 200)):
        reward, spec = held(**on_error)
        reward.go.set()
        said = run(check(spec))
        assert said.status_code == status
        if status == 200:
            assert said.json() == {"rewards": [-1.0], "scores": [-1.0], "extra_logs": {}}
        else:
            assert "held: asked to" in said.json()["error"]
        spec.close()
