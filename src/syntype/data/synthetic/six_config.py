"""What determines a world of six senses, and the words for sizes."""

from dataclasses import dataclass, fields

from syntype.data.synthetic.config import MAX_SIDE, MIN_SIDE, WorldConfig, check, settings

_DEGREES = (1.0, 2.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class SixConfig:
    """Everything that a world of six senses and its files depend on.

    Attributes:
        n_species: Species in all, at least 3: one third each of fish, butterflies and birds.
        n_observations: Observations in all, exactly; an individual has one to three.
        image_size: Side of a picture, pixels.
        tile_size: Side of a satellite tile, pixels.
        seconds: Length of a recording.
        sample_rate: Samples per second of a recording.
        degrees: Side of a cell of the planet's rasters.
        seed: Seed of everything.
        tail: Exponent of the long tail of species, as in `WorldConfig`.
        singletons: Share of the species known from a single observation.
        nuisance: Strength of what tells nothing about the species, in pictures.
        bias: How much people look near cities and roads only: 0 everywhere alike, 1 as in the
            field.
        no_image: Share of the observations without a picture; likewise the following four.
        no_satellite: Share without a tile.
        no_sound: Share without a recording.
        no_place: Share without coordinates.
        no_climate: Share without climate.
    """

    n_species: int = 40
    n_observations: int = 1500
    image_size: int = 96
    tile_size: int = 96
    seconds: float = 1.5
    sample_rate: int = 22050
    degrees: float = 1.0
    seed: int = 0
    tail: float = 0.7
    singletons: float = 0.05
    nuisance: float = 1.0
    bias: float = 1.0
    no_image: float = 0.0
    no_satellite: float = 0.02
    no_sound: float = 0.25
    no_place: float = 0.02
    no_climate: float = 0.02

    def __post_init__(self) -> None:
        """Check that such a world can exist."""
        _ = self.world
        check(
            MIN_SIDE <= self.tile_size <= MAX_SIDE,
            f"tile={self.tile_size} is out of range: a tile's side is {MIN_SIDE} to {MAX_SIDE} "
            "pixels.",
        )
        check(0.5 <= self.seconds <= 10, "seconds must lie in [0.5, 10].")
        check(8000 <= self.sample_rate <= 48000, "rate must lie in [8000, 48000].")
        check(self.degrees in _DEGREES, "degrees must be 1, 2 or 3.")
        check(0 <= self.bias <= 3, "bias must lie in [0, 3].")
        for name in ("no_image", "no_satellite", "no_sound", "no_place", "no_climate"):
            check(0 <= getattr(self, name) <= 1, f"{name} is a share: it must lie in [0, 1].")

    @property
    def world(self) -> WorldConfig:
        """The species and their pictures."""
        return WorldConfig(
            n_species=self.n_species,
            n_images=self.n_observations,
            image_size=self.image_size,
            seed=self.seed,
            tail=self.tail,
            singletons=self.singletons,
            nuisance=self.nuisance,
        )


SIX_SIZES = {
    "tiny": SixConfig(
        n_species=12,
        n_observations=120,
        image_size=64,
        tile_size=64,
        seconds=1.0,
        sample_rate=16000,
        degrees=3.0,
        singletons=0.0,
    ),
    "small": SixConfig(),
    "medium": SixConfig(n_species=200, n_observations=10000, image_size=128, tile_size=128),
}
_SHORT = {
    "species": "n_species",
    "observations": "n_observations",
    "size": "image_size",
    "tile": "tile_size",
    "rate": "sample_rate",
}
_KEYS = {field.name: field.name for field in fields(SixConfig)} | _SHORT
_ALLOWED = (
    f"Write synthetic-six:SIZE with SIZE one of {', '.join(SIX_SIZES)}, or a list such as "
    "species=40,observations=1500,no_sound=0.5,seed=1 (also size, tile, seconds, rate, degrees, "
    "tail, singletons, nuisance, bias, no_image, no_satellite, no_place, no_climate)."
)


def parse_six(text: str) -> SixConfig:
    """The world that the SIZE of `synthetic-six:SIZE` names.

    Args:
        text: `tiny`, `small`, `medium`, or settings `name=value` with commas between.

    Raises:
        UsageError: No such size or setting, or no such world; the message says what is allowed.
    """
    if text in SIX_SIZES:
        return SIX_SIZES[text]
    return SixConfig(**settings("synthetic-six", text, SixConfig, _KEYS, _ALLOWED))
