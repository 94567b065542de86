"""The true modes of a species, and how its pictures spread over specimens and modes.

A mode is one look of a species: sex, life stage, view and background together. Two modes of a
species differ in more than the background and the side that faces the camera, so that a mode is
something a person would name. Every specimen (the independent unit) belongs to one mode and was
photographed one to three times.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

# How often a specimen has one, two or three pictures.
_SHOTS = np.array([0.5, 0.3, 0.2])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A body plan: its place in taxonomy and the looks that it offers.

    Attributes:
        group: The `taxonGroup` of its species.
        phylum: Phylum.
        class_: Class.
        looks: Sex, life stage and view of each possible mode, with how common it is; in the view
            `{side}` becomes left or right.
        backgrounds: Where its members are photographed.
    """

    group: str
    phylum: str
    class_: str
    looks: tuple[tuple[str, str, str, float], ...]
    backgrounds: tuple[str, ...]


PLANS = (
    Plan(
        group="Fish",
        phylum="Chordata",
        class_="Actinopterygii",
        looks=(
            ("male", "adult", "lateral {side}", 4.0),
            ("female", "adult", "lateral {side}", 4.0),
            ("", "juvenile", "lateral {side}", 2.5),
            ("male", "adult", "dorsal", 1.5),
            ("female", "adult", "dorsal", 1.5),
            ("", "juvenile", "dorsal", 0.7),
        ),
        backgrounds=("reef", "open water", "drawer"),
    ),
    Plan(
        group="Butterfly",
        phylum="Arthropoda",
        class_="Insecta",
        looks=(
            ("male", "adult", "dorsal", 4.0),
            ("female", "adult", "dorsal", 4.0),
            ("male", "adult", "folded {side}", 2.0),
            ("female", "adult", "folded {side}", 2.0),
            ("", "larva", "lateral {side}", 1.5),
        ),
        backgrounds=("foliage", "meadow", "drawer"),
    ),
    Plan(
        group="Bird",
        phylum="Chordata",
        class_="Aves",
        looks=(
            ("male", "adult", "perched {side}", 4.0),
            ("female", "adult", "perched {side}", 4.0),
            ("", "juvenile", "perched {side}", 2.5),
            ("male", "adult", "in flight", 1.5),
            ("female", "adult", "in flight", 1.5),
            ("", "juvenile", "in flight", 0.7),
        ),
        backgrounds=("foliage", "sky", "woodland"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One look of a species.

    Attributes:
        sex: male, female, or "" where it does not show.
        life_stage: adult, juvenile or larva.
        view: What the camera sees, for example `lateral left`, `dorsal`, `in flight`.
        background: Where, for example `reef`, `drawer`.
        weight: Share of the species' specimens.
    """

    sex: str
    life_stage: str
    view: str
    background: str
    weight: float

    @property
    def label(self) -> str:
        """The mode in words, unique within the species."""
        words = (self.sex, self.life_stage, self.view, self.background)
        return ", ".join(word for word in words if word)


def _uneven(n: int, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """`n` shares that sum to 1 and fall by about a third from each to the next."""
    weights = 0.65 ** np.arange(n) * rng.uniform(0.7, 1.3, n)
    return weights / weights.sum()


def choose_modes(plan: Plan, n: int, rng: np.random.Generator) -> tuple[Mode, ...]:
    """`n` modes of a species (or as many as its plan has looks), common ones first."""
    common = np.array([look[3] for look in plan.looks])
    n = min(n, len(common))
    drawn = rng.choice(len(common), size=n, replace=False, p=common / common.sum())
    modes = []
    for chosen, weight in zip(drawn, _uneven(n, rng), strict=True):
        sex, stage, view, _ = plan.looks[chosen]
        places = [place for place in plan.backgrounds if (stage, place) != ("larva", "drawer")]
        modes.append(
            Mode(
                sex=sex,
                life_stage=stage,
                view=view.format(side=("left", "right")[rng.integers(2)]),
                background=places[rng.integers(len(places))],
                weight=float(weight),
            )
        )
    return tuple(modes)


def apportion(total: int, shares: Float[np.ndarray, "n"], least: int) -> Int[np.ndarray, "n"]:
    """Whole numbers of sum `total`, each at least `least`, in proportion to `shares`.

    By largest remainders. `total` must allow `least` for each.
    """
    free = total - least * len(shares)
    assert free >= 0
    exact = free * shares / shares.sum()
    counts = np.floor(exact).astype(np.int64)
    missing = free - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return counts + least


def long_tail(n: int, total: int, exponent: float, n_single: int) -> Int[np.ndarray, "n"]:
    """How many pictures the species of rank 1 to n have: falling, `total` in all.

    Args:
        n: Number of species.
        total: Number of pictures.
        exponent: The species of rank r gets a share in proportion to r ** -exponent.
        n_single: This many species at the end get exactly one.
    """
    head = n - n_single
    if head == 0:
        return np.ones(n, dtype=np.int64)
    left = total - n_single
    shares = np.arange(1, head + 1) ** -exponent
    counts = apportion(left, shares, least=min(2, left // head))
    return np.concatenate([counts, np.ones(n_single, dtype=np.int64)])


def spread(
    n_images: int, modes: tuple[Mode, ...], rng: np.random.Generator
) -> list[tuple[int, int]]:
    """The specimens of a species: mode and number of pictures of each.

    Every mode gets a specimen where there are enough pictures; otherwise the common ones do.
    """
    shots: list[int] = []
    while (left := n_images - sum(shots)) > 0:
        shots.append(min(left, 1 + int(rng.choice(3, p=_SHOTS))))
    while len(shots) < min(n_images, len(modes)):
        most = int(np.argmax(shots))
        shots[most] -= 1
        shots.append(1)
    seen = modes[: len(shots)]
    each = apportion(len(shots), np.array([mode.weight for mode in seen]), least=1)
    numbers = np.repeat(np.arange(len(seen)), each)
    return [(int(mode), n) for mode, n in zip(rng.permutation(numbers), shots, strict=True)]
