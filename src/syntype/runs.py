"""A run is a folder: config in, log, artefacts, one record out; never overwritten.

    <workspace>/<verb>/<hash of the config>/
        config.json     what was asked, written first
        log.jsonl       what happened, one JSON object a line, appended
        ...             artefacts, each written whole or not at all
        record.json     what came out; its presence means "finished"
        provenance.json who, when, where: the only file that differs between equal runs

The folder's name is the hash of the config, so the same question has the same folder, on every
machine. A run that was killed has no record: the next one with the same config goes on in the
same folder, and whoever wrote the artefacts decides what of them can be kept. This module is the
only code that knows these names.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syntype import files
from syntype.errors import ResourceError
from syntype.provenance import content_hash, environment, plain

_CONFIG, _LOG, _RECORD, _PROVENANCE, _LOCK = (
    "config.json",
    "log.jsonl",
    "record.json",
    "provenance.json",
    ".lock",
)


@dataclass(frozen=True)
class Run:
    """One verb applied to one config.

    Attributes:
        verb: The stage or sub-command, for example `cluster`.
        config: What determines the outcome, as plain JSON types.
        folder: Where it lives; its last part is the hash of `config`.
    """

    verb: str
    config: Mapping[str, Any]
    folder: Path

    @classmethod
    def at(cls, workspace: Path, verb: str, config: Any) -> "Run":
        """The run of `verb` with `config` below `workspace`; nothing is written yet."""
        content = plain(config)
        return cls(verb, content, workspace / verb / content_hash(content))

    @property
    def key(self) -> str:
        """The hash that names the run."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether the record is there: it is written last."""
        return (self.folder / _RECORD).is_file()

    @property
    def record(self) -> Mapping[str, Any]:
        """What came out.

        Raises:
            ResourceError: The run is not finished, or its record is not ours.
        """
        path = self.folder / _RECORD
        if not path.is_file():
            raise ResourceError(
                f"The run {self.folder} is not finished: run the same command again to go on."
            )
        return files.as_mapping(files.read_json(path), path)

    def path(self, name: str) -> Path:
        """Where the artefact `name` of this run lies."""
        return self.folder / name

    @contextmanager
    def working(self) -> Iterator["Run"]:
        """Hold the run for this process; another process that wants it waits.

        So array jobs that share a stage compute it once. The lock is the operating system's: it
        goes with the process that held it, however that process ends.
        """
        path = self.folder / _LOCK
        with files.clear_disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not (self.folder / _CONFIG).is_file():
                files.write_json(self.folder / _CONFIG, self.config)
            yield self

    def log(self, event: str, **fields: Any) -> None:
        """Append one line to the log."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **plain(fields)})
        path = self.folder / _LOG
        with files.clear_disk_errors(path), path.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def finish(self, **record: Any) -> Mapping[str, Any]:
        """Write the provenance and then the record, which makes the run finished."""
        content: dict[str, Any] = plain(record)
        files.write_json(self.folder / _PROVENANCE, environment())
        files.write_json(self.folder / _RECORD, content)
        return content

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Who made the run, when, where, with which versions."""
        path = self.folder / _PROVENANCE
        return files.as_mapping(files.read_json(path), path)
