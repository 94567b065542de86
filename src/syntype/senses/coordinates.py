"""Latitudes and longitudes as every sense of place takes them: by name, in degrees, checked.

Legend: n places.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from syntype.errors import DataError

Degrees = ArrayLike | float | int
"""What may be given as a latitude or longitude: one number or many."""


def checked(
    *, latitude: Degrees, longitude: Degrees
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitudes and longitudes of n places as float64 (n,).

    Longitudes between -180 and 180 stay as they are, so that -180 and 180 can be told apart by an
    encoder that does so; others are brought into that range by whole turns.

    Raises:
        DataError: Their numbers differ, or one is NaN, infinite or beyond a pole; the message
            names the row.
    """
    north = np.atleast_1d(np.asarray(latitude, dtype=np.float64))
    east = np.atleast_1d(np.asarray(longitude, dtype=np.float64))
    if north.shape != east.shape or north.ndim != 1:
        raise DataError(
            f"{north.size} latitudes and {east.size} longitudes are given. Give two lists of the "
            "same length, in degrees."
        )
    wrong = ~(np.isfinite(north) & np.isfinite(east)) | (np.abs(north) > 90)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        hint = " Are latitude and longitude swapped?" if 90 < abs(north[row]) <= 180 else ""
        raise DataError(
            f"{int(wrong.sum())} of {len(north)} places are none, the first in row {row}: latitude "
            f"{north[row]:g}, longitude {east[row]:g}. Latitudes lie between -90 and 90 degrees."
            f"{hint} Leave out rows without a place."
        )
    beyond = np.abs(east) > 180
    return north, np.where(beyond, (east + 180) % 360 - 180, east)


def place_tensors(*, latitude: Degrees, longitude: Degrees) -> tuple[Float[Tensor, "n 2"]]:
    """Checked places as one float64 tensor of latitude and longitude in degrees, in this order.

    Raises:
        DataError: As `checked`.
    """
    pair = checked(latitude=latitude, longitude=longitude)
    return (torch.from_numpy(np.stack(pair, axis=1)),)


def unit_vectors(places: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Points on the unit sphere, float64; -180 and 180 agree, and so do all meridians at a pole.

    Args:
        places: Latitude and longitude in degrees.
    """
    north, east = torch.deg2rad(places.double()).unbind(dim=1)
    around = torch.cos(north)
    return torch.stack([around * torch.cos(east), around * torch.sin(east), torch.sin(north)], 1)


def random_places(
    n: int, generator: torch.Generator, *, uniform: str = "sphere"
) -> Float[Tensor, "n 2"]:
    """Random latitudes and longitudes in degrees, float64.

    Args:
        n: How many.
        generator: Where they are drawn from.
        uniform: "sphere" gives equal areas equal chances, as SINR draws its background; "degrees"
            draws latitude and longitude evenly, as TaxaBind does, which crowds the poles.
    """
    drawn = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    if uniform == "sphere":
        north = torch.rad2deg(torch.asin(2 * drawn[:, 0] - 1))
    else:
        assert uniform == "degrees", uniform
        north = 180 * drawn[:, 0] - 90
    return torch.stack([north, 360 * drawn[:, 1] - 180], dim=1)


EARTH_KM = 6371.0088
"""Mean radius of the Earth, kilometres (IUGG)."""

HALF_TURN_KM = math.pi * EARTH_KM
"""From a place to its antipode, kilometres."""
