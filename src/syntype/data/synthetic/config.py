"""What determines a world: its size, its seed and how hard it is; and the words for sizes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from syntype.errors import UsageError

MIN_SIDE, MAX_SIDE = 32, 512


def check(holds: bool, message: str) -> None:
    """Raise `UsageError` with `message` unless it `holds`."""
    if not holds:
        raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Everything that a world and its pictures depend on.

    Attributes:
        n_species: Species in all, at least 3: one third each of fish, butterflies and birds.
        n_images: Pictures in all, exactly.
        image_size: Side of a picture, pixels.
        seed: Seed of everything.
        min_modes: Fewest modes (combinations of sex, life stage and view) of a species.
        max_modes: Most modes of a species; a body plan has 5 or 6 to give.
        tail: Exponent of the long tail: the species of rank r has pictures in proportion to
            r ** -tail; 0 makes all species equally common.
        singletons: Share of the species known from a single picture.
        nuisance: Strength of what tells nothing about the species (pose, light, focus,
            background): 0 is a photo studio, 1 is the field.
    """

    n_species: int = 60
    n_images: int = 4000
    image_size: int = 128
    seed: int = 0
    min_modes: int = 2
    max_modes: int = 6
    tail: float = 0.7
    singletons: float = 0.05
    nuisance: float = 1.0

    def __post_init__(self) -> None:
        """Check that such a world can exist."""
        check(self.n_species >= 3, "A synthetic world needs species=3 or more.")
        check(
            self.n_images >= self.n_species,
            f"Each of the {self.n_species} species needs a picture: ask for images="
            f"{self.n_species} or more, not {self.n_images}.",
        )
        check(
            MIN_SIDE <= self.image_size <= MAX_SIDE,
            f"size={self.image_size} is out of range: a picture's side is {MIN_SIDE} to "
            f"{MAX_SIDE} pixels.",
        )
        check(
            1 <= self.min_modes <= self.max_modes,
            f"Modes per species must be 1 <= min_modes <= max_modes, not {self.min_modes} and "
            f"{self.max_modes}.",
        )
        check(0 <= self.tail <= 3, "tail must lie in [0, 3].")
        check(0 <= self.singletons <= 1, "singletons must lie in [0, 1].")
        check(
            self.n_singletons < self.n_species or self.n_images == self.n_species,
            "With every species a singleton there are as many pictures as species: lower "
            "singletons or images.",
        )
        check(0 <= self.nuisance <= 2, "nuisance must lie in [0, 2].")

    @property
    def n_singletons(self) -> int:
        """Species with exactly one picture by design."""
        return round(self.singletons * self.n_species)


SIZES = {
    "tiny": WorldConfig(n_species=12, n_images=240, image_size=64, singletons=0.0),
    "small": WorldConfig(n_species=60, n_images=5000),
    "medium": WorldConfig(n_species=600, n_images=50000),
}
_SHORT = {
    "species": "n_species",
    "images": "n_images",
    "size": "image_size",
    "modes": "max_modes",
}
_KEYS = {field.name: field.name for field in fields(WorldConfig)} | _SHORT
_ALLOWED = (
    f"Write synthetic:SIZE with SIZE one of {', '.join(SIZES)}, or a list such as "
    "species=60,images=4000,size=128,seed=1 (also tail, singletons, nuisance, min_modes, "
    "max_modes)."
)


def parse_size(text: str) -> WorldConfig:
    """The world that the SIZE of `synthetic:SIZE` names.

    Args:
        text: `tiny`, `small`, `medium`, or settings `name=value` with commas between.

    Raises:
        UsageError: No such size or setting, or no such world; the message says what is allowed.
    """
    if text in SIZES:
        return SIZES[text]
    return WorldConfig(**settings("synthetic", text, WorldConfig, _KEYS, _ALLOWED))


def settings(
    kind: str, text: str, config: type, keys: Mapping[str, str], allowed: str
) -> dict[str, Any]:
    """The values of settings such as `species=60,images=4000`, by the names of the config's fields.

    Args:
        kind: What stands before the colon, for messages.
        text: Settings `name=value` with commas between.
        config: The dataclass that they are for; its fields are whole numbers or numbers.
        keys: What may stand before the sign to the field that it means.
        allowed: What is allowed, a sentence.

    Raises:
        UsageError: There is no such setting, it stands twice, or is no number.
    """
    kinds = get_type_hints(config)
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        key = keys.get(name)
        check(bool(equals) and key is not None, f"{kind}:{text} is not known. {allowed}")
        assert key is not None
        check(key not in values, f"{kind}:{text} sets {name} twice. {allowed}")
        try:
            values[key] = kinds[key](number)
        except ValueError:
            wanted = "a whole number" if kinds[key] is int else "a number"
            raise UsageError(f"{name}={number} must be {wanted}. {allowed}") from None
    return values
