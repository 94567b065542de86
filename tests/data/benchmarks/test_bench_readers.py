"""What single readers promise beyond the contract: names, parts, units, and broken tables."""

import shutil
from pathlib import Path

import pytest

from fakes.benchmarks import WRITERS
from fakes.pictures import write_picture
from syntype.configs import DataConfig
from syntype.data.benchmarks.read import read_benchmark
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.dataset import Dataset
from syntype.data.load import load_dataset
from syntype.errors import DataError, DataNotFoundError, UsageError

CONFIG = DataConfig(data=("x",))


def read(kind: str, tmp_path: Path, part: str = "") -> Dataset:
    root = tmp_path / kind
    return read_benchmark(kind, root if root.exists() else WRITERS[kind](root), CONFIG, part=part)


def names(dataset: Dataset, *columns: str) -> set[tuple[str, ...]]:
    return set(zip(*(dataset.column(column) for column in columns), strict=True))


def test_english_names_stay_as_delivered_and_give_no_genus(tmp_path: Path) -> None:
    cub = read("cub", tmp_path)
    assert names(cub, "verbatimIdentification", "species", "scientificName", "genus") == {
        ("001.Black_footed_Albatross", "Black footed Albatross", "Black footed Albatross", ""),
        ("002.Black_Tern", "Black Tern", "Black Tern", ""),
        ("003.Red_winged_Blackbird", "Red winged Blackbird", "Red winged Blackbird", ""),
    }
    assert set(cub.column("vernacularName")) == set(cub.column("species"))


def test_nabirds_has_categories_and_species(tmp_path: Path) -> None:
    categories = read("nabirds", tmp_path)
    assert set(categories.column("genus")) == {""}
    assert names(categories, "species", "vernacularName") == {
        ("American Robin (Adult)", "American Robin"),
        ("American Robin (Juvenile)", "American Robin"),
        ("Black footed Tern", "Black footed Tern"),
        ("Oak Titmouse", "Oak Titmouse"),
    }
    assert set(categories.column("unit")) == {"nabirds/Zoë Birch", "nabirds/Ann Lee"}
    species = read("nabirds", tmp_path, "species")
    assert species.counts("species") == {
        "American Robin": 8,
        "Black footed Tern": 4,
        "Oak Titmouse": 3,
    }
    assert "American Robin (Adult)" in species.column("verbatimIdentification")
    assert species.ids == categories.ids
    (tmp_path / "nabirds" / "photographers.txt").unlink()
    assert len(read("nabirds", tmp_path).counts("unit")) == 15


def test_inat21_reads_the_same_from_annotations_and_folders(tmp_path: Path) -> None:
    annotated = read("inat21", tmp_path)
    assert set(annotated.column("license")) == {"CC BY", "CC BY-NC"}
    assert set(annotated.column("taxonGroup")) == {"Animalia", "Plants"}
    assert "common 1" in annotated.column("vernacularName")
    for path in (tmp_path / "inat21").glob("*.json"):
        path.unlink()
    plain = read("inat21", tmp_path)
    order = [plain.ids.index(id_) for id_ in annotated.ids]
    assert sorted(order) == list(range(len(plain)))
    ranks = ("kingdom", "phylum", "class", "order", "family", "genus", "species", "split")
    for rank in (*ranks, "verbatimIdentification"):
        assert plain.column(rank)[order].tolist() == annotated.column(rank).tolist()


def test_inat21_parts(tmp_path: Path) -> None:
    assert read("inat21", tmp_path, "full").counts("split") == {"train": 16, "test": 8}
    val = read("inat21", tmp_path, "val")
    assert val.counts("split") == {"": 8}
    assert all(image.startswith("val/") for image in val.column("image"))
    shutil.rmtree(tmp_path / "inat21" / "train")
    with pytest.raises(DataNotFoundError, match="folder train is missing, which #full needs"):
        read("inat21", tmp_path, "full")


def test_inat21_folders_with_other_names_are_no_labels(tmp_path: Path) -> None:
    root = WRITERS["inat21"](tmp_path / "inat21")
    (root / "val.json").unlink()
    (root / "train_mini.json").unlink()
    (root / "val" / "7_odd").mkdir()
    shutil.copy(next((root / "val").glob("00000*/*.jpg")), root / "val" / "7_odd" / "a.jpg")
    dataset = read("inat21", tmp_path)
    assert dataset.notes["leftOut"]["rows"] == [
        {"id": "inat21/val/7_odd/a.jpg", "reason": "no label"}
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', '{"categories": [{}]}'])
def test_inat21_broken_annotations_say_what_to_do(tmp_path: Path, text: str) -> None:
    root = WRITERS["inat21"](tmp_path / "inat21")
    (root / "val.json").write_text(text)
    with pytest.raises(DataError, match=r"val\.json is not an annotation file .* or remove it"):
        read("inat21", tmp_path)


def test_meta_album_names_by_the_ways_of_each_set(tmp_path: Path) -> None:
    dataset = read("meta-album", tmp_path)
    assert names(dataset, "verbatimIdentification", "species", "genus", "family") == {
        ("Amanita muscaria (L.) Lam., 1783", "Amanita muscaria", "Amanita", ""),
        ("Agaricus arvensis Schaeff.", "Agaricus arvensis", "Agaricus", ""),
        ("Piper Betle (Betel)", "Piper betle", "Piper", ""),
        ("Mentha (Mint)", "Mentha", "Mentha", ""),
        ("Hibiscus Rosa-sinensis", "Hibiscus rosa-sinensis", "Hibiscus", ""),
        ("Apidae", "Apidae", "", "Apidae"),
        *(
            (label, label, "", "")
            for label in (
                "Les Syrphes (Syrphus, Dasysyrphus et autres)",
                "Apple leaf",
                "Tomato leaf",
                "Tomato Early blight leaf",
            )
        ),
    }
    assert "Betel" in dataset.column("vernacularName")
    assert set(dataset.column("taxonGroup")) == {"FNG", "MED_LF", "INS", "PLT_DOC"}


# Class strings as the eight sets have them, and what is read from each: species, genus, family.
META_ALBUM = {
    "FNG": ("Amanita muscaria (L.) Lam., 1783", "Amanita muscaria", "Amanita", ""),
    "INS": ("Apidae", "Apidae", "", "Apidae"),
    "INS_2": ("Lycorma delicatula", "Lycorma delicatula", "Lycorma", ""),
    "MED_LF": ("Piper Betle (Betel)", "Piper betle", "Piper", ""),
    "PLK": ("G_delicatula_detritus", "G_delicatula_detritus", "", ""),
    "PLT_DOC": ("Tomato Early blight leaf", "Tomato Early blight leaf", "", ""),
    "PLT_NET": ("Lamium_galeobdolon", "Lamium galeobdolon", "Lamium", ""),
    "PLT_VIL": ("Grape___Esca_(Black_Measles)", "Grape___Esca_(Black_Measles)", "", ""),
}


@pytest.mark.parametrize("code", [code for code in BENCHMARKS["meta-album"].parts if code])
def test_each_set_of_meta_album_is_read_as_bioclip_lays_it_out(code: str, tmp_path: Path) -> None:
    label, species, genus, family = META_ALBUM[code]
    ending = "png" if code == "PLK" else "jpg"
    folder = tmp_path / "meta-album" / f"{code}_Mini" / "val"
    rows = [f'{row},"{label}/{row}.{ending}","{label}"' for row in range(2)]
    for row in range(2):
        write_picture(folder / label / f"{row}.{ending}", f"{label}{row}")
    (folder / "metadata.csv").write_text("\n".join([",filepath,class", *rows]))
    dataset = read("meta-album", tmp_path, code)
    assert names(dataset, "verbatimIdentification", "species", "genus", "family") == {
        (label, species, genus, family)
    }
    assert dataset.counts("taxonGroup") == {code: 2}


def test_meta_album_one_set_alone(tmp_path: Path) -> None:
    alone = read("meta-album", tmp_path, "INS")
    assert alone.counts("taxonGroup") == {"INS": 3}
    assert alone.notes["expected"]["meta-album"] == {"published": 4160, "found": 4}
    assert set(alone.ids) < set(read("meta-album", tmp_path).ids)
    (tmp_path / "meta-album" / "FNG_Mini").rename(tmp_path / "meta-album" / "FNG")
    assert len(read("meta-album", tmp_path, "FNG")) == 4
    with pytest.raises(DataNotFoundError, match="no folder PLK_Mini"):
        read("meta-album", tmp_path, "PLK")


@pytest.mark.parametrize(
    ("label", "genus"),
    [
        ("Deporaus marginatus Pascoe", "Deporaus"),
        ("Lycorma delicatula", "Lycorma"),
        ("Beet spot flies", ""),
        ("beet fly", ""),
        ("Cicadellidae", ""),
    ],
)
def test_meta_album_takes_no_crop_for_a_genus(tmp_path: Path, label: str, genus: str) -> None:
    folder = tmp_path / "meta-album" / "INS_2_Mini"
    shutil.copytree(WRITERS["cub"](tmp_path / "birds") / "images", folder / "images")
    pictures = sorted(p.relative_to(folder / "images") for p in folder.rglob("*.jpg"))
    rows = [f"{place},{label},insect" for place in pictures[:2]]
    rows += [f"{place},Beet weevil,insect" for place in pictures[2:]]
    (folder / "labels.csv").write_text("\n".join(["FILE_NAME,CATEGORY,SUPER_CATEGORY", *rows]))
    dataset = read("meta-album", tmp_path, "INS_2").where(verbatimIdentification=label)
    assert set(dataset.column("genus")) == {genus}
    assert set(dataset.column("species")) == {label}


def test_newt_one_task_or_all(tmp_path: Path) -> None:
    every = read("newt", tmp_path)
    assert every.counts("taxonGroup") == {
        "ml_age_coopers_hawk": 8,
        "inat_observed_or_not_mushroom": 8,
    }
    assert "ml_age_coopers_hawk/pos" in every.column("species")
    assert set(every.column("verbatimIdentification")) == {"neg", "pos"}
    one = read("newt", tmp_path, "ml_age_coopers_hawk")
    assert one.counts("species") == {"neg": 4, "pos": 4}
    assert "expected" not in one.notes
    assert set(one.ids) < set(every.ids)
    spec = f"newt:{tmp_path / 'newt'}#ml_age_coopers_hawk"
    assert len(load_dataset(DataConfig(data=(spec,)), workspace=tmp_path / "runs")) == 8
    with pytest.raises(UsageError, match="its 2 tasks, for example inat_observed_or_not_mushroom"):
        read("newt", tmp_path, "age")


def test_fishnet_families_or_species(tmp_path: Path) -> None:
    families = read("fishnet", tmp_path)
    assert families.counts("species") == {"Acanthuridae": 10, "Sparidae": 5}
    assert names(families, "species", "family") == {
        ("Acanthuridae", "Acanthuridae"),
        ("Sparidae", "Sparidae"),
    }
    species = read("fishnet", tmp_path, "species")
    assert species.counts("species") == {"Naso fageni": 5, "Zebrasoma flavescens": 5}
    assert species.notes["leftOut"]["reasons"] == {"no label": 5}
    root = tmp_path / "fishnet"
    for split in ("train", "test"):
        (root / "anns" / f"{split}.csv").rename(root / f"{split}.csv")
    assert read("fishnet", tmp_path).ids == families.ids


def test_rare_species_licences_and_pictures_wherever_they_lie(tmp_path: Path) -> None:
    dataset = read("rare-species", tmp_path)
    assert dataset.counts("license") == {"cc-by-0": 3, "cc-by-1": 3, "cc-by-2": 2}
    assert set(dataset.column("vernacularName")) == {"common 0", "common 1", "common 2"}
    root = tmp_path / "rare-species"
    (root / "dataset").rename(root / "2024-03-20")
    (root / "metadata" / "rarespecies-catalog.csv").rename(root / "rarespecies-catalog.csv")
    (root / "metadata" / "licenses.csv").unlink()
    flat = read("rare-species", tmp_path)
    assert len(flat) == len(dataset)
    assert set(flat.column("license")) == {dataset.cards[0].license}


def test_fungitastic_reads_the_largest_size_of_all_splits(tmp_path: Path) -> None:
    dataset = read("fungitastic", tmp_path)
    assert all("/300p/" in image for image in dataset.column("image"))
    assert dataset.where(split="train").counts("unit") == {
        "fungitastic/train0": 2,
        "fungitastic/train1": 2,
    }
    pictures = tmp_path / "fungitastic" / "FungiTastic-FewShot"
    shutil.copytree(pictures / "val" / "300p", pictures / "val" / "500p")
    assert all("/500p/" in image for image in read("fungitastic", tmp_path).column("image"))
    shutil.rmtree(pictures / "test")
    with pytest.raises(DataNotFoundError, match="no size of pictures"):
        read("fungitastic", tmp_path)


def test_birds525_test_alone_and_its_genus(tmp_path: Path) -> None:
    dataset = read("birds525", tmp_path)
    assert names(dataset, "verbatimIdentification", "species", "genus") == {
        ("ABBOTTS BABBLER", "ABBOTTS BABBLER", "Malacocincla"),
        ("PARAKETT  AUKLET", "PARAKETT AUKLET", ""),
    }
    (tmp_path / "birds525" / "birds.csv").unlink()
    test = read("birds525", tmp_path, "test")
    assert test.counts("split") == {"": 4}
    assert set(test.column("genus")) == {""}
    assert set(test.ids) < set(dataset.ids)


def test_idle_oo_one_set_and_common_names(tmp_path: Path) -> None:
    every = read("idle-oo", tmp_path)
    assert names(every, "species", "class", "genus", "vernacularName") == {
        ("Canis latrans", "Mammalia", "Canis", "coyote"),
        ("Lynx rufus", "Mammalia", "Lynx", "bobcat"),
        ("Black rat", "", "", "Black rat"),
        ("goat", "", "", "goat"),
    }
    island = read("idle-oo", tmp_path, "island")
    assert island.counts("taxonGroup") == {"island": 4}
    assert island.notes["expected"]["idle-oo"] == {"published": 310, "found": 4}
    with pytest.raises(DataNotFoundError, match=r"no table orinoquia-balanced\.csv"):
        read("idle-oo", tmp_path, "orinoquia")


def test_beetles_are_tables_by_themselves(tmp_path: Path) -> None:
    dataset = read("beetles", tmp_path)
    assert dataset.counts("taxonGroup") == {"individual": 8, "sentinel": 4}
    assert set(dataset.column("family")) == {"Carabidae"}
    assert "Amara carinata" in dataset.column("species")
    assert {
        "id": "beetles/BeetleMeasurements.csv",
        "reason": "no table of pictures with labels",
    } in (dataset.notes["leftOut"]["rows"])
    assert dataset.where(taxonGroup="sentinel").counts("unit") == {"beetles/v0": 2, "beetles/v1": 2}


@pytest.mark.parametrize(
    ("kind", "table", "column"),
    [
        ("newt", "newt2021_labels.csv", "text_label"),
        ("fishnet", "anns/train.csv", "Folder"),
        ("idle-oo", "ENA24-balanced.csv", "filepath"),
        ("rare-species", "metadata/rarespecies-catalog.csv", "eol_page_id"),
    ],
)
def test_tables_with_other_columns(kind: str, table: str, column: str, tmp_path: Path) -> None:
    root = WRITERS[kind](tmp_path / kind)
    (root / table).write_text((root / table).read_text().replace(column, "renamed", 1))
    with pytest.raises(DataError, match=f"has no column {column}"):
        read(kind, tmp_path)
