"""The card of an index on a server: made, read, changed and compared."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from syntype.errors import DataError, VectorError
from syntype.provenance import plain
from syntype.search import postgres_schema as schema
from syntype.search.index import Card
from syntype.search.postgres_link import Address, Connection, require_utf8


def make_or_compare(connection: Connection, address: Address, card: Card) -> None:
    """Make the tables of an empty index, or see that those that are there are of the same encoder.

    Raises:
        VectorError: There is an index of another encoder or length.
        DataError: There is something else.
        ResourceError: The database keeps text that is not Unicode.
    """
    card = replace(card, engine="postgres")
    with connection.transaction():
        # Two that make the same index at once: the second one finds the first one's.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"syntype {address.name}"]
        )
        there = read_card(connection, address)
        if there is None:
            require_utf8(connection, address)
            _make(connection, address, card)
        elif there.dim != card.dim or there.encoder != plain(card.encoder):
            raise VectorError(
                f"The index at {address} holds vectors of {there.dim} dimensions by "
                f"{there.encoder}; those of {card.dim} by {plain(card.encoder)} cannot be compared "
                "with them. Name a new index by ?index=NAME."
            )


def _make(connection: Connection, address: Address, card: Card) -> None:
    found = connection.execute(
        "SELECT FROM pg_namespace WHERE nspname = %s", [address.name]
    ).fetchone()
    if found is None:
        name = sql.Identifier(address.name)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    try:
        for statement in schema.create(address.name, card.dim):
            connection.execute(statement)
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateFunction) as error:
        raise DataError(
            f"{address} holds tables that are no index. Give the index another name by ?index=NAME."
        ) from error
    connection.execute(
        sql.SQL("INSERT INTO {}.card (format, content) VALUES (%s, %s)").format(
            sql.Identifier(address.name)
        ),
        [schema.FORMAT, json.dumps(plain(card))],
    )


def read_card(connection: Connection, address: Address, *, lock: bool = False) -> Card | None:
    """The card; None where there is no index.

    Args:
        connection: To the server.
        address: Where the index lies.
        lock: Keep others from changing it until the end of the transaction.

    Raises:
        DataError: It is of another format.
    """
    there = connection.execute("SELECT to_regclass(%s)", [f"{address.name}.card"]).fetchone()
    if there is None or there[0] is None:
        return None
    statement = sql.SQL("SELECT format, content FROM {}.card{}").format(
        sql.Identifier(address.name), sql.SQL(" FOR UPDATE" if lock else "")
    )
    row = connection.execute(statement).fetchone()
    if row is None or row[0] != schema.FORMAT:
        raise DataError(
            f"The index at {address} has format {row and row[0]}, and this version reads "
            f"{schema.FORMAT}. Make the index anew with `syntype index`."
        )
    content: Mapping[str, Any] = json.loads(row[1])
    roots = {name: Path(place) for name, place in content["roots"].items()}
    return Card(**{**content, "roots": roots})


def write_card(connection: Connection, address: Address, card: Card) -> None:
    """Put a card in the place of the one that is there."""
    statement = sql.SQL("UPDATE {}.card SET content = %s, writes = writes + 1")
    connection.execute(statement.format(sql.Identifier(address.name)), [json.dumps(plain(card))])
