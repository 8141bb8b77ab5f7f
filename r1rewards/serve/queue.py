"""Rows that wait to be graded: a bounded number, in batches, by one thread."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from r1rewards.core.errors import UserError
from r1rewards.core.reward import Sample
from r1rewards.score import Score
from r1rewards.spec import BATCH, Spec

#: What Retry-After may say, in seconds.
_RETRY_S = (1, 60)


class FullError(Exception):
    """No room for these rows now; `retry_after` seconds later there may be."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many rows are waiting; ask again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(eq=False)
class _Request:
    samples: Sequence[Sample]
    step: int | None
    scores: asyncio.Future[list[Score]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Queue:
    """`score` puts rows in and waits for their scores; `run` grades what is there, for as long as it lives.

    limit  rows that may wait or be graded at a time
    """

    def __init__(self, spec: Spec, limit: int) -> None:
        self.spec, self.limit = spec, limit
        self.rows = 0
        self.graded = 0
        self._waiting: deque[_Request] = deque()
        self._some = asyncio.Event()
        self._seconds_a_row = 0.0
        self._batch_began: float | None = None

    @property
    def grading_s(self) -> float:
        """How long the batch at work has been at it."""
        return 0.0 if self._batch_began is None else time.monotonic() - self._batch_began

    async def score(self, samples: Sequence[Sample], step: int | None) -> list[Score]:
        """The scores, in order. Raises FullError at once where there is no room."""
        if self.rows + len(samples) > self.limit:
            raise FullError(min(max(math.ceil(self.rows * self._seconds_a_row), _RETRY_S[0]), _RETRY_S[1]))
        request = _Request(samples, step)
        self.rows += len(samples)
        self._waiting.append(request)
        self._some.set()
        return await request.scores

    async def run(self) -> None:
        while True:
            await self._some.wait()
            requests = self._batch()
            if not requests:
                self._some.clear()
                continue
            self._batch_began = time.monotonic()
            await self._grade(requests)
            count = sum(len(request.samples) for request in requests)
            seconds = self.grading_s / max(1, count)
            self._seconds_a_row = seconds if not self.graded else 0.8 * self._seconds_a_row + 0.2 * seconds
            self._batch_began = None
            self.graded += count

    def _batch(self) -> list[_Request]:
        """The next requests of one training step, up to `BATCH` rows; those given up are left out."""
        batch: list[_Request] = []
        count = 0
        while self._waiting:
            request = self._waiting[0]
            if batch and (request.step != batch[0].step or count + len(request.samples) > BATCH):
                break
            self._waiting.popleft()
            if request.scores.done():
                self.rows -= len(request.samples)
                continue
            batch.append(request)
            count += len(request.samples)
        return batch

    async def _grade(self, requests: list[_Request]) -> None:
        samples = [sample for request in requests for sample in request.samples]
        try:
            scores = await asyncio.to_thread(self.spec.grade, samples, step=requests[0].step)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer, and the server lives
            if len(requests) > 1 and isinstance(error, UserError):
                for request in requests:  # only the request that is at fault hears of it
                    await self._grade([request])
                return
            for request in requests:
                self._answer(request, error)
            return
        start = 0
        for request in requests:
            self._answer(request, scores[start : start + len(request.samples)])
            start += len(request.samples)

    def _answer(self, request: _Request, outcome: list[Score] | Exception) -> None:
        self.rows -= len(request.samples)
        if request.scores.done():  # the client has gone
            return
        if isinstance(outcome, Exception):
            request.scores.set_exception(outcome)
        else:
            request.scores.set_result(outcome)
