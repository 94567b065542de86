"""A museum's records for searches: every facet, unknown values, odd dates, places, names and ids.

    table = synthetic_records(200, seed=0)          # rows of RECORD
    vectors = clustered_vectors(table, dim=16)      # unit vectors, near each other by species
    write_pictures(folder, table)                   # a small JPEG of each that lies here
    index = synthetic_index(200)                    # all of it in a MemoryIndex

The first rows are the odd ones, so that any n has them: quotes and HTML in names, ids with
slashes, spaces, # and %, both poles, both sides of the antimeridian, dates that cannot be read.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fakes.memory_index import MemoryIndex
from syntype.data.census_dates import span_of
from syntype.search.records import conform_records

SET = "cabinet"
"""The name of the set that all records are of."""

# Kingdom, phylum, class, order, family, genus, species, common name, taxon group.
SPECIES = (
    ("Animalia", "Arthropoda", "Insecta", "Lepidoptera", "Nymphalidae", "Vanessa",
     "Vanessa atalanta", "Red Admiral", "butterflies"),
    ("Animalia", "Arthropoda", "Insecta", "Lepidoptera", "Nymphalidae", "Vanessa",
     "Vanessa cardui", "Painted Lady", "butterflies"),
    ("Animalia", "Arthropoda", "Insecta", "Lepidoptera", "Nymphalidae", "Danaus",
     "Danaus plexippus", "Monarch", "butterflies"),
    ("Animalia", "Arthropoda", "Insecta", "Lepidoptera", "Pieridae", "Pieris",
     "Pieris napi", "Green-veined White", "butterflies"),
    ("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae", "Parus",
     "Parus major", "Great Tit", "birds"),
    ("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae", "Parus",
     "Parus minor", "", "birds"),
    ("Animalia", "Chordata", "Aves", "Charadriiformes", "Laridae", "Chroicocephalus",
     "Chroicocephalus ridibundus", "Black-headed Gull", "birds"),
    ("Animalia", "Chordata", "Actinopterygii", "Cypriniformes", "Cyprinidae", "Cyprinella",
     "Cyprinella whipplei", "Steelcolor Shiner", "fishes"),
    ("Plantae", "Tracheophyta", "Magnoliopsida", "Asterales", "Asteraceae", "Bellis",
     "Bellis perennis", "Daisy", ""),
    ("Plantae", "Tracheophyta", "Magnoliopsida", "Fabales", "Fabaceae", "Acacia",
     "Acacia pycnantha", "Golden Wattle", ""),
)  # fmt: skip
RANKED = ("kingdom", "phylum", "class", "order", "family", "genus", "species", "vernacularName",
          "taxonGroup")  # fmt: skip

LICENSES = (
    "http://creativecommons.org/licenses/by/4.0/legalcode", "CC BY-NC 4.0", "CC0", "CC_BY_NC_SA",
    "https://creativecommons.org/publicdomain/mark/1.0/", "All rights reserved", "",
    "https://creativecommons.org/publicdomain/zero/1.0/", "© The Trustees <of> the Museum",
)  # fmt: skip
DATES = (
    "1913-05-27", "1913-05", "1913", "1913-05-27/1913-06-02", "1899/1901", "May 1913", "2019-02-31",
    "0000-00-00", "", "2020-02-29T10:30:00Z", "1750-01-01", "1500", "2100-12-31", "1913-05-27/29",
)  # fmt: skip
PLACES = (
    (51.5, -0.12), (90.0, 0.0), (-90.0, 37.0), (0.0, 180.0), (0.0, -180.0), (-17.8, 177.9),
    (-16.5, -179.9), (None, None), (10.0, None), (0.0, 0.0), (-35.3, 149.1), (35.68, 139.69),
)  # fmt: skip
NAMES = (
    "Ada O'Hara", 'M. "Max" Müller', "<script>alert(1)</script>", "李时珍", "Åsa & Søn", "", "عالم",
    "Line\nbreak", "'; DROP TABLE records; --", "a" * 300,
)  # fmt: skip
ODD_KEYS = ("plain", "a/b", "a b", "a#b", "a%2Fb", "a?b=c&d", "ü/Ω", "../../etc/passwd", '"quoted"',
            "'", "a+b", "<b>", "\\", "%", "🦋")  # fmt: skip
INSTITUTIONS = (("BMNH", "Entomology"), ("USNM", "Birds"), ("MNHN", "Botanique"), ("NHMD", ""),
                ("", ""))  # fmt: skip
COUNTRIES = (("GB", "England"), ("AU", "New South Wales"), ("JP", "Tōkyō"), ("FJ", ""), ("", ""))
BASES = ("PreservedSpecimen", "HumanObservation", "FossilSpecimen", "")
STAGES = ("adult", "larva", "", "juvenile")
SEXES = ("female", "male", "", "hermaphrodite")


def synthetic_records(n: int, seed: int = 0) -> pa.Table:
    """n rows of `RECORD`; the same n and seed give the same rows, a larger n the same and more."""
    return conform_records(pa.Table.from_pylist([_row(i, seed) for i in range(n)], _kinds()))


def _kinds() -> pa.Schema:
    from syntype.search.records import RECORD

    return pa.schema([RECORD.field(name) for name in _row(0, 0)])


def _row(i: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, i])

    def one_of(values: Any) -> Any:
        """The values in turn in the first rows, then at random."""
        return values[i] if i < len(values) else values[int(rng.integers(len(values)))]

    kept = dict(zip(RANKED, SPECIES[int(rng.integers(len(SPECIES)))], strict=True))
    unnamed = i > 20 and rng.random() < 0.1
    if unnamed:
        kept |= dict.fromkeys(("genus", "species", "vernacularName"), "")
    north, east = one_of(PLACES)
    if i >= len(PLACES) and north is not None and east is not None and abs(north) < 80:
        north += float(rng.normal(0, 3))
        east = (east + float(rng.normal(0, 3)) + 180) % 360 - 180
    if i >= len(DATES) and rng.random() < 0.7:
        date = f"{rng.integers(1850, 2021)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
    else:
        date = one_of(DATES)
    institution, collection = one_of(INSTITUTIONS)
    country, province = one_of(COUNTRIES)
    sounds = i > 20 and rng.random() < 0.1
    key = f"{ODD_KEYS[i]}" if i < len(ODD_KEYS) else f"r{i:06d}"
    here = rng.random() < 0.9
    has = [
        *(["sound"] if sounds else ["image"]),
        *(["sound"] if not sounds and rng.random() < 0.2 else []),
        *(["place"] if north is not None and east is not None else []),
        *(["date"] if span_of(date) is not None else []),
    ]
    return {
        "id": f"{SET}/{key}",
        "datasetName": SET,
        "image": f"{i:06d}.{'wav' if sounds else 'jpg'}" if here else "",
        "verbatimIdentification": kept["species"] or f"{kept['family']} sp.",
        "scientificName": kept["species"] or kept["family"],
        **kept,
        "license": one_of(LICENSES),
        "occurrenceID": f"urn:catalog:{i // 2}" if rng.random() < 0.8 else "",
        "unit": f"u{i // 2}" if rng.random() < 0.5 else "",
        "basisOfRecord": one_of(BASES),
        "institutionCode": institution,
        "collectionCode": collection,
        "catalogNumber": str(1000 + i) if rng.random() < 0.9 else "",
        "recordedBy": one_of(NAMES),
        "eventDate": date,
        "countryCode": country,
        "stateProvince": province,
        "locality": one_of(NAMES),
        "decimalLatitude": north,
        "decimalLongitude": east,
        "sex": one_of(SEXES),
        "lifeStage": one_of(STAGES),
        "typeStatus": "holotype" if rng.random() < 0.05 else "",
        "references": f"https://example.org/records/{i}" if rng.random() < 0.5 else "",
        "mediaType": "Sound" if sounds else "StillImage",
        "format": "audio/wav" if sounds else "image/jpeg",
        "accessURI": "" if here else f"https://example.org/media/{i}.jpg",
        "creator": one_of(NAMES[::-1]),
        "rightsHolder": "The Cabinet" if rng.random() < 0.5 else "",
        "has": " ".join(has),
    }


def clustered_vectors(
    table: pa.Table, dim: int = 16, *, noise: float = 0.5, seed: int = 0
) -> np.ndarray:
    """Unit vectors, float32 (n, dim): those of a species lie around a direction of its own.

    Args:
        table: Rows with `id` and `species`; records without one lie anywhere.
        dim: Length of the vectors.
        noise: Length of what is added to the direction; 0 makes all of a species equal.
        seed: Of the directions and of what is added, which depend on it and on the id alone.
    """

    def direction(*names: Any) -> np.ndarray:
        digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
        drawn = np.random.default_rng(list(digest)).standard_normal(dim)
        return drawn / np.linalg.norm(drawn)

    rows = zip(table.column("id").to_pylist(), table.column("species").to_pylist(), strict=True)
    found = [direction("species", of or id_) + noise * direction("id", id_) for id_, of in rows]
    vectors = np.array(found).reshape(-1, dim)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def picture(row: dict[str, Any], side: int = 48) -> bytes:
    """A JPEG whose colours depend on the species, and its pattern on the id."""
    digest = hashlib.sha256(row["id"].encode()).digest()
    colour = np.array(list(hashlib.sha256(row["species"].encode()).digest()[:3]), float)
    pixels = colour + np.random.default_rng(list(digest)).normal(0, 25, (side, side + 8, 3))
    held = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(held, "JPEG")
    return held.getvalue()


def write_pictures(folder: Path, table: pa.Table, side: int = 48) -> Path:
    """Write the media that lie here below `folder`, which becomes the root of the set.

    Pictures are JPEGs, sounds a tenth of a second of a tone as WAV.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for row in table.to_pylist():
        if row["image"].endswith(".jpg"):
            (folder / row["image"]).write_bytes(picture(row, side))
        elif row["image"]:
            (folder / row["image"]).write_bytes(_tone(200 + int(row["id"][-3:]) * 3))
    return folder


def _tone(hertz: float, rate: int = 8000) -> bytes:
    import wave

    samples = np.sin(2 * np.pi * hertz * np.arange(rate // 10) / rate)
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 20000).astype("<i2").tobytes())
    return held.getvalue()


CARD = {"name": SET, "source": "made by tests", "license": "CC0", "citation": "nobody, 2024"}
"""Source, licence and citation of the set."""


def synthetic_index(
    n: int = 200, dim: int = 16, *, seed: int = 0, noise: float = 0.5, root: Path | None = None
) -> MemoryIndex:
    """n synthetic records with their clustered vectors, in memory.

    Args:
        n: Records.
        dim: Length of the vectors.
        seed: Of records and vectors.
        noise: As `clustered_vectors` takes it.
        root: Where media are written and read; None writes none.
    """
    table = synthetic_records(n, seed)
    roots = {} if root is None else {SET: write_pictures(root, table)}
    index = MemoryIndex(dim, cards={SET: CARD}, roots=roots)
    if n:
        index.upsert(table, clustered_vectors(table, dim, noise=noise, seed=seed))
    return index
