"""What of a set is here already, and what would not come; kept in the folder of the set.

    FOLDER/.fetch/files.jsonl    a line for each file that came: path, url, size, changed, sha256
    FOLDER/.fetch/failed.csv     path, url and reason of each that did not; absent if all came
    FOLDER/.fetch/source.json    name, page, revision, licence, citation of the set, and when
    FOLDER/.fetch/lock           held while a download goes on

A line is appended when its file has its name, so a kill loses at most the last line, and then the
file is checked once more. A file that was changed since is fetched again.
"""

import csv
import fcntl
import io
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syntype import files
from syntype.errors import ResourceError
from syntype.fetching.transfer import Part, file_hash
from syntype.fetching.wanted import Wanted


class Ledger:
    """What is known of the files of one folder.

    Args:
        folder: The folder of the set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = folder / ".fetch"
        self._lines = self._own / "files.jsonl"
        self._guard = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        if self._lines.exists():
            for line in self._lines.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:  # cut by a kill
                    continue
                self._known[entry["path"]] = entry

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else fetches into this folder meanwhile.

        Raises:
            ResourceError: Somebody does, or the folder may not be written.
        """
        path = self._own / "lock"
        with files.clear_disk_errors(path, "--to"):
            self._own.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ResourceError(
                    f"Another download into {self.folder} is under way. Wait for it, or name "
                    "another folder with --to."
                ) from error
            yield

    def entry(self, path: str) -> Mapping[str, Any] | None:
        """What was written down of a file that is here; None if it is not, or was changed."""
        entry, place = self._known.get(path), self.folder / path
        if entry is None or not place.is_file():
            return None
        status = place.stat()
        same = (entry["size"], entry["changed"]) == (status.st_size, status.st_mtime_ns)
        return entry if same else None

    def has(self, wanted: Wanted) -> bool:
        """Whether a file is here, whole and as published; one of unknown origin is hashed."""
        path = self.folder / wanted.path
        if not path.is_file():
            return False
        status, entry = path.stat(), self._known.get(wanted.path)
        if wanted.size is not None and status.st_size != wanted.size:
            return False
        if entry and (entry["size"], entry["changed"]) == (status.st_size, status.st_mtime_ns):
            published = wanted.digest in ("", entry.get("digest"), f"sha256:{entry['sha256']}")
            if published and entry["url"] == wanted.url:
                return True
        if not wanted.digest:
            return False
        kind, _, expected = wanted.digest.partition(":")
        sha256 = file_hash(path, "sha256")
        if (sha256 if kind == "sha256" else file_hash(path, kind)) != expected:
            return False
        Part(path).drop()  # a kill between the name and this ledger leaves its note behind
        self.add(wanted, sha256)
        return True

    def add(self, wanted: Wanted, sha256: str) -> None:
        """Write down that a file is here."""
        status = (self.folder / wanted.path).stat()
        entry = {
            "path": wanted.path,
            "url": wanted.url,
            "size": status.st_size,
            "changed": status.st_mtime_ns,
            "sha256": sha256,
            "digest": wanted.digest,
        }
        line = json.dumps(entry, sort_keys=True, ensure_ascii=False) + "\n"
        with self._guard, files.clear_disk_errors(self._lines, "--to"):
            self._known[wanted.path] = entry
            with self._lines.open("ab+") as handle:
                # After a line that a kill has cut, a new one must begin.
                if handle.tell() and os.pread(handle.fileno(), 1, handle.tell() - 1) != b"\n":
                    handle.write(b"\n")
                handle.write(line.encode())

    def part(self, wanted: Wanted) -> int:
        """Bytes of a file that are here, though it is not whole."""
        return Part(self.folder / wanted.path).size()

    def fail(self, failures: Sequence[tuple[Wanted, str]]) -> Path | None:
        """Write down what would not come; the path of the list, None if all came."""
        path = self._own / "failed.csv"
        if not failures:
            path.unlink(missing_ok=True)
            return None
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["path", "url", "reason"])
        rows.writerows([wanted.path, wanted.url, reason] for wanted, reason in failures)
        files.write_text(path, text.getvalue())
        return path

    def describe(self, source: Mapping[str, Any]) -> None:
        """Write down where the set comes from, and under which terms."""
        files.write_json(self._own / "source.json", source)
