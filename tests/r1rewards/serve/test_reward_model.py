"""A reward model behind the server: requests that come side by side share its forward passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from r1rewards.core.template import get_template
from r1rewards.reward_model import RewardModel
from r1rewards.serve.queue import Queue
from r1rewards.spec import load_spec
from tests.r1rewards.test_reward_model import save_model, save_tokenizer

pytestmark = pytest.mark.slow

MICRO_BATCH = 8


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rm")
    save_tokenizer(folder)
    save_model(folder)
    options = {"model": str(folder), "empty": -5.0, "micro_batch": MICRO_BATCH}
    return {"rewards": {"helpful": {"use": "reward-model", "scope": "answer", "options": options}}}


def rows(count: int) -> list[dict[str, Any]]:
    """Every fourth response ends within its thinking."""
    template = get_template("think-answer")
    texts = [template.render("t", f"answer {n} " * (n % 4)) if n % 4 else "<think>t" for n in range(count)]
    return [
        {"id": str(n), "task": "general", "prompt": "help me?", "response": text}
        for n, text in enumerate(texts)
    ]


def test_clients_side_by_side_get_what_each_would_get_alone(
    spec: dict[str, Any], tmp_path: Path, start: Callable[..., AbstractContextManager[Any]]
) -> None:
    with load_spec(spec) as loaded:
        alone = [loaded.score_many([row])[0].total for row in rows(40)]
    assert len(set(alone)) > 20

    with start(tmp_path, spec=json.dumps(spec)) as running, ThreadPoolExecutor(16) as clients:

        def ask(row: dict[str, Any]) -> float:
            answer = httpx.post(f"{running.url}/score", json={"rows": [row]}, timeout=120).json()
            return float(answer["scores"][0]["reward"])

        assert list(clients.map(ask, rows(40))) == pytest.approx(alone, abs=1e-4)
        told = httpx.get(f"{running.url}/health").json()
        assert (told["rewards"], told["graded"]) == (["helpful"], 40)


def test_what_waits_goes_through_the_model_in_micro_batches(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    logits = RewardModel._logits

    def counted(self: RewardModel, chunk: Any) -> list[float]:
        passes.append(len(chunk))
        return logits(self, chunk)

    monkeypatch.setattr(RewardModel, "_logits", counted)

    async def check() -> None:
        queue = Queue(loaded, limit=100)
        samples = [loaded.sample(row, row["id"]) for row in rows(32)]
        asked = [asyncio.create_task(queue.score([one], None)) for one in samples]
        await asyncio.sleep(0)
        running = asyncio.create_task(queue.run())
        await asyncio.gather(*asked)
        running.cancel()

    with load_spec(spec) as loaded:
        asyncio.run(check())
    assert passes == [MICRO_BATCH] * 3  # a quarter of the 32 has no answer to read
