"""From inherited traits to an appearance: colours, pattern and proportions of one specimen.

Colours are chosen in OKLab (Ottosson 2020), where equal steps look equal, and shown in sRGB. The
adult male wears the species' own traits. Females and the young go part of the way to what their
genus had in common, so that relatives look alike in these modes; females are drabber, the young
have larger heads and eyes and the species' second pattern. A specimen adds a little of its own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from syntype.data.synthetic.canvas import Colour
from syntype.data.synthetic.modes import Mode
from syntype.data.synthetic.traits import TRAIT_NAMES, Traits, ranged, toward

# Deviation of a specimen's traits from its species, in the same z-scores.
_VARIATION = 0.13
_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
# Direction of a colour in OKLab's plane, degrees, up to which it has this name.
_HUES = (
    (8, "pink"),
    (42, "red"),
    (75, "orange"),
    (108, "yellow"),
    (170, "green"),
    (272, "blue"),
    (325, "purple"),
    (360, "pink"),
)


def srgb(lab: Float[np.ndarray, "3"]) -> Colour:
    """An OKLab colour in sRGB, clipped to what a screen can show."""
    linear = np.clip(_LMS_TO_RGB @ (_LAB_TO_LMS @ lab) ** 3, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved.astype(np.float32)


def _name_of(lab: Float[np.ndarray, "3"]) -> str:
    lightness, red, yellow = lab
    if np.hypot(red, yellow) < 0.04:
        return "black" if lightness < 0.4 else "white" if lightness > 0.78 else "grey"
    degrees = np.degrees(np.arctan2(yellow, red)) % 360
    return next(name for limit, name in _HUES if degrees <= limit)


def _ground(traits: Traits) -> Float[np.ndarray, "3"]:
    return np.array(
        [
            ranged(traits.ground_light, 0.38, 0.86),
            0.13 * np.tanh(traits.ground_red),
            0.15 * np.tanh(traits.ground_yellow + 0.25),
        ]
    )


def _marking(traits: Traits) -> Float[np.ndarray, "3"]:
    """The colour of the pattern: always a clear step lighter or darker than the ground."""
    base = _ground(traits)[0]
    step = ranged(traits.marking_light, 0.26, 0.46)
    return np.array(
        [
            base - step if base > 0.56 else base + step,
            0.10 * np.tanh(traits.marking_red),
            0.12 * np.tanh(traits.marking_yellow),
        ]
    )


def _ornament(traits: Traits) -> Float[np.ndarray, "3"]:
    """A saturated colour for fins, tips and eyespots."""
    direction = np.array([traits.ornament_red, traits.ornament_yellow + 0.3])
    direction /= max(float(np.hypot(*direction)), 1e-6)
    return np.array([ranged(traits.ornament_light, 0.5, 0.8), *(0.17 * direction)])


def shows(traits: Traits) -> list[str]:
    """What strikes the eye of a name giver, most telling first: pattern and colours."""
    keys = [traits.patterns[0], _name_of(_ground(traits)), _name_of(_ornament(traits))]
    return list(dict.fromkeys(keys))


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """The appearance of one specimen.

    Attributes:
        traits: Its own traits, z-scores; proportions are read from them.
        young: Whether it is a juvenile.
        ground: Colour of the body.
        belly: Colour of the underside.
        dark: A dark tone of the ground, for backs, tips and lines.
        marking: Colour of the pattern.
        ornament: Colour of fins, tips and spots.
        pattern: One of `traits.PATTERNS`.
        frequency: Repeats of the pattern per body length.
        phase: Where the pattern begins, radians.
        edge: Sharpness of the pattern, 1 soft to 4 crisp.
        slant: How much bands lean.
        duty: Threshold of the pattern, -0.4 wide markings to 0.4 narrow ones.
        jitter: Its own irregularities, an 8 by 8 table of values in [-1, 1].
    """

    traits: Traits
    young: bool
    ground: Colour
    belly: Colour
    dark: Colour
    marking: Colour
    ornament: Colour
    pattern: str
    frequency: float
    phase: float
    edge: float
    slant: float
    duty: float
    jitter: Float[np.ndarray, "8 8"]

    def size(self, name: str, low: float, high: float) -> float:
        """The proportion that trait `name` gives, between `low` and `high`."""
        return ranged(getattr(self.traits, name), low, high)


def _proportioned(own: Traits, **shifts: float) -> Traits:
    values = own.as_array()
    for name, shift in shifts.items():
        values[TRAIT_NAMES.index(name)] += shift
    return Traits.from_array(values)


def look_of(traits: Traits, ancestral: Traits, mode: Mode, rng: np.random.Generator) -> Look:
    """The appearance of a specimen of a species in one of its modes.

    Args:
        traits: Traits of the species.
        ancestral: Traits that its genus had in common.
        mode: Sex, life stage and view; the underside of folded wings is a look of its own.
        rng: The specimen's own generator.
    """
    own, kinds = traits, traits.patterns
    dull, light, pattern = 0.0, 0.0, kinds[0]
    sexual, growth = ranged(traits.dimorphism, 0.35, 1.0), ranged(traits.ontogeny, 0.5, 1.0)
    young = mode.life_stage in {"juvenile", "larva"}
    if young:
        own = _proportioned(toward(traits, ancestral, 0.6 * growth), frequency=0.9, crest=-1.0)
        dull, light = 0.35 * growth, 0.10 * growth
        pattern = kinds[1] if kinds[1] != "plain" else kinds[2]
    elif mode.sex == "female":
        own = _proportioned(
            toward(traits, ancestral, 0.5 * sexual), crest=-1.2, tail_length=-0.8, margin=-0.5
        )
        dull = 0.75 * sexual
    folded = mode.view.startswith("folded")
    if folded:
        dull, light = max(dull, 0.55), light + 0.03
        own = _proportioned(own, eyespots=1.5, ground_light=-0.3)
        pattern = kinds[1] if kinds[0] == "plain" else pattern
    own = Traits.from_array(own.as_array() + _VARIATION * rng.standard_normal(len(TRAIT_NAMES)))
    # Drabness is a pull to the browns of bark and sand.
    drab = np.array([0.58, 0.025, 0.055])
    ground = (1 - dull) * _ground(own) + dull * drab + [light, 0, 0]
    if mode.life_stage == "larva":
        ground = 0.5 * ground + 0.5 * np.array([0.68, -0.10, 0.12])
    marking = _marking(own) * [1, 1 - 0.7 * dull, 1 - 0.7 * dull]
    ornament = (1 - 0.8 * dull) * _ornament(own) + 0.8 * dull * ground
    belly = 0.25 * ground + 0.75 * np.array([0.93, 0.005, 0.025])
    return Look(
        traits=own,
        young=young,
        ground=srgb(ground),
        belly=srgb(belly),
        dark=srgb(ground * [0.52, 0.8, 0.8]),
        marking=srgb(marking),
        ornament=srgb(ornament),
        pattern=pattern,
        frequency=ranged(own.frequency, 2.5, 8.0),
        phase=2.2 * own.phase,
        edge=ranged(own.edge, 1.0, 4.0),
        slant=1.2 * float(np.tanh(own.slant)),
        duty=ranged(own.mask, -0.35, 0.35),
        jitter=rng.uniform(-1, 1, (8, 8)).astype(np.float32),
    )
