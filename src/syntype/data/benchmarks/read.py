"""A benchmark's folder to a dataset: its reader, then what all of them share."""

from pathlib import Path

import pyarrow as pa

from syntype.configs import DataConfig
from syntype.data.benchmarks.benchmark import Benchmark, Found
from syntype.data.benchmarks.files import on_disk
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.dataset import Card, Dataset
from syntype.data.folder import name_of_folder
from syntype.data.records import Column, Records, to_dataset
from syntype.errors import UsageError
from syntype.taxonomy.cleaning import unicode, white_space


def read_benchmark(
    kind: str, path: Path, config: DataConfig, *, part: str = "", name: str = ""
) -> Dataset:
    """Read a published benchmark as its archives unpack.

    Args:
        kind: Its name in `BENCHMARKS`.
        path: Its folder, or the folder that its one folder lies in.
        config: What to do with rows that cannot be used.
        part: Which part of it; the default one where empty.
        name: The set's name; the folder's where empty.

    Returns:
        The dataset; its note `expected` has the published number of rows where there are others.

    Raises:
        DataNotFoundError: There is no such folder, or not what the benchmark consists of.
        DataError: A table has other columns.
        UsageError: There is no such part.
    """
    benchmark = BENCHMARKS[kind]
    part = part or next(iter(benchmark.parts))
    if part not in benchmark.parts and not benchmark.part_name:
        raise UsageError(
            f"{benchmark.title} has no part {part!r}. Name one of its parts: {benchmark.usage}."
        )
    found = benchmark.read(_home(benchmark, path), part)
    image, missing = on_disk(found.root, found.image)
    if len(missing) == len(image):
        example = f" of the {len(image)} listed is there, for example {image[0]}" if image else ""
        raise benchmark.absent(path, f"no picture{example or ' lies in it'}")
    labels = [_shielded(found, row) for row in range(len(found.label))]
    card = Card(
        name=name or name_of_folder(path),
        source=benchmark.source,
        license=benchmark.license,
        citation=benchmark.citation,
    )
    records = Records(
        card=card,
        root=found.root,
        image=image,
        label=labels,
        columns={**found.columns, "verbatimIdentification": _verbatim(found)},
        notes=_expected(benchmark, part, len(image)),
        unusable=missing,
        left_out=found.left_out,
    )
    return _as_delivered(to_dataset(records, config), found, image)


def _home(benchmark: Benchmark, path: Path) -> Path:
    """`path`, or a folder in it, whichever has what the benchmark needs."""
    if not path.is_dir():
        raise benchmark.absent(path, "there is no such folder")
    folders = [path, *sorted(inner for inner in path.iterdir() if inner.is_dir())]
    for folder in folders:
        if not _lacking(benchmark, folder):
            return folder
    raise benchmark.absent(path, f"it lacks {'; '.join(_lacking(benchmark, path))}")


def _lacking(benchmark: Benchmark, folder: Path) -> list[str]:
    return [
        " or ".join(places)
        for places in benchmark.needs
        if not any((folder / place).exists() for place in places)
    ]


def _expected(benchmark: Benchmark, part: str, n_rows: int) -> dict[str, dict[str, int]]:
    """The note on the number of rows where it is not the published one."""
    published = benchmark.parts[part].images if part in benchmark.parts else None
    if published is None or published == n_rows:
        return {}
    return {"expected": {"published": published, "found": n_rows}}


def _shielded(found: Found, row: int) -> str | None:
    """A label for cleaning: in small letters, which it takes for no scientific name, if plain."""
    label = found.label[row]
    return label.lower() if label and found.plain and found.plain[row] else label


def _verbatim(found: Found) -> Column:
    """The class strings as delivered: the reader's own, else the labels."""
    given = found.columns.get("verbatimIdentification", found.label)
    return [text or label for text, label in zip(given, found.label, strict=True)]


def _as_delivered(dataset: Dataset, found: Found, image: list[str]) -> Dataset:
    """Give plain labels their letters back."""
    if not any(found.plain):
        return dataset
    plain = {
        image[row]: white_space(unicode(label))
        for row, label in enumerate(found.label)
        if label and found.plain[row]
    }
    table = dataset.table
    for column in ("scientificName", "species"):
        index = table.schema.get_field_index(column)
        names = zip(
            table.column("image").to_pylist(), table.column(column).to_pylist(), strict=True
        )
        values = [plain.get(place, name) for place, name in names]
        table = table.set_column(index, table.schema.field(index), pa.array(values, pa.string()))
    return Dataset(table, dataset.roots, dataset.cards, dataset.notes)
