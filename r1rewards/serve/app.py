"""The routes of the server, and how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import uvicorn
from fastapi import Body, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from r1rewards.adapters import openrlhf
from r1rewards.core.errors import UserError
from r1rewards.core.formats import dump_json, load_json
from r1rewards.core.reward import Sample
from r1rewards.score import Score
from r1rewards.serve.guard import Guard
from r1rewards.serve.queue import FullError, Queue
from r1rewards.spec import Spec


@dataclass(frozen=True)
class Settings:
    """How a server behaves.

    task        the task of rows that have none, and of OpenRLHF's
    token       what clients must know; "" for none
    queue_rows  rows that may wait; more is 429
    body_mb     MiB of one request; more is 413
    body_s      seconds that a client has to send its request; then 408
    grade_s     seconds until a request is answered with 504 where its grading takes that long, and until
                `/health` calls the server stuck
    """

    task: str | None = None
    token: str = ""
    queue_rows: int = 20_000
    body_mb: float = 16.0
    body_s: float = 30.0
    grade_s: float = 600.0


class ScoreRequest(BaseModel):
    """Flat rows, and the training step for rewards that come and go with it."""

    model_config = ConfigDict(extra="forbid")
    rows: list[dict[str, Any]]
    step: int | None = None


class RewardRequest(BaseModel):
    """What OpenRLHF sends."""

    query: list[str]
    prompts: list[str]
    labels: list[Any]


class _Request(Request):
    async def json(self) -> Any:  # the parser of our files: no NaN, no broken text, no endless nesting
        return load_json(await self.body())


class _Route(APIRoute):
    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Any:
            return await handle(_Request(request.scope, request.receive))

        return handler


def serve(
    spec: Spec,
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM; what is being graded then is still answered.

    ready  is told the address when clients can come; with port 0 the system chooses one
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                bound = self.servers[0].sockets[0].getsockname()
                ready(f"http://{host}:{bound[1]}")

    config = uvicorn.Config(
        create_app(spec, settings),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
    )
    try:
        Server(config).run()
    except SystemExit:  # uvicorn logged why, and has no exception for it
        raise UserError(f"{host}:{port} cannot be served on; see the line above") from None


def create_app(spec: Spec, settings: Settings) -> FastAPI:
    """The application, for any ASGI server. The spec stays the caller's to close."""
    queue = Queue(spec, settings.queue_rows)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        grading = asyncio.create_task(queue.run())
        try:
            yield
        finally:
            grading.cancel()

    async def graded(samples: list[Sample], step: int | None) -> list[Score] | Response:
        if len(samples) > settings.queue_rows:
            return _error(413, f"{len(samples)} rows at a time; this server takes {settings.queue_rows}")
        try:
            return await asyncio.wait_for(queue.score(samples, step), settings.grade_s)
        except FullError as full:
            return _error(429, str(full), {"Retry-After": str(full.retry_after)})
        except TimeoutError:
            return _error(504, f"the rows were not graded within {settings.grade_s:g} s")
        except UserError as mistake:
            return _error(500, str(mistake))

    app = FastAPI(title="r1rewards", version=metadata.version("r1kit"), lifespan=lifespan)
    app.router.route_class = _Route

    @app.post("/score")
    async def score(request: ScoreRequest = Body()) -> Response:
        try:
            rows = [row if row.get("task") else {**row, "task": settings.task} for row in request.rows]
            samples = [spec.sample(row, f"rows[{i}]") for i, row in enumerate(rows)]
        except UserError as mistake:
            return _error(422, str(mistake))
        scores = await graded(samples, request.step)
        return scores if isinstance(scores, Response) else _answer({"scores": [s.to_row({}) for s in scores]})

    @app.post("/get_reward")
    async def get_reward(request: RewardRequest = Body()) -> Response:
        try:
            rows = openrlhf.flat_rows(request.query, request.prompts, request.labels, task=settings.task)
            samples = [spec.sample(row, f"query[{i}]") for i, row in enumerate(rows)]
        except UserError as mistake:
            return _error(422, str(mistake))
        scores = await graded(samples, None)
        if isinstance(scores, Response):
            return scores
        try:
            return _answer(openrlhf.rewards(spec, samples, scores))
        except UserError as mistake:
            return _error(500, str(mistake))

    @app.get("/health")
    async def health() -> Response:
        stuck = queue.grading_s > settings.grade_s
        return _answer(
            {
                "status": "stuck" if stuck else "ok",
                "version": app.version,
                "rewards": [component.name for component in spec.components],
                "waiting": queue.rows,
                "limit": queue.limit,
                "graded": queue.graded,
            },
            503 if stuck else 200,
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0]
        if first["type"] == "json_invalid":
            return _error(
                400, f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
            )
        place = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return _error(422, f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}")

    @app.exception_handler(HTTPException)
    async def refused(_: Request, problem: HTTPException) -> Response:
        return _error(problem.status_code, str(problem.detail).lower(), dict(problem.headers or {}))

    @app.exception_handler(Exception)
    async def broken(_: Request, problem: Exception) -> Response:
        return _error(500, f"{type(problem).__name__}: {problem}")

    app.add_middleware(
        Guard,
        body_limit=int(settings.body_mb * 2**20),
        body_s=settings.body_s,
        token=settings.token,
    )
    return app


def _answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(dump_json(value), status, headers, "application/json")


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return _answer({"error": sentence}, status, headers)
