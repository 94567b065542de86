"""Which pictures a few-shot classifier sees: draws that can be saved, published and replayed.

clean       Each draw is of its own: it hangs on the seed and its number, on no other draw and no
            other number of shots. The pictures of a species are taken unit by unit (one of each
            unit, in an order of hashes, then a second of each ...), so that five shots are five
            specimens where there are as many; the first of them are those of fewer shots.
published   The draws of BioCLIP's script (few_shot.py, Stevens et al. 2024), number for number. It
            seeds Python's generator by the number of the draw and shuffles the list of each
            class, classes in the order of their first picture; the lists stay shuffled, so each
            draw depends on those before it, of other shots too. The first k of a list are the
            support, the rest are the queries.

n samples, c classes, k shots
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.evaluation.items import Items
from syntype.files import atomic_path
from syntype.provenance import bytes_hash, named_seed

FILE = "episodes.parquet"
SCHEMA = pa.schema(
    [
        ("shots", pa.int32()),
        ("episode", pa.int32()),
        ("species", pa.string()),
        ("order", pa.int32()),
        ("id", pa.string()),
    ]
)


@dataclass(frozen=True)
class Episodes:
    """The pictures of every draw.

    Attributes:
        table: A row per picture, in the columns of `SCHEMA`, sorted by the first four of them.
    """

    table: pa.Table

    @cached_property
    def key(self) -> str:
        """The hash of the draws."""
        lines = zip(*(self.table.column(name).to_pylist() for name in SCHEMA.names), strict=True)
        return bytes_hash("\n".join("\x1f".join(map(str, line)) for line in lines).encode())

    def support(self, shots: int, episode: int, items: Items) -> Int[np.ndarray, "c k"]:
        """The rows of `items` that each class learns from, classes in ascending order.

        Raises:
            DataError: There is no such draw, or a picture of it is not among `items`.
        """
        asked = (self.table["shots"].to_numpy() == shots) & (
            self.table["episode"].to_numpy() == episode
        )
        if not asked.any():
            of_shots = sorted(set(self.table["shots"].to_pylist()))
            n_draws = len(set(self.table["episode"].to_pylist()))
            raise DataError(
                f"The saved draws have no draw {episode + 1} of {shots} shots. They have {n_draws} "
                f"draws of {', '.join(map(str, of_shots))} shots: --few-shot.episodes {n_draws} "
                f"--few-shot.shots {' '.join(map(str, of_shots))}."
            )
        row_of = {name: row for row, name in enumerate(items.ids)}
        try:
            rows = [row_of[name] for name in self.table["id"].filter(pa.array(asked)).to_pylist()]
        except KeyError as error:
            raise DataError(
                f"The saved draws hold the picture {error.args[0]!r}, which these data lack. "
                "Replay them on the data and the split that they were made for."
            ) from None
        return np.array(rows, dtype=np.int64).reshape(-1, shots)

    def save(self, path: Path) -> None:
        """Write the draws; equal ones give equal bytes.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        with atomic_path(path) as temporary:
            pq.write_table(self.table, temporary, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> "Episodes":
        """Read what `save` wrote.

        Raises:
            DataNotFoundError: There is no such file.
        """
        if not path.is_file():
            raise DataNotFoundError(f"There are no draws {path}: run --task few-shot first.")
        return cls(pq.read_table(path, schema=SCHEMA))


def draw_clean(
    items: Items, species: Sequence[str], shots: Sequence[int], episodes: int, seed: int
) -> Episodes:
    """Independent draws from `items` of each of `species`.

    Args:
        items: What to draw from.
        species: The classes; each has as many pictures as the most shots.
        shots: Pictures a class.
        episodes: Number of draws.
        seed: Seed of the draws.
    """
    rows = defaultdict(list)
    for row, name in enumerate(items.labels["species"]):
        rows[name].append(row)
    drawn = []
    for episode in range(episodes):
        key = named_seed(seed, f"few-shot episode {episode}").to_bytes(8, "big")
        for name in species:
            order = _by_unit(items, rows[name], key)[: max(shots)]
            drawn += [
                (k, episode, name, place, items.ids[row])
                for k in shots
                for place, row in enumerate(order[:k])
            ]
    return _episodes(drawn)


def draw_published(items: Items, shots: Sequence[int], episodes: int) -> Episodes:
    """The draws of the published script from all of `items` whose species is known.

    Its order of pictures is that in which `items` were given, before they were sorted by id.

    Args:
        items: All pictures.
        shots: Pictures a class, in the order in which the script was given them.
        episodes: Number of draws (folds).

    Raises:
        UsageError: A species has fewer pictures than there are shots, where the script crashes.
    """
    lists: dict[str, list[int]] = {}
    for row in np.argsort(items.position).tolist():
        if name := items.labels["species"][row]:
            lists.setdefault(name, []).append(row)
    few = sum(len(rows) < max(shots) for rows in lists.values())
    if few:
        raise UsageError(
            f"{few} of the {len(lists)} species have fewer than {max(shots)} pictures, where the "
            "published script crashes. Use --few-shot.mode clean, which counts them apart, or "
            "fewer --few-shot.shots."
        )
    drawn = []
    for k in shots:
        for episode in range(episodes):
            generator = random.Random(episode)
            for name, rows in lists.items():
                generator.shuffle(rows)
                drawn += [
                    (k, episode, name, place, items.ids[row]) for place, row in enumerate(rows[:k])
                ]
    return _episodes(drawn)


def _by_unit(items: Items, rows: Sequence[int], key: bytes) -> list[int]:
    """The rows in a random order that takes one of each unit before a second of any."""

    def place(name: str) -> tuple[bytes, str]:
        return hashlib.blake2b(name.encode(), key=key, digest_size=8).digest(), name

    of_unit = defaultdict(list)
    for row in sorted(rows, key=lambda row: place(items.ids[row])):
        of_unit[items.units[row]].append(row)
    turns = [
        (turn, place(unit), row)
        for unit, members in of_unit.items()
        for turn, row in enumerate(members)
    ]
    return [row for _, _, row in sorted(turns)]


def _episodes(drawn: list[tuple[int, int, str, int, str]]) -> Episodes:
    columns = zip(*sorted(drawn), strict=True)
    arrays = [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)]
    return Episodes(pa.table(arrays, schema=SCHEMA))
