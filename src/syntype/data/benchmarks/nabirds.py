"""NABirds: North American birds as a field guide tells them apart (Van Horn et al. 2015).

    FOLDER/images.txt               image id, path below images/
    FOLDER/image_class_labels.txt   image id, class id
    FOLDER/classes.txt              class id, name; inner nodes of the tree too
    FOLDER/hierarchy.txt            class id, id of its parent
    FOLDER/train_test_split.txt     image id, 1 for training
    FOLDER/photographers.txt        image id, name (optional)
    FOLDER/images/0817/<id>.jpg     the folder is the class

The 555 classes are visual categories: `American Robin (Adult)` and `American Robin (Juvenile)` are
two. `nabirds:FOLDER#species` merges them into their parents of the same name, 404 species as
published. Scores on 555 classes, on 404 species, on all pictures and on the test pictures are four
different numbers, and publications report all of them. The names are English, so no rank but the
species is filled.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import pairs

_LISTS = (
    "images.txt",
    "image_class_labels.txt",
    "classes.txt",
    "hierarchy.txt",
    "train_test_split.txt",
)


def read(home: Path, part: str) -> Found:
    """Read the lists; `part` is categories or species."""
    images, labels, classes, parents, training = (pairs(home / file) for file in _LISTS)
    species = {
        class_: _species(name, classes.get(parents.get(class_, ""), ""))
        for class_, name in classes.items()
    }
    names = species if part == "species" else classes
    photographers = home / "photographers.txt"
    taken_by = pairs(photographers) if photographers.is_file() else {}
    of_image = [labels.get(id_, "") for id_ in images]
    return Found(
        root=home,
        image=[f"images/{path}" for path in images.values()],
        label=[names.get(class_) for class_ in of_image],
        columns={
            "verbatimIdentification": [classes.get(class_) for class_ in of_image],
            "vernacularName": [species.get(class_) for class_ in of_image],
            "unit": [taken_by.get(id_) for id_ in images],
            "split": [{"1": "train", "0": "test"}.get(training.get(id_, "")) for id_ in images],
        },
        plain=[True] * len(images),
    )


def _species(name: str, parent: str) -> str:
    """The parent's name where `name` is that with a plumage in brackets behind."""
    stem = name.partition("(")[0].strip()  # one of the published names has two blanks there
    return parent if stem == parent else name


BENCHMARK = Benchmark(
    name="nabirds",
    title="NABirds (North American birds, with plumages)",
    source="https://dl.allaboutbirds.org/nabirds",
    license="non-commercial research and education, by the form on its page",
    citation=(
        "Van Horn et al. (2015). Building a bird recognition app and large scale dataset with "
        "citizen scientists. CVPR."
    ),
    get="fill in the form, unpack nabirds.tar.gz",
    layout=(*_LISTS, "photographers.txt (optional)", "images/<class id>/<picture>.jpg"),
    needs=tuple((file,) for file in _LISTS),
    parts={"categories": Size(48_562, 555), "species": Size(48_562, 404)},
    unit="photographer",
    checksums={"nabirds.tar.gz": "df21a9e4db349a14e2b08adfd45873bd"},
    unconfirmed="the wording of the terms; the checksum is that of public code that reads it",
    read=read,
)
