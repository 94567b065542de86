"""Checks that every part makes, and the way back from plain JSON to a config."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from syntype.errors import UsageError


def check(holds: bool, message: str) -> None:
    """Refuse options that cannot be.

    Raises:
        UsageError: It does not hold.
    """
    if not holds:
        raise UsageError(message)


Config = TypeVar("Config")


def rebuild(cls: type[Config], content: Mapping[str, Any]) -> Config:
    """The config of class `cls` whose plain JSON form is `content`.

    Raises:
        UsageError: `content` has options that the class does not know.
    """
    hints = get_type_hints(cls)
    unknown = set(content) - set(hints)
    check(not unknown, f"Unknown options, of another version: {', '.join(sorted(unknown))}.")
    parts: dict[str, Any] = {}
    for name, value in content.items():
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint) and isinstance(value, Mapping):
            parts[name] = rebuild(hint, value)
        elif hint is Path:
            parts[name] = Path(value)
        elif get_origin(hint) is tuple or (get_args(hint) and isinstance(value, list)):
            parts[name] = tuple(value)
        else:
            parts[name] = value
    return cls(**parts)
