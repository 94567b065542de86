"""One attempt at one file: goes on where the last one ended, checks what came, and is atomic.

While a file comes it is called NAME.part, and beside it lies NAME.part.json: its address, and the
mark (ETag or date) of the version that it is a part of. The next attempt asks for the rest of that
very version (RFC 9110, sections 13.1.5 and 14.2); where the server has another one, or sends all
regardless, it starts anew. Only a file whose size and hash are right gets its name.
"""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import httpx2

from syntype import files
from syntype.fetching.wanted import Wanted
from syntype.version import __version__

# Said to every server, so that its owner knows whom to ask to stop.
AGENT = f"syntype/{__version__} (biodiversity research; resumes and backs off)"

_AGAIN = {408, 425, 429, *range(500, 600)}
_BUSY = {429, 503}
_REFUSED = {401, 403}


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds.

    Attributes:
        connect: For a connection.
        silence: For the next byte.
        window: A server that sends less than `least` bytes in this time is asked anew.
        least: See `window`.
        first: Before the second attempt; each further one waits twice as long.
        longest: Between two attempts at most.
        rest: What a busy host may ask for at most; beyond it the file is given up.
        spoils: Times that a whole file may come and be wrong.
    """

    connect: float = 20.0
    silence: float = 30.0
    window: float = 30.0
    least: int = 1024
    first: float = 1.0
    longest: float = 60.0
    rest: float = 900.0
    spoils: int = 2


@dataclass(frozen=True)
class Done:
    """The file is here.

    Attributes:
        size: Its bytes.
        sha256: Its hash.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class Again:
    """It may come if asked again.

    Attributes:
        reason: What went wrong.
        have: Bytes of it that are here now.
        busy: Whether the host said that it is asked too often.
        rest: Seconds for which it wants to be left alone; None if it did not say.
        spoiled: Whether all of it came and was wrong.
    """

    reason: str
    have: int = 0
    busy: bool = False
    rest: float | None = None
    spoiled: bool = False


@dataclass(frozen=True)
class Failed:
    """It will not come.

    Attributes:
        reason: Why.
    """

    reason: str


class Stopped(Exception):
    """The download was told to stop in the middle of a file."""


def client(patience: Patience, connections: int) -> httpx2.Client:
    """What makes the requests: proxies and certificates are those of the environment."""
    return httpx2.Client(
        follow_redirects=True,
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(patience.silence, connect=patience.connect, pool=None),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


def said_size(wanted: Wanted, session: httpx2.Client) -> int | None:
    """What a server says of a file's size when it is asked for nothing else; None if nothing."""
    try:
        response = session.head(wanted.url, headers=dict(wanted.headers))
    except httpx2.HTTPError:
        return None
    length = response.headers.get("content-length", "")
    return int(length) if response.status_code == HTTPStatus.OK and length.isdigit() else None


class Part:
    """The part of a file that is here.

    Args:
        target: The file that it becomes.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def resumable(self, wanted: Wanted) -> tuple[int, str]:
        """Bytes to go on from, and the mark of their version ("" if a hash must tell)."""
        try:
            note = files.as_mapping(files.read_json(self._note), self._note)
        except (OSError, ValueError):
            return 0, ""
        if note.get("url") != wanted.url or not (note.get("mark") or wanted.digest):
            return 0, ""
        return self.size(), note.get("mark", "")

    def begin(self, wanted: Wanted, mark: str) -> None:
        """Start anew with a version that has this mark."""
        # First the bytes: a kill between the two must not mix versions. A note that a kill has
        # cut cannot be read, and then all is asked for again.
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": wanted.url, "mark": mark}), encoding="utf-8")

    def drop(self) -> None:
        """Throw it away."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Give it its name, once it is on the disk."""
        with self.path.open("rb") as handle:
            os.fsync(handle.fileno())
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def attempt(
    wanted: Wanted,
    target: Path,
    session: httpx2.Client,
    patience: Patience,
    stop: threading.Event,
    going: Callable[[int], None],
) -> Done | Again | Failed:
    """Ask for a file once.

    Args:
        wanted: The file.
        target: Where it goes.
        session: What makes the requests.
        patience: How long to wait for what.
        stop: Set to end in the middle.
        going: Told how many bytes came, less than 0 where some had to be thrown away.

    Raises:
        Stopped: `stop` was set; what came is kept.
        ResourceError: The disk is full or the folder may not be written; what came is kept.
    """
    part = Part(target)
    with files.clear_disk_errors(target, "--to"):
        target.parent.mkdir(parents=True, exist_ok=True)
        offset, mark = part.resumable(wanted)
        if offset and wanted.size is not None and offset >= wanted.size:
            return _checked(wanted, part, target, None, going)
        headers = dict(wanted.headers)
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if mark:
                headers["If-Range"] = mark
        try:
            with session.stream("GET", wanted.url, headers=headers) as response:
                return _Transfer(wanted, part, target, patience, stop, going).take(response, offset)
        except httpx2.UnsupportedProtocol as error:
            return Failed(str(error))
        except httpx2.TooManyRedirects:
            return Failed("it is redirected in circles")
        except httpx2.TransportError as error:
            return Again(_in_words(error), have=part.size())


def _in_words(error: httpx2.TransportError) -> str:
    kinds: dict[type[httpx2.TransportError], str] = {
        httpx2.ConnectTimeout: "the server does not answer",
        httpx2.ConnectError: "there is no connection to the server",
        httpx2.ReadTimeout: "the server fell silent",
        httpx2.RemoteProtocolError: "the connection was cut",
        httpx2.ReadError: "the connection was cut",
    }
    words = kinds.get(type(error), type(error).__name__)
    return f"{words} ({error})" if str(error) else words


@dataclass
class _Transfer:
    wanted: Wanted
    part: Part
    target: Path
    patience: Patience
    stop: threading.Event
    going: Callable[[int], None]

    def take(self, response: httpx2.Response, offset: int) -> Done | Again | Failed:
        """Act on the answer of the server to a request from `offset` on."""
        status = response.status_code
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            # Nothing is left to send, or the part is of something else: the check tells.
            _, total = _range(response.headers.get("content-range", ""))
            if total == offset:
                return _checked(self.wanted, self.part, self.target, total, self.going)
            return self._anew("the server has no such part of it")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return _refusal(response)
        if not response.headers.get("content-type", "").startswith(self.wanted.kind):
            return Failed(f"it is no {self.wanted.kind} but {response.headers['content-type']}")
        total = None
        if status == HTTPStatus.PARTIAL_CONTENT:
            start, total = _range(response.headers.get("content-range", ""))
            if start != offset:
                return self._anew("the server sent another part than was asked for")
        else:
            if length := response.headers.get("content-length", "").strip():
                total = int(length) if length.isdigit() else None
            self.going(-offset)
            offset = 0
            self.part.begin(self.wanted, _mark(response))
        if None not in (total, self.wanted.size) and total != self.wanted.size:
            self._forget()
            reason = f"the server has {total} bytes, {self.wanted.size} are published"
            return Again(reason, spoiled=True)
        return self._read(response, offset, total)

    def _read(
        self, response: httpx2.Response, offset: int, total: int | None
    ) -> Done | Again | Failed:
        gained, slow = 0, ""
        since, mark = time.monotonic(), 0
        with self.part.path.open("ab", buffering=0) as handle:
            for chunk in response.iter_raw():
                if self.stop.is_set():
                    raise Stopped
                handle.write(chunk)
                gained += len(chunk)
                self.going(len(chunk))
                if (now := time.monotonic()) - since > self.patience.window:
                    if gained - mark < self.patience.least:
                        slow = "the server all but stopped sending"
                        break
                    since, mark = now, gained
        expected = total if total is not None else self.wanted.size
        if expected is not None and offset + gained < expected:
            reason = slow or f"the connection was cut after {offset + gained} of {expected} bytes"
            return Again(reason, have=offset + gained)
        if slow:
            return Again(slow, have=offset + gained)
        return _checked(self.wanted, self.part, self.target, total, self.going)

    def _anew(self, reason: str) -> Again:
        self._forget()
        return Again(reason)

    def _forget(self) -> None:
        self.going(-self.part.size())
        self.part.drop()


def _checked(
    wanted: Wanted, part: Part, target: Path, total: int | None, going: Callable[[int], None]
) -> Done | Again:
    """Give the file its name, if it is what it should be; else throw it away."""
    size, wrong = part.size(), ""
    published = wanted.size if wanted.size is not None else total
    if published is not None and size != published:
        wrong = f"{size} bytes came, {published} are published"
    sha256 = "" if wrong else file_hash(part.path, "sha256")
    if not wrong and wanted.digest:
        kind, _, expected = wanted.digest.partition(":")
        found = sha256 if kind == "sha256" else file_hash(part.path, kind)
        if found != expected:
            wrong = f"its {kind} is {found}, published is {expected}"
    if wrong:
        going(-size)
        part.drop()
        return Again(wrong, spoiled=True)
    part.become(target)
    return Done(size, sha256)


def file_hash(path: Path, kind: str) -> str:
    """The hash of a file in hexadecimal digits; `kind` as hashlib names it."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, kind).hexdigest()


def _range(text: str) -> tuple[int | None, int | None]:
    """Start and total of a Content-Range: `bytes 5-9/10`, `bytes 5-9/*`, `bytes */10`."""
    match = re.fullmatch(r"bytes\s+(?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if match is None:
        return None, None
    start, total = match.groups()
    return int(start) if start else None, int(total) if total != "*" else None


def _mark(response: httpx2.Response) -> str:
    """What names this very version: a strong ETag, else the date; weak ETags may not (RFC 9110)."""
    tag: str = response.headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag
    date: str = response.headers.get("last-modified", "")
    return date


def _refusal(response: httpx2.Response) -> Again | Failed:
    status = response.status_code
    words = f"{status} {response.reason_phrase}".strip()
    if status in _AGAIN:
        rest = _retry_after(response.headers.get("retry-after", ""))
        return Again(words, busy=status in _BUSY, rest=rest)
    if status in _REFUSED:
        return Failed(f"{words}: it needs a login, a token or the acceptance of its terms")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return Failed(f"{words}: it is not there any more")
    return Failed(words)


def _retry_after(text: str) -> float | None:
    """Seconds of a Retry-After: a number of them, or a date (RFC 9110, section 10.2.3)."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
