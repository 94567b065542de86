"""The way to a PostgreSQL server: address, connections, and errors that say what to do.

    postgresql://USER@HOST:PORT/DATABASE?index=NAME

NAME is the schema in which the index's tables lie, `syntype` if none is given; the rest is libpq's
own form. A password is best left out and kept in ~/.pgpass or PGPASSWORD, where libpq finds it. It
stands in no message: what libpq says of an address that it cannot read is not shown, since it
quotes it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types import TypeInfo
from psycopg_pool import ConnectionPool, PoolTimeout

from syntype.errors import DataError, ResourceError, UsageError

Connection = psycopg.Connection[tuple[Any, ...]]
DEFAULT_NAME = "syntype"
PGVECTOR = (0, 8)
"""The first version whose searches go on where a filter left too few."""
SERVER = 14
"""The first version of PostgreSQL that all statements were written for."""
WORK_MEMORY = "32MB"
"""`work_mem` at least: of each sort, and each set of rows that fit a condition."""
_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_FORM = "postgresql://USER@HOST/DATABASE?index=NAME"


@dataclass(frozen=True)
class Address:
    """Where an index lies.

    Attributes:
        conninfo: What libpq connects by; it may hold a password and is not shown.
        name: The schema.
        place: User, host and database in words, to be shown.
    """

    conninfo: str = field(repr=False)
    name: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}, index {self.name}"


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        UsageError: It is none, or the index's name is no plain one.
    """
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        names = [value for key, value in pairs if key == "index"]
        rest = urlencode([pair for pair in pairs if pair[0] != "index"], quote_via=quote)
        if parts.scheme not in ("postgresql", "postgres") or parts.fragment:
            raise ValueError
        conninfo = f"postgresql://{parts.netloc}{parts.path}" + (f"?{rest}" if rest else "")
        known = conninfo_to_dict(conninfo)
        # Parts of a password whose / or : was not written as %XX would be shown as these.
        port, database = (str(known.get(name) or "") for name in ("port", "dbname"))
        if not re.fullmatch(r"[\d,]*", port) or "@" in database:
            raise ValueError
    except (ValueError, psycopg.Error):
        # Without the cause, which quotes the URL and with it the password.
        raise UsageError(
            f"The server's URL cannot be read. Write {_FORM}, with what is no letter or digit in "
            "user and password as %XX, or leave the password to PGPASSWORD."
        ) from None
    name = names[-1] if names else DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"An index on a server is named by small letters, digits and _, not {name!r}: {_FORM}."
        )
    user = f"{known['user']}@" if known.get("user") else ""
    host = known.get("host") or known.get("hostaddr") or "localhost"
    at = f"{user}{host}:{port}" if port else f"{user}{host}"
    return Address(conninfo, name, f"{at}/{database}")


_ADVICE = (
    (r"password authentication|no password", "Give the right password in PGPASSWORD or ~/.pgpass."),
    (r"database .* does not exist", "Make the database first: createdb NAME."),
    (r"role .* does not exist", "Name another user in the URL, or make it: createuser NAME."),
    (r"pg_hba\.conf", "Let this machine and user in, in the server's pg_hba.conf."),
    (r"too many|connection slots", "Raise max_connections on the server, or close other programs."),
    (
        r"timeout|resolve|refused|No such file|unreachable",
        "Start the server, or correct host and port in the URL.",
    ),
)


def _advice(said: str) -> str:
    """What to do about libpq's words."""
    found = (advice for pattern, advice in _ADVICE if re.search(pattern, said))
    return next(found, "See the server's log.")


@contextmanager
def clear_server_errors(address: Address) -> Iterator[None]:
    """Say what the server refuses in words that help.

    Raises:
        ResourceError: The server cannot be reached, is full, or may not be written.
        DataError: The tables are not there, or not those of this version.
    """
    try:
        yield
    except PoolTimeout as error:
        raise ResourceError(
            f"The server {address} has had no connection free for a while. Try again later."
        ) from error
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory) as error:
        raise ResourceError(
            f"The server {address} is full: {_said(error)}. What was acknowledged is kept; make "
            "room and do the rest again."
        ) from error
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise ResourceError(
            f"The server {address} does not allow it: {_said(error)}. Use a user who may write, on "
            "the server that takes writes."
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise DataError(
            f"The index at {address} is gone, or of another version: {_said(error)}. Make it anew "
            "with `syntype index`."
        ) from error
    except psycopg.OperationalError as error:
        raise ResourceError(
            f"The server {address} does not answer: {_said(error)}. {_advice(str(error))}"
        ) from error


def _said(error: psycopg.Error) -> str:
    """The server's words, on one line and without its closing full stop."""
    said = error.diag.message_primary or str(error)
    return " ".join(said.split()).rstrip(".")


def connect(address: Address) -> Connection:
    """One connection, outside of transactions.

    Raises:
        ResourceError: The server is not there, or does not let us in.
    """
    with clear_server_errors(address):
        connection = psycopg.connect(
            address.conninfo, connect_timeout=10, client_encoding="utf8", autocommit=True
        )
    _configure(connection)
    return connection


def _configure(connection: Connection) -> None:
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    # Each search is planned for its own conditions: a plan made once would not know how many fit.
    connection.prepare_threshold = None
    # In the server's default of 4 MB the rows that fit two conditions cannot be told from others
    # of their pages where a million records are, so that all of them are read.
    connection.execute(
        "SELECT set_config('work_mem', %s, false) "
        "WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes(%s)",
        [WORK_MEMORY, WORK_MEMORY],
    )


def pool(address: Address, most: int) -> ConnectionPool[Connection]:
    """Up to so many connections, made when they are wanted, anew after the server was restarted.

    Raises:
        ResourceError: The server is not there, or does not let us in.
    """
    with connect(address):
        pass  # the pool itself would only say that it waited
    return ConnectionPool(
        address.conninfo,
        min_size=1,
        max_size=most,
        configure=_configure,
        check=ConnectionPool.check_connection,
        timeout=30,
        kwargs={"connect_timeout": 10, "client_encoding": "utf8", "autocommit": True},
        name=f"syntype {address.name}",
        open=True,
    )


def require_pgvector(connection: Connection, address: Address, *, make: bool) -> None:
    """Refuse a server without pgvector, or with one that filters after its limit.

    Args:
        connection: To the server.
        address: Where it is.
        make: Whether to switch it on where it is installed.

    Raises:
        ResourceError: It is missing or too old.
    """
    server = connection.info.server_version // 10_000
    if server < SERVER:
        raise ResourceError(f"{address.place} is PostgreSQL {server}; {SERVER} or later is needed.")
    version = _version(connection)
    if version is None and make:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.errors.UniqueViolation:
            pass  # another process has made it at the same moment
        except psycopg.Error as error:
            raise ResourceError(
                f"{address.place} has no pgvector: {_said(error)}. Install it on the server "
                "(Debian: postgresql-NN-pgvector) and let an administrator run CREATE EXTENSION "
                "vector in the database."
            ) from error
        version = _version(connection)
    if version is None:
        raise ResourceError(
            f"{address.place} has no pgvector: run CREATE EXTENSION vector in the database."
        )
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < PGVECTOR:
        raise ResourceError(
            f"{address.place} has pgvector {version}, which filters after its limit; "
            f"{'.'.join(map(str, PGVECTOR))} or later is needed. Install it, and run ALTER "
            "EXTENSION vector UPDATE in the database."
        )


def require_utf8(connection: Connection, address: Address) -> None:
    """Refuse a database that cannot hold the names of the world.

    Raises:
        ResourceError: Its encoding is another one.
    """
    found = connection.info.parameter_status("server_encoding")
    if found != "UTF8":
        raise ResourceError(
            f"{address.place} keeps text as {found}; UTF8 is needed. Make a database by "
            "createdb -E UTF8 -T template0 NAME."
        )


def _version(connection: Connection) -> str | None:
    found = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    return None if found is None else str(found[0])


class Half(bytes):
    """A vector as the server's `halfvec` is sent: its length, nothing, big-endian half floats."""


def teach_half(connection: Connection) -> None:
    """Let a connection copy `Half` into columns of `halfvec`."""
    info = TypeInfo.fetch(connection, "halfvec")
    assert info is not None, "the extension is there"
    info.register(connection)
    dumper = type("HalfDumper", (_HalfDumper,), {"oid": info.oid})
    connection.adapters.register_dumper(Half, dumper)


class _HalfDumper(psycopg.adapt.Dumper):
    format = psycopg.pq.Format.BINARY

    def dump(self, obj: Half) -> bytes:
        return bytes(obj)
