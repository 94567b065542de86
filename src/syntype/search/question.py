"""What is asked: pictures, sounds, words, records, places and climates, each with a weight.

    Question(pictures=((content, 1.0),), texts=(("in flight", 0.5),), unlikes=(("moths/17", 0.5),))

A question is checked when it is made, so that whoever answers it can rely on it. What it is worth
as a vector is said in `syntype.search.asking`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syntype.errors import UsageError

UNLIKE = 0.5
"""Weight of what is not wanted unless another is given; see `syntype.search.asking`."""
TEXT_MARK = "text:"
"""What an unlike begins with that is words; the others are ids of records."""
MOST_PARTS = 32
"""Pictures, sounds, texts, records and so on of one question."""
MOST_LETTERS = 1000
"""Of a text; text towers read some 80 words at most."""
N_VARIABLES = 20
"""Variables of a climate: those of `syntype.senses.climate.VARIABLES`."""


@dataclass(frozen=True, kw_only=True)
class At:
    """A place.

    Attributes:
        latitude: Degrees, -90 to 90.
        longitude: Degrees, -180 to 180.
        weight: What it counts.
    """

    latitude: float
    longitude: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise UsageError(
                f"{self.latitude:g},{self.longitude:g} is no place; a place is latitude,longitude "
                "in degrees, as in 51.5,-0.12."
            )


@dataclass(frozen=True, kw_only=True)
class Variables:
    """A climate by its variables.

    Attributes:
        values: The 20 of `syntype.senses.climate.VARIABLES`, z-scored as in the climate raster.
        weight: What it counts.
    """

    values: tuple[float, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.values) != N_VARIABLES or not all(map(math.isfinite, self.values)):
            raise UsageError(
                f"A climate is {N_VARIABLES} finite numbers: elevation and bio1 to bio19, each "
                "z-scored over the Earth; or a place, whose climate is looked up."
            )


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked; each part with the weight that it counts.

    Attributes:
        pictures: Bytes of files, or what `Asker.prepare` made of them.
        sounds: Likewise.
        texts: Names or phrases.
        likes: Ids of records that what is wanted is like.
        unlikes: Ids of records that it is not like.
        unlike_texts: Names or phrases that do not fit it.
        places: Where it may live.
        climates: In what climate it may live: that of a place, or its variables.
    """

    pictures: tuple[tuple[Any, float], ...] = ()
    sounds: tuple[tuple[Any, float], ...] = ()
    texts: tuple[tuple[str, float], ...] = ()
    likes: tuple[tuple[str, float], ...] = ()
    unlikes: tuple[tuple[str, float], ...] = ()
    unlike_texts: tuple[tuple[str, float], ...] = ()
    places: tuple[At, ...] = ()
    climates: tuple[At | Variables, ...] = ()

    def __post_init__(self) -> None:
        """Check the texts and the weights.

        Raises:
            UsageError: A weight is no positive number, a text is empty, too long or no text, there
                are too many parts, or nothing says what is wanted.
        """
        weights = [weight for _, weight in (*self._wanted, *self.unlikes, *self.unlike_texts)]
        weights += [part.weight for part in (*self.places, *self.climates)]
        if not all(0 < weight < math.inf for weight in weights):
            raise UsageError("Each weight must be a number above 0; leave out what does not count.")
        if len(weights) > MOST_PARTS:
            raise UsageError(f"A question has {MOST_PARTS} parts at most, not {len(weights)}.")
        for text, _ in (*self.texts, *self.unlike_texts):
            _check_text(text)
        if (self.unlikes or self.unlike_texts) and not self.n_wanted:
            raise UsageError(
                "Only what is not wanted is given. Say what it should be like too: a picture, a "
                "text, a record."
            )

    @property
    def _wanted(self) -> tuple[tuple[Any, float], ...]:
        return (*self.pictures, *self.sounds, *self.texts, *self.likes)

    @property
    def n_wanted(self) -> int:
        """Parts that say what it should be like."""
        return len(self._wanted) + len(self.places) + len(self.climates)

    @property
    def empty(self) -> bool:
        """Whether nothing is asked, so that records are browsed."""
        return not self.n_wanted

    @property
    def comparable(self) -> bool:
        """Whether similarities to it are like those between records, of which calibration speaks.

        That is so for one picture and for one record. Words lie farther from any picture than
        pictures from one another, and the mean of several examples nearer to all of them.
        """
        alone = self.n_wanted == 1 and not (self.unlikes or self.unlike_texts)
        return alone and bool(self.pictures or self.likes)

    @property
    def far(self) -> bool:
        """Whether it lies far from every record, as words do, or anything that is no picture."""
        parts = (self.texts, self.unlike_texts, self.sounds, self.places, self.climates)
        return any(parts)

    @property
    def named(self) -> tuple[str, ...]:
        """Ids of the records that it names; they are no answers to it."""
        return tuple(dict.fromkeys(id_ for id_, _ in (*self.likes, *self.unlikes)))

    def summary(self) -> dict[str, Any]:
        """What was asked, as plain JSON types: media by their number, the rest as it was given."""
        unlikes = [id_ for id_, _ in self.unlikes]
        return {
            "images": len(self.pictures),
            "sounds": len(self.sounds),
            "texts": [text for text, _ in self.texts],
            "likes": [id_ for id_, _ in self.likes],
            "unlikes": [*unlikes, *(TEXT_MARK + text for text, _ in self.unlike_texts)],
            "places": [[at.latitude, at.longitude] for at in self.places],
            "climates": [
                [one.latitude, one.longitude] if isinstance(one, At) else list(one.values)
                for one in self.climates
            ],
        }


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        text = ""
    if not text.strip():
        raise UsageError("A text to search by is empty, or no text.")
    if len(text) > MOST_LETTERS:
        raise UsageError(f"A text to search by has {MOST_LETTERS} letters at most.")


def question_of(
    *,
    pictures: Sequence[bytes] = (),
    sounds: Sequence[bytes] = (),
    texts: Sequence[str] = (),
    likes: Sequence[str] = (),
    unlikes: Sequence[str] = (),
    weights: Sequence[float] = (),
    place: str = "",
    climate: str = "",
) -> Question:
    """The question that the command line or the web asks.

    Args:
        pictures: Bytes of files.
        sounds: Likewise.
        texts: Names or phrases.
        likes: Ids of records.
        unlikes: Ids of records, or words behind `text:`.
        weights: Of pictures, sounds, texts and likes, in this order; what is left gets 1.
        place: `latitude,longitude`, or "".
        climate: The same, or the 20 variables with commas between them, or "".

    Raises:
        UsageError: Something cannot be read, or as `Question` refuses it.
    """
    wanted = (*pictures, *sounds, *texts, *likes)
    if len(weights) > len(wanted):
        raise UsageError(
            f"{len(weights)} weights are given for {len(wanted)} pictures, sounds, texts and "
            "records: one each at most, in this order."
        )
    each = iter((*weights, *[1.0] * (len(wanted) - len(weights))))
    return Question(
        pictures=tuple((one, next(each)) for one in pictures),
        sounds=tuple((one, next(each)) for one in sounds),
        texts=tuple((one, next(each)) for one in texts),
        likes=tuple((one, next(each)) for one in likes),
        unlikes=tuple((one, UNLIKE) for one in unlikes if not one.startswith(TEXT_MARK)),
        unlike_texts=tuple(
            (one.removeprefix(TEXT_MARK), UNLIKE) for one in unlikes if one.startswith(TEXT_MARK)
        ),
        places=(_at("A place", place),) if place else (),
        climates=(_climate(climate),) if climate else (),
    )


def _at(what: str, text: str) -> At:
    numbers = _numbers(text)
    if len(numbers) != 2:
        raise UsageError(
            f"{what} is latitude,longitude in degrees, as in 51.5,-0.12, not {text!r}."
        )
    return At(latitude=numbers[0], longitude=numbers[1])


def _climate(text: str) -> At | Variables:
    numbers = _numbers(text)
    return Variables(values=tuple(numbers)) if len(numbers) > 2 else _at("A climate", text)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []
