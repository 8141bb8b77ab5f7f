"""The server behind `r1train view`: its addresses, and what every answer says to the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from r1rewards.core.errors import UserError
from r1train.view import pages
from r1train.view.rollouts import ORDERS, Rollouts, load

#: The browser may run this server's script and load nothing from anywhere else, whatever a text holds.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
LOCAL = ["127.0.0.1", "localhost", "[::1]"]


def view(folder: Path, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is told the address; with port 0 the system chooses one."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)  # type: ignore[arg-type]
            if self.started:
                ready(f"http://{host}:{self.servers[0].sockets[0].getsockname()[1]}")

    config = uvicorn.Config(
        create_app(folder, host=host), host=host, port=port, log_level="warning", access_log=False
    )
    try:
        Server(config).run()
    except SystemExit:  # uvicorn logged why, and has no exception for it
        raise UserError(f"{host}:{port} cannot be served on; see the line above") from None


def create_app(folder: Path, *, host: str = "127.0.0.1") -> Starlette:
    """The application, for any ASGI server; UserError where the folder holds nothing to look at.

    host  what it is served on: where that is this machine only, requests for other names are refused, so that
          no page from elsewhere can read the run through the reader's browser
    """
    rollouts = load(folder)
    name = folder.resolve().name

    def page(request: Request) -> Response:
        rollouts.refresh()
        asked = request.query_params
        chosen = pages.read_filter(asked)
        context = {
            **pages.list_context(rollouts, chosen, 0, asked.get("uid", "")),
            "run": name,
            "all": rollouts.frame.height,
            "chosen": chosen,
            "choices": rollouts.choices(),
            "orders": {key: label for key, (label, _, _) in ORDERS.items()},
            "group": _group(rollouts, request),
        }
        return HTMLResponse(pages.render("rollouts.html.jinja", **context))

    def news(_: Request) -> Response:
        rollouts.refresh()
        return JSONResponse({"responses": rollouts.frame.height})

    def rows(request: Request) -> Response:
        asked = request.query_params
        start = asked.get("start", "")
        if not start:
            rollouts.refresh()
        number = int(start) if start.isdecimal() else 0
        context = pages.list_context(rollouts, pages.read_filter(asked), number, asked.get("uid", ""))
        return HTMLResponse(pages.render("rows.html.jinja", **context))

    def group(request: Request) -> Response:
        return HTMLResponse(_group(rollouts, request) or pages.render("none.html.jinja"))

    def thinking(request: Request) -> Response:
        asked = request.query_params
        found = [row for row in rollouts.group(asked.get("open", "")) if row["uid"] == asked.get("uid")]
        text = pages.parse(found[0]).reasoning if found else ""
        return HTMLResponse(pages.drawn(text, "plain" not in asked))

    def curation(request: Request) -> Response:
        context = pages.curation_context(folder, request.query_params)
        return HTMLResponse(pages.render("curation.html.jinja", run=name, **context))

    def told(request: Request) -> Response:
        context = pages.curation_context(folder, request.query_params)
        return HTMLResponse(pages.render("told.html.jinja", **context))

    def story(request: Request) -> Response:
        uid = request.query_params.get("uid", "")
        return HTMLResponse(pages.story(folder, uid))

    def static(kind: str) -> Callable[[Request], Response]:
        return lambda _: Response(pages.render(f"view.{kind}.jinja"), media_type=f"text/{_MEDIA[kind]}")

    routes = [
        Route("/", lambda _: RedirectResponse("rollouts")),
        Route("/rollouts", page),
        Route("/rows", rows),
        Route("/news", news),
        Route("/group", group),
        Route("/thinking", thinking),
        Route("/curation", curation),
        Route("/curation/rows", told),
        Route("/story", story),
        Route("/view.css", static("css")),
        Route("/view.js", static("js")),
    ]
    hosts = LOCAL if host in LOCAL else ["*"]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(_Careful),
    ]
    return Starlette(routes=routes, middleware=middleware)


_MEDIA = {"css": "css", "js": "javascript"}


def _group(rollouts: Rollouts, request: Request) -> str:
    """The group that the address asks for, as HTML; "" where it asks for none that is there."""
    asked = request.query_params
    context = pages.group_context(rollouts, asked.get("open", ""), asked.get("uid", ""))
    if context is None:
        return ""
    return pages.render("group.html.jinja", formulas="plain" not in asked, **context)


class _Careful:
    """Puts the policy on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        await self.app(scope, receive, answered)
