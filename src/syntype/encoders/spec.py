"""Spec strings: the one way to name an encoder, and what is known of it before it is loaded.

    source:name[?option=value&option=value]

`descriptors`, `open_clip:ViT-H-14/laion2b_s32b_b79k`, `untrained:resnet10t?size=64&seed=1`. The
name may be a path or hold colons; the first colon ends the source and the first question mark
starts the options. docs/reference/encoders.md lists them all.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from syntype.errors import UsageError

WeightsState = Literal["none", "local", "cached", "download", "missing"]
Fit = Literal["crop", "squash", "pad"]  # of a `Preprocess`, as the sources translate it
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True)
class Spec:
    """A spec string taken apart.

    Attributes:
        source: Which library or format, for example `open_clip`.
        name: What it calls the model; "" for sources that hold one encoder only.
        options: The options as written.
    """

    source: str
    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The canonical form: options sorted by name."""
        text = f"{self.source}:{self.name}" if self.name else self.source
        pairs = "&".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{text}?{pairs}" if pairs else text


@dataclass(frozen=True, kw_only=True)
class EncoderPlan:
    """What loading an encoder would do, found out without network and without its weights.

    Attributes:
        name: The canonical spec string.
        source: Its source.
        weights: `none` (it has none to load), `local` (a file or folder that is here), `cached`
            (in the hub's cache), `download` (to be fetched first) or `missing` (a path where
            there is nothing).
        where: The path or the hub repository of the weights, "" for `none`.
        downloads: The files to fetch; of alternatives, the preferred one.
        size: Height and width of the input, pixels; None if only the download can tell.
        dim: Length of the vectors; None likewise.
    """

    name: str
    source: str
    weights: WeightsState
    where: str = ""
    downloads: tuple[str, ...] = ()
    size: int | None = None
    dim: int | None = None

    @property
    def summary(self) -> str:
        """One line for a dry run."""
        pixels = "? px" if self.size is None else f"{self.size} px"
        dims = "? dimensions" if self.dim is None else f"{self.dim} dimensions"
        state = {
            "none": "no weights to load",
            "local": f"weights in {self.where}",
            "cached": f"weights of {self.where} are in the cache",
            "download": f"would download {', '.join(self.downloads)} from {self.where}",
            "missing": f"NOT FOUND: {self.where}",
        }[self.weights]
        return f"{self.name}: {pixels}, {dims}, {state}"


def parse_spec(text: str) -> Spec:
    """Take a spec string apart; whether its source and name exist is checked elsewhere.

    Raises:
        UsageError: An option has no value or is given twice.
    """
    head, _, tail = text.strip().partition("?")
    source, _, name = head.partition(":")
    options: dict[str, str] = {}
    for pair in tail.split("&") if tail else []:
        key, equals, value = pair.partition("=")
        if not key or not equals or not value:
            raise UsageError(f"In {text!r}, write the option {pair!r} as option=value.")
        if key in options:
            raise UsageError(f"In {text!r}, the option {key!r} is given twice.")
        options[key] = value
    return Spec(source, name, options)


def close_matches(word: str, known: Collection[str], n: int = 3) -> str:
    """` Did you mean ...?` with the known words nearest to `word`, or ""."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=n, cutoff=0.5)
    return f" Did you mean {' or '.join(lowered[name] for name in near)}?" if near else ""


def check_options(spec: Spec, known: Collection[str]) -> None:
    """Refuse options that the source of `spec` does not have.

    Raises:
        UsageError: The message names the options that there are.
    """
    for option in spec.options:
        if option not in known:
            offered = f"has {', '.join(sorted(known))}" if known else "has no options"
            raise UsageError(
                f"{spec.source} {offered}, not {option!r}, in {spec}."
                + close_matches(option, known)
            )


def whole_number(spec: Spec, option: str, default: int, least: int = 0) -> int:
    """The option as a whole number.

    Raises:
        UsageError: It is not one, or below `least`.
    """
    text = spec.options.get(option, str(default))
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"In {spec}, {option} must be a whole number of at least {least}.")
    return int(text)


def looks_like_path(name: str) -> bool:
    """Whether a name can only be meant as a path: it starts with `/`, `./`, `../` or `~`."""
    return name in {".", ".."} or name.startswith(("/", "./", "../", "~"))


def local_path(name: str) -> Path:
    """The path that `name` means, with or without the prefix `local-dir:`."""
    return Path(name.removeprefix("local-dir:")).expanduser()
