"""Pictures by a name of the set's own, wherever they lie: folders, tars, zips.

Each set says how a picture's path gives its name. A picture is then found by the hash of that name
(`syntype.data.collections.lookup`), which costs 29 bytes a picture on the disk, and in memory only
pages that the system may drop. So tens of millions of rows can be joined with as many members.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from syntype.data.archive_index import Index
from syntype.data.collections.collection import Account
from syntype.data.collections.lookup import Lookup, hashes
from syntype.data.records import PICTURE_ENDINGS

_STORES = ("", "span", "deflate")
_BATCH = 50_000
_TOLD = 1000
Naming = Callable[[str], str | None]
"""A picture's path within its archive or folder to its name in the set; None for other files."""


class Media:
    """Pictures by name; `add_...` first, then `end`, then `places`."""

    def __init__(self, root: Path, work: Path) -> None:
        """No pictures yet.

        Args:
            root: The folder of the set.
            work: Folder for files on the way.
        """
        self._root = root
        self._holders: list[str] = []  # archives and folders, relative to the root
        # A holder's own name for a picture, where it is not the last part of the picture's name.
        self._odd: dict[tuple[int, int], str] = {}
        self._lookup = Lookup(
            {"holder": np.int32, "offset": np.int64, "length": np.int64, "store": np.int8}, work
        )
        self.n_pictures = 0

    def add_archive(self, index: Index, naming: Naming, account: Account) -> None:
        """Take the pictures of an archive; members that cannot be read are left out by name."""
        holder = self._holder(os.path.relpath(index.archive, self._root))
        for table in index.scan():
            names = [naming(name) for name in table.column("name").to_pylist()]
            good = np.array([name is not None for name in names], dtype=bool)
            reasons = table.column("reason").to_pylist()
            self._tell(index.archive, table, reasons, account)
            good &= np.array([not reason for reason in reasons], dtype=bool)
            rows = table.filter(pa.array(good))
            stores = [_STORES.index(store) for store in rows.column("store").to_pylist()]
            self._add(
                [name for name, keep in zip(names, good.tolist(), strict=True) if keep],
                holder,
                offset=rows.column("offset").to_numpy(),
                length=rows.column("length").to_numpy(),
                store=np.array(stores, np.int8),
            )

    def _tell(
        self, archive: Path, table: pa.Table, reasons: Sequence[str], account: Account
    ) -> None:
        """Name members that look like pictures and cannot be read, the first thousand."""
        for name, reason in zip(table.column("name").to_pylist(), reasons, strict=True):
            if reason and picture(name):
                told = account.notes.setdefault("members", [])
                told += [f"{archive.name}: {name}: {reason}"][: _TOLD - len(told)]

    def add_folder(self, folder: Path, naming: Naming) -> None:
        """Take the pictures that lie directly in a folder.

        Args:
            folder: The folder, inside of the root.
            naming: Of their paths, which are `FOLDER'S NAME/FILE`.
        """
        holder = self._holder(os.path.relpath(folder, self._root))
        for batch in _batches(_files(folder)):
            names = []
            for file in batch:
                name = naming(f"{folder.name}/{file}")
                if name is None:
                    continue
                names.append(name)
                if name.rpartition("/")[2] != file:
                    self._odd[holder, int(hashes([name])[0])] = file
            zeros = np.zeros(len(names), np.int64)
            self._add(names, holder, offset=zeros, length=zeros, store=zeros.astype(np.int8))

    def _holder(self, place: str) -> int:
        self._holders.append(Path(place).as_posix())
        return len(self._holders) - 1

    def _add(self, names: Sequence[str | None], holder: int, **values: np.ndarray) -> None:
        self.n_pictures += len(names)
        hashed = hashes(pa.array(names, pa.string()))
        self._lookup.add(hashed, holder=np.full(len(names), holder, np.int32), **values)

    def end(self) -> "Media":
        """Nothing can be added then."""
        self._lookup.end()
        return self

    @property
    def n_twice(self) -> int:
        """Pictures whose name another one has, which is the one that is taken."""
        return self._lookup.n_twice

    def places(self, names: Sequence[str]) -> tuple[dict[str, pa.Array], Bool[np.ndarray, "n"]]:
        """Where pictures lie.

        Args:
            names: Their names; "" for none.

        Returns:
            The columns `image`, `imageStore`, `imageOffset` and `imageLength`, and which are here.
        """
        hashed = hashes(pa.array(names, pa.string()))
        rows = self._lookup.find(hashed)
        here = (rows >= 0) & np.array([bool(name) for name in names], dtype=bool)
        rows = np.where(here, rows, -1)
        holder, store = self._lookup.take("holder", rows), self._lookup.take("store", rows)
        paths = [
            self._path_of(name, int(hashed[row]), held, kind) if is_here else ""
            for row, (name, is_here, held, kind) in enumerate(
                zip(names, here.tolist(), holder.tolist(), store.tolist(), strict=True)
            )
        ]
        inside = here & (store > 0)
        columns = {
            "image": pa.array(paths, pa.string()),
            "imageStore": pa.array([_STORES[kind] for kind in store.tolist()], pa.string()),
            "imageOffset": pa.array(self._lookup.take("offset", rows), mask=~inside),
            "imageLength": pa.array(self._lookup.take("length", rows), mask=~inside),
        }
        return columns, here

    def _path_of(self, name: str, hashed: int, holder: int, store: int) -> str:
        if store:
            return self._holders[holder]
        file = self._odd.get((holder, hashed)) or name.rpartition("/")[2]
        return f"{self._holders[holder]}/{file}"


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from sorted(entry.name for entry in entries if entry.is_file())


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    held: list[str] = []
    for name in names:
        held.append(name)
        if len(held) == _BATCH:
            yield held
            held = []
    if held:
        yield held


def picture(path: str) -> tuple[str, str, str] | None:
    """A picture's folder, its name and the name without the ending; None for other files."""
    folder, _, file = path.rpartition("/")
    stem, ending = os.path.splitext(file)
    if ending.lower() not in PICTURE_ENDINGS or file.startswith("._"):
        return None
    return folder.rpartition("/")[2], file, stem


def ending_lowered(file: str) -> str:
    """A file's name with its ending in small letters: tables and archives disagree in it."""
    stem, ending = os.path.splitext(file)
    return stem + ending.lower()
