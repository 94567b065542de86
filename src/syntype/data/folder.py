"""A folder of class folders, as image classifiers have been fed for decades.

    root/species/picture.jpg                 the taxon group is the set's name
    root/group/species/picture.jpg           the first of two levels is the taxon group
    root/train/species/picture.jpg           folders called train, val, test (or validation ...)
    root/train/group/species/picture.jpg     at the top are the split

The label of a picture is the name of the folder that it lies in. Links are followed, though never
in a circle; hidden files and files that are no pictures are passed over.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from syntype.configs import DataConfig
from syntype.data.dataset import Card, Dataset
from syntype.data.records import PICTURE_ENDINGS, Records, split_of, to_dataset
from syntype.errors import DataError, DataNotFoundError


def read_folder(path: Path, config: DataConfig, *, name: str = "") -> Dataset:
    """Read a folder of class folders.

    Args:
        path: The folder.
        config: What to do with pictures that cannot be used.
        name: The set's name; the folder's where empty.

    Raises:
        DataNotFoundError: There is no such folder.
        DataError: No picture lies in a class folder.
    """
    if not path.is_dir():
        raise DataNotFoundError(f"There is no folder {path}. Check the path given to --data.")
    name = name or name_of_folder(path)
    places = [place.split("/") for place in pictures_below(path)]
    inside = [place for place in places if len(place) > 1]
    if not inside:
        raise DataError(
            f"{path} has no pictures in class folders ({len(places)} lie directly in it). Put each "
            "species in a folder of its own, FOLDER/species/picture.jpg, or give a table of labels "
            "with --data TABLE.csv."
        )
    by_split = all(split_of(place[0]) and len(place) > 2 for place in inside)
    folders = [place[int(by_split) : -1] for place in inside]
    loose = [place[0] for place in places if len(place) == 1]
    records = Records(
        card=Card(name=name, source=f"folder {path.resolve().name}"),
        root=path,
        image=["/".join(place) for place in inside],
        label=[folder[-1] for folder in folders],
        columns={
            "taxonGroup": [folder[0] if len(folder) > 1 else None for folder in folders],
            "split": [place[0] if by_split else None for place in inside],
        },
        left_out=[
            *((place, "in no class folder") for place in loose),
            *((folder, "a folder without pictures") for folder in _without_pictures(path, inside)),
        ],
    )
    return to_dataset(records, config)


def _without_pictures(path: Path, inside: list[list[str]]) -> list[str]:
    """The folders directly in `path` that hold nothing to use: a class that got lost, perhaps."""
    found = {place[0] for place in inside}
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return sorted(
        f"{name}/" for name in names if name not in found and not name.startswith((".", "__MACOSX"))
    )


def name_of_folder(path: Path) -> str:
    """The name of the folder at `path`, also where that is `.` or a drive."""
    return path.resolve().name or "data"


def pictures_below(root: Path) -> Iterator[str]:
    """Paths of the pictures below `root`, relative to it, with / between folders, sorted."""
    return iter(sorted(_walk(root, "", {root.resolve()})))


def _walk(folder: Path, prefix: str, above: set[Path]) -> Iterator[str]:
    """Pictures in `folder` and below; a link to a folder that it lies in is not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__MACOSX")):
                continue
            if entry.is_dir():
                place = folder / entry.name
                real = place.resolve() if entry.is_symlink() else None
                if real not in above:
                    inner = above | {real or place.resolve()}
                    yield from _walk(place, f"{prefix}{entry.name}/", inner)
            elif os.path.splitext(entry.name)[1].lower() in PICTURE_ENDINGS:
                yield prefix + entry.name
