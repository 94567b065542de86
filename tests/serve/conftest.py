"""A server over the synthetic collection, in the test's own process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fakes.collection import write_pictures
from fakes.served import collection
from syntype.configs import ServeConfig
from syntype.serve.app import create_app

KEY = "a-key-of-sufficient-length"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of the synthetic collection, written once."""
    from fakes.collection import synthetic_records

    return write_pictures(tmp_path_factory.mktemp("pictures"), synthetic_records(60))


def open_client(folder: Path, pictures: Path, n: int = 60, **options: Any) -> TestClient:
    """A client of a server in this process; to be closed."""
    index, asker = collection(None, n)
    index.describe(roots={"cabinet": pictures})
    folders = {"media_folder": folder / "media", "cache_folder": folder / "cache"}
    config = ServeConfig(**{"requests_per_minute": 0.0, **folders, **options})
    client = TestClient(create_app(index, asker, config), raise_server_exceptions=False)
    client.__enter__()
    return client


def close(client: TestClient) -> None:
    """End the server of a client."""
    client.app.state.desk.close()
    client.__exit__(None, None, None)


@pytest.fixture
def make_client(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TestClient]]:
    """Clients of servers with other options; `key=True` has them take writes."""
    opened = []

    def make(*, key: bool = False, **options: Any) -> TestClient:
        monkeypatch.delenv("SYNTYPE_API_KEY", raising=False)
        if key:
            monkeypatch.setenv("SYNTYPE_API_KEY", KEY)
        opened.append(open_client(tmp_path, pictures, **options))
        return opened[-1]

    yield make
    for client in opened:
        close(client)


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[TestClient]:
    """A client of a server that only reads; tests share it and leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SYNTYPE_API_KEY", raising=False)
        client = open_client(tmp_path_factory.mktemp("server"), pictures)
    yield client
    close(client)


@pytest.fixture
def writer(make_client: Callable[..., TestClient]) -> TestClient:
    """A client that holds the key of a server that takes writes."""
    client = make_client(key=True)
    client.headers["Authorization"] = f"Bearer {KEY}"
    return client
