"""The tables of an index on a PostgreSQL server, in a schema of its own.

    card       one row: format, the card as JSON, and how often the index was written
    records    a row a record: the columns of `RECORD`, the vector, and what is derived of them
    cells      how many cells of those that were made must be searched
    tally      how many records have each value of a column of `TALLIED`
    words      what a name is suggested by: the name from the beginning of each of its words on

Triggers of `records` keep `tally` and the number of writes, whoever writes; so a count of all
records reads no record. All text is compared by code points (collation "C"), as Python does.
Columns that are derived: `vector` (halfvec), `firstDay` and `lastDay` (as
`datetime.date.toordinal` counts them; null where the date says nothing), `hasWords` (an array).
"""

from collections.abc import Sequence

import pyarrow as pa
from psycopg import sql

from syntype.search.postgres_link import Connection
from syntype.search.records import FACETS, RECORD
from syntype.taxonomy.taxon import RANKS

FORMAT = 2
"""To be raised with every change of the tables, and so of `RECORD` and `FACETS`."""
NAMES = (*RANKS, "vernacularName")
"""Columns whose names are suggested."""
TALLIED = tuple(dict.fromkeys((*FACETS, *NAMES)))
"""Columns whose values are counted as they are written."""
WRITTEN = (*RECORD.names, "vector", "firstDay", "lastDay")
"""Columns of a row that is written, in their order."""
LONGEST = 2000
"""Bytes that an id or a value of `TALLIED` may have: what fits into an index of the server."""
WORD_LETTERS = 64
"""Letters of a name from a word on that are kept in `words`."""


_TABLES = (
    """CREATE TABLE {schema}.card (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        format integer NOT NULL,
        content text NOT NULL,
        writes bigint NOT NULL DEFAULT 0)""",
    """CREATE TABLE {schema}.records (
        {columns},
        vector halfvec({dim}) NOT NULL,
        "firstDay" integer,
        "lastDay" integer,
        "hasWords" text[] GENERATED ALWAYS AS (string_to_array(has, ' ')) STORED,
        PRIMARY KEY (id))""",
    """CREATE TABLE {schema}.tally (
        "column" text COLLATE "C",
        value text COLLATE "C",
        n bigint NOT NULL,
        PRIMARY KEY ("column", value)) WITH (fillfactor = 70)""",
    """CREATE TABLE {schema}.words (
        word text COLLATE "C",
        "column" text COLLATE "C",
        value text COLLATE "C",
        PRIMARY KEY (word, "column", value))""",
    "CREATE TABLE {schema}.cells (name text PRIMARY KEY, searched integer NOT NULL)",
    'CREATE INDEX ON {schema}.records ("decimalLatitude", "decimalLongitude")',
    'CREATE INDEX ON {schema}.records ("firstDay", "lastDay")',
    'CREATE INDEX ON {schema}.records ("lastDay", "firstDay")',
)


def _kind(field: pa.Field) -> sql.SQL:
    if pa.types.is_string(field.type):
        return sql.SQL("text COLLATE \"C\" NOT NULL DEFAULT ''")
    kinds = {pa.int32(): "integer", pa.int64(): "bigint", pa.float64(): "double precision"}
    return sql.SQL(kinds[field.type])


def copied_types() -> list[str]:
    """The server's types of `WRITTEN`."""
    kinds = {pa.string(): "text", pa.int32(): "int4", pa.int64(): "int8", pa.float64(): "float8"}
    return [*(kinds[field.type] for field in RECORD), "halfvec", "int4", "int4"]


def names(columns: tuple[str, ...] | list[str]) -> sql.Composed:
    """Columns, quoted, with commas between them."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def create(schema: str, dim: int) -> list[sql.Composed]:
    """The statements that make the tables of an empty index, in a schema that is there."""
    of = {
        "schema": sql.Identifier(schema),
        "columns": sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field.name), _kind(field)) for field in RECORD
        ),
        "dim": sql.Literal(dim),
    }
    statements = [sql.SQL(statement).format(**of) for statement in _TABLES]
    statements += [
        sql.SQL("CREATE INDEX ON {schema}.records ({name})").format(
            schema=of["schema"], name=sql.Identifier(name)
        )
        for name in FACETS
    ]
    return statements + _triggers(schema)


def _triggers(schema: str) -> list[sql.Composed]:
    """What keeps `tally` and the number of writes, after each statement that changes records.

    The card's row is taken first and held until the end of the transaction, so that writers count
    one after the other and in no circle.
    """
    pairs = sql.SQL(", ").join(
        sql.SQL("({}, row.{})").format(sql.Literal(name), sql.Identifier(name)) for name in TALLIED
    )
    statements: list[sql.Composed] = []
    for event, fresh, gone in (
        ("insert", True, False),
        ("update", True, True),
        ("delete", False, True),
    ):
        sides = [("fresh", 1)] * fresh + [("gone", -1)] * gone
        changes = sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "SELECT pair.name, pair.value, {sign} AS n FROM {table} AS row "
                "CROSS JOIN LATERAL (VALUES {pairs}) AS pair (name, value)"
            ).format(sign=sql.Literal(sign), table=sql.Identifier(table), pairs=pairs)
            for table, sign in sides
        )
        of = {
            "schema": sql.Identifier(schema),
            "function": sql.Identifier(f"count_{event}"),
            "changes": changes,
            "event": sql.SQL(event),
            "tables": sql.SQL(" ").join(
                sql.SQL("{} TABLE AS {}").format(
                    sql.SQL("NEW" if table == "fresh" else "OLD"), sql.Identifier(table)
                )
                for table, _ in sides
            ),
        }
        body = sql.SQL(
            "BEGIN UPDATE {schema}.card SET writes = writes + 1; "
            'INSERT INTO {schema}.tally AS t ("column", value, n) '
            "SELECT name, value, sum(n) FROM ({changes}) AS change GROUP BY name, value "
            "HAVING sum(n) <> 0 ORDER BY name, value "
            'ON CONFLICT ("column", value) DO UPDATE SET n = t.n + excluded.n; RETURN NULL; END'
        ).format(**of)
        of["body"] = sql.Literal(body.as_string())
        statements += [
            sql.SQL(
                "CREATE FUNCTION {schema}.{function}() RETURNS trigger LANGUAGE plpgsql AS {body}"
            ).format(**of),
            sql.SQL(
                "CREATE TRIGGER {function} AFTER {event} ON {schema}.records REFERENCING {tables} "
                "FOR EACH STATEMENT EXECUTE FUNCTION {schema}.{function}()"
            ).format(**of),
        ]
    return statements


def replace_rows(schema: str) -> sql.Composed:
    """Take rows from the table `incoming`, by their ids, so that writers wait in no circle."""
    changed = [name for name in WRITTEN if name != "id"]
    return sql.SQL(
        "INSERT INTO {schema}.records ({columns}) SELECT {columns} FROM pg_temp.incoming "
        "ORDER BY id ON CONFLICT (id) DO UPDATE SET ({changed}) = ROW ({excluded})"
    ).format(
        schema=sql.Identifier(schema),
        columns=names(WRITTEN),
        changed=names(changed),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in changed),
    )


def counted_together(schema: str, columns: Sequence[str], where: sql.Composable) -> sql.Composed:
    """A query of `column`, `value` and `n`: how many of the records that fit have each value.

    The records are read once, however many columns there are.

    Args:
        schema: Of the index.
        columns: Of `records`, of texts that are never null.
        where: Conditions.
    """
    listed = [sql.Identifier(name) for name in columns]
    cases = [
        sql.SQL("WHEN grouping({}) = 0 THEN {}").format(one, sql.Literal(name))
        for one, name in zip(listed, columns, strict=True)
    ]
    return sql.SQL(
        'SELECT CASE {cases} END AS "column", coalesce({values}) AS value, count(*) AS n '
        "FROM {schema}.records WHERE {where} GROUP BY GROUPING SETS ({sets})"
    ).format(
        cases=sql.SQL(" ").join(cases),
        values=sql.SQL(", ").join(listed),
        schema=sql.Identifier(schema),
        where=where,
        sets=sql.SQL(", ").join(sql.SQL("({})").format(one) for one in listed),
    )


def n_records(connection: Connection, schema: str) -> int:
    """How many records there are, by the tally."""
    statement = 'SELECT coalesce(sum(n), 0)::bigint FROM {}.tally WHERE "column" = %s'
    found = connection.execute(
        sql.SQL(statement).format(sql.Identifier(schema)), [TALLIED[0]]
    ).fetchall()
    return int(found[0][0])
