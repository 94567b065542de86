"""What made a thing: canonical JSON, content hashes, seeds by name, and the environment.

Two configs are the same exactly when their canonical JSON is the same, and the hash of that JSON
names folders, shards and random streams. Nothing here depends on the order of keys, on the
machine, or on the time; `environment` is the one record of machine and time, and is never hashed.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

from syntype.version import __version__

# Libraries whose version can change a number in the results.
_RECORDED = (
    "numpy",
    "open-clip-torch",
    "pillow",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "simplejpeg",
    "soundfile",
    "timm",
    "torch",
    "torchvision",
    "transformers",
)


def plain(value: Any) -> Any:
    """`value` as plain JSON types: dataclasses to objects, tuples to lists, paths to strings.

    Raises:
        TypeError: A part of `value` has no canonical JSON form.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical JSON form: {value!r}")


def canonical_json(value: Any) -> str:
    """The one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def bytes_hash(content: bytes) -> str:
    """The SHA-256 of `content`, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def named_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the draw called `names`: draws with different names are independent.

    So adding a draw, or running one k more, never changes another draw.
    """
    digest = hashlib.sha256(canonical_json([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _git_commit() -> str | None:
    """The commit of the syntype checkout, or None for an installed wheel."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


@cache  # a search of all that is installed, at the end of every run
def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Who, when, where and with what: for the record of a run, never for its identity."""
    return {
        "syntype": __version__,
        "commit": _git_commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "versions": {name: version for name in _RECORDED if (version := _version_of(name))},
    }
