"""Sets whose tables are an export of iNaturalist: iSoundNat, TaxaBench-8k, MultiNat.

Observers and their days are the independent units (`user_id` and `observed_on`), as takes of one
evening are near copies. The published splits are random by observation and cut such units: they are
kept as given, and a warning says how many are cut; `--split made` cuts none.
"""

from collections.abc import Sequence
from pathlib import Path

from syntype.configs import DataConfig
from syntype.data.benchmarks.files import number
from syntype.data.observation_records import ObservationRecords
from syntype.data.observation_sets.published_set import (
    PublishedSet,
    card_of,
    check_columns,
    climate_of,
    find_media,
    notes_of,
    read_tables,
)
from syntype.data.units import unit_column

_NO_LICENCE = "all rights reserved"  # what iNaturalist leaves empty


def read_export(one: PublishedSet, home: Path, config: DataConfig, name: str) -> ObservationRecords:
    """A set whose tables are an export of iNaturalist, a row per observation.

    Raises:
        DataError: A table lacks the ids or the names.
    """
    table = read_tables(one, home)
    check_columns(one, table, ["id", "scientific_name"])
    ids = [number(text) for text in table.text("id")]
    formats = table.text("sound_format")
    sound_ending = "mp3" if one.media.get("sound", ("",))[0] == "sounds_mp3" else ""
    named = {
        "image": [f"{id_}.jpg" for id_ in ids],
        "sound": [
            f"{id_}.{sound_ending or ending or 'mp3'}"
            for id_, ending in zip(ids, formats, strict=True)
        ],
        "satellite": [f"{id_}.jpeg" for id_ in ids],
    }
    media, lacking = find_media(one, home, ids, named)
    latitude = table.text("latitude", "decimalLatitude", "lat")
    longitude = table.text("longitude", "decimalLongitude", "lon")
    climate = climate_of(home, lacking, latitude=latitude, longitude=longitude)
    observers, days = table.text("user_id", "user_login"), table.text("observed_on")
    units = [
        f"{number(who)} {day}" if who and day else ""
        for who, day in zip(observers, days, strict=True)
    ]
    warnings = []
    n_cut, n_units = _cut_units(units, table.split)
    if n_cut:
        warnings.append(
            f"The published split is random by observation: {n_cut} of {n_units} observers' days "
            "stand in more than one split, so near copies are on both sides. --split made cuts "
            "none."
        )
    obscured = sum(text.lower() == "true" for text in table.text("coordinates_obscured"))
    if obscured:
        warnings.append(
            f"{obscured} observations have obscured coordinates: iNaturalist moves them by up to "
            "0.2 degrees."
        )
    licences = table.text("license")
    if "license" in table.columns:
        licences = [text or _NO_LICENCE for text in licences]
    if config.unit:
        units = [unit or "" for unit in unit_column(table.columns, config.unit, name)]
    return ObservationRecords(
        card=card_of(one, name),
        root=home,
        key=[id_ or f"row {row + 1}" for row, id_ in enumerate(ids)],
        label=[text or None for text in table.text("scientific_name")],
        latitude=latitude,
        longitude=longitude,
        media=media,
        climate=climate,
        columns={
            "unit": units,
            "split": table.split,
            "eventDate": table.text("observed_on", "time_observed_at"),
            "vernacularName": table.text("common_name"),
            "taxonGroup": table.text("iconic_taxon_name"),
            "license": licences,
        },
        notes=notes_of(one, table, lacking),
        warnings=warnings,
    )


def _cut_units(units: Sequence[str], splits: Sequence[str]) -> tuple[int, int]:
    """Units that stand in several splits, and all of them."""
    found: dict[str, set[str]] = {}
    for unit, split in zip(units, splits, strict=True):
        if unit:
            found.setdefault(unit, set()).add(split)
    return sum(len(one) > 1 for one in found.values()), len(found)
