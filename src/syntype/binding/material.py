"""Rows of observations as the tensors of one sense, and random places beside them.

Legend: n observations, r rows asked for, d dimensions.

Each row is prepared by itself, so no tensor depends on which rows come with it, and kept in memory
while there is room. A row without the sense gives what another row has: the objective never looks
at it, and statistics of a batch are not spoiled by zeros.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from syntype.configs.bind import Background
from syntype.data.media import Pictures
from syntype.data.observations import Observations
from syntype.data.preprocess import Preprocess
from syntype.errors import DataError, DataNotFoundError, MediaError, UsageError
from syntype.provenance import named_seed
from syntype.senses.coordinates import random_places
from syntype.senses.sense import Inputs, Sense

ROOM = 1 << 30
"""Bytes of prepared rows that one sense keeps in memory."""


@dataclass(frozen=True)
class Photographs:
    """The pictures of observations, as `data.media.Pictures` reads them.

    Attributes:
        observations: Where they are.
        modality: image or satellite.
    """

    observations: Observations
    modality: str = "image"

    def read(self, row: int) -> bytes:
        """The bytes of a row's picture."""
        return self.observations.read(row, self.modality)

    def name(self, row: int) -> str:
        """What to call a row in a message."""
        return self.observations.name(row, self.modality)


def looks_up(sense: Sense) -> bool:
    """Whether a sense takes places: a climate that is looked up, or the place itself."""
    return "latitude" in inspect.signature(sense.prepare).parameters


def known(observations: Observations, sense: Sense) -> Bool[np.ndarray, "n"]:
    """Which rows a sense can be given; a climate that is missing may be looked up by its place."""
    found = observations.has(sense.modality)
    if sense.modality == "climate" and looks_up(sense):
        found = found | observations.has("place")
    return found


@dataclass
class Material:
    """Rows of observations as the tensors of one sense.

    Attributes:
        observations: The rows.
        sense: Whose `prepare` makes the tensors.
        room: Bytes that are kept.
        workers: Threads that prepare; 0 takes one for each processor.
    """

    observations: Observations
    sense: Sense
    room: int = ROOM
    workers: int = 0
    _kept: dict[int, Inputs] = field(default_factory=dict)
    _used: int = 0

    def __post_init__(self) -> None:
        """Find the rows that have the sense, and one that stands in for the others.

        Raises:
            DataError: No row has it.
        """
        self.has = known(self.observations, self.sense)
        if not self.has.any():
            raise DataError(
                f"None of the {len(self.observations)} observations has a {self.sense.modality}. "
                "Leave that sense out, or take another set."
            )
        self._instead = int(self.has.argmax())
        if self.sense.modality == "climate":
            self._climate = self.observations.climate
        if self.sense.modality in ("place", "climate"):
            self._north = self.observations.latitude
            self._east = self.observations.longitude

    def batch(self, rows: Int[np.ndarray, "r"]) -> Inputs:
        """The tensors of rows, on the CPU.

        Raises:
            MediaError: A medium cannot be read or decoded; the message names the observation.
        """
        chosen = [int(row) if self.has[row] else self._instead for row in rows]
        missing = sorted({row for row in chosen if row not in self._kept})
        made = dict(zip(missing, self._prepared(missing), strict=True))
        for row, tensors in made.items():
            size = sum(tensor.nbytes for tensor in tensors)
            if self._used + size <= self.room:
                self._kept[row] = tensors
                self._used += size
        found = [self._kept[row] if row in self._kept else made[row] for row in chosen]
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    def at(
        self, *, latitude: Sequence[float] | np.ndarray, longitude: Sequence[float] | np.ndarray
    ) -> Inputs:
        """The tensors of places, in degrees."""
        return self.sense.prepare(latitude=latitude, longitude=longitude)

    def _prepared(self, rows: list[int]) -> Iterator[Inputs]:
        if self.sense.modality in ("place", "climate") or len(rows) < 4:
            yield from map(self._row, rows)
            return
        with ThreadPoolExecutor(self.workers or os.cpu_count() or 1) as pool:
            yield from pool.map(self._row, rows)

    def _row(self, row: int) -> Inputs:
        if self.sense.modality == "climate" and np.isfinite(self._climate[row]).all():
            return (torch.from_numpy(self._climate[row : row + 1].copy()),)
        if self.sense.modality in ("place", "climate"):
            return self.at(latitude=self._north[row : row + 1], longitude=self._east[row : row + 1])
        name = self.observations.ids[row]
        try:
            return self.sense.prepare([self.observations.read(row, self.sense.modality)])
        except (MediaError, DataNotFoundError) as error:
            raise MediaError(f"the {self.sense.modality} of observation {name}: {error}") from error
        except OSError as error:
            raise MediaError(
                f"the {self.sense.modality} of observation {name} cannot be read ({error.strerror})"
            ) from error


@dataclass
class Album:
    """The pictures of observations as a binder wants them, kept in memory while there is room.

    Attributes:
        observations: The rows.
        preprocess: Of the binder.
        room: Bytes that are kept.
    """

    observations: Observations
    preprocess: Preprocess
    room: int = ROOM
    _kept: UInt8[Tensor, "n 3 s s"] | None = None

    def read(self, rows: Int[np.ndarray, "r"]) -> UInt8[Tensor, "r 3 s s"]:
        """The pictures of rows.

        Raises:
            MediaError: One cannot be read.
        """
        if self._kept is None and len(self.observations) * 3 * self.preprocess.size**2 <= self.room:
            self._kept = self._decoded(np.arange(len(self.observations)))
        if self._kept is not None:
            return self._kept[torch.from_numpy(np.asarray(rows))]
        return self._decoded(rows)

    def _decoded(self, rows: Int[np.ndarray, "r"]) -> UInt8[Tensor, "r 3 s s"]:
        pictures = Pictures(Photographs(self.observations), self.preprocess)
        return pictures.batch(np.asarray(rows), on_error="stop").images


def check_background(sense: Sense, kind: Background) -> None:
    """Refuse random places for a sense that cannot be given them.

    Raises:
        UsageError: It knows what its observations have only.
    """
    if kind != "observations" and not looks_up(sense):
        lacks = "no raster to look" if sense.modality == "climate" else "no way to look"
        raise UsageError(
            f"{sense.name} has {lacks} the {sense.modality} of random places up in. Take "
            f"--bind.background observations, or --bind.loss {sense.modality}=symmetric."
        )


@dataclass
class Backgrounds:
    """What a place or climate is told apart from: for each row of an epoch one random place.

    Named by seed and epoch, so that they are the same after a restart and for any number of
    processes.

    Attributes:
        material: Of the sense.
        kind: Where the places lie.
        seed: Of the training.
    """

    material: Material
    kind: Background
    seed: int

    def __post_init__(self) -> None:
        """Check that random places can be had.

        Raises:
            UsageError: The sense knows what its observations have only.
        """
        check_background(self.material.sense, self.kind)
        self._epoch = -1
        self._places = np.zeros((0, 2))
        self._rows = np.zeros(0, np.int64)

    def batch(self, rows: Int[np.ndarray, "r"], epoch: int) -> Inputs:
        """The background of some rows, as tensors on the CPU."""
        if self.kind == "observations":
            return self.material.batch(self.rows(epoch)[rows])
        self._draw(epoch)
        north, east = self._places[rows].T
        return self.material.at(latitude=north, longitude=east)

    def rows(self, epoch: int) -> Int[np.ndarray, "n"]:
        """Which observation stands behind each row's background (kind observations)."""
        self._draw(epoch)
        return self._rows

    def _draw(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._epoch, n = epoch, len(self.material.has)
        named = named_seed(self.seed, "background", self.material.sense.modality, epoch)
        if self.kind == "observations":
            there = np.flatnonzero(self.material.has)
            self._rows = np.random.default_rng(named).choice(there, n)
            return
        source = torch.Generator().manual_seed(named)
        self._places = random_places(n, source, uniform=self.kind).numpy()
