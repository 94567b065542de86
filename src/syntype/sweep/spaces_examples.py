"""A few queries of a space with what they find, small enough to stand in a page.

Queries are drawn by a seed, not chosen: what is shown is what is usual, not what is best.
"""

import io

import numpy as np
from jaxtyping import Float32
from PIL import Image

from syntype.data.decode import decode
from syntype.data.observations import Observations
from syntype.errors import DataNotFoundError, MediaError
from syntype.evaluation.cross_matrix import Matrix
from syntype.provenance import named_seed
from syntype.report.space_data import Example, Found, Medium
from syntype.report.space_media import small_wav
from syntype.senses.waves import read_wave
from syntype.sweep.spaces_exam import Exam, Seen

PAIRS = (
    ("sound", "image"),
    ("image", "sound"),
    ("text", "image"),
    ("place", "image"),
    ("image", "satellite"),
    ("climate", "sound"),
)
"""What is searched with what."""
_N_ANSWERS = 5
_SIDE, _QUALITY = 96, 80
_SECONDS = 1.5
_ELEVATION, _WARMTH, _RAIN = 0, 1, 12  # of `CLIMATE_VARIABLES`


def examples(exam: Exam, seen: Seen, matrix: Matrix) -> list[Example]:
    """One query for each of `PAIRS` that the space has, with its nearest answers."""
    return [
        _example(exam, seen, matrix, pair)
        for pair in PAIRS
        if set(pair) <= set(seen.rows) and len(seen.rows[pair[0]])
    ]


def _example(exam: Exam, seen: Seen, matrix: Matrix, pair: tuple[str, str]) -> Example:
    query, gallery = pair
    rng = np.random.default_rng(named_seed(exam.config.seed, "examples", *pair))
    asked = seen.rows[query]
    at = int(rng.integers(len(asked)))
    row, others = int(asked[at]), seen.rows[gallery]
    cosines = seen.vectors[gallery] @ seen.vectors[query][at]
    units = np.array(exam.units, dtype=object)
    # As in the matrix: of the query's unit, only a text's picture may be found.
    free = units[others] != units[row]
    order = [one for one in np.argsort(-cosines, kind="stable").tolist() if free[one]]
    species = exam.labels["species"]
    rank = matrix.aligned(pair, "speciesRank")[row]
    return Example(
        query=_medium(exam.observations, row, query),
        answers=[
            Found(
                medium=_medium(exam.observations, int(others[one]), gallery),
                right=species[others[one]] == species[row],
                similarity=float(cosines[one]),
            )
            for one in order[:_N_ANSWERS]
        ],
        rank=None if np.isnan(rank) else float(rank),
        n_gallery=int(free.sum()),
    )


def _medium(observations: Observations, row: int, modality: str) -> Medium:
    """A row's medium, small; without content where it cannot be read."""
    caption = str(observations.column("scientificName")[row])
    if modality in ("image", "satellite"):
        return Medium(
            kind="image" if modality == "image" else "satellite",
            caption=caption,
            content=_thumbnail(observations, row, modality),
        )
    if modality == "sound":
        return Medium(kind="sound", caption=caption, content=_sound(observations, row))
    if modality == "place":
        text = _coordinates(observations.latitude[row], observations.longitude[row])
        return Medium(kind="place", caption=caption, text=text)
    if modality == "climate":
        return Medium(kind="climate", caption=caption, text=_climate(observations.climate[row]))
    return Medium(kind="text", caption=caption, text=caption)


def _thumbnail(observations: Observations, row: int, modality: str) -> bytes | None:
    try:
        pixels = decode(observations.read(row, modality))
    except (MediaError, DataNotFoundError):
        return None
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def _sound(observations: Observations, row: int) -> bytes | None:
    try:
        wave = read_wave(observations.read(row, "sound"), seconds=_SECONDS)
    except (MediaError, DataNotFoundError):
        return None
    return small_wav(wave.samples, wave.rate, seconds=_SECONDS)


def _coordinates(north: float | np.floating, east: float | np.floating) -> str:
    return (
        f"{abs(north):.2f}°{'N' if north >= 0 else 'S'} {abs(east):.2f}°{'E' if east >= 0 else 'W'}"
    )


def _climate(values: Float32[np.ndarray, "20"]) -> str:
    words = (("elevation", _ELEVATION), ("warmth", _WARMTH), ("rain", _RAIN))
    return ", ".join(f"{name} {values[place]:+.1f} SD" for name, place in words)
