"""Opening an index by where it lies: a folder, or the URL of a server."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from syntype.errors import UsageError
from syntype.search.cells import Cells
from syntype.search.embedded import EmbeddedIndex, engine_of, is_embedded, make
from syntype.search.exact import Exact
from syntype.search.finding import Finder
from syntype.search.index import Card, Index

FINDERS: Mapping[str, Callable[[], Finder]] = {"exact": Exact, "cells": Cells}
"""Engines that need no server."""
SERVER = ("postgres://", "postgresql://")
ENGINES = (*FINDERS, "postgres")


def is_server(location: str) -> bool:
    """Whether a location is that of a server."""
    return location.startswith(SERVER)


def open_index(location: str) -> Index:
    """The index at a folder, or at postgresql://USER@HOST/DATABASE?index=NAME.

    Raises:
        DataNotFoundError: There is none.
        DataError: It is damaged, or of another format.
        ResourceError: The server does not answer.
    """
    if is_server(location):
        found: Index = _server().open_postgres(location)
        return found
    folder = Path(location).expanduser()
    return EmbeddedIndex(folder, FINDERS[engine_of(folder)]())


def create_index(location: str, card: Card) -> Index:
    """A new, empty index.

    Raises:
        UsageError: The engine does not fit the location.
        DataError: There is something at that location.
        ResourceError: It cannot be written, or the server does not answer.
    """
    if is_server(location) != (card.engine == "postgres"):
        raise UsageError(
            f"The engine {card.engine} cannot lie at {location}: {', '.join(FINDERS)} are folders, "
            "and postgres is a URL, postgresql://USER@HOST/DATABASE."
        )
    if is_server(location):
        made: Index = _server().create_postgres(location, card)
        return made
    if card.engine not in FINDERS:
        raise UsageError(f"There is no engine {card.engine!r}; choose of {', '.join(ENGINES)}.")
    folder = Path(location).expanduser()
    make(folder, card)
    return open_index(str(folder))


def exists(location: str) -> bool:
    """Whether there is an index at a location."""
    if is_server(location):
        there: bool = _server().exists_postgres(location)
        return there
    return is_embedded(Path(location).expanduser())


def _server() -> Any:
    """The module of the server engine.

    Raises:
        UsageError: Its library is not installed.
    """
    if find_spec("psycopg") is None:
        raise UsageError(
            "An index on a PostgreSQL server needs psycopg: pip install 'syntype[postgres]'."
        )
    from syntype.search import postgres

    return postgres
