"""The page on the index says what lies on the disk, what the engines' numbers are, what they take.

Legend: n rows, d dimensions, k cells.
"""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fakes.collection import CARD, SET, clustered_vectors, synthetic_records
from syntype.search import answering, calibration, cells, indexing, question, shelf
from syntype.search.cells import Cells
from syntype.search.columns import NAMED
from syntype.search.embedded import FORMAT, EmbeddedIndex, make
from syntype.search.index import Card
from syntype.search.records import FACETS, HAS, RECORD

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "search.md").read_text(encoding="utf-8")
N, DIM = 3000, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with cells, of which records died."""
    folder = tmp_path_factory.mktemp("page") / "INDEX"
    card = Card(
        engine="cells", dim=DIM, encoder={"weights": "none"}, cards={SET: CARD}, roots={SET: folder}
    )
    make(folder, card)
    index = EmbeddedIndex(folder, Cells(cells_from=N, few=100))
    table = synthetic_records(N)
    index.upsert(table, clustered_vectors(table, DIM))
    index.build()
    index.delete(table.column("id").to_pylist()[5:8])
    index.describe(notes={"asker": {}, "calibration": {}})
    index.close()
    return folder


def section(title: str) -> str:
    """A section of the page, with those below it."""
    level = re.search(rf"^(#+) {re.escape(title)}$", PAGE, re.M)
    assert level, title
    rest = PAGE[level.end() :]
    end = re.search(rf"^#{{2,{len(level[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def rows(title: str) -> list[list[str]]:
    """The cells of the table of a section, without its header."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(title).splitlines()
        if line.startswith("|")
    ]
    return found[2:]


def test_the_tree_is_the_one_on_the_page(folder: Path) -> None:
    told = re.findall(r"^    INDEX/(\S+)", section("What lies in the folder"), re.M)
    there = {
        place.relative_to(folder).as_posix().replace(str(N), "ROWS")
        for place in folder.rglob("*")
        if place.is_file()
    }
    assert there | {"0001/", "left_out.csv"} == set(told)


def test_any_program_reads_it_as_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE, re.S)
    assert found
    monkeypatch.chdir(folder.parent)
    scope: dict[str, Any] = {}
    exec(found[1], scope)
    scope["records"].close()
    table = synthetic_records(N)
    kept = [row for row in range(N) if row not in (5, 6, 7)]
    ids = table.column("id").to_pylist()
    assert scope["ids"] == [ids[row] for row in kept]
    vectors = clustered_vectors(table, DIM).astype(np.float16)
    assert np.array_equal(scope["vectors"], vectors[kept])


def test_the_card_has_the_fields_on_the_page(folder: Path) -> None:
    content = json.loads((folder / "index.json").read_text())
    kinds = {str: "string", int: "integer", dict: "object"}
    told = {name.strip("`"): kind for name, kind, _ in rows("index.json")}
    assert told == {name: kinds[type(value)] for name, value in content.items()}
    assert f"This is format {FORMAT}." in PAGE
    for name in (*content["cards"][SET], *content["notes"]):
        assert f"`{name}`" in section("index.json")


def test_sqlite_has_the_tables_on_the_page(folder: Path) -> None:
    connection = sqlite3.connect(folder / "0001" / shelf.RECORDS)
    there = {
        (table, column[1])
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not table.startswith("sqlite_")
        for column in connection.execute(f"PRAGMA table_info({table})")
    }
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    told = {(table.strip("`"), column.strip("`")) for table, column, _ in rows("records.sqlite")}
    columns = {("record", name) for name in RECORD.names}
    assert there == (told - {("record", "a column of the record each")}) | columns
    assert journal == "wal"
    assert "write-ahead log" in section("records.sqlite")


def test_the_columns_are_those_on_the_page(folder: Path) -> None:
    with np.load(folder / "0001" / "columns.npz") as arrays:
        there = {name: array.dtype.name for name, array in arrays.items()}
        n_bytes = sum(array.dtype.itemsize for array in arrays.values())
        has = arrays["has"]
    told = {}
    for names, kind, _ in rows("columns.npz, columns.json"):
        for name in re.findall(r"`(\w+)`", names):
            told[name] = kind
    assert {**dict.fromkeys(NAMED, "int32"), **told} == there
    assert f"{n_bytes} bytes a row" in section("columns.npz, columns.json")
    words = synthetic_records(N).column("has").to_pylist()
    assert [HAS[bit] for bit in range(4) if has[0] >> bit & 1] == words[0].split()
    listed = section("columns.npz, columns.json").rpartition("The facets are")[2]
    assert re.findall(r"`(\w+)`", listed) == list(FACETS)


def test_cells_json_has_the_fields_on_the_page(folder: Path) -> None:
    content = json.loads((folder / "0001" / "cells.json").read_text())
    told = re.search(r"`cells.json` has (.*?) \(below\)", PAGE)
    assert told
    assert set(re.findall(r"`(\w+)`", told[1])) == set(content)


def values(title: str) -> dict[str, str]:
    """Name to value, of a table of numbers; several names of a row have as many values."""
    found = {}
    for names, numbers, _ in rows(title):
        parts = re.split(r", (?=\d)", numbers) if "," in names else [numbers]
        found |= dict(zip(re.findall(r"`(\w+)`", names), parts, strict=True))
    return found


def test_the_numbers_of_cells_are_those_on_the_page() -> None:
    told = values("cells")
    assert len(told) == 12
    for name, value in told.items():
        assert float(value.replace(",", "")) == getattr(cells, name), name


def test_the_numbers_of_postgres_are_those_on_the_page() -> None:
    pytest.importorskip("psycopg")
    from syntype.search import postgres_cells, postgres_link, postgres_schema
    from syntype.search.postgres_near import USUAL

    told = values("postgres")
    assert {name: float(value.replace(",", "")) for name, value in told.items()} == vars(USUAL)
    server = f"{postgres_link.SERVER} and pgvector {postgres_link.PGVECTOR[0]}.8 are the least"
    assert server in section("postgres").replace("\n", " ")
    assert f"{postgres_schema.LONGEST:,} bytes at most" in section("postgres")
    assert f"Past {postgres_cells.MOST_DIMENSIONS:,} dimensions" in PAGE


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Questions", f"w' is {question.UNLIKE}"),
        ("Questions", f"{question.MOST_PARTS} parts, {question.MOST_LETTERS:,} letters"),
        ("Pages, groups, diversity", f"after {answering.MOST_HITS:,} records"),
        ("Pages, groups, diversity", f"after {answering.MOST_SHOWN} groups or records"),
        ("Pages, groups, diversity", f"shows {answering.SHOWN_OF_GROUP} at most"),
        ("What a similarity means", f"{calibration.N_QUESTIONS:,} records"),
        ("What a similarity means", f"their {calibration.N_NEIGHBOURS} nearest"),
        ("What a similarity means", f"below {calibration.LEVEL}"),
        ("What a similarity means", f"fewer than {calibration._LEAST} pairs"),
        ("Writing, and what survives", f"where {indexing._DEAD:.0%} are dead".replace("%", " %")),
    ],
)
def test_the_numbers_in_the_text_are_those_of_the_code(title: str, said: str) -> None:
    assert said in section(title)


def test_a_fifth_is_when_cells_are_made_anew() -> None:
    assert indexing._GROWN == 1 / 5
    assert "a fifth of the rows" in PAGE


def test_files_are_as_long_as_the_page_computes(folder: Path) -> None:
    place, table = folder / "0001", synthetic_records(N)
    assert (place / "vectors.f16").stat().st_size == 2 * DIM * N
    assert (place / "columns.npz").stat().st_size == pytest.approx(106 * N, rel=0.05)
    k = int(4 * N**0.5)
    computed = (DIM + 8) * N + 4 * DIM * k
    assert (place / f"cells-{N}.faiss").stat().st_size == pytest.approx(computed, rel=0.05)
    text = sum(
        pc.sum(pc.binary_length(table.column(field.name))).as_py()
        for field in RECORD
        if pa.types.is_string(field.type)
    )
    ids = pc.sum(pc.binary_length(table.column("id"))).as_py()
    size = (place / "records.sqlite").stat().st_size
    assert size == pytest.approx(text + ids + 120 * N, rel=0.05)


def in_gb(size: float) -> str:
    """Bytes as the page writes them."""
    size /= 1e9
    return f"{size:,.2f}" if size < 10 else f"{size:,.1f}" if size < 100 else f"{size:,.0f}"


def test_the_pages_arithmetic_is_right() -> None:
    table = re.findall(r"^\| ([\d,]{6,}) \| ([\d,]+) \| (.*) \| \w+ \|$", section("Sizes"), re.M)
    assert len(table) == 12
    per_page, per_record = {512: 7, 768: 5, 1024: 3}, {512: 3210, 768: 4200, 1024: 6460}
    for n_text, d_text, sizes in table:
        n, d = int(n_text.replace(",", "")), int(d_text.replace(",", ""))
        k = min(int(4 * n**0.5), cells._MOST_CELLS)
        disk = n * (2 * d + (500 + 40 + 120) + 106 + (d + 8)) + 4 * d * k
        memory = n * (106 + (d + 12) + 32) + 8 * d * k
        making = n * (d + 8) + 2 * 4 * d * cells._ROWS_A_CELL * k
        served = n * 8192 / per_page[d]
        computed = (disk, memory, making, n * per_record[d], served)
        assert sizes.split(" | ") == [in_gb(size) for size in computed], (n, d)


def test_the_servers_sizes_are_right() -> None:
    pytest.importorskip("psycopg")
    from syntype.search.postgres_cells import bytes_of_kmeans, how_many

    page = (DOCS / "how-to" / "search-on-a-server.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([\d,]{6,}) \| (512|1024) \| (.*) \|$", page, re.M)
    assert len(table) == 8
    parts = {name: dict(zip((512, 1024), pair, strict=True)) for name, pair in _parts(page).items()}
    for n_text, d_text, sizes in table:
        n, d = int(n_text.replace(",", "")), int(d_text)
        assert parts["cells"][d] == round(8192 / (8160 // (2 * d + 20)))
        row, cells, trees = (parts[name][d] for name in ("row of the table", "cells", "B-trees"))
        n_cells = how_many(n, d, 2**60)
        *found, shown, making = sizes.split(" | ")
        computed = (n * row, n * cells, n * trees, n * (row + cells + trees), 2 * n * d)
        assert found == [_whole_gb(size) for size in computed], (n, d)
        assert shown == f"{n_cells:,}"
        assert making == _whole_gb(bytes_of_kmeans(n_cells, d))


def _parts(page: str) -> dict[str, tuple[int, int]]:
    """Bytes of a record at 512 and at 1,024 dimensions, by part."""
    rows = re.findall(
        r"^\| ([^|]+?)(?: \([^|]*\))? \| [^|]* \| ([\d,]+) \| ([\d,]+) \|$", page, re.M
    )
    return {name: tuple(int(one.replace(",", "")) for one in pair) for name, *pair in rows}


def _whole_gb(size: float) -> str:
    return f"{size / 1e9:,.{0 if size >= 1e10 else 1}f} GB"
