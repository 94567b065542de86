"""From what a user names to a catalogue: a large set, museum records, or any data set."""

from pathlib import Path

from syntype.configs import DataConfig, Workplace
from syntype.data.catalogue import Catalogue
from syntype.data.collections.read import read_collection
from syntype.data.collections.registry import COLLECTIONS
from syntype.data.from_catalogue import write_dataset
from syntype.data.importing import import_raw
from syntype.data.load import RECORDS, parse_spec, read_spec
from syntype.data.occurrences.load import format_of, read_occurrences
from syntype.errors import DataError
from syntype.progress import SILENT, Progress


def import_from(spec: str, out: Path, place: Workplace, progress: Progress = SILENT) -> Catalogue:
    """Make a catalogue.

    Args:
        spec: `KIND:FOLDER[#PART]` of a large set; `records:PATH`, or the path alone, of museum or
            occurrence records; or what `--data` takes. `NAME=` before it names the set.
        out: Folder of the catalogue.
        place: Where to work.
        progress: Where to say how far it is.

    Raises:
        DataNotFoundError: There is nothing to read.
        DataError: It cannot be read.
        UsageError: There is something at `out` already, or no such part.
        ResourceError: The disk is full, or a folder may not be written.
    """
    name, kind, text = parse_spec(spec)
    work = place.workspace / "data" / "import"
    if kind in COLLECTIONS:
        folder, _, part = text.partition("#")
        home = Path(folder).expanduser()
        raw = read_collection(kind, home, part=part, name=name, work=work, progress=progress)
        return import_raw(raw, out, {"read": kind, "part": part}, progress=progress)
    path = Path(text).expanduser()
    if kind == RECORDS or (not kind and is_records(path)):
        raw = read_occurrences(path, work=work, name=name, progress=progress)
        return import_raw(raw, out, {"read": RECORDS}, progress=progress)
    config = DataConfig(data=(spec,))
    dataset = read_spec(spec, config, place.workspace, progress, place.workers)
    return write_dataset(dataset, out, {"read": kind or "path"})


def is_records(path: Path) -> bool:
    """Whether museum or occurrence records lie at a path, of whatever format."""
    if not path.exists():
        return False
    try:
        return bool(format_of(path))
    except DataError:
        return False
