"""Published sets of observations in miniature, in their published layouts and with their dirt.

Names of species are real, everything else is made up. The header of the exports is that of
TaxaBench-8k's table: pandas wrote its index into a column without a name, several times over.
"""

import csv
import io
import json
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fakes.pictures import write_picture

_HEADER = (
    ",image_url,sound_url,Unnamed: 0.3,Unnamed: 0.2,Unnamed: 0.1,Unnamed: 0,id,observed_on_string,"
    "observed_on,time_observed_at,time_zone,user_id,user_login,user_name,created_at,updated_at,"
    "quality_grade,license,url,tag_list,description,num_identification_agreements,"
    "num_identification_disagreements,captive_cultivated,oauth_application_id,place_guess,latitude,"
    "longitude,positional_accuracy,private_place_guess,private_latitude,private_longitude,"
    "public_positional_accuracy,geoprivacy,taxon_geoprivacy,coordinates_obscured,"
    "positioning_method,positioning_device,species_guess,scientific_name,common_name,"
    "iconic_taxon_name,taxon_id,sound_format"
)
EXPORT_HEADER = _HEADER.split(",")
_SPECIES = (
    ("Vireo gilvus", "Warbling Vireo", "Aves"),
    ("Hyla versicolor", "Gray Treefrog", "Amphibia"),
    ("Neotibicen tibicen", "Swamp Cicada", "Insecta"),
)


def write_sound(path: Path, hertz: float) -> None:
    """A tenth of a second of a tone; whatever its ending says, it is a WAV file."""
    t = np.arange(1600) / 16000
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.sin(2 * np.pi * hertz * t) * 20000).astype("<i2").tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())


def write_raster(path: Path, height: int = 36) -> np.ndarray:
    """A climate raster in SINR's layout: each cell says which it is; the west is sea."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(2 * height), indexing="ij")
    values = np.stack([rows / 10 + number + columns / 1000 for number in range(20)], axis=-1)
    values[:, : height // 3] = np.nan
    values = values.astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values


def export_row(id_: int, **changes: object) -> dict[str, str]:
    """A row of an export of iNaturalist."""
    name, common, group = _SPECIES[id_ % 3]
    row = dict.fromkeys(EXPORT_HEADER, "") | {
        "": str(id_ % 100),
        "image_url": f"https://static.example.org/photos/{id_}/medium.jpeg",
        "sound_url": f"https://static.example.org/sounds/{id_}.m4a?1625679635",
        "id": str(id_),
        "observed_on": f"2021-07-{1 + id_ % 28:02d}",
        "user_id": str(id_ % 5),
        "license": "CC-BY-NC",
        "description": "heard, not seen,\nin the rain",
        "latitude": f"{30 + id_ % 7}.25",
        "longitude": f"{id_ % 11}.5",
        "coordinates_obscured": "False",
        "scientific_name": name,
        "common_name": common,
        "iconic_taxon_name": group,
        "sound_format": ("m4a", "wav", "mp3")[id_ % 3],
    }
    return row | {key: str(value) for key, value in changes.items()}


def write_table(path: Path, rows: Sequence[Mapping[str, str]], header: Sequence[str]) -> None:
    """A CSV table with the columns of `header`, in its order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_isoundnat(root: Path) -> Path:
    """Thirty observations; longitude before latitude in one table, and dirt in each."""
    rows = [export_row(100 + number) for number in range(30)]
    rows[3] |= {"latitude": "", "longitude": ""}
    rows[4] |= {"latitude": "130.5", "longitude": "40.5"}
    rows[5] |= {"license": ""}
    rows[6] |= {"coordinates_obscured": "True"}
    rows[7] |= {"id": "107.0"}
    rows[8] |= {"scientific_name": ""}
    # Two of one observer's day, one on each side of the split.
    rows[9] |= {"user_id": "77", "observed_on": "2020-01-01"}
    rows[25] |= {"user_id": "77", "observed_on": "2020-01-01"}
    # An observation that the random split put on both sides.
    rows.append(rows[0])
    for number in range(30):
        if number != 10:
            write_picture(root / f"images/{100 + number}.jpg", f"s{number}")
        if number != 11:
            write_sound(root / f"sounds_mp3/{100 + number}.mp3", 300 + 10 * number)
    write_table(root / "train_df.csv", rows[:20], EXPORT_HEADER)
    reordered = [*EXPORT_HEADER[::-1]]
    write_table(root / "val_df.csv", rows[20:24], reordered)
    write_table(root / "test_df.csv", rows[24:], EXPORT_HEADER)
    return root


def write_taxabench(root: Path) -> Path:
    """Twelve observations with all six senses; sounds keep their endings, a tile lacks."""
    rows = [export_row(200 + number) for number in range(12)]
    rows[1] |= {"longitude": "180.0", "latitude": "-90.0"}
    rows[2] |= {"longitude": "-179.5"}
    for row in rows:
        id_ = row["id"]
        write_picture(root / f"taxabench_images/{id_}.jpg", f"t{id_}")
        write_sound(root / f"taxabench_sound/{id_}.{row['sound_format']}", 500)
        if id_ != "204":
            place = f"{id_}_{row['latitude']}_{row['longitude']}.jpeg"
            write_picture(root / "sat_images/sentinel" / place, f"tile {id_}")
    write_table(root / "test_df.csv", rows, EXPORT_HEADER)
    write_raster(root / "bioclim_elevation_scaled.npy")
    np.save(root / "taxa_names.npy", np.array(sorted({row["scientific_name"] for row in rows})))
    return root


def write_multinat(root: Path) -> Path:
    """Train and val in iSoundNat's columns, the vectors beside them."""
    rows = [export_row(300 + number) for number in range(16)]
    for row in rows:
        write_picture(root / f"images/{row['id']}.jpg", f"m{row['id']}")
        write_sound(root / f"sounds_mp3/{row['id']}.mp3", 700)
    write_table(root / "train.csv", rows[:12], EXPORT_HEADER)
    write_table(root / "val.csv", rows[12:], EXPORT_HEADER)
    (root / "train.parquet").write_bytes(b"vectors that nobody reads")
    return root


def write_isatnat(root: Path) -> Path:
    """Two species of iNat21 with their tiles; a stranger's key, a bad one, a renumbered one."""
    lineages = {
        0: "Animalia Annelida Clitellata Haplotaxida Lumbricidae Lumbricus terrestris",
        1: "Plantae Tracheophyta Magnoliopsida Asterales Asteraceae Bellis perennis",
    }
    categories = []
    for number, words in enumerate(lineages.values()):
        kingdom, phylum, class_, order, family, genus, epithet = words.split()
        categories.append(
            {
                "id": number,
                "name": f"{genus} {epithet}",
                "common_name": f"common {number}",
                "supercategory": kingdom,
                "kingdom": kingdom,
                "phylum": phylum,
                "class": class_,
                "order": order,
                "family": family,
                "genus": genus,
                "specific_epithet": epithet,
            }
        )
    for part, start, n in (("train", 0, 8), ("val", 2_686_843, 4)):
        images, annotations, keys = [], [], []
        for copy in range(n):
            id_, category = start + copy, copy % 2
            latitude, longitude = 40.5 + copy, -70.25 - copy
            folder = f"{category:05d}_{lineages[category].replace(' ', '_')}"
            file = f"{part}/{folder}/p{id_}.jpg"
            entry = {"id": id_, "file_name": file, "date": "2019-05-04", "license": 0}
            entry |= {"latitude": latitude, "longitude": longitude}
            images.append(entry | {"rights_holder": f"holder {copy // 2}"})
            annotations.append({"id": id_, "image_id": id_, "category_id": category})
            key = f"{id_}_{latitude}_{longitude}"
            keys.append({"key": key, "sat_url": f"https://tiles.example.org/wms?bbox={key}"})
            if (part, copy) != ("train", 3):
                write_picture(root / "inat21" / file, file)
            if (part, copy) != ("train", 4):
                write_picture(root / f"images/sentinel/{key}.jpeg", key)
        if part == "train":
            keys += [
                {"key": key, "sat_url": ""} for key in ("900_1.5_2.5", "nonsense", "5_1.0_2.0")
            ]
            keys.append(keys[1])
        content = {
            "images": images,
            "annotations": annotations,
            "categories": categories,
            "licenses": [{"id": 0, "name": "CC-BY"}],
        }
        (root / "inat21").mkdir(exist_ok=True, parents=True)
        (root / f"inat21/{part}.json").write_text(json.dumps(content))
        table = {"train": "train_df.csv", "val": "test_df.csv"}[part]
        write_table(root / table, keys, ["sat_url", "key"] if part == "val" else ["key", "sat_url"])
    return root


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "isatnat": write_isatnat,
    "isoundnat": write_isoundnat,
    "taxabench-8k": write_taxabench,
    "multinat": write_multinat,
}
