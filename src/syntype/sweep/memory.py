"""What each encoder was when it was last loaded in this workspace: for plans, never for results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from syntype import files
from syntype.provenance import content_hash

_MEMORY = "encoders"


def remember(workspace: Path, spec: str, identity: Mapping[str, Any]) -> None:
    """Note what `spec` was when it was loaded."""
    path = workspace / _MEMORY / f"{content_hash(spec)}.json"
    content = {"spec": spec, "identity": dict(identity)}
    if not path.is_file() or files.read_json(path) != content:
        files.write_json(path, content)


def recall(workspace: Path, spec: str) -> Mapping[str, Any] | None:
    """What `spec` was when it was last loaded here; None if it never was."""
    path = workspace / _MEMORY / f"{content_hash(spec)}.json"
    return files.read_json(path)["identity"] if path.is_file() else None
