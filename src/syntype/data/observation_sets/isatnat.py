"""iSatNat: satellite tiles of iNat21's pictures; the pictures and the labels are iNat21's.

A key is `<id>_<latitude>_<longitude>`, the id and the place that iNat21's annotations give. The
annotations are read for the labels, and checked against the key: an id whose place is another one
is another picture's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syntype.configs import DataConfig
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
from syntype.data.occurrences.places import number_of
from syntype.data.units import unit_column
from syntype.errors import DataError
from syntype.taxonomy.taxon import RANKS

_ANNOTATIONS = ("train.json", "val.json", "train_mini.json")
_TAXON_COLUMNS = (*RANKS[:-1], "vernacularName", "taxonGroup")
_NEAR = 1e-6  # degrees: the same number, written twice
_SEEN = (
    "Models that were trained on TreeOfLife-10M, as BioCLIP was, have seen iNat21's training "
    "pictures."
)


@dataclass(frozen=True)
class _Picture:
    """A picture of iNat21; those of one species share what is said of it."""

    image: str
    of: Mapping[str, str | None]
    latitude: float | None
    longitude: float | None
    date: str | None
    holder: str | None
    license: str | None


def read_isatnat(
    one: PublishedSet, home: Path, config: DataConfig, name: str
) -> ObservationRecords:
    """iSatNat: keys of iNat21's pictures, and satellite tiles; pictures and labels are iNat21's.

    Raises:
        DataNotFoundError: iNat21's annotations are not there.
        DataError: A table lacks the keys.
    """
    table = read_tables(one, home)
    check_columns(one, table, ["key"])
    inat = home / "inat21" if (home / "inat21").is_dir() else home
    files = [inat / file for file in _ANNOTATIONS if (inat / file).is_file()]
    if not files:
        raise one.absent(
            home, f"the labels are iNat21's, and none of {', '.join(_ANNOTATIONS)} is in {inat}"
        )
    pictures = {id_: found for file in reversed(files) for id_, found in _annotated(file)}
    prefix = "inat21/" if inat != home else ""
    keys = table.text("key")
    found = [_of_key(key, pictures) for key in keys]
    left_out = [(key, one) for key, one in zip(keys, found, strict=True) if isinstance(one, str)]
    rows = [(row, one) for row, one in enumerate(found) if isinstance(one, _Picture)]
    if not rows:
        raise one.absent(home, f"none of the {len(keys)} keys is one of iNat21's pictures")
    kept = [keys[row] for row, _ in rows]
    parts = [key.rsplit("_", 2) for key in kept]
    ids = [part[0] for part in parts]
    latitude, longitude = [part[1] for part in parts], [part[2] for part in parts]
    media, lacking = find_media(one, home, ids, {"satellite": [f"{key}.jpeg" for key in kept]})
    images = [prefix + picture.image for _, picture in rows]
    if any((home / place).is_file() for place in images):
        media["image"] = images
    else:
        lacking.append(f"image: none of iNat21's pictures is in {prefix or 'the folder'}")
    columns: dict[str, list[str | None]] = {
        column: [picture.of.get(column) for _, picture in rows] for column in _TAXON_COLUMNS
    }
    columns |= {
        "license": [picture.license for _, picture in rows],
        "unit": [picture.holder for _, picture in rows],
        "eventDate": [picture.date for _, picture in rows],
        "split": [table.split[row] for row, _ in rows],
    }
    if config.unit:
        units = unit_column(table.columns, config.unit, name)
        columns["unit"] = [units[row] for row, _ in rows]
    return ObservationRecords(
        card=card_of(one, name),
        root=home,
        key=ids,
        label=[picture.of.get("label") for _, picture in rows],
        latitude=latitude,
        longitude=longitude,
        media=media,
        climate=climate_of(home, lacking, latitude=latitude, longitude=longitude),
        columns=columns,
        notes=notes_of(one, table, lacking),
        warnings=[_SEEN],
        left_out=left_out,
    )


def _of_key(key: str, pictures: Mapping[str, _Picture]) -> _Picture | str:
    """The picture of a key, or the reason why there is none."""
    id_, latitude, longitude = key.rsplit("_", 2) if key.count("_") >= 2 else ("", "", "")
    if not id_:
        return "the key is not <id>_<latitude>_<longitude>"
    found = pictures.get(id_)
    if found is None:
        return "iNat21's annotations have no such id"
    if found.latitude is None or found.longitude is None:
        return found
    north, east = number_of(latitude), number_of(longitude)
    if north is None or east is None:
        return found  # told with the bad places
    if abs(north - found.latitude) > _NEAR or abs(east - found.longitude) > _NEAR:
        return "the annotations have another place for this id: it is another picture's"
    return found


def _annotated(path: Path) -> Iterator[tuple[str, _Picture]]:
    """Ids and pictures of an annotation file.

    Raises:
        DataError: The file is no such annotation.
    """
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        classes = {entry["id"]: _class(entry) for entry in text["categories"]}
        licenses = {entry["id"]: entry.get("name") for entry in text.get("licenses", ())}
        class_of = {entry["image_id"]: entry["category_id"] for entry in text["annotations"]}
        for entry in text["images"]:
            yield (
                str(entry["id"]),
                _Picture(
                    image=entry["file_name"],
                    of=classes.get(class_of.get(entry["id"]), {}),
                    latitude=entry.get("latitude"),
                    longitude=entry.get("longitude"),
                    date=entry.get("date"),
                    holder=entry.get("rights_holder"),
                    license=licenses.get(entry.get("license")),
                ),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not an annotation file of iNat21 ({type(error).__name__}: {error}). Unpack "
            "it anew."
        ) from error


def _class(entry: Mapping[str, Any]) -> Mapping[str, str | None]:
    """What a category of the annotations says of its pictures."""
    return {
        **{rank: entry.get(rank) for rank in RANKS[:-1]},
        "label": entry["name"],
        "vernacularName": entry.get("common_name"),
        "taxonGroup": entry.get("supercategory"),
    }
