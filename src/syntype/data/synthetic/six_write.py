"""Drawing a world of six senses to disk, in several processes, so that it can be killed and go on.

    FOLDER/
      world.json                which world this is: the config and the version of the painter
      truth/                    what made the observations, see `read_truth`
        climate.npy             (h, w, 20) float16, z-scored, NaN in the sea: SINR's layout
        ranges.npy              (species, h, w) float16: suitability times dispersal
        effort.npy              (h, w) float32: how much people look
        distances.npy           (species, species): patristic distances, crown age of a class = 1
        species.json            the species in order, their niches and homes
        rows.parquet            where each observation truly was, and what its tile shows
      images/Genus_species/     0000.jpg ... each whole or absent; likewise satellite/ and sound/
      observations.parquet      the table, written last: it says "complete"

A file depends on its row only, so whoever draws it, in whatever order, makes the same bytes.
"""

import json
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from jaxtyping import Float

from syntype.data.dataset import Card
from syntype.data.observations import MEDIA, MODALITIES, SCHEMA, Observations
from syntype.data.synthetic.planet import AXES
from syntype.data.synthetic.six import SixWorld, rows_table, scenery_of, voices_of
from syntype.data.synthetic.six_config import SixConfig, parse_six
from syntype.data.synthetic.song import Voice, sing, wav_bytes
from syntype.data.synthetic.tile import paint_tile
from syntype.data.synthetic.world import EXTRA_COLUMNS, LICENSE, World, grow_world
from syntype.data.synthetic.write import QUALITY, claim, draw_missing
from syntype.errors import DataNotFoundError
from syntype.files import atomic_path, read_json, write_bytes, write_json
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash, file_hash, named_seed, plain

NAME = "synthetic-six"
TABLE = "observations.parquet"
PAINTER = 1
"""Raised whenever the same config would give other files."""
CARD = Card(
    name=NAME,
    source="A synthetic tree of life on a planet of its own, drawn by syntype from a seed.",
    license=LICENSE,
    citation="syntype, synthetic tree of life.",
)
_FOLDERS = {"image": "images", "satellite": "satellite", "sound": "sound"}
_ENDINGS = {"image": "jpg", "satellite": "jpg", "sound": "wav"}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What made the observations: for tests of range maps and of bias, never for training.

    Attributes:
        species: Names, in the order of the arrays.
        ranges: (species, h, w) suitability times dispersal, 0 outside of a range; rows from 90
            degrees north, columns from 180 west.
        climate: (h, w, 20) z-scored, NaN in the sea.
        effort: (h, w) how much people look, 1 at most; 0 in the sea.
        distances: (species, species) patristic.
        niches: For each species `optimum` and `width` on each of `axes`, and its `home`.
        axes: What a niche is made of.
        rows: Where each observation truly was, and what its tile shows; its `id` tells which.
    """

    species: list[str]
    ranges: Float[np.ndarray, "species h w"]
    climate: Float[np.ndarray, "h w 20"]
    effort: Float[np.ndarray, "h w"]
    distances: Float[np.ndarray, "species species"]
    niches: list[dict[str, Any]]
    axes: tuple[str, ...] = AXES
    rows: pa.Table = field(repr=False)


def read_truth(folder: Path) -> Truth:
    """What made the observations that lie in `folder`.

    Raises:
        DataNotFoundError: There is no whole world.
    """
    if not (folder / TABLE).is_file():
        raise DataNotFoundError(
            f"{folder} holds no whole synthetic world of six senses. Draw it first: read "
            f"{NAME}:tiny, and take the folder from the roots of what comes."
        )
    truth = folder / "truth"
    niches = read_json(truth / "species.json")
    arrays = {
        name: np.load(truth / f"{name}.npy")
        for name in ("ranges", "climate", "effort", "distances")
    }
    return Truth(
        species=[one["species"] for one in niches],
        niches=niches,
        rows=pq.ParquetFile(truth / "rows.parquet").read(),
        **arrays,
    )


def read_six(
    size: str, *, workspace: Path, workers: int = 0, progress: Progress = SILENT
) -> Observations:
    """The world that `synthetic-six:SIZE` names, drawn below the workspace where it is not yet.

    Raises:
        UsageError: There is no such world.
        ResourceError: The disk is full, the folder not writable, or a process was killed.
    """
    config = parse_six(size)
    folder = workspace / "data" / f"{NAME}-{content_hash([PAINTER, plain(config)])}"
    return write_six(config, folder, workers=workers, progress=progress)


def write_six(
    config: SixConfig, folder: Path, *, workers: int = 0, progress: Progress = SILENT
) -> Observations:
    """Draw the world of `config` into `folder`, or read it where it is complete already.

    Files that are there are kept and only missing ones are drawn, so a run that was killed goes on
    where it stopped and ends with the same bytes.

    Args:
        config: Which world.
        folder: Where to; made if need be.
        workers: Processes that draw; 0 takes one for each processor.
        progress: Where to say how far it is.

    Raises:
        UsageError: `folder` holds another world.
        ResourceError: The disk is full, the folder not writable, or a process was killed.
    """
    claim({"painter": PAINTER, "quality": QUALITY, "six": plain(config)}, folder)
    if not (folder / TABLE).exists():
        six = SixWorld(config)
        _write_truth(six, folder)
        has = six.rows.has
        missing = [
            row
            for row in range(len(six.world))
            if any(
                has[s][row] and not (folder / locator(six.world, s, row)).exists() for s in MEDIA
            )
        ]
        draw = partial(_draw_rows, config, folder)
        draw_missing(draw, missing, len(six.world), workers=workers, progress=progress)
        with atomic_path(folder / TABLE) as temporary:
            pq.write_table(_table(six, folder), temporary)
    # ParquetFile rather than read_table, which would take a folder named a=b for a partition.
    table = pq.ParquetFile(folder / TABLE).read()
    observations = Observations(table, {NAME: folder}, (CARD,))
    senses = {sense: int(observations.has(sense).sum()) for sense in MODALITIES}
    notes = {"species": config.n_species, "senses": senses, "truth": "truth"}
    return Observations(table, {NAME: folder}, (CARD,), notes)


def locator(world: World, sense: str, row: int) -> str:
    """Path of a medium of observation `row`, relative to the folder of the world."""
    return f"{_FOLDERS[sense]}/{_stem(world, row)}.{_ENDINGS[sense]}"


@lru_cache(maxsize=1)
def _grown(config: SixConfig, folder: Path) -> tuple[World, list[Voice], pa.Table]:
    """What a process needs to draw: no planet, only what it gave each row."""
    world = grow_world(config.world)
    return world, voices_of(config, world), pq.ParquetFile(folder / "truth" / "rows.parquet").read()


def _draw_rows(config: SixConfig, folder: Path, rows: list[int]) -> int:
    """Write the media of `rows` that are not there; the number of rows."""
    world, voices, table = _grown(config, folder)
    for row in rows:
        for sense in MEDIA:
            path = folder / locator(world, sense, row)
            if table.column(f"has_{sense}")[row].as_py() and not path.exists():
                write_bytes(path, _medium(config, world, voices, table, sense, row))
    return len(rows)


def _medium(
    config: SixConfig, world: World, voices: list[Voice], table: pa.Table, sense: str, row: int
) -> bytes:
    picture = world.pictures[row]
    unit = f"{world.species[picture.species].name}-{picture.specimen}"
    if sense == "image":
        return _jpeg(world.draw(row))
    if sense == "satellite":
        seed = named_seed(config.seed, "six", "tile", unit, picture.number)
        rng = np.random.default_rng(seed)
        return _jpeg(paint_tile(scenery_of(table, row), size=config.tile_size, rng=rng))
    sound = sing(
        voices[picture.species],
        seconds=config.seconds,
        rate=config.sample_rate,
        individual=np.random.default_rng(named_seed(config.seed, "six", "individual", unit)),
        take=np.random.default_rng(named_seed(config.seed, "six", "take", unit, picture.number)),
    )
    return wav_bytes(sound, config.sample_rate)


def _jpeg(picture: np.ndarray) -> bytes:
    content: bytes = simplejpeg.encode_jpeg(picture, quality=QUALITY, colorsubsampling="444")
    return content


def _write_truth(six: SixWorld, folder: Path) -> None:
    """Write what made the observations; it is needed to draw them."""
    truth = folder / "truth"
    planet, shape = six.planet, six.planet.shape
    arrays = {
        "climate": planet.raster(),
        "ranges": six.ranges.reshape(-1, *shape).astype(np.float16),
        "effort": six.effort.reshape(shape).astype(np.float32),
        "distances": six.world.tree.distances,
    }
    for name, values in arrays.items():
        with atomic_path(truth / f"{name}.npy") as temporary, temporary.open("wb") as handle:
            np.save(handle, values, allow_pickle=False)
    latitude, longitude = planet.centres
    species = [
        {
            "species": species.name,
            "taxonGroup": species.plan.group,
            "optimum": niche.optimum.tolist(),
            "width": niche.width.tolist(),
            "home": {
                "decimalLatitude": float(latitude[niche.home]),
                "decimalLongitude": float(longitude[niche.home]),
            },
            "voice": json.loads(json.dumps(plain(voice))),
        }
        for species, niche, voice in zip(six.species, six.niches, six.voices, strict=True)
    ]
    write_json(truth / "species.json", species)
    with atomic_path(truth / "rows.parquet") as temporary:
        pq.write_table(rows_table(six.rows).append_column("id", [_ids(six.world)]), temporary)


def _table(six: SixWorld, folder: Path) -> pa.Table:
    """The observations: the columns of `SCHEMA`, then those that the world has beside."""
    world, rows = six.world, six.rows
    n = len(world)
    base = world.table()
    columns: dict[str, Any] = {
        name: base.column(name) for name in base.column_names if name in SCHEMA.names
    }
    columns["id"] = _ids(world)
    columns["datasetName"] = [NAME] * n
    columns["eventDate"] = [day.isoformat() for day in rows.day]
    for sense in MEDIA:
        places = [
            locator(world, sense, row) if there else ""
            for row, there in enumerate(rows.has[sense].tolist())
        ]
        columns[sense] = places
        columns[f"{sense}Digest"] = [file_hash(folder / one) if one else "" for one in places]
    lost = ~rows.has["place"]
    columns["decimalLatitude"] = pa.array(rows.latitude, mask=lost)
    columns["decimalLongitude"] = pa.array(rows.longitude, mask=lost)
    columns["climate"] = pa.FixedSizeListArray.from_arrays(
        pa.array(rows.climate.astype(np.float32).reshape(-1)),
        type=SCHEMA.field("climate").type,
        mask=pa.array(~rows.has["climate"]),
    )
    columns["unit"] = [f"{NAME}/{unit}" for unit in base.column("unit").to_pylist()]
    arrays = [_typed(columns[one.name], one.type) for one in SCHEMA]
    extra = [base.column(name) for name in EXTRA_COLUMNS]
    fields = [*SCHEMA, *(pa.field(name, pa.string()) for name in EXTRA_COLUMNS)]
    return pa.table([*arrays, *extra], schema=pa.schema(fields)).sort_by("id").combine_chunks()


def _ids(world: World) -> list[str]:
    return [f"{NAME}/{_stem(world, row)}" for row in range(len(world))]


def _stem(world: World, row: int) -> str:
    return world.locator(row).removeprefix("images/").removesuffix(".jpg")


def _typed(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    return (
        values.cast(kind)
        if isinstance(values, pa.Array | pa.ChunkedArray)
        else pa.array(values, kind)
    )
