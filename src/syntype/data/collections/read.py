"""A large set's folder to raw rows: its reader, found by its name."""

from pathlib import Path

from syntype.data.collections.collection import Request
from syntype.data.collections.registry import COLLECTIONS
from syntype.data.folder import name_of_folder
from syntype.data.raw import Raw
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress


def read_collection(
    kind: str,
    path: Path,
    *,
    part: str = "",
    name: str = "",
    work: Path | None = None,
    progress: Progress = SILENT,
) -> Raw:
    """Read a large published set as it is published.

    Args:
        kind: Its name in `COLLECTIONS`.
        path: Its folder.
        part: Which part of it; the default one where empty.
        name: The set's name, which begins every id; the folder's where empty.
        work: Folder for what is made on the way; `.syntype` in the set's folder where None.
        progress: Where to say how far it is.

    Returns:
        The rows. Their notes hold `rows`: how many were read, taken and, by reason, left out,
        which adds up.

    Raises:
        DataNotFoundError: There is no such folder, or not what the set consists of.
        DataError: A table has other columns, or an archive cannot be read in place.
        UsageError: There is no such part.
        ResourceError: The disk is full, or the work folder may not be written.
    """
    collection = COLLECTIONS[kind]
    part = part or next(iter(collection.parts))
    if part not in collection.parts:
        raise UsageError(
            f"{collection.title} has no part {part!r}. Name one of its parts: {collection.usage}."
        )
    if not path.is_dir():
        raise collection.absent(path, "there is no such folder")
    request = Request(
        home=path,
        part=part,
        name=name or name_of_folder(path),
        work=work or path / ".syntype",
        progress=progress,
    )
    return collection.read(request)
