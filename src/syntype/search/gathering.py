"""From what a user names to records: pictures in folders, tables, catalogues, museum records.

    gbif:QUERY  idigbio:QUERY   the service is asked, its answer kept, the pictures fetched
    CATALOGUE, records:PATH, KIND:FOLDER   what `syntype data import` reads
    synthetic-six:SIZE ...      observations, of which the pictures are taken
    FOLDER                      all its pictures; one in a folder of its own has that one's name
    what --data takes           tables, benchmarks, synthetic:SIZE

A record comes for each picture, with its name or without. What is fetched and imported lies below
the workspace, and is brought up to date when it is gathered again: a service is asked anew, and
only the pictures that are new are fetched. `NAME=` before a source names its set.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from syntype import files
from syntype.configs import DataConfig, FetchConfig, IndexConfig, Workplace
from syntype.data.catalogue import Catalogue, is_catalogue
from syntype.data.census_dates import span_of
from syntype.data.dataset import Card
from syntype.data.folder import pictures_below
from syntype.data.from_catalogue import catalogue_tables
from syntype.data.import_from import import_from, is_records
from syntype.data.load import IMPORTED, parse_spec, read_spec
from syntype.data.locator import Locator
from syntype.data.observations import Observations
from syntype.data.table import TABLE_NAMES
from syntype.data.vlm4bio import is_vlm4bio
from syntype.errors import DataError, DataNotFoundError
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash
from syntype.search.records import conform_records
from syntype.taxonomy.taxon import RANKS

_NAMES = ("verbatimIdentification", "scientificName", *RANKS, "vernacularName")
_SERVICES = ("gbif", "idigbio")
_BLOCK = 4096
_MEDIA = "media"


@dataclass(frozen=True)
class Gathered:
    """Records that may go into an index.

    Attributes:
        tables: Rows of `RECORD`, block by block, each time anew.
        n: How many there are.
        roots: `datasetName` to the folder that its media lie in.
        cards: Where each set comes from.
    """

    tables: Callable[[], Iterator[pa.Table]]
    n: int
    roots: Mapping[str, Path]
    cards: Sequence[Card]


def gather(
    source: str, config: IndexConfig, place: Workplace, progress: Progress = SILENT
) -> Gathered:
    """The records that a source names.

    Args:
        source: See the top of the module.
        config: Its `offline` and `limit` count.
        place: Where what is fetched goes.
        progress: Where to say how far it is.

    Raises:
        DataNotFoundError: There is nothing to read.
        DataError: It cannot be read, or holds no picture.
        IncompleteError: A service did not answer; the same call goes on.
        ResourceError: The disk is full, or a folder may not be written.
    """
    home = place.workspace / "gathered" / _name_of(source)
    name, kind, text = parse_spec(source)
    service, colon, query = text.partition(":")
    if not kind and colon and service in _SERVICES:
        _ask(service, query, home / "answer", config, progress)
        spec = f"{name or _words(source)}=records:{home / 'answer'}"
        return _imported(spec, home, config, place, progress)
    path = Path(text).expanduser()
    if not kind and is_catalogue(path):
        return _of_catalogue(Catalogue.open(path), home, config, progress)
    if kind == "catalogue":
        return _of_catalogue(Catalogue.open(path), home, config, progress)
    if kind in IMPORTED or (not kind and is_records(path)):
        return _imported(source, home, config, place, progress)
    observed = _observations(source, place, progress)
    if observed is not None:
        return _of_observations(observed)
    if kind == "folder" or (not kind and _is_plain_folder(path)):
        return _of_folder(path, name)
    found = read_spec(source, DataConfig(data=(source,)), place.workspace, progress, place.workers)
    tables = [conform_records(table) for table in catalogue_tables(found)]
    return _gathered(tables, found.roots, found.cards)


def _words(source: str) -> str:
    return re.sub(r"[^\w.-]+", "-", source).strip("-")[-40:]


def _name_of(source: str) -> str:
    return f"{_words(source)}-{content_hash(source, 8)}"


def _ask(service: str, query: str, folder: Path, config: IndexConfig, progress: Progress) -> None:
    """Have the service's answer in a folder: the rest of one that was cut off, or a new one."""
    from syntype.fetching.gbif_api import get_gbif
    from syntype.fetching.idigbio_api import get_idigbio

    whole = folder.with_name("whole")  # a file that is there when the answer is
    if whole.exists():
        if config.offline:
            return
        whole.unlink()
        shutil.rmtree(folder)  # there may be new records
    how, most = FetchConfig(to=folder.parent), config.limit or None
    if service == "gbif":
        answered = get_gbif(query, folder, how, limit=most, progress=progress)
    else:
        answered, _ = get_idigbio(query, folder, how, limit=most, progress=progress)
    files.write_text(whole, "")
    progress.say(f"{answered.n_records:,} of {answered.total:,} records are in {folder}.")


def _imported(
    spec: str, home: Path, config: IndexConfig, place: Workplace, progress: Progress
) -> Gathered:
    folder = home / "catalogue"
    shutil.rmtree(folder, ignore_errors=True)  # of the last time: the source may have grown
    return _of_catalogue(import_from(spec, folder, place, progress), home, config, progress)


def _of_catalogue(
    catalogue: Catalogue, home: Path, config: IndexConfig, progress: Progress
) -> Gathered:
    """The rows of a catalogue that have a picture, or an address of one."""
    heard = _heard(catalogue)
    roots = dict(catalogue.header.roots)
    media = home / _MEDIA
    if (not config.offline or media.is_dir()) and _is_elsewhere(catalogue):
        catalogue = _fetched(catalogue, home, config, progress)
        # A set keeps its folder where a part of it was here before: its other media lie in this.
        roots = {**catalogue.header.roots, f"fetched of {home.name}": media}

    def tables() -> Iterator[pa.Table]:
        for table in catalogue.scan():
            pictures = pc.and_(
                pc.not_equal(table.column("image"), ""),
                pc.or_(
                    pc.equal(table.column("mediaType"), "StillImage"),
                    pc.equal(table.column("mediaType"), ""),
                ),
            )
            yield from _blocks(conform_records(table.filter(pictures)), heard)

    if not any(table.num_rows for table in tables()):
        raise DataError(
            f"{catalogue.folder} has no record with a picture here. Fetch them with `syntype data "
            "download`, or look with `syntype data info` at what there is."
        )
    return Gathered(tables, len(catalogue), roots, catalogue.header.cards)


def _heard(catalogue: Catalogue) -> frozenset[str]:
    """The occurrences that there is a sound of."""
    found: set[str] = set()
    for table in catalogue.scan(("occurrenceID", "mediaType")):
        sounds = table.filter(pc.equal(table.column("mediaType"), "Sound"))
        found.update(sounds.column("occurrenceID").to_pylist())
    return frozenset(found - {""})


def _is_elsewhere(catalogue: Catalogue) -> bool:
    """Whether a row has an address of a picture that is not here."""
    for table in catalogue.scan(("image", "accessURI")):
        missing = pc.and_(
            pc.equal(table.column("image"), ""), pc.not_equal(table.column("accessURI"), "")
        )
        if pc.any(missing).as_py():
            return True
    return False


def _fetched(
    catalogue: Catalogue, home: Path, config: IndexConfig, progress: Progress
) -> Catalogue:
    """The catalogue with the pictures that could be fetched, now or before."""
    from syntype.fetching.media import fetch_media, with_media

    media, folder = home / _MEDIA, home / "with-media"
    if not config.offline:
        done = fetch_media(catalogue, FetchConfig(to=media), progress=progress)
        progress.say(
            f"{done.n_here:,} of {done.n_wanted:,} pictures are here; the same command tries the "
            "others again."
        )
    if not media.is_dir():
        return catalogue
    shutil.rmtree(folder, ignore_errors=True)
    return with_media(catalogue, media, folder)


def _observations(source: str, place: Workplace, progress: Progress) -> Observations | None:
    """Observations, where a source names them by their kind."""
    from syntype.data import observations_read as reading
    from syntype.data.observations_published import SETS

    if not reading.parse_spec(source, (reading.SYNTHETIC, *SETS))[1]:
        return None
    return reading.read_spec(
        source,
        DataConfig(data=(source,)),
        workspace=place.workspace,
        progress=progress,
        workers=place.workers,
    )


def _of_observations(found: Observations) -> Gathered:
    table = found.table.filter(pc.not_equal(found.table.column("image"), ""))
    places = [Locator.of(text) for text in table.column("image").to_pylist()]
    sounds = pc.not_equal(table.column("sound"), "").to_pylist()
    columns = {name: table.column(name) for name in table.column_names}
    columns |= _located(places)
    columns["has"] = pa.array(["sound" if sound else "" for sound in sounds])
    return _gathered([conform_records(pa.table(columns))], found.roots, found.cards)


def _is_plain_folder(path: Path) -> bool:
    """Whether a folder is read picture by picture, and not by a table that lies in it."""
    return (
        path.is_dir()
        and not any((path / name).is_file() for name in TABLE_NAMES)
        and not is_vlm4bio(path)
    )


def _of_folder(path: Path, name: str) -> Gathered:
    """Every picture of a folder; one that lies in a folder of its own has that one's name."""
    if not path.is_dir():
        raise DataNotFoundError(f"There is no folder {path}. Check the path.")
    name = name or path.resolve().name
    places = list(pictures_below(path))
    if not places:
        raise DataError(f"{path} has no pictures in it, nor in its folders. Check the path.")
    inside = any("/" in place for place in places)
    named: dict[str, tuple[str, ...]] = {}
    if inside:
        found = read_spec(f"{name}=folder:{path}", DataConfig(data=(str(path),)), path, SILENT, 1)
        rows = zip(*(found.column(one) for one in ("image", *_NAMES)), strict=True)
        named = {row[0]: row[1:] for row in rows}
    unknown = ("",) * len(_NAMES)
    labels = zip(*(named.get(place, unknown) for place in places), strict=True)
    table = pa.table(
        {
            **{
                term: pa.array(label, pa.string())
                for term, label in zip(_NAMES, labels, strict=True)
            },
            "id": pa.array([f"{name}/{place}" for place in places]),
            "datasetName": pa.array([name] * len(places)),
            **_located([Locator(place) for place in places]),
        }
    )
    card = Card(name=name, source=f"folder {path.resolve().name}")
    return _gathered([conform_records(table)], {name: path}, (card,))


def _located(places: Sequence[Locator]) -> dict[str, pa.Array]:
    """The columns that say where pictures lie."""
    return {
        "image": pa.array([place.path for place in places], pa.string()),
        "imageStore": pa.array([place.store for place in places], pa.string()),
        "imageOffset": pa.array([place.offset for place in places], pa.int64()),
        "imageLength": pa.array([place.length for place in places], pa.int64()),
        "mediaType": pa.array(["StillImage"] * len(places), pa.string()),
    }


def _gathered(
    tables: Sequence[pa.Table], roots: Mapping[str, Path], cards: Sequence[Card]
) -> Gathered:
    def blocks() -> Iterator[pa.Table]:
        for table in tables:
            yield from _blocks(table, frozenset())

    return Gathered(blocks, sum(table.num_rows for table in tables), roots, tuple(cards))


def _blocks(table: pa.Table, heard: frozenset[str]) -> Iterator[pa.Table]:
    """A table in blocks, with what each record has."""
    for start in range(0, table.num_rows, _BLOCK):
        block = table.slice(start, _BLOCK)
        yield block.set_column(
            block.schema.get_field_index("has"), "has", pa.array(_has(block, heard), pa.string())
        )


def _has(table: pa.Table, heard: frozenset[str]) -> list[str]:
    dates: dict[str, bool] = {}
    found = []
    columns = ("has", "occurrenceID", "image", "decimalLatitude", "decimalLongitude", "eventDate")
    for before, occurrence, image, latitude, longitude, date in zip(
        *(table.column(name).to_pylist() for name in columns), strict=True
    ):
        if date not in dates:
            dates[date] = span_of(date) is not None
        sound = occurrence in heard or "sound" in before.split()
        there = latitude is not None and longitude is not None
        flags = (("image", image), ("sound", sound), ("place", there), ("date", dates[date]))
        found.append(" ".join(word for word, has in flags if has))
    return found
