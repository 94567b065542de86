"""What stands before and behind every request, as plain ASGI: nothing is held back or copied.

`Front` logs and counts each request, adds the headers of safety, answers HEAD, turns an unexpected
error into a number, refuses a wrong host and one request too many. `Ends` lets the sender of a
refused upload read why before the connection ends.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syntype.configs.serve import ServeConfig
from syntype.serve.desk import Desk
from syntype.serve.limits import client_of
from syntype.serve.problems import Problem, Reply, unexpected

log = logging.getLogger("syntype.serve")

LINGER_BYTES = 64_000_000
LINGER_SECONDS = 2.0
"""How much, and how long, of an upload that was refused is still taken in."""
LEFT = 499
"""Status in the log where the client left before the answer."""
CHEAP = 0.1
"""Tokens that a picture, a part of the page or a look at the health takes; all else takes one."""
_CHEAP = ("/static/", "/api/v1/media", "/api/v1/health", "/metrics")


def policy(config: ServeConfig) -> str:
    """What a page of this server may load: its own parts and nothing from elsewhere.

    Where `remote_media` is on, pictures and sounds may come from wherever a record says.
    """
    remote = " https:" if config.remote_media else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{remote}",
            f"media-src 'self' blob:{remote}",
            "connect-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def safety(config: ServeConfig) -> Mapping[str, str]:
    """The headers that every answer has unless it has its own."""
    return {
        "Content-Security-Policy": policy(config),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "cross-origin" if config.origins else "same-origin",
    }


class Front:
    """The first to see a request and the last to see its answer.

    Args:
        app: What answers.
        desk: Limits, counts.
    """

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk
        self._safety = safety(desk.config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), LEFT
        headers, method = Headers(scope=scope), scope["method"]
        client = client_of(
            (scope.get("client") or ("", 0))[0],
            ",".join(headers.getlist("x-forwarded-for")),
            self._desk.config.proxies,
        )

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in self._safety.items():
                    ours.setdefault(name, value)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        if method == "HEAD":
            scope = {**scope, "method": "GET"}
        self._desk.metrics.running.inc()
        try:
            try:
                self._refuse(scope, headers, client)
                await self._app(scope, receive, sent)
            except ClientDisconnect:
                pass
            except Problem as problem:
                await Reply(problem)(scope, receive, sent)
            except Exception as error:
                fault = unexpected(error)
                if status != LEFT:
                    raise  # half of the answer is out: the connection must break
                await Reply(fault)(scope, receive, sent)
        finally:
            self._desk.metrics.running.dec()
            self._tell(scope, method, status, time.perf_counter() - began, client)

    def _refuse(self, scope: Scope, headers: Headers, client: str) -> None:
        hosts = self._desk.config.hosts
        if hosts and _name(headers.get("host", "")) not in {host.lower() for host in hosts}:
            raise Problem(421, "This server does not answer to that name.")
        cost = CHEAP if scope["path"].startswith(_CHEAP) else 1.0
        wait = self._desk.buckets.take(client, cost)
        if wait:
            self._desk.metrics.limited.inc()
            raise Problem(
                429, f"Too many requests. Try again in {wait} s.", {"Retry-After": str(wait)}
            )

    def _tell(self, scope: Scope, method: str, status: int, seconds: float, client: str) -> None:
        self._desk.metrics.tell(route=_route(scope), method=method, status=status, seconds=seconds)
        # What was asked for is the visitor's affair: the log has no query and no body.
        log.info(
            "request",
            extra={
                "method": method[:20],
                "path": scope["path"][:200],
                "status": status,
                "ms": round(seconds * 1000, 1),
                "client": client,
            },
        )


def _name(host: str) -> str:
    """A Host header without its port."""
    host = host.lower()
    return host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdigit() else host


def _route(scope: Scope) -> str:
    """The pattern of the route that answered: one of a few, never what a client wrote."""
    route = scope.get("route")
    if isinstance(route, APIRoute | Mount):
        return route.path
    return ""


class Ends:
    """Takes in the rest of an upload that is refused, and ends its connection.

    A connection that is closed while bytes still arrive is reset, and its other end may never see
    the answer that was sent before. So the answer goes out whole, then some of what comes is taken
    in and thrown away, then the connection ends.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        bare = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        more, refused = not bare, False

        async def received() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = more and message["status"] >= 400
                if refused:
                    MutableHeaders(raw=message["headers"])["Connection"] = "close"
                await send(message)
                return
            last = not message.get("more_body", False)
            if refused and last:
                await send({**message, "more_body": True})
                await _drain(received, lambda: more)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, received, sent)


async def _drain(receive: Receive, more: Callable[[], bool]) -> None:
    left = LINGER_BYTES
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while more() and left > 0:
                left -= len((await receive()).get("body", b""))
    except TimeoutError:
        pass
