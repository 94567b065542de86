"""A split of a catalogue's rows, made as for any data set, in bounded memory.

What each row gets is what `syntype.data.splits` would give it: units are placed whole, by a hash of
their name. Rows without a name get no split. Held for each row: 17 bytes, and four times that
while units are numbered and placed.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int8, Int32, UInt64

from syntype.configs import DataConfig
from syntype.data.catalogue import Catalogue, is_catalogue, refuse_taken, writing
from syntype.data.load import parse_spec
from syntype.data.numbering import Codes, row_hashes
from syntype.data.records import SPLITS
from syntype.data.splits import complete, held_species, place_units, split_key
from syntype.errors import DataError, UsageError

_COLUMNS = ("id", "unit", "species", "split", "taxonGroup", "genus")


def sole_catalogue(samples: DataConfig) -> Catalogue | None:
    """The one catalogue that the samples are, all of it; None if they are something else.

    Raises:
        DataNotFoundError: There is no such catalogue.
    """
    _, kind, text = parse_spec(samples.data[0])
    folder = Path(text).expanduser()
    chosen = samples.taxon or samples.per_species or samples.limit or samples.unit or samples.column
    if chosen or len(samples.data) > 1:
        return None
    if kind == "catalogue" or (not kind and is_catalogue(folder)):
        return Catalogue.open(folder)
    return None


def split_catalogue(catalogue: Catalogue, config: DataConfig, out: Path) -> Catalogue:
    """Write a catalogue whose rows have a split.

    Args:
        catalogue: The rows.
        config: Its `split` (given, made, unseen), `split_fractions` and `seed` say how.
        out: Folder of the new catalogue.

    Raises:
        DataError: No row has a name.
        UsageError: There is something at `out`, or the split is a file.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(out)
    if config.split.endswith(".parquet"):
        raise UsageError(
            f"--split {config.split}: a catalogue's split is given, made or unseen. To replay a "
            "published split name the catalogue with --data and write a file: --out FILE.parquet."
        )
    rows = _read(catalogue, config.seed)
    if not rows.named.any():
        raise DataError(
            f"No row of {catalogue.folder} has a name, so there is nothing to split by. Resolve "
            "its names first, with `syntype data resolve`."
        )
    split = _split(rows, config)
    counts = Counter({name: int((split == place).sum()) for place, name in enumerate(SPLITS)})
    header = catalogue.header
    how = {key: getattr(config, key) for key in ("split", "split_fractions", "seed")}
    words = pa.array([*SPLITS, ""])
    with writing(
        out,
        cards=header.cards,
        roots=header.roots,
        notes=catalogue.notes() | {"split": dict(counts) | {"none": int((split < 0).sum())}},
        history=catalogue.step("split", how),
    ) as writer:
        begin = 0
        for table in catalogue.scan():
            part = split[begin : begin + table.num_rows]
            begin += table.num_rows
            column = words.take(pa.array(np.where(part < 0, len(SPLITS), part)))
            index = table.schema.get_field_index("split")
            writer.add(table.set_column(index, table.schema.field(index), column))
    return Catalogue.open(out)


@dataclass(frozen=True)
class _Rows:
    """What a split depends on, of the m rows of n that have a name.

    Attributes:
        named: Which rows do.
        unit: Of each of them, as a number.
        places: The hash of each unit.
        species: Of each of them, as its place in the alphabet.
        given: The split of each of them as given; -1 for none.
        names: The species, in the order of the alphabet.
        genera: The taxon group and genus of each species, the first that were met.
    """

    named: Bool[np.ndarray, "n"]
    unit: Int32[np.ndarray, "m"]
    places: UInt64[np.ndarray, "u"]
    species: Int32[np.ndarray, "m"]
    given: Int8[np.ndarray, "m"]
    names: list[str]
    genera: list[tuple[str, str]]


def _read(catalogue: Catalogue, seed: int) -> _Rows:
    key, codes, splits = split_key(seed), Codes(), Codes()
    named, units, species, given = [], [], [], []
    genera: dict[str, tuple[str, str]] = {}
    of_split = {name: place for place, name in enumerate(SPLITS)}
    encoded = ("species", "split", "taxonGroup", "genus")
    for table in catalogue.scan(_COLUMNS, encoded=encoded):
        has = pc.not_equal(table.column("species").cast(pa.string()), "")
        named.append(has.to_numpy())
        rows = table.filter(has)
        unit = rows.column("unit")
        unit = pc.if_else(pc.equal(unit, ""), rows.column("id"), unit)
        units.append(row_hashes(unit.to_pylist(), key))
        number = codes.of(rows.column("species"))
        species.append(number)
        found = splits.of(rows.column("split"))
        known = np.array([of_split.get(name, -1) for name in splits.names], np.int8)
        given.append(known[found])
        firsts = np.unique(number, return_index=True)[1]
        fresh = [row for row in firsts.tolist() if codes.names[number[row]] not in genera]
        of_rows = rows.select(["taxonGroup", "genus"]).take(pa.array(fresh, pa.int64()))
        pairs = zip(*(column.to_pylist() for column in of_rows.columns), strict=True)
        genera |= {codes.names[number[row]]: pair for row, pair in zip(fresh, pairs, strict=True)}
    places, unit_of = np.unique(np.concatenate(units), return_inverse=True)
    del units
    names = sorted(genera)
    place = {name: number for number, name in enumerate(names)}
    # A dictionary may name what no row of it has.
    rank = np.array([place.get(name, -1) for name in codes.names], np.int32)
    return _Rows(
        named=np.concatenate(named),
        unit=unit_of.astype(np.int32),
        places=places,
        species=rank[np.concatenate(species)],
        given=np.concatenate(given),
        names=names,
        genera=[genera[name] for name in names],
    )


def _split(rows: _Rows, config: DataConfig) -> Int8[np.ndarray, "n"]:
    """The split of each row, as its place in `SPLITS`; -1 for none."""
    fractions = config.split_fractions
    split = np.full(len(rows.named), -1, np.int8)
    if config.split == "given":
        split[rows.named] = complete(rows.unit, rows.places, rows.species, rows.given, fractions)
        return split
    placed = place_units(rows.unit, rows.places, rows.species, fractions)
    if config.split == "unseen":
        held = held_species(rows.names, rows.genera, fractions, config.seed)
        for part in ("val", "test"):
            kept = [place for place, name in enumerate(rows.names) if held.get(name) == part]
            placed[np.unique(rows.unit[np.isin(rows.species, kept)])] = SPLITS.index(part)
    split[rows.named] = placed[rows.unit]
    return split
