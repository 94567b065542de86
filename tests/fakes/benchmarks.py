"""Published benchmarks in miniature, each in the layout that its archives unpack to, with its dirt.

Names of species are real, everything else is made up. `tests/data/benchmarks` says what each holds.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from fakes.pictures import write_picture


def _pictures(root: Path, places: Sequence[str]) -> None:
    for place in places:
        write_picture(root / place, place)


def _grey(root: Path, place: str) -> None:
    """A picture without colours, as camera traps take at night and scanners of old."""
    write_picture(root / place, place)
    with Image.open(root / place) as picture:
        grey = picture.convert("L")
    grey.save(root / place)


def _table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _list(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_rare_species(root: Path) -> Path:
    """Three species; an id as 12.0, a picture withdrawn, a row without a species."""
    ranks = {
        "tuberculata": "Animalia,Mollusca,Bivalvia,Unionida,Unionidae,Cyclonaias",
        "attu": "Animalia,Chordata,Actinopterygii,Siluriformes,Siluridae,Wallago",
        "ambreense": "Animalia,Chordata,Reptilia,Squamata,Chamaeleonidae,Calumma",
    }
    rows, licenses = [], []
    for number, (epithet, lineage) in enumerate(ranks.items()):
        words = lineage.split(",")
        folder = "dataset/" + "-".join([*words, epithet])
        for copy in range(3):
            content, page = 100 + 10 * number + copy, 7000 + number
            id_ = f"rs{number}{copy}"
            name = f"{words[-1]} {epithet}"
            content_text = f"{content}.0" if copy == 1 else content
            rows.append([id_, content_text, page, *words, epithet, name, f"common {number}"])
            licenses.append([id_, f"cc-by-{copy}"])
            if (number, copy) != (2, 2):
                _pictures(root, [f"{folder}/{content}_{page}_eol-full-size-copy.jpg"])
    rows.append(["rs99", 999, 7999, "Animalia", "", "", "", "", "", "", "", ""])
    header = (
        "rarespecies_id,eol_content_id,eol_page_id,kingdom,phylum,class,order,family,genus,"
        "species,sciName,common"
    )
    _table(root / "metadata/rarespecies-catalog.csv", header, rows)
    _table(root / "metadata/licenses.csv", "rarespecies_id,license_name", licenses)
    _grey(root, "dataset/x/999_7999_eol-full-size-copy.jpg")
    return root


def write_meta_album(root: Path) -> Path:
    """Four of the sets, two as the format page says, two as BioCLIP expects them."""
    of_page = {
        "FNG": ["Amanita muscaria (L.) Lam., 1783", "Agaricus arvensis Schaeff."],
        "MED_LF": ["Piper Betle (Betel)", "Mentha (Mint)", "Hibiscus Rosa-sinensis"],
    }
    for code, labels in of_page.items():
        rows = [[f"{i}{j}.jpg", label, "NAN"] for i, label in enumerate(labels) for j in range(2)]
        folder = root / f"{code}_Mini"
        _table(folder / "labels.csv", "FILE_NAME,CATEGORY,SUPER_CATEGORY", rows)
        endings = {"FNG": ".JPG", "MED_LF": ".jpg"}
        for file, label, _ in rows:
            write_picture(folder / "images" / file.replace(".jpg", endings[code]), file + label)
    of_bioclip = {
        "INS": ["Apidae", "Les Syrphes (Syrphus, Dasysyrphus et autres)"],
        "PLT_DOC": ["Apple leaf", "Tomato leaf", "Tomato Early blight leaf"],
    }
    for code, labels in of_bioclip.items():
        folder = root / "set2" / f"{code}_Mini" / "val"
        rows = [[j, f"{label}/{j}.jpg", label] for label in labels for j in range(2)]
        _pictures(folder, [str(place) for _, place, _ in rows[:-1]])
        _table(folder / "metadata.csv", ",filepath,class", rows)
    return root


def write_nabirds(root: Path) -> Path:
    """Four categories of three species, a name with two blanks; two photographers, a file gone."""
    classes = {
        "0": "Birds",
        "5": "Thrushes and Allies",
        "23": "American Robin",
        "24": "Black footed Tern",
        "0817": "American Robin (Adult)",
        "0818": "American Robin  (Juvenile)",
        "0860": "Black footed Tern",
        "0861": "Oak Titmouse",
    }
    parents = {"5": "0", "23": "5", "24": "5", "0817": "23", "0818": "23", "0860": "24"}
    images, labels, split, taken = [], [], [], []
    for class_ in ("0817", "0818", "0860", "0861"):
        for number in range(4):
            id_ = f"{class_}-{number}"
            images.append(f"{id_} {class_}/{class_}{number}.jpg")
            labels.append(f"{id_} {class_}")
            split.append(f"{id_} {number % 2}")
            taken.append(f"{id_} {'Zoë Birch' if number < 2 else 'Ann Lee'}")
    _pictures(root / "images", [line.split(" ")[1] for line in images[:-1]])
    _list(root / "images.txt", images)
    _list(root / "image_class_labels.txt", labels)
    _list(root / "classes.txt", [f"{class_} {name}" for class_, name in classes.items()])
    _list(root / "hierarchy.txt", [*(f"{a} {b}" for a, b in parents.items()), "0861 5"])
    _list(root / "train_test_split.txt", split)
    _list(root / "photographers.txt", taken)
    return root


def write_cub(root: Path) -> Path:
    """Three classes with the names that cleaning would take for scientific ones."""
    classes = ["001.Black_footed_Albatross", "002.Black_Tern", "003.Red_winged_Blackbird"]
    images = [f"{name}/{name[4:]}_{j}.jpg" for name in classes for j in range(4)]
    _pictures(root / "images", images)
    _list(root / "images.txt", [f"{i + 1} {place}" for i, place in enumerate(images)])
    _list(root / "image_class_labels.txt", [f"{i + 1} {1 + i // 4}" for i in range(len(images))])
    _list(root / "classes.txt", [f"{i + 1} {name}" for i, name in enumerate(classes)])
    _list(root / "train_test_split.txt", [f"{i + 1} {int(i % 2)}" for i in range(len(images))])
    return root


_INAT = {
    "Lumbricus terrestris": "Animalia,Annelida,Clitellata,Haplotaxida,Lumbricidae",
    "Papaver rhoeas": "Plantae,Tracheophyta,Magnoliopsida,Ranunculales,Papaveraceae",
}


def write_inat21(root: Path) -> Path:
    """Two species; annotations and folders say the same, and one listed picture is not there."""
    categories, folders = [], []
    for number, (name, lineage) in enumerate(_INAT.items()):
        genus, epithet = name.split()
        folders.append("_".join([f"{number:05d}", *lineage.split(","), genus, epithet]))
        ranks = dict(
            zip(("kingdom", "phylum", "class", "order", "family"), lineage.split(","), strict=True)
        )
        categories.append(
            {
                "id": number,
                "name": name,
                "common_name": f"common {number}",
                "supercategory": ["Animalia", "Plants"][number],
                **ranks,
                "genus": genus,
                "specific_epithet": epithet,
                "image_dir_name": folders[-1],
            }
        )
    for split, n_images in (("train_mini", 6), ("train", 8), ("val", 4)):
        images = []
        for number, folder in enumerate(folders):
            places = [f"{split}/{folder}/{j}{number}.jpg" for j in range(n_images)]
            _pictures(root, places)
            images += [
                {"id": 100 * number + j, "file_name": place, "license": j % 2, "rights_holder": "A"}
                for j, place in enumerate(places)
            ]
        images[0] = images[0] | {"rights_holder": None}
        gone = {"id": 999, "file_name": f"{split}/{folders[0]}/gone.jpg", "license": 0}
        text = {
            "categories": categories,
            "images": [*images, gone],
            "annotations": [
                {"id": i, "image_id": one["id"], "category_id": one["id"] // 100 % 9}
                for i, one in enumerate([*images, gone])
            ],
            "licenses": [{"id": 0, "name": "CC BY"}, {"id": 1, "name": "CC BY-NC"}],
        }
        (root / f"{split}.json").write_text(json.dumps(text))
    return root


def write_birds525(root: Path) -> Path:
    """Two classes in capitals, one with a stray blank; the table knows the genus of one."""
    classes = ["ABBOTTS BABBLER", "PARAKETT  AUKLET"]
    for split, n_images in (("train", 5), ("valid", 2), ("test", 2)):
        _pictures(root, [f"{split}/{name}/{j}.jpg" for name in classes for j in range(n_images)])
    _grey(root, "train/ABBOTTS BABBLER/0.jpg")
    rows = [
        [0.0, "train/ABBOTTS BABBLER/0.jpg", "ABBOTTS BABBLER", "train", "MALACOCINCLA ABBOTTI"],
        [1.0, "train/PARAKETT  AUKLET/0.jpg", "PARAKETT  AUKLET", "train", ""],
    ]
    _table(root / "birds.csv", "class id,filepaths,labels,data set,scientific name", rows)
    return root


def write_fungitastic(root: Path) -> Path:
    """Two species in three splits; two pictures of an observation; 500p is not everywhere."""
    name = "FungiTastic-FewShot"
    header = "filename,observationID,kingdom,phylum,class,order,family,genus,species,habitat"
    for split, word in (("train", "Train"), ("val", "Val"), ("test", "Test")):
        rows = []
        for number, species in enumerate(["Mycena pura", "Russula vesca"]):
            for copy in range(2):
                lineage = ["Fungi", "Basidiomycota", "Agaricomycetes", "Agaricales", "Mycenaceae"]
                file = f"{number}-{split}-{copy}.JPG"
                rows.append(
                    [file, f"{split}{number}", *lineage, species.split()[0], species, "lawn"]
                )
                sizes = ("300p", "500p") if split != "val" else ("300p",)
                for size in sizes:
                    write_picture(root / name / split / size / file, f"{file}{size}")
        _table(root / "metadata" / name / f"{name}-{word}.csv", header, rows)
    return root


def write_newt(root: Path) -> Path:
    """Two tasks with the same words for their answers."""
    rows = []
    for task in ("ml_age_coopers_hawk", "inat_observed_or_not_mushroom"):
        for number in range(8):
            id_ = f"{task[:6]}-{number}"
            text = ["neg", "pos"][number % 2]
            split = "train" if number < 4 else "test"
            rows.append([id_, "appearance", "age", task, number % 2, text, split, 16, 16])
    _pictures(root / "newt2021_images", [f"{row[0]}.jpg" for row in rows])
    header = "id,task_cluster,task_subcluster,task,label,text_label,split,height,width"
    _table(root / "newt2021_labels.csv", header, rows)
    return root


def write_fishnet(root: Path) -> Path:
    """Two families; rows of FishBase with an address and a species, rows of iNaturalist without."""
    header = (
        ",Unnamed: 0,species,image,SpecCode,Genus,Subfamily,Family,Order,Class,SuperClass,source,"
        "Folder,Troph"
    )
    site = "https://www.fishbase.se/images/species"
    fishes = [
        ("Naso fageni", "Naso", "Acanthuridae", "Acanthuriformes", "Actinopteri", "fishbase"),
        ("Zebrasoma flavescens", "Zebrasoma", "Acanthuridae", "Acanthuriformes", "Actinopteri", ""),
        ("", "Diplodus", "Sparidae", "Perciformes", "Actinopterygii", "inat"),
    ]
    for split, n_images in (("train", 3), ("test", 2)):
        rows = []
        for number, (species, genus, family, order, class_, source) in enumerate(fishes):
            for copy in range(n_images):
                file = f"{split}{number}{copy}.jpg"
                image = f"{site}/{file}" if source == "fishbase" else file
                head = [copy, copy, species, image, "", genus, "", family, order, class_, ""]
                rows.append([*head, source, family, 3.5])
                _pictures(root, [f"Image_Library/{family}/{file}"])
        _table(root / "anns" / f"{split}.csv", header, rows)
    return root


def write_idle_oo(root: Path) -> Path:
    """Two of the sets: paths with and without the set's name, species and common names."""
    header = "filepath,kingdom,phylum,cls,order,family,genus,species,common_name,class,sequence_id"
    mammal = ["Animalia", "Chordata", "Mammalia", "Carnivora"]
    rows = []
    for number, (family, genus, species, common) in enumerate(
        [("Canidae", "Canis", "latrans", "coyote"), ("Felidae", "Lynx", "rufus", "bobcat")]
    ):
        for copy in range(4):
            place = f"ENA24/{number}{copy}.jpg"
            names = [family, genus, species, common, f"{genus} {species}", f"s{number}{copy // 2}"]
            rows.append([place, *mammal, *names])
    _pictures(root / "data/test", [str(row[0]) for row in rows])
    _grey(root / "data/test", "ENA24/00.jpg")
    _table(root / "ENA24-balanced.csv", header, rows)
    rows = [[f"i{j}.jpg", ["Black rat", "goat"][j % 2]] for j in range(4)]
    _pictures(root / "data/test/island", [str(row[0]) for row in rows])
    _table(root / "island-balanced.csv", "filepath,common_name", rows)
    return root


def write_beetles(root: Path) -> Path:
    """A table of specimens, one of measurements without pictures, one in a folder of its own."""
    names = ["Carabus goryi", "Pterostichus coracinus", ""]
    rows = [
        [f"b{number}{copy}", name, f"{number}{copy}.png", "BART"]
        for number, name in enumerate(names)
        for copy in range(4)
    ]
    _pictures(root / "individual_images", [str(row[2]) for row in rows])
    _table(root / "individual.csv", "individualID,scientificName,file_path,siteID", rows)
    _table(root / "BeetleMeasurements.csv", "pictureID,dist_cm", [["a", 1.5], ["b", 2.5]])
    rows = [[f"{j}.jpg", "Amara", "carinata", f"v{j // 2}"] for j in range(4)]
    _pictures(root / "sentinel", [str(row[0]) for row in rows])
    _table(root / "sentinel/train.csv", "file_path,genus,species,catalogNumber", rows)
    return root


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "rare-species": write_rare_species,
    "meta-album": write_meta_album,
    "nabirds": write_nabirds,
    "cub": write_cub,
    "inat21": write_inat21,
    "birds525": write_birds525,
    "fungitastic": write_fungitastic,
    "newt": write_newt,
    "fishnet": write_fishnet,
    "idle-oo": write_idle_oo,
    "beetles": write_beetles,
}
