"""A census: what is in a catalogue or a data set, counted in one pass over its rows.

    census_of_catalogue(Catalogue.open(folder))      ten million rows, read in batches
    census_of_dataset(load_dataset(...))             the same of a data set in memory
    census(tables)                                   of any tables in the catalogue's columns

What is held: each distinct name of a species, creator, place of storage ... once with its number
of rows; 8 bytes a row for each of three columns in which repeats are looked for (digest, address,
unit; on disk above 32 million); a grid of the earth. Everything else is sums. The census does not
depend on how the rows are cut into batches.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.catalogue import SCHEMA, Catalogue, conform
from syntype.data.census_counter import LONG, Counter
from syntype.data.census_counts import HELD_HASHES
from syntype.data.census_data import About, Census
from syntype.data.dataset import Dataset
from syntype.data.locator import Locator
from syntype.data.raw import NUMBERS
from syntype.progress import SILENT, Progress


def census(
    tables: Iterable[pa.Table], columns: Sequence[str] = (), *, held: int = HELD_HASHES
) -> Census:
    """Count everything in one pass.

    Args:
        tables: Rows in the catalogue's columns, or some of them; text may be dictionary arrays.
        columns: The columns that the set has at all; all of the catalogue's where empty.
        held: Hashes held in memory for each of the columns `REPEATED`.
    """
    counter = Counter(columns or SCHEMA.names, held)
    for table in tables:
        counter.add(table)
    return counter.end()


def census_of_catalogue(catalogue: Catalogue, progress: Progress = SILENT) -> Census:
    """The census of a catalogue; each part is read once, a row group at a time.

    Raises:
        DataError: A part is damaged.
    """
    wanted = [name for name in SCHEMA.names if name != "id"]
    encoded = [name for name in wanted if name not in NUMBERS and name not in LONG]
    thousands = len(catalogue) // 1000

    def told() -> Iterator[pa.Table]:
        rows = 0
        with progress.task("census: rows, thousands", thousands) as task:
            for table in catalogue.scan(wanted, encoded=encoded):
                yield table
                before, rows = rows, rows + table.num_rows
                task.advance(rows // 1000 - before // 1000)

    return census(told())


def census_of_dataset(dataset: Dataset) -> Census:
    """The census of a data set in memory."""
    return census([catalogue_rows(dataset)], dataset.table.column_names)


def catalogue_rows(dataset: Dataset) -> pa.Table:
    """A data set's rows in the columns of a catalogue; a unit of its own is ""."""
    table = dataset.table
    places = [Locator.of(text) for text in table.column("image").to_pylist()]
    unit, own = table.column("unit"), pc.equal(table.column("unit"), table.column("id"))
    columns = {name: table.column(name) for name in table.column_names} | {
        "image": pa.array([one.path for one in places], pa.string()),
        "imageStore": pa.array([one.store for one in places], pa.string()),
        "imageOffset": pa.array([one.offset if one.store else None for one in places], pa.int64()),
        "imageLength": pa.array([one.length or None for one in places], pa.int64()),
        "unit": pc.if_else(own, "", unit),
    }
    return conform(pa.table(columns))


def about_catalogue(catalogue: Catalogue) -> About:
    """What a catalogue says of itself."""
    header = catalogue.header
    return About(
        name=catalogue.folder.resolve().name,
        revision=catalogue.revision,
        cards=tuple(header.cards),
        notes=header.notes,
        history=tuple(header.history),
    )


def about_dataset(dataset: Dataset) -> About:
    """What a data set says of itself."""
    return About(
        name=", ".join(card.name for card in dataset.cards),
        revision=dataset.revision,
        cards=tuple(dataset.cards),
        notes=dataset.notes,
    )
