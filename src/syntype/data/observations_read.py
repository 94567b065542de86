"""From a spec to observations: read, joined to nothing, chosen, split.

See `syntype.data.observations.read_observations`; the published sets have readers of their own
(`syntype.data.observations_published`), the synthetic one its painter (`syntype.data.synthetic`).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from syntype.configs import DataConfig
from syntype.configs.samples import SPLIT_KINDS
from syntype.data.choosing import lot, lowest, of_taxa
from syntype.data.columns import SYNONYMS
from syntype.data.dataset import Card
from syntype.data.numbering import row_hashes
from syntype.data.observation_records import ObservationRecords, to_observations
from syntype.data.observations import CLIMATE_VARIABLES, MEDIA, Observations
from syntype.data.records import SPLITS, Column
from syntype.data.splits import complete_split, unseen_split
from syntype.data.table import TABLE_ENDINGS, read_columns
from syntype.data.units import column_key, unit_column
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.progress import Progress

SYNTHETIC = "synthetic-six"
TABLE_NAMES = ("observations.parquet", "observations.csv")
"""Tables that are looked for in a folder, in this order; their set is named after the folder."""

_SYNONYMS: Mapping[str, Sequence[str]] = {
    **{term: names for term, names in SYNONYMS.items() if term != "imageDigest"},
    "key": ("id", "key", "observationid", "occurrenceid", "uuid"),
    "decimalLatitude": ("decimallatitude", "latitude", "lat"),
    "decimalLongitude": ("decimallongitude", "longitude", "lon", "lng", "long"),
    "eventDate": ("eventdate", "observedon", "date", "timeobservedat"),
    "image": ("image", "path", "imagepath", "imagefile", "picture", "filename", "filepath"),
    "satellite": ("satellite", "satelliteimage", "satimage", "satellitepath", "tile"),
    "sound": ("sound", "audio", "soundfile", "soundpath", "audiopath", "recording"),
}


def read_spec(
    spec: str, config: DataConfig, *, workspace: Path, progress: Progress, workers: int
) -> Observations:
    """What `read_observations` returns.

    Raises:
        DataNotFoundError: There is nothing, or none of the media that are named is there.
        DataError: It cannot be used.
        UsageError: The spec or an option is malformed.
    """
    from syntype.data.observations_published import SETS, read_published

    if config.split not in SPLIT_KINDS:
        raise UsageError(
            f"--split {config.split}: observations are split as given, made or unseen; a file that "
            "`syntype data split` wrote names pictures, not observations."
        )
    name, kind, text = parse_spec(spec, (SYNTHETIC, *SETS))
    if kind == SYNTHETIC:
        from syntype.data.synthetic.six_write import read_six  # NumPy-heavy: only if asked for

        found = read_six(text, workspace=workspace, workers=workers, progress=progress)
        return split_observations(_chosen(found, config), config)
    path = Path(text).expanduser()
    if kind:
        records = read_published(kind, path, config, name=name)
    else:
        records = read_observation_table(path, config, name=name)
    found = to_observations(
        records,
        config,
        memory=workspace / "data" / "digests",
        progress=progress,
        workers=workers,
    )
    found = replace(found, table=found.table.sort_by("id").combine_chunks())
    return split_observations(_chosen(found, config), config)


def parse_spec(spec: str, kinds: Sequence[str]) -> tuple[str, str, str]:
    """Name, kind and the rest of a spec; name and kind are "" where it has none."""
    name, equals, rest = spec.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name) or Path(spec).expanduser().exists():
        name, rest = "", spec
    kind, colon, text = rest.partition(":")
    return (name, kind, text) if colon and kind in kinds else (name, "", rest)


def read_observation_table(path: Path, config: DataConfig, *, name: str = "") -> ObservationRecords:
    """A CSV, TSV or Parquet table of observations, columns named or guessed.

    Climate is a column `climate` of 20 numbers (a list, or text with blanks or commas between), or
    20 columns `elevation`, `bio1` ... `bio19`.

    Args:
        path: The table, or a folder with one of `TABLE_NAMES`.
        config: Its `column` and `unit` name columns.
        name: The set's name; that of the table or folder where empty.

    Raises:
        DataNotFoundError: There is no such table.
        DataError: It is no table, or has no labels.
        UsageError: An option names a column that is not there.
    """
    table_path = _table_at(path)
    generic = table_path.name in TABLE_NAMES
    name = name or (table_path.resolve().parent.name if generic else table_path.stem)
    table, _ = read_columns(table_path)
    columns = _mapped(table, name, config)
    n = len(next(iter(table.values())))
    empty: list[str] = [""] * n
    terms = {term: table[column] for term, column in columns.items()}
    if config.unit:
        terms["unit"] = unit_column(table, config.unit, name)
    media = {
        sense: [_relative(text, table_path.parent) for text in terms.pop(sense)]
        for sense in MEDIA
        if sense in terms
    }
    key = [
        (text or "").removeprefix(f"{name}/") or f"row {row + 1}"
        for row, text in enumerate(terms.pop("key", empty))
    ]
    guessed = sorted(set(columns) - _named(name, config).keys())
    return ObservationRecords(
        card=Card(name=name, source=f"table {table_path.name}"),
        root=table_path.parent,
        key=key,
        label=terms.pop("label"),
        latitude=[text or "" for text in terms.pop("decimalLatitude", empty)],
        longitude=[text or "" for text in terms.pop("decimalLongitude", empty)],
        media=media,
        climate=_climate(table_path, table),
        columns={
            **terms,
            "unit": [(unit or "").removeprefix(f"{name}/") for unit in terms.get("unit", empty)],
        },
        notes={"columns": columns, "guessed": guessed},
    )


def _table_at(path: Path) -> Path:
    if path.is_dir():
        found = next((path / one for one in TABLE_NAMES if (path / one).is_file()), None)
        if found:
            return found
        raise DataNotFoundError(
            f"{path} has no {' or '.join(TABLE_NAMES)}. Name the table itself, or say what the "
            "folder is, for example isoundnat:FOLDER."
        )
    if not path.is_file():
        raise DataNotFoundError(f"There are no observations at {path}. Name a table or a folder.")
    if path.suffix.lower() not in TABLE_ENDINGS:
        raise DataError(
            f"{path} is no table by its ending. Give a file that ends in "
            f"{', '.join(sorted(TABLE_ENDINGS))}."
        )
    return path


def _named(name: str, config: DataConfig) -> dict[str, str]:
    """Term to column, as the options say; what speaks to this set alone goes before the rest."""
    general, special = {}, {}
    for option in config.column:
        term, equals, column = option.partition("=")
        of_set, dot, term = term.strip().rpartition(".")
        term = {"species": "label", "scientificName": "label", "id": "key"}.get(term, term)
        if not equals or not column or term not in _SYNONYMS:
            raise UsageError(
                f"--column {option} is not TERM=NAME, where TERM is one of: {', '.join(_SYNONYMS)}."
            )
        if not dot:
            general[term] = column
        elif of_set == name:
            special[term] = column
    return general | special


def _mapped(table: Mapping[str, Column], name: str, config: DataConfig) -> dict[str, str]:
    """Term to the table's own name of its column."""
    columns = _named(name, config)
    for term, column in columns.items():
        if column not in table:
            raise UsageError(
                f"{name} has no column {column!r}, which the options name as {term!r}. Its columns "
                f"are: {', '.join(table)}."
            )
    spare = {column_key(column): column for column in reversed(list(table))}
    spare = {key: column for key, column in spare.items() if column not in columns.values()}
    # These go first: what the label takes is no rank, what the key takes no unit any more.
    for term in sorted(_SYNONYMS, key=lambda term: term not in ("label", "key")):
        keys = [key for key in _SYNONYMS[term] if key in spare]
        if term not in columns and keys:
            columns[term] = spare.pop(min(keys, key=lambda key: _rank_of(key, term)))
    if "label" not in columns:
        raise DataError(
            f"{name}: no column looks like the labels. Name it with --column label=NAME; the "
            f"columns are: {', '.join(table)}."
        )
    return columns


def _rank_of(key: str, term: str) -> tuple[bool, int]:
    """The likeliest synonym first; a label as delivered only where nothing else could be it."""
    return key == "verbatimidentification", list(_SYNONYMS[term]).index(key)


def _relative(text: str | None, root: Path) -> str:
    """A locator relative to the table's folder, with / between folders."""
    text = (text or "").strip().replace("\\", "/")
    return os.path.relpath(text, root.resolve()) if os.path.isabs(text) else text


def _climate(path: Path, table: Mapping[str, Column]) -> Float32[np.ndarray, "n 20"] | None:
    """The climate of a table's rows, NaN where it has none; None where it has no such columns.

    Raises:
        DataError: A row has another number of variables.
    """
    if "climate" in table and path.suffix.lower() in {".parquet", ".pq"}:
        rows = pq.ParquetFile(path).read(columns=["climate"]).column("climate").to_pylist()
        if not any(isinstance(row, str) for row in rows):
            return _numbers(path, rows)
    if "climate" in table:
        texts = [re.split(r"[\s,;]+", (text or "").strip(" []")) for text in table["climate"]]
        return _numbers(path, [None if row == [""] else row for row in texts])
    keys = {column_key(column): column for column in reversed(list(table))}
    if all(name in keys for name in CLIMATE_VARIABLES):
        columns = [table[keys[name]] for name in CLIMATE_VARIABLES]
        cells = zip(*columns, strict=True)
        return _numbers(path, [[cell or "nan" for cell in row] for row in cells])
    return None


def _numbers(path: Path, rows: Sequence[Sequence[object] | None]) -> Float32[np.ndarray, "n 20"]:
    n_variables = len(CLIMATE_VARIABLES)
    found = np.full((len(rows), n_variables), np.nan, dtype=np.float32)
    for number, row in enumerate(rows):
        if row is None:
            continue
        try:
            values = np.array([np.nan if cell is None else cell for cell in row], dtype=np.float32)
        except ValueError as error:
            raise DataError(
                f"{path}, row {number + 1}: the climate holds what is no number ({error})."
            ) from error
        if len(values) != n_variables:
            raise DataError(
                f"{path}, row {number + 1}: the climate has {len(values)} variables, not "
                f"{n_variables} (elevation, bio1 ... bio19). Give all of them, or none."
            )
        found[number] = values
    return found


def _chosen(observations: Observations, config: DataConfig) -> Observations:
    """The rows that `taxon`, `per_species` and `limit` ask for.

    Raises:
        DataError: There are none.
    """
    asked = np.ones(len(observations), dtype=bool)
    if config.taxon:
        asked = of_taxa(observations.table, config.taxon).to_numpy()
        if not asked.any():
            raise DataError(
                f"No observation is of {', '.join(config.taxon)}: --taxon takes names of any rank, "
                "as the set writes them."
            )
    if config.per_species or config.limit:
        _, species = np.unique(observations.column("species").astype(str), return_inverse=True)
        places = row_hashes(observations.ids, lot(config.seed))
        asked = lowest(places, np.where(asked, species, -1), config.per_species, config.limit)
    notes = {**observations.notes, "limit": int((~asked).sum())}
    return replace(observations.select(asked), notes=notes)


def split_observations(observations: Observations, config: DataConfig) -> Observations:
    """Give every row a split: as given and completed, made by units, or with unseen species.

    Args:
        observations: Rows whose `split` is as delivered, "" where there is none.
        config: Its `split` (given, made, unseen), `split_fractions` and `seed`.
    """
    units, species = (observations.column(name).tolist() for name in ("unit", "species"))
    given = observations.column("split").tolist()
    if config.split == "unseen":
        groups, genera = (observations.column(name) for name in ("taxonGroup", "genus"))
        places = list(zip(groups.tolist(), genera.tolist(), strict=True))
        split = unseen_split(units, species, places, config.split_fractions, config.seed)
    else:
        known = given if config.split == "given" else [""] * len(given)
        split = complete_split(units, species, known, config.split_fractions, config.seed)
    made = split.tolist()
    origin = "given" if made == given else "completed" if any(given) else "made"
    if config.split != "given":
        origin = config.split
    parts = {part: made.count(part) for part in SPLITS}
    place = observations.table.schema.get_field_index("split")
    table = observations.table.set_column(place, "split", pa.array(made, pa.string()))
    of_unit: dict[str, set[str]] = {}
    for unit, part in zip(units, made, strict=True):
        of_unit.setdefault(unit, set()).add(part)
    cut = sorted(unit for unit, found in of_unit.items() if len(found) > 1)
    notes = {
        **observations.notes,
        "splits": {"origin": origin, **parts},
        "unitsCut": {"units": len(cut), "examples": cut[:20]},
    }
    return replace(observations, table=table, notes=notes)
