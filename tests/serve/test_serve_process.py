"""A real process: uploads that are slow or too large, connections that wait, and the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fakes.ugly_pictures import jpeg

TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[tuple[subprocess.Popen, int]]:
    """A server in a process of its own, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fakes.served", str(folder), str(port), json.dumps(options)]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stderr=log, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
        )
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def _answers(port: int) -> bool:
    try:
        return b" 200 " in ask(port, b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
    except OSError:
        return False


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ask(port: int, content: bytes) -> bytes:
    with connect(port) as connection:
        connection.sendall(content.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        return read(connection)


def read(connection: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def post(length: str, kind: bytes = b"application/json", path: bytes = b"/api/v1/search") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s\r\n\r\n" % (
        path, kind, length.encode()
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("process")
    options = {"upload_seconds": 0.7, "upload_megabytes": 1.0, "header_seconds": 0.6,
               "requests_per_minute": 0.0}  # fmt: skip
    with served(folder, **options) as (_, port):
        yield port, folder


@pytest.mark.slow
def test_a_slow_upload_is_ended(server) -> None:
    with connect(server[0]) as connection:
        connection.sendall(post("Content-Length: 1000"))
        began, reply = time.monotonic(), b""
        stop = threading.Event()

        def drip() -> None:
            while not stop.is_set():
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.05)

        dripping = threading.Thread(target=drip)
        dripping.start()
        reply = read(connection)
        stop.set()
        dripping.join()
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"too-slow" in reply
    assert b"connection: close" in reply.lower()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("how", ["Content-Length: 30000000", "Transfer-Encoding: chunked"])
def test_an_oversized_upload_is_refused_while_it_comes_and_its_sender_reads_why(
    server, how
) -> None:
    with connect(server[0]) as connection:
        connection.sendall(post(how))
        piece = b"x" * 65_536
        if "chunked" in how:
            piece = b"10000\r\n" + piece + b"\r\n"
        sent = 0
        try:
            for _ in range(60):  # four megabytes, all of which a careless client sends first
                connection.sendall(piece)
                sent += 1
        except OSError:
            pass
        assert sent == 60
        reply = b""
        while b"too-large" not in reply:
            part = connection.recv(65_536)
            assert part, reply
            reply += part
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_who_asks_first_sends_no_byte_of_what_is_too_large(server) -> None:
    with connect(server[0]) as connection:
        connection.sendall(post("Content-Length: 30000000\r\nExpect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX-Slow: "])
def test_headers_that_do_not_come_are_not_waited_for(server, begin) -> None:
    began = time.monotonic()
    with connect(server[0]) as connection:
        connection.sendall(begin)
        read(connection)
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_who_does_not_read_is_not_waited_for(server) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server[0]))
        with suppress(OSError):
            connection.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        time.sleep(3)
        with suppress(ConnectionResetError):
            got = read(connection)
            assert got.count(b"HTTP/1.1 200") < 100


ODD = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
    b"POST /api/v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /api/search HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET http://evil/ HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("content", ODD, ids=range(len(ODD)))
def test_what_is_no_http_is_400_at_most(server, content) -> None:
    with connect(server[0]) as connection:
        with suppress(OSError):
            connection.sendall(content)
        try:
            reply = connection.recv(1000)
        except ConnectionResetError:  # it was still sending
            reply = b""
    assert reply == b"" or reply.startswith(b"HTTP/1.1 400 ")


def test_two_lengths_smuggle_no_second_request(server) -> None:
    inner = b"DELETE /api/v1/records?id=a HTTP/1.1\r\nHost: x\r\n\r\n"
    head = post(f"Content-Length: {5 + len(inner)}\r\nTransfer-Encoding: chunked")
    reply = ask(server[0], head + b"0\r\n\r\n" + inner)
    assert reply.count(b"HTTP/1.1 ") == 1


def test_the_log_is_json_line_by_line(server) -> None:
    ask(server[0], b"GET /x%0d%0aforged?text=private HTTP/1.1\r\nHost: x\r\n\r\n")
    lines = (server[1] / "log").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    (forged,) = [line for line in told if "forged" in line.get("path", "")]
    assert (forged["status"], forged["client"]) == (404, "127.0.0.1")
    assert not [line for line in lines if "private" in line]


def test_sigterm_lets_what_runs_end_and_then_the_process(tmp_path) -> None:
    with served(tmp_path, drain_seconds=0.5, shutdown_seconds=8.0) as (process, port):
        replies: list[bytes] = []

        def slow() -> None:  # its encoder takes a second and a half
            request = b"GET /api/v1/search?text=slow HTTP/1.1\r\nHost: x\r\n\r\n"
            replies.append(ask(port, request))

        asking = threading.Thread(target=slow)
        asking.start()
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        stopping = ask(port, b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        asking.join()
        output, _ = process.communicate(timeout=10)
        assert stopping.startswith(b"HTTP/1.1 503 ")
        assert b'"stopping"' in stopping
        assert replies[0].startswith(b"HTTP/1.1 200 ")
        assert process.returncode == 0
        assert output == b"ended\n"
        with pytest.raises(ConnectionRefusedError):
            connect(port)


@pytest.mark.slow
def test_what_does_not_end_is_ended(tmp_path) -> None:
    with served(tmp_path, shutdown_seconds=1.0, upload_seconds=60.0) as (process, port):
        with connect(port) as connection:
            connection.sendall(post("Content-Length: 1000"))
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            process.communicate(timeout=10)
        assert process.returncode == 0
        assert time.monotonic() - began < 6


def test_many_at_once_get_the_same_answer(server) -> None:
    content = jpeg()
    body = (b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
            + content + b"\r\n--b--\r\n")  # fmt: skip
    request = post(f"Content-Length: {len(body)}", b"multipart/form-data; boundary=b") + body
    ask(server[0], request)
    replies: list[bytes] = []

    def one() -> None:
        reply = ask(server[0], request)
        assert reply.startswith(b"HTTP/1.1 200 ")
        told = json.loads(reply[reply.index(b"{") :])
        replies.append(json.dumps(told["records"]).encode())

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 16
    assert len(set(replies)) == 1
