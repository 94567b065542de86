"""The server on top of the engines that it is for, beside the naive index."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakes.collection import clustered_vectors, synthetic_records
from fakes.served import DIM, embedded
from fakes.ugly_pictures import jpeg
from syntype.configs import ServeConfig
from syntype.search.opening import open_index
from syntype.serve.app import create_app

KEY = "a-key-of-sufficient-length"
QUERIES = [
    "search?n=100", "search?text=owl&n=20", "search?text=owl&family=Laridae&sex=", "facets",
    "search?like=cabinet/a%23b&group=species", "search?text=owl&diversity=0.5&n=5",
    "facets?box=-20,170,5,-170", "taxa?rank=genus&class=Aves", "map?degrees=10", "timeline",
    "suggest?q=van", "records?id=cabinet/..%2F..%2Fetc%2Fpasswd", "search?near=0,180,500",
    "search?since=1900&until=1950-06&has=sound", "about",
]  # fmt: skip
HOSTILE = ["'; DROP TABLE records; --", "' OR '1'='1", '" OR 1=1 --', "%", "_", "*", "\\", "\u202e",
           "x' UNION SELECT 1", "[0-9]*", "?", "NULL", "nan", "🦋", "a" * 1000]  # fmt: skip


@pytest.fixture(params=["exact", "cells"])
def engine(request, tmp_path, pictures, monkeypatch):
    """A client of a server over an index on disk, and the folder of the index."""
    monkeypatch.setenv("SYNTYPE_API_KEY", KEY)
    index, asker = embedded(tmp_path / "index", None, request.param)
    index.describe(roots={"cabinet": pictures})
    config = ServeConfig(
        requests_per_minute=0.0, media_folder=tmp_path / "media", cache_folder=tmp_path / "cache"
    )
    app = create_app(index, asker, config)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client, tmp_path / "index"
    app.state.desk.close()
    index.close()


def near(one, other) -> bool:
    """Whether two answers are the same but for the last bits of numbers and what may differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        free = {"took", "engine", "next", "writes"}
        return one.keys() == other.keys() and all(
            near(one[name], other[name]) for name in one.keys() - free
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(near, one, other))
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) < 2e-3
    return one == other


def test_answers_are_those_of_the_naive_index(engine, client) -> None:
    for query in QUERIES:
        ours, naive = engine[0].get(f"/api/v1/{query}"), client.get(f"/api/v1/{query}")
        assert ours.status_code == naive.status_code == 200, (query, ours.text)
        assert near(ours.json(), naive.json()), query


def test_what_is_put_into_a_query_stays_a_value(engine) -> None:
    client = engine[0]
    for text in HOSTILE:
        for name in ("family", "class", "license"):
            assert client.get("/api/v1/search", params={name: text}).json()["total"] == 0
        assert client.get("/api/v1/records", params={"id": text}).status_code == 404
        assert client.delete("/api/v1/records", params={"id": text}).status_code == 404
        assert client.get("/api/v1/suggest", params={"q": text}).status_code == 200
        assert client.get("/api/v1/search", params={"text": text, "after": text}).status_code == 400
    assert client.get("/api/v1/health").json()["records"] == 60


def put(client, id_: str, seed: int = 0):
    files = {"record": (None, json.dumps({"id": id_})), "image": ("x", jpeg(seed=seed))}
    return client.put("/api/v1/records", files=files)


def test_a_write_is_there_when_the_index_is_opened_again(engine) -> None:
    client, folder = engine
    assert put(client, "new/1").status_code == 201
    assert client.delete("/api/v1/records", params={"id": "cabinet/plain"}).status_code == 204
    again = open_index(str(folder))
    assert again.records(["new/1", "cabinet/plain"])[0]["datasetName"] == "uploads"
    assert again.records(["cabinet/plain"]) == [None]
    assert "uploads" in again.card.roots
    again.close()
    assert client.get("/api/v1/media", params={"id": "new/1"}).content == jpeg()


def test_what_another_process_adds_appears_while_it_serves(engine) -> None:
    client, folder = engine
    tag = client.get("/api/v1/facets").headers["ETag"]
    other = open_index(str(folder))
    table = synthetic_records(70).slice(60)
    other.upsert(table, clustered_vectors(table, DIM))
    other.close()
    time.sleep(1.05)
    assert client.get("/api/v1/facets", headers={"If-None-Match": tag}).json()["total"] == 70
    assert client.get("/api/v1/search?n=1").json()["total"] == 70


@pytest.mark.slow
def test_many_read_while_one_writes(engine) -> None:
    client, _ = engine
    wrong, done = [], threading.Event()

    def read(seed: int) -> None:
        while not done.is_set():
            for query in ("search?text=owl&n=5", f"facets?only=sex&most={seed + 1}", "timeline"):
                reply = client.get(f"/api/v1/{query}")
                if reply.status_code != 200:
                    wrong.append(reply.text)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for i in range(8):
        assert put(client, f"new/{i}", seed=i).status_code == 201
        assert client.get("/api/v1/records", params={"id": f"new/{i}"}).status_code == 200
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert client.get("/api/v1/search?n=1").json()["total"] == 68


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    import httpx2

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tests = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "fakes.served", str(tmp_path), str(port),
         json.dumps({"engine": "cells", "requests_per_minute": 0.0})],
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent / 'src'}",
             "SYNTYPE_API_KEY": KEY},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    headers, acknowledged = {"Authorization": f"Bearer {KEY}"}, []
    killing = threading.Timer(0.4, process.send_signal, (signal.SIGKILL,))
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            for _ in range(600):
                try:
                    assert put(client, "first").status_code == 201
                    break
                except httpx2.TransportError:
                    time.sleep(0.05)
            killing.start()
            for i in range(1000):
                assert put(client, f"new/{i}", seed=i % 5).status_code == 201
                acknowledged.append(f"new/{i}")
    except httpx2.TransportError:
        pass
    finally:
        killing.join()
        process.kill()
        process.wait()
    assert acknowledged
    index = open_index(str(tmp_path / "index"))
    assert None not in index.records(["first", *acknowledged])
    assert len(index) - 31 - len(acknowledged) in (0, 1)  # one may have been written, and not told
    index.close()
