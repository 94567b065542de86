"""Errors as `application/problem+json` (RFC 9457): what is wrong, and what to do next.

Nothing of the server's inside is told: no path, no traceback. An error that is our fault has a
number that stands in the log beside the traceback.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from syntype.errors import (
    DataNotFoundError,
    EncoderError,
    MediaError,
    ResourceError,
    SyntypeError,
    VectorError,
)

log = logging.getLogger("syntype.serve")

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: ("bad-value", "A value cannot be used"),
    401: ("no-key", "The key is missing or wrong"),
    404: ("not-found", "There is nothing here"),
    405: ("not-allowed", "This cannot be done here"),
    408: ("too-slow", "The upload took too long"),
    409: ("exists", "There is one already"),
    413: ("too-large", "The upload is too large"),
    415: ("not-readable", "It is of a kind that is not read here"),
    416: ("no-such-range", "The medium is shorter"),
    421: ("wrong-host", "This server has another name"),
    422: ("malformed", "The request cannot be read"),
    429: ("too-many", "Too many requests"),
    500: ("our-fault", "Something went wrong here"),
    503: ("busy", "The server is busy"),
}
"""Status to the code and the title of its problem."""


class ProblemReply(BaseModel):
    """What went wrong, and what to do next."""

    type: str = Field(description="urn:syntype:problem: and the code.")
    title: str = Field(description="The kind of error in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong here, and what to do.")
    code: str = Field(description="The kind of error in one word, for programs.")


class Problem(Exception):
    """An error that is answered with a status.

    Args:
        status: One of `TITLES`.
        detail: What is wrong, and what to do next.
        headers: To go with it.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class Reply(JSONResponse):
    """A problem as it is sent."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem) -> None:
        code, title = TITLES[problem.status]
        content = {
            "type": f"urn:syntype:problem:{code}",
            "title": title,
            "status": problem.status,
            "detail": problem.detail,
            "code": code,
        }
        headers = {"Cache-Control": "no-store", **problem.headers}
        super().__init__(content, problem.status, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of an operation, as FastAPI's `responses` takes them; some go with every one."""
    always = {400, 421, 429, 500, 503, *statuses}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemReply"}}}
    return {
        status: {"description": TITLES[status][1], "content": content} for status in sorted(always)
    }


def problem_of(error: SyntypeError) -> Problem:
    """What a user's error is answered with."""
    if isinstance(error, DataNotFoundError):
        return Problem(404, "There is no such record, or its medium is not on this server.")
    if isinstance(error, MediaError):
        return Problem(415, f"An uploaded file cannot be read: {error}. Send a JPEG, PNG or WebP.")
    if isinstance(error, ResourceError):
        log.error("the machine refused", exc_info=error)
        return Problem(
            503, "The server cannot do this now. Try again later.", {"Retry-After": "60"}
        )
    if isinstance(error, EncoderError):
        log.error("the encoder cannot be loaded", exc_info=error)
        again = {"Retry-After": "60"}
        return Problem(503, "This server's encoder cannot be used now. Ask by filters.", again)
    if isinstance(error, VectorError):
        log.warning("no vector was made: %s", error)
        return Problem(400, "No vector can be made of this. Give another picture or other words.")
    return Problem(400, str(error) or "A value cannot be used.")


def unexpected(error: BaseException) -> Problem:
    """What is answered where the fault is ours: a number, by which the log has the rest."""
    number = uuid.uuid4().hex[:12]
    log.error("unexpected error %s", number, exc_info=error, extra={"error": number})
    return Problem(500, f"This is a fault of the server. Its log has it under number {number}.")


def allowed(app: FastAPI, request: Request) -> str:
    """The methods that a path takes; what is not described are pages, which are only read."""
    methods = {method.upper() for method in app.openapi()["paths"].get(request.url.path, {"get"})}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def install(app: FastAPI) -> None:
    """Have an application answer every error as a problem."""

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return Reply(error)

    async def users(request: Request, error: Exception) -> Response:
        assert isinstance(error, SyntypeError)
        return Reply(problem_of(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            methods = allowed(app, request)
            detail = f"This path takes {methods}."
            return Reply(Problem(405, detail, {"Allow": methods}))
        if error.status_code == 404:
            return Reply(Problem(404, "There is nothing at this path; /api/docs lists what is."))
        status = error.status_code if error.status_code in TITLES else 400
        return Reply(Problem(status, str(error.detail)))

    async def invalid(request: Request, error: Exception) -> Response:
        return Reply(Problem(422, "The request cannot be read; /api/docs says how it looks."))

    for kind, handler in _pairs(known, users, http, invalid):
        app.add_exception_handler(kind, handler)


def _pairs(*handlers: Any) -> Iterable[tuple[type[Exception], Any]]:
    return zip(
        (Problem, SyntypeError, HTTPException, RequestValidationError), handlers, strict=True
    )
