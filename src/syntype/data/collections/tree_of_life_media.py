"""Where the pictures of TreeOfLife-10M lie, and why one is not here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from syntype.data.archive_index import index_all
from syntype.data.collections.collection import Account, Request
from syntype.data.collections.media import Media, Naming, ending_lowered, picture
from syntype.data.inflating import inflated_path

SOURCES = ("eol", "inat21", "bioscan")
N_EOL, N_BIOSCAN = 63, 113
NOT_HERE, NO_PICTURE, NO_SOURCE = "archive not here", "no such picture", "of no known source"
_SET = re.compile(r"image_set_(\d+)\.(tar|tar\.gz)")
_PART = re.compile(r"part(\d+)")
_CLASS = re.compile(r"(\d+)_.+")
_WHOLE = re.compile(r"(\d+)\.0")
_EOL = ("dataset/EOL", "dataset/eol", "EOL", "eol", "")
_INAT21 = ("dataset/inat21", "dataset/iNat21", "inat21", "iNat21", "")
_BIOSCAN = (
    "dataset/bioscan", "dataset/bioscan/cropped_256", "dataset/bioscan/images/cropped_256",
    "dataset/bioscan/bioscan/images/cropped_256", "dataset/BIOSCAN", "bioscan",
    "bioscan/cropped_256", "bioscan/images/cropped_256", "",
)  # fmt: skip


def eol_name(path: str) -> str | None:
    """`<treeoflife_id>.jpg` to the id."""
    found = picture(path)
    return found[2].partition(".")[0].lower() if found else None


def inat21_name(path: str) -> str | None:
    """`00012_Animalia_.../x.jpg` to `inat21/12/x.jpg`."""
    found = picture(path)
    number = _CLASS.fullmatch(found[0]) if found else None
    return f"inat21/{int(number[1])}/{ending_lowered(found[1])}" if found and number else None


def bioscan_name(path: str) -> str | None:
    """`part7/BIOUG00001-A01.jpg` to `bioscan/7/BIOUG00001-A01.jpg`."""
    found = picture(path)
    number = _PART.fullmatch(found[0]) if found else None
    return f"bioscan/{int(number[1])}/{ending_lowered(found[1])}" if found and number else None


@dataclass(frozen=True)
class Found:
    """The pictures that are here.

    Attributes:
        media: They.
        whole: The sources of which all that was published is here.
        nothing: What to say where nothing is here, a clause.
    """

    media: Media
    whole: frozenset[str]
    nothing: str

    def places(
        self, table: pa.Table
    ) -> tuple[dict[str, pa.Array], Bool[np.ndarray, "n"], list[str]]:
        """Where the pictures of rows lie, which are here, and why the others are not."""
        rows = [_name_of(*row) for row in zip(*_cells(table), strict=True)]
        columns, here = self.media.places([name for _, name in rows])
        reasons = [self._reason(source) for source, _ in rows]
        return columns, here, reasons

    def _reason(self, source: str) -> str:
        if not source:
            return NO_SOURCE
        return NO_PICTURE if source in self.whole else NOT_HERE


def _cells(table: pa.Table) -> list[list[str]]:
    names = (
        "treeoflife_id", "eol_content_id", "inat21_filename", "inat21_cls_num",
        "bioscan_filename", "bioscan_part",
    )  # fmt: skip
    return [table.column(name).to_pylist() for name in names]


def _name_of(
    id_: str, eol: str, inat21: str, number: str, bioscan: str, part: str
) -> tuple[str, str]:
    """The source of a row, and the name of its picture."""
    if eol:
        return "eol", id_.lower()
    if inat21:
        whole = _whole(number)
        return "inat21", f"inat21/{whole}/{ending_lowered(inat21)}" if whole else ""
    if bioscan:
        whole = _whole(part)
        return "bioscan", f"bioscan/{whole}/{ending_lowered(bioscan)}" if whole else ""
    return "", ""


def _whole(text: str) -> str:
    """A number without zeros before it and without the .0 of a table with gaps."""
    text = found[1] if (found := _WHOLE.fullmatch(text)) else text
    return str(int(text)) if text.isdecimal() else ""


def find_media(request: Request, account: Account) -> Found:
    """Index the archives and folders that are here; what lacks is noted.

    Raises:
        DataError: An archive cannot be read in place.
        ResourceError: The disk is full.
    """
    media = Media(request.home, request.work)
    of_part = {"eol": ("eol",), "inat21": ("inat21",), "bioscan": ("bioscan",)}
    finders: Mapping[str, Callable[[_Finder], bool]] = {
        "eol": _find_eol,
        "inat21": _find_inat21,
        "bioscan": _find_bioscan,
    }
    finder = _Finder(request, account, media)
    whole = {source for source in of_part.get(request.part, SOURCES) if finders[source](finder)}
    account.notes["archives"] = finder.notes
    media.end()
    account.notes["pictures"] = {"here": media.n_pictures, "twice": media.n_twice}
    nothing = "none of its archives of pictures is here"
    if finder.compressed:
        nothing += (
            f", but {len(finder.compressed)} that must be inflated first, for example with "
            f"syntype data inflate {finder.compressed[0]}"
        )
    return Found(media, frozenset(whole), nothing)


class _Finder:
    """Takes archives and folders, and notes what is wrong with them."""

    def __init__(self, request: Request, account: Account, media: Media) -> None:
        self.home, self._request, self._account = request.home, request, account
        self.media = media
        self.notes: dict[str, object] = {}
        self.compressed: list[Path] = []

    def archives(self, source: str, archives: list[Path], naming: Naming) -> bool:
        """Take archives; whether all of them are whole."""
        broken = {}
        indices = index_all(archives, work=self._request.work, progress=self._request.progress)
        for index in indices:
            self.media.add_archive(index, naming, self._account)
            if index.broken:
                broken[index.archive.name] = index.broken
        self.note(source, here=[archive.name for archive in archives], broken=broken)
        return not broken

    def note(self, source: str, **what: object) -> None:
        """Say something of a source."""
        note = self.notes.setdefault(source, {})
        assert isinstance(note, dict)
        note.update({key: value for key, value in what.items() if value})

    def inflate_first(self, source: str, archives: list[Path]) -> None:
        """Note archives that are compressed as a whole."""
        self.compressed += archives
        self.note(source, inflateFirst=[archive.name for archive in archives])


def _find_eol(finder: _Finder) -> bool:
    tars: dict[int, Path] = {}
    compressed: dict[int, Path] = {}
    for place in _EOL:
        folder = finder.home / place
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if found := _SET.fullmatch(path.name):
                kind = tars if found[2] == "tar" else compressed
                kind.setdefault(int(found[1]), path)
    finder.inflate_first("eol", [compressed[n] for n in sorted(compressed.keys() - tars.keys())])
    sound = finder.archives("eol", [tars[n] for n in sorted(tars)], eol_name)
    lacking = sorted(set(range(1, N_EOL + 1)) - tars.keys() - compressed.keys())
    finder.note("eol", notHere=[f"image_set_{number:02d}.tar" for number in lacking])
    return sound and len(tars) >= N_EOL


def _find_inat21(finder: _Finder) -> bool:
    for place in _INAT21:
        folder, tar = finder.home / place / "train", finder.home / place / "train.tar"
        if folder.is_dir():
            classes = [one for one in sorted(folder.iterdir()) if _CLASS.fullmatch(one.name)]
            for one in classes:
                finder.media.add_folder(one, inat21_name)
            finder.note("inat21", here=[f"{place}/train"], classes=len(classes))
            return bool(classes)
        if tar.is_file():
            return finder.archives("inat21", [tar], inat21_name)
        compressed = tar.with_name("train.tar.gz")
        if compressed.is_file() and inflated_path(compressed) == tar:
            finder.inflate_first("inat21", [compressed])
    finder.note("inat21", notHere=["train"])
    return False


def _find_bioscan(finder: _Finder) -> bool:
    for place in _BIOSCAN:
        folder = finder.home / place
        if not folder.is_dir():
            continue
        parts = [one for one in sorted(folder.iterdir()) if _PART.fullmatch(one.name)]
        for one in parts:
            finder.media.add_folder(one, bioscan_name)
        if parts:
            finder.note("bioscan", here=[place], parts=len(parts))
            return len(parts) >= N_BIOSCAN
        if (folder / "cropped_256.zip").is_file():
            return finder.archives("bioscan", [folder / "cropped_256.zip"], bioscan_name)
    finder.note("bioscan", notHere=["cropped_256"])
    return False
