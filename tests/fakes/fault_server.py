"""A web server that plays every fault that downloads meet in the wild, on request.

`Site.files` is what it publishes; `Site.faults[path]` is what goes wrong, one request after the
other, until the list is empty and the file comes as it should.
"""

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = (
    "cut", "reset", "nothing", "busy", "busy-date", "unavailable", "error", "redirect", "drip",
    "no-range", "other-range", "no-such-range", "new-version", "short", "corrupt", "long",
)  # fmt: skip
# What only a published size or hash can tell.
LIES = ("short", "corrupt", "long")


@dataclass
class Site:
    """What is published, what goes wrong, and what was asked.

    Attributes:
        files: Path to content.
        faults: Path to the faults of its next requests.
        asked: (path, start of the range asked for, time) of each request.
        served: Bytes of content that were sent.
        marks: What tells versions apart: "etag", "weak", "date" or "none".
        forbidden: Paths that need a token, which is "secret".
        types: Path to Content-Type.
        unknown: Headers of a 404.
        elsewhere: Path to the address that it has moved to.
        tokens: What each request gave as its credentials.
    """

    files: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    asked: list[tuple[str, int, float]] = field(default_factory=list)
    served: Counter = field(default_factory=Counter)
    marks: str = "etag"
    forbidden: frozenset = frozenset()
    types: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    seed: int = 0

    def __post_init__(self):
        self.guard = threading.Lock()
        self.random = random.Random(self.seed)

    @contextlib.contextmanager
    def running(self):
        """Serve on a free port; yields the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()


def handler_of(site):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def handle(self):
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                super().handle()

        def do_HEAD(self):
            path = self.path.partition("?")[0]
            if path not in site.files:
                self.empty(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(site.files[path])))
            self.end_headers()

        def do_GET(self):
            with site.guard:
                site.at_once += 1
                site.most_at_once = max(site.most_at_once, site.at_once)
            try:
                self.answer()
            finally:
                with site.guard:
                    site.at_once -= 1

        def answer(self):
            path = self.path.partition("?")[0].removeprefix("/moved")
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            with site.guard:
                site.asked.append((path, start, time.monotonic()))
                site.tokens.append(self.headers.get("Authorization", ""))
                fault = site.faults[path].pop(0) if site.faults[path] else ""
                number = site.random.random()
            if path in site.elsewhere:
                self.empty(302, Location=site.elsewhere[path])
            elif path in site.forbidden and site.tokens[-1] != "Bearer secret":
                self.empty(401)
            elif path not in site.files:
                self.empty(404, **site.unknown)
            elif fault in ("busy", "busy-date", "unavailable", "error"):
                self.refuse(fault)
            elif fault == "nothing":
                self.drop()
            elif fault == "redirect":
                self.empty(302, Location=f"/moved{path}")
            elif fault == "no-such-range" and start:
                self.empty(416)
            else:
                self.send(path, self.changed(site.files[path], fault, number), start, fault, number)

        def changed(self, content, fault, number):
            place = int(number * len(content))
            if fault == "corrupt" and content:
                return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            if fault == "short":
                return content[:place]
            return content + b"more" if fault == "long" else content

        def mark(self, path, fault):
            version = "new" if fault == "new-version" else "v1"
            date = "Tue, 24 Nov 2026 12:00:00 GMT" if fault == "new-version" else (
                "Mon, 02 Nov 2026 12:00:00 GMT")  # fmt: skip
            return {
                "etag": {"ETag": f'"{version}"', "Last-Modified": date},
                "weak": {"ETag": f'W/"{version}"', "Last-Modified": date},
                "date": {"Last-Modified": date},
                "none": {},
            }[site.marks]

        def send(self, path, content, start, fault, number):
            marks = self.mark(path, fault)
            condition = self.headers.get("If-Range")
            if condition and condition not in marks.values():
                start = 0
            if fault == "no-range":
                start = 0
            if start and start >= len(content):
                self.empty(416, **{"Content-Range": f"bytes */{len(content)}"})
                return
            if fault == "other-range" and start:
                start -= 1
            body = content[start:]
            self.send_response(206 if start else 200)
            if start:
                whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", whole)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", site.types.get(path, "application/octet-stream"))
            for name, value in marks.items():
                self.send_header(name, value)
            self.end_headers()
            whole = len(body)
            if fault in ("cut", "reset", "drip"):
                body = body[: int(number * len(body))]
            self.write(path, body)
            if fault == "drip" and whole:
                self.drip(path, content[-(whole - len(body)) :])
            elif fault == "reset":
                self.reset()
            elif fault == "cut":
                self.drop()

        def write(self, path, body):
            site.served[path] += len(body)
            self.wfile.write(body)

        def drip(self, path, body):
            """The rest so slowly that waiting for it is no use."""
            for place in range(min(len(body), 100)):
                time.sleep(0.02)
                self.write(path, body[place : place + 1])
            self.drop()

        def refuse(self, fault):
            date = formatdate(time.time(), usegmt=True)
            wait = {"busy": "0", "busy-date": date}.get(fault)
            status = {"error": 500, "unavailable": 503}.get(fault, 429)
            self.empty(status, **({"Retry-After": wait} if wait else {}))

        def empty(self, status, **headers):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def drop(self):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def reset(self):
            """End the connection rudely: the client sees a reset, not an end."""
            self.close_connection = True
            rude = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, rude)
            with contextlib.suppress(OSError):
                self.connection.close()

    return Handler
