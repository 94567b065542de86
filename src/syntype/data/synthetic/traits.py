"""The heritable dimensions of a species: what it looks like, and what it will sound like and need.

All traits are z-scores, N(0, 1) over worlds; who draws, sings or places a species turns them into
its own units. The three body plans share one vocabulary, and each reads a trait in its own organ:
`snout` is a fish's jaw, a butterfly's antenna and a bird's beak. The picture reads the first four
blocks; voice, niche and range evolve along with them, so that a species sounds and lives like its
relatives too.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

PATTERNS = ("bands", "stripes", "spots", "mesh", "plain")


@dataclass(frozen=True, kw_only=True)
class Traits:
    """One species' heritable traits, z-scores."""

    # Shape.
    depth: float
    arch: float
    head: float
    snout: float
    eye: float
    tail_length: float
    tail_fork: float
    limb_length: float
    limb_breadth: float
    crest: float
    # Colour: lightness and the two opponent axes, for ground, markings and ornaments.
    ground_light: float
    ground_red: float
    ground_yellow: float
    marking_light: float
    marking_red: float
    marking_yellow: float
    ornament_light: float
    ornament_red: float
    ornament_yellow: float
    countershading: float
    # Pattern: the largest of the liabilities shows (Felsenstein's threshold model, 2005).
    bands: float
    stripes: float
    spots: float
    mesh: float
    plain: float
    frequency: float
    phase: float
    edge: float
    slant: float
    eyespots: float
    margin: float
    mask: float
    # Life history: how far females and young stray from the adult male.
    dimorphism: float
    ontogeny: float
    # Voice.
    voice_pitch: float
    voice_sweep: float
    voice_tempo: float
    voice_syllables: float
    voice_purity: float
    # Niche.
    niche_warmth: float
    niche_wetness: float
    niche_cover: float
    niche_altitude: float
    # Range.
    range_latitude: float
    range_longitude: float
    range_breadth: float

    @classmethod
    def from_array(cls, values: Float[np.ndarray, "traits"]) -> "Traits":
        """The traits whose values stand in the order of `TRAIT_NAMES`."""
        return cls(**dict(zip(TRAIT_NAMES, values.tolist(), strict=True)))

    def as_array(self) -> Float[np.ndarray, "traits"]:
        """The values in the order of `TRAIT_NAMES`."""
        return np.array([getattr(self, name) for name in TRAIT_NAMES])

    @property
    def patterns(self) -> tuple[str, ...]:
        """The kinds of pattern, the one that shows first, the next likely ones after it."""
        return tuple(sorted(PATTERNS, key=lambda kind: -getattr(self, kind)))


TRAIT_NAMES = tuple(field.name for field in fields(Traits))


def toward(own: Traits, other: Traits, share: float) -> Traits:
    """Traits on the way from `own` to `other`."""
    return Traits.from_array((1 - share) * own.as_array() + share * other.as_array())


def ranged(z: float, low: float, high: float) -> float:
    """A z-score as a value between `low` and `high`, nearly uniform for z from N(0, 1)."""
    return low + (high - low) / (1 + float(np.exp(-1.702 * z)))
