"""CUB-200-2011: 200 kinds of birds (Wah et al. 2011, Caltech).

    FOLDER/images.txt               image id, path below images/
    FOLDER/image_class_labels.txt   image id, class id
    FOLDER/classes.txt              class id, 001.Black_footed_Albatross
    FOLDER/train_test_split.txt     image id, 1 for training
    FOLDER/images/001.Black_footed_Albatross/<picture>.jpg

FOLDER is `CUB_200_2011`, or the folder that it was unpacked in. The names are English: the number
is left out and underscores become blanks, so that a prompt reads well; the class as delivered is
kept beside it.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import pairs

_LISTS = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt")


def read(home: Path, part: str) -> Found:
    """Read the lists."""
    images, labels, classes, training = (pairs(home / file) for file in _LISTS)
    verbatim = [classes.get(labels.get(id_, "")) for id_ in images]
    names = [(name or "").partition(".")[2].replace("_", " ") for name in verbatim]
    return Found(
        root=home,
        image=[f"images/{path}" for path in images.values()],
        label=[name or None for name in names],
        columns={
            "verbatimIdentification": verbatim,
            "vernacularName": names,
            "split": [{"1": "train", "0": "test"}.get(training.get(id_, "")) for id_ in images],
        },
        plain=[True] * len(images),
    )


BENCHMARK = Benchmark(
    name="cub",
    title="CUB-200-2011 (Caltech-UCSD Birds)",
    source="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    license="non-commercial research and education; the pictures belong to their photographers",
    citation=(
        "Wah et al. (2011). The Caltech-UCSD Birds-200-2011 dataset. California Institute of "
        "Technology, CNS-TR-2011-001."
    ),
    get="unpack CUB_200_2011.tgz",
    layout=(*_LISTS, "images/<class>/<picture>.jpg"),
    needs=tuple((file,) for file in _LISTS),
    parts={"": Size(11_788, 200)},
    checksums={"CUB_200_2011.tgz": "97eceeb196236b17998738112f37df78"},
    unconfirmed="the wording of the terms; the checksum is that of public code that reads it",
    read=read,
)
