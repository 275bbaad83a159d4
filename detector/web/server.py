"""Metrics, health and reload over HTTP, in one thread beside the pipeline."""

from __future__ import annotations

import html
import socket
from threading import Thread
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from detector.config.sections import Http
from detector.telemetry.health import HANG, Health
from detector.telemetry.metrics import Metrics
from detector.version import __version__
from detector.web.binding import bind
from detector.web.reload import NOT_ALLOWED, Reload

log = structlog.get_logger(__name__)

_STOP_WITHIN = 5.0


def application(metrics: Metrics, health: Health, reload: Reload) -> Starlette:
    """Return the ASGI application: `/metrics`, `/healthz`, `/readyz`, `/-/reload` and an index page."""

    async def index(_: Request) -> Response:
        links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in ("/metrics", "/healthz", "/readyz"))
        title = f"detector {html.escape(__version__)}"
        return HTMLResponse(f"<!doctype html><title>{title}</title><h1>{title}</h1><ul>{links}</ul>\n")

    async def show_metrics(request: Request) -> Response:
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def healthz(_: Request) -> Response:
        if health.alive():
            return PlainTextResponse("alive\n")
        return PlainTextResponse(f"the main loop has not turned for {HANG:g} seconds\n", status_code=503)

    async def readyz(_: Request) -> Response:
        ready, reasons = health.ready()
        return JSONResponse({"ready": ready, "reasons": reasons}, status_code=200 if ready else 503)

    async def ask_for_reload(request: Request) -> Response:
        if not reload.allowed(request.client.host if request.client else "", request.headers.get("authorization", "")):
            return JSONResponse({"error": NOT_ALLOWED}, status_code=403)
        status, answer = await run_in_threadpool(reload.ask)
        return JSONResponse(answer, status_code=status)

    routes = (("/", index), ("/metrics", show_metrics), ("/healthz", healthz), ("/readyz", readyz))
    shown = [Route(path, endpoint, methods=["GET"]) for path, endpoint in routes]
    return Starlette(routes=[*shown, Route("/-/reload", ask_for_reload, methods=["POST"])])


class WebServer:
    """Listens from `start` to `close`. The port is bound in `start`, so an error comes up where it can be told."""

    def __init__(self, http: Http, metrics: Metrics, health: Health, reload: Reload) -> None:
        self._http = http
        self._socket: socket.socket | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(metrics, health, reload),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Bind, listen and return: from now on connections wait, at worst, for the thread to begin.

        Raises DetectorError where the address cannot be had.
        """
        self._socket = bind(self._http)
        self._thread.start()
        host, port = self.address
        log.info("listening", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on; the real port where 0 was configured."""
        assert self._socket is not None, "call start first"
        found: tuple[Any, ...] = self._socket.getsockname()
        return found[0], found[1]

    def close(self) -> None:
        """Stop listening and end the thread; harmless when it never started, and twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN)
        if self._socket is not None:
            self._socket.close()

    def _run(self) -> None:
        assert self._socket is not None
        # uvicorn installs signal handlers in the main thread alone, so here the daemon keeps its own.
        self._server.run(sockets=[self._socket])
