"""Large published sets in miniature, each in the layout in which it is published, with its dirt.

Names of species are real, everything else is made up. A writer says what it wrote: the bytes of
each picture by the key of its row, how many rows there are, and why some cannot be taken.
"""

import csv
import gzip
import io
import random
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fakes.pictures import write_picture
from syntype.taxonomy.taxon import RANKS


@dataclass(frozen=True)
class Written:
    """What a miniature holds.

    Attributes:
        root: Its folder.
        read: Rows of its tables.
        taken: Rows that can be used.
        reasons: Why the others cannot, and how many.
        twins: Rows of `taken` whose id another one has.
        media: Key of a row to the bytes of its picture.
        table: Its table, for tests that change it.
    """

    root: Path
    read: int
    taken: int
    reasons: Mapping[str, int]
    twins: int
    media: Mapping[str, bytes] = field(default_factory=dict)
    table: str = ""


def uuid_of(name: str) -> str:
    """The same UUID for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def picture_bytes(name: str, scratch: Path, side: int = 16) -> bytes:
    """The bytes of a JPEG that depends on a name."""
    return write_picture(scratch / "one.jpg", name, side).read_bytes()


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    """A tar of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def write_zip(path: Path, members: Mapping[str, bytes], *, stored: Sequence[str] = ()) -> Path:
    """A zip of files, compressed but for some, with their folders as members of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({name.rpartition("/")[0] for name in members}):
            archive.writestr(f"{folder}/", b"")
        for name, content in members.items():
            kind = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, kind)
    return path


def _csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], tab: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, delimiter=tab, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def shuffle_lines(path: Path, seed: int) -> None:
    """The rows of a table of text in another order; no cell of it may hold a line break."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    random.Random(seed).shuffle(lines)
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


CATALOG = [
    "split",
    "treeoflife_id",
    "eol_content_id",
    "eol_page_id",
    "bioscan_part",
    "bioscan_filename",
    "inat21_filename",
    "inat21_cls_name",
    "inat21_cls_num",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "common",
]
_MOTH = "Animalia Arthropoda Insecta Lepidoptera Erebidae Schinia oculata"
_CLASS = "00012_Animalia_Arthropoda_Insecta_Lepidoptera_Nymphalidae_Danaus_plexippus"


def _tol_row(
    split: str, id_: str, ranks: str | Sequence[str], common: str, **source: str
) -> list[str]:
    words = ranks.split() if isinstance(ranks, str) else list(ranks)
    cells = dict.fromkeys(CATALOG, "") | dict(zip(RANKS, words, strict=True)) | source
    cells |= {"split": split, "treeoflife_id": id_, "common": common}
    return [cells[name] for name in CATALOG]


def write_tree_of_life_10m(root: Path) -> Written:
    """Three of 63 archives, one cut and one compressed; classes of iNat21; a zip of BIOSCAN-1M."""
    ids = {name: uuid_of(name) for name in "abcdefghijklmnopq"}
    content = {name: picture_bytes(f"tol {name}", root / "scratch") for name in ids}
    (root / "scratch/one.jpg").unlink()
    (root / "scratch").rmdir()
    eol = root / "dataset/EOL"
    first = {f"{ids[name]}.jpg": content[name] for name in "acdeip"}
    first[f"{ids['b']}.JPG"] = content["b"]
    first[f"._{ids['a']}.jpg"] = b"\0\5\x16\7" * 8
    write_tar(eol / "image_set_01.tar", first)
    cut = write_tar(eol / "image_set_02.tar", {f"{ids[n]}.jpg": content[n] for n in "fg"})
    cut.write_bytes(cut.read_bytes()[: 3 * 512 + len(content["f"])])
    packed = write_tar(eol / "tmp.tar", {f"{ids['h']}.jpg": content["h"]})
    (eol / "image_set_03.tar.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    folder = root / "dataset/inat21/train" / _CLASS
    folder.mkdir(parents=True)
    (folder / "one.jpg").write_bytes(content["j"])
    (folder / "Two.JPG").write_bytes(content["k"])
    inside = "bioscan/images/cropped_256/part"
    write_zip(
        root / "dataset/bioscan/cropped_256.zip",
        {
            f"{inside}1/BIOUG71436-B05.jpg": content["m"],
            f"{inside}97/BIOUG71436-B05.jpg": content["n"],
        },
        stored=[f"{inside}97/BIOUG71436-B05.jpg"],
    )
    rows = _tol_rows(ids)
    table = root / "metadata/catalog.csv"
    _csv(table, CATALOG, rows)
    with table.open("a") as handle:
        handle.write("train,too,few,cells\n")
    _licenses(root / "metadata/licenses.csv", ids)
    return Written(
        root=root,
        read=len(rows) + 1,
        taken=13,
        twins=1,
        reasons={
            "4 cells, unlike the header": 1,
            "a copy of a row of train (train_small)": 2,
            "archive not here": 3,
            "no id": 1,
            "no such picture": 2,
            "of no known source": 1,
        },
        media={ids[name]: content[name] for name in "abcdefijkmnp"},
        table="metadata/catalog.csv",
    )


def _tol_rows(ids: Mapping[str, str]) -> list[list[str]]:
    def eol(split: str, name: str, ranks: str | Sequence[str], common: str) -> list[str]:
        numbers = {"eol_content_id": f"{ord(name)}.0", "eol_page_id": f"{7000 + ord(name)}.0"}
        return _tol_row(split, ids[name], ranks, common, **numbers)

    def inat(name: str, file: str, number: str) -> list[str]:
        words = _CLASS.split("_")[1:]
        source = {
            "inat21_filename": file,
            "inat21_cls_name": "_".join(words),
            "inat21_cls_num": number,
        }
        return _tol_row("train", ids[name], words, "Monarch", **source)

    def bioscan(name: str, part: str) -> list[str]:
        source = {"bioscan_part": part, "bioscan_filename": "BIOUG71436-B05.jpg"}
        ranks = ["Animalia", "Arthropoda", "Insecta", "Diptera", "Sciaridae", "", ""]
        return _tol_row("val", ids[name], ranks, " ".join(ranks[:5]), **source)

    bird = "Animalia Chordata Aves Passeriformes Tyrannidae Sayornis saya"
    return [
        eol("train", "a", bird, "Say's \"Phoebe\", the grey one"),
        eol("train", "b", _MOTH, "Schinia oculata"),
        eol("val", "c", ["Plantae", "Tracheophyta", "", "Rosales", "Rosaceae", "Rosa",
                         "canina x gallica"], "hybrid rose"),
        eol("train", "d", ["nan", "null", "", "", "", "", ""], "Spangled Drongo"),
        eol("train", "e", ["Metazoa", "Chordata", "Aves", "Passeriformes", "Cinclidae", "Cinclus",
                           "cinclus cinclus (Linnaeus, 1758)"], "white-throated dipper"),
        eol("train", "a", bird, "the same id again"),
        eol("train", "f", _MOTH, ""),
        eol("train", "g", _MOTH, "lies behind the cut"),
        eol("train", "h", _MOTH, "lies in an archive that is not inflated"),
        eol("val", "l", _MOTH, "lies in no archive that is here"),
        inat("j", "one.jpg", "12.0"),
        inat("k", "Two.jpg", "12"),
        inat("o", "three.jpg", "12"),
        bioscan("m", "1.0"),
        bioscan("n", "97"),
        bioscan("q", "5"),
        _tol_row("train", ids["q"][::-1], _MOTH, "of nobody"),
        _tol_row("train", "", _MOTH, "no id", eol_content_id="1", eol_page_id="2"),
        eol("train_small", "a", bird, "Say's \"Phoebe\", the grey one"),
        eol("train_small", "b", _MOTH, "Schinia oculata"),
        eol("train_small", "i", _MOTH, "has no twin in train"),
        eol("train", "p", ["Animalia", "Chordata", "", "", "", "Homo", "sp. x."], "someone"),
    ]  # fmt: skip


def _licenses(path: Path, ids: Mapping[str, str]) -> None:
    header = (
        "treeoflife_id,eol_content_id,eol_page_id,md5,medium_source_url,eol_full_size_copy_url,"
        "license_name,copyright_owner,license_link,title"
    )
    rows = [
        [ids[name], "1", "2", "0" * 32, "http://x", f"https://content.eol.org/{name}.jpg",
         "cc-by-3.0", owner, "", "not provided"]
        for name, owner in (("b", "not provided"), ("a", 'A. "Tony" Jansen, Jr.'), ("z", "unused"))
        if (ids := {**ids, "z": uuid_of("z")})
    ]  # fmt: skip
    _csv(path, header.split(","), rows)


CATALOG_200M = [
    "uuid",
    "source_url",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "scientific_name",
    "common",
    "data_source",
    "publisher",
    "basisOfRecord",
    "img_type",
    "source_id",
    "shard_filename",
    "shard_file_path",
    "base_dataset_file_path",
]


def write_tree_of_life_200m(root: Path) -> Written:
    """Rows of four sources; nulls, an address that is none; owners in another order."""
    inat = "https://inaturalist-open-data.s3.amazonaws.com/photos"
    moth: list[str | None] = [*_MOTH.split(), "Schinia oculata", None]
    rows: list[list[str | None]] = [
        ["1", f"{inat}/1/original.JPG", *moth, "gbif", "iNaturalist.org", "HUMAN_OBSERVATION",
         "Citizen Science", "4001"],
        ["2", f"{inat}/2/original.jpeg", *moth, "gbif", "iNaturalist.org", "HUMAN_OBSERVATION",
         "Citizen Science", "4001"],
        ["3", "https://Content.EOL.org:443/3.jpg", "Metazoa", None, None, "incertae sedis", None,
         None, None, "incertae sedis", None, "eol", None, None, "Unidentified", "17_23"],
        ["4", None, "Animalia", "Arthropoda", "Insecta", "Diptera", "Sciaridae", None, None,
         "Sciaridae", None, "bioscan", None, None, "Unidentified", "BIOUG1"],
        ["5", "http://database.fathomnet.org/5.png", *moth, "fathomnet", None, None,
         "Unidentified", "u5"],
        ["6", "ftp://old.museum/6.tif", "Plantae", "Tracheophyta", "", "", "Rosaceae", "Rosa",
         "canina x gallica", "Rosa canina x gallica", 'the "hybrid"', "gbif", "A Herbarium",
         "PRESERVED_SPECIMEN", "Museum Specimen: Plant", "4003"],
        ["7", "https://herbarium.example/7.jpg", *moth, "gbif", "A Herbarium",
         "PRESERVED_SPECIMEN", "Museum Specimen: Insect", None],
        ["2", f"{inat}/2/original.jpeg", *moth, "gbif", "iNaturalist.org", "HUMAN_OBSERVATION",
         "Citizen Science", "4001"],
    ]  # fmt: skip
    ids = [uuid_of(str(row[0])) for row in rows]
    full = [[id_, *row[1:], "shard.tar", "x/shard.tar", "data/x.parquet"]
            for id_, row in zip(ids, rows, strict=True)]  # fmt: skip
    columns = dict(zip(CATALOG_200M, map(list, zip(*full, strict=True)), strict=True))
    schema = pa.schema([(name, pa.string()) for name in CATALOG_200M])
    _parquet(root / "dataset/catalog.parquet", pa.table(columns, schema=schema))
    owners = [
        {"uuid": id_, "license_name": license_, "copyright_owner": owner}
        for id_, license_, owner in (
            (ids[6], "cc-by", "not provided"), (ids[0], "cc-by-nc-4.0", 'Ann "A." B.'),
            (ids[1], "cc0", "C"), (ids[2], "No known copyright restrictions", None),
        )
    ]  # fmt: skip
    _parquet(root / "dataset/metadata/provenance.parquet", pa.Table.from_pylist(owners))
    return Written(root, read=8, taken=8, reasons={}, twins=1)


def _parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)


BIOSCAN = [
    "sampleid",
    "processid",
    "uri",
    "name",
    "phylum",
    "class",
    "order",
    "family",
    "subfamily",
    "tribe",
    "genus",
    "species",
    "subspecies",
    "nucraw",
    "image_file",
    "large_diptera_family",
    "medium_diptera_family",
    "small_diptera_family",
    "large_insect_order",
    "medium_insect_order",
    "small_insect_order",
    "chunk_number",
    "copyright_license",
    "copyright_holder",
    "copyright_institution",
    "copyright_contact",
    "photographer",
    "author",
]


def write_bioscan_1m(root: Path) -> Written:
    """A zip of two parts of 113; ranks that are not classified, a picture that is not there."""
    inside = "bioscan/images/cropped_256"
    names = {"A1": "part1/4900531.jpg", "A2": "part1/4900532.jpg", "B1": "part113/BIOUG1-A01.jpg"}
    root.mkdir(parents=True)
    content = {key: picture_bytes(f"bioscan {key}", root) for key in names}
    (root / "one.jpg").unlink()
    members = {f"{inside}/{name}": content[key] for key, name in names.items()}
    members[f"{inside}/part1/4900532.JPG"] = members.pop(f"{inside}/part1/4900532.jpg")
    write_zip(root / "cropped_256.zip", members, stored=[f"{inside}/{names['A1']}"])

    def row(sample: str, place: str, **more: str) -> list[str]:
        part, _, file = place.partition("/")
        cells = dict.fromkeys(BIOSCAN, "not_classified") | {
            "sampleid": sample, "processid": f"P-{sample}", "uri": "BOLD:AER5166",
            "phylum": "Arthropoda", "class": "Insecta", "order": "Diptera", "nucraw": "ACGT",
            "image_file": file, "chunk_number": part.removeprefix("part"),
            "large_insect_order": "train", "copyright_license": "CreativeCommons - Attribution",
            "copyright_holder": "CBG Photography Group", "photographer": "CBG Robot",
        }  # fmt: skip
        cells |= dict.fromkeys([name for name in BIOSCAN if "diptera_family" in name], "no_split")
        return [(cells | more)[name] for name in BIOSCAN]

    rows = [
        row("A1", names["A1"], family="Sciaridae", genus="Bradysia", species="Bradysia tilicola"),
        row("A2", names["A2"], family="Cecidomyiidae", large_insect_order="no_split"),
        row("B1", names["B1"], family='Chiro"nomidae', large_insect_order="validation"),
        row("A1", names["A1"], family="Sciaridae", genus="Bradysia", species="Bradysia tilicola"),
        row("C1", "part1/lost.jpg"),
        row("C2", "part2/4900533.jpg"),
    ]
    _csv(root / "BIOSCAN_Insect_Dataset_metadata.tsv", BIOSCAN, rows, "\t")
    with (root / "BIOSCAN_Insect_Dataset_metadata.tsv").open("a") as handle:
        handle.write("cut\tshort\n")
    return Written(
        root=root,
        read=7,
        taken=4,
        reasons={"2 cells, unlike the header": 1, "no such picture": 2},
        twins=1,
        media=content,
        table="BIOSCAN_Insect_Dataset_metadata.tsv",
    )


BIOTROVE = [
    "photo_id",
    "scientificName",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "common_name",
    "taxonRank",
    "photo_url",
]


def write_biotrove(root: Path) -> Written:
    """Four chunks, one of them as CSV too; gaps, endings in capitals, a picture twice."""
    at = "http://inaturalist-open-data.s3.amazonaws.com/photos"
    spider = [
        "Animalia",
        "Arthropoda",
        "Arachnida",
        "Araneae",
        "Araneidae",
        "Araneus",
        "diadematus",
    ]
    plant = ["Plantae", "Tracheophyta", "Magnoliopsida", "Rosales", "Rosaceae", "Rosa"]

    def row(
        number: int | None, name: str | None, ranks: Sequence[str | None], **more: object
    ) -> dict[str, object]:
        cells = {"photo_id": number, "scientificName": name, **dict(zip(RANKS, ranks, strict=True))}
        cells |= {"common_name": "Cross Orbweaver", "taxonRank": "species"}
        return cells | {"photo_url": f"{at}/{number}/medium.JPG"} | more

    chunks = {
        1: [row(20931, "Araneus diadematus", spider), row(66790, None, [*spider[:5], None, None],
            taxonRank=None, common_name="Araneidae")],
        2: [row(7, "Rosa canina × gallica", [*plant, "canina × gallica"],
            common_name='the "hybrid"'), row(20931, "Araneus diadematus", spider)],
        10: [row(8, "null", [*plant, "nan"]), row(9, "Rosa canina", [*plant, "canina"],
            photo_url=None)],
        11: [row(None, "Rosa canina", [*plant, "canina"])],
    }  # fmt: skip
    kinds = {"photo_id": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in BIOTROVE])
    for number, rows in chunks.items():
        table = pa.Table.from_pylist(rows, schema=schema)
        _parquet(root / f"BioTrove/chunk_{number}.parquet", table)
    cells = [
        ["" if row[name] is None else str(row[name]) for name in BIOTROVE] for row in chunks[1]
    ]
    _csv(root / "BioTrove/chunk_1.csv", BIOTROVE, cells)
    return Written(root, read=7, taken=5, reasons={"no number or no address": 2}, twins=1)


WRITERS: Mapping[str, Callable[[Path], Written]] = {
    "tree-of-life-10m": write_tree_of_life_10m,
    "tree-of-life-200m": write_tree_of_life_200m,
    "bioscan-1m": write_bioscan_1m,
    "biotrove": write_biotrove,
}
