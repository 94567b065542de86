"""The application, put together: `create_app(index, asker, config)`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from syntype.configs.serve import ServeConfig
from syntype.search.asking import Asker
from syntype.search.index import Index
from syntype.serve import legacy, media, problems, routes, writes
from syntype.serve.desk import Desk, make_desk
from syntype.serve.guards import Ends, Front
from syntype.serve.pages import pages
from syntype.version import __version__

log = logging.getLogger("syntype.serve")

ABOUT = (
    "Specimens found by picture, by words, by example, by place and taxon. Errors are "
    "application/problem+json and say what to do. The server fetches nothing from elsewhere."
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


def create_app(index: Index, asker: Asker, config: ServeConfig) -> FastAPI:
    """The application that answers for an index.

    Args:
        index: The records. It is asked by several threads at once, and by one besides that writes.
        asker: Makes vectors of questions.
        config: Limits and places; `app.state.desk` holds them with all else.

    Raises:
        UsageError: The key for writes is no good.
    """
    desk = make_desk(index, asker, config)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        desk.stopping = False
        warming = asyncio.create_task(_warm(desk))
        yield
        warming.cancel()
        desk.stopping = True

    middleware = [Middleware(Front, desk=desk)]
    if config.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(config.origins),
                allow_methods=list(METHODS),
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["ETag", "Retry-After"],
            )
        )
    middleware.append(Middleware(Ends))
    app = FastAPI(
        title=config.title,
        version=__version__,
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=life,
        middleware=middleware,
    )
    app.state.desk = desk
    problems.install(app)
    for part in (routes.router, media.router, writes.router, legacy.router, pages()):
        app.include_router(part)
    if not config.no_metrics:
        app.include_router(routes.metrics_router)
    _describe(app)
    return app


async def _warm(desk: Desk) -> None:
    """Load the encoder before somebody waits for it; the log says if that cannot be."""
    if desk.view.card.spec:
        try:
            await desk.encoding.run(getattr, desk.asker, "senses")
        except Exception as error:  # whatever it is, the first question is told
            log.warning("the encoder cannot be loaded: %s", error)


def _describe(app: FastAPI) -> None:
    """Add to the description what no route has a model for."""
    plain = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            found = plain()
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            schemas["ProblemReply"] = problems.ProblemReply.model_json_schema()
            found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
