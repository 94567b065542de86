"""The engines that the contract of `Index` is tested on.

    engine = ENGINES["postgres"]
    index = engine.create(engine.place(tmp_path), card)
    index = engine.open(place)

An engine is added by a line in `ENGINES`. Its module is imported when it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fakes.postgres_server import postgres_url
from syntype.search.cells import Cells
from syntype.search.embedded import EmbeddedIndex
from syntype.search.index import Card, Index
from syntype.search.opening import create_index, open_index


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How an index is made and found again.

    Attributes:
        create: Makes an empty index at a place.
        open: Opens the one that is at a place.
        place: A place that nobody else has, given a folder of the test's own.
        exact: Whether a search compares all that fit.
    """

    create: Callable[[str, Card], Index]
    open: Callable[[str], Index]
    place: Callable[[Path], str]
    exact: bool = True


def settle(index: Index) -> None:
    """Let an engine do what is worth its time when many records have come."""
    index.build()


def _create_postgres(place: str, card: Card, **effort: Any) -> Index:
    from syntype.search.postgres import create_postgres
    from syntype.search.postgres_near import Effort

    return create_postgres(place, card, Effort(**effort), connections=4)


def _open_postgres(place: str, **effort: Any) -> Index:
    from syntype.search.postgres import open_postgres
    from syntype.search.postgres_near import Effort

    return open_postgres(place, Effort(**effort), connections=4)


def _create(engine: str) -> Callable[[str, Card], Index]:
    return lambda place, card: create_index(place, replace(card, engine=engine))


def _folder(folder: Path) -> str:
    return str(folder / "index")


def _create_small(place: str, card: Card) -> Index:
    create_index(place, replace(card, engine="cells")).close()
    return _open_small(place)


def _open_small(place: str) -> Index:
    return EmbeddedIndex(Path(place), Cells(cells_from=16, few=0))


def _url(folder: Path) -> str:
    return postgres_url()


_ALWAYS_CELLS = {"exact_rows": 0, "held": 0.0, "cost": 1e9, "cells_from": 1}
ENGINES = {
    "postgres": Engine(create=_create_postgres, open=_open_postgres, place=_url),
    # The same where every search goes through cells, however few records there are.
    "postgres-cells": Engine(
        create=lambda place, card: _create_postgres(place, card, **_ALWAYS_CELLS),
        open=lambda place: _open_postgres(place, **_ALWAYS_CELLS),
        place=_url,
        exact=False,
    ),
    "exact": Engine(create=_create("exact"), open=open_index, place=_folder),
    "cells": Engine(create=_create("cells"), open=open_index, place=_folder),
    # The same with cells however few records there are, so that some may be missed.
    "cells-small": Engine(create=_create_small, open=_open_small, place=_folder, exact=False),
}
