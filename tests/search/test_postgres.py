"""The server engine's own: its address, what it refuses, and how it finds; the rest is contract."""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

psycopg = pytest.importorskip("psycopg", reason="pip install 'syntype[postgres]'")

from fakes.collection import clustered_vectors, synthetic_records
from fakes.memory_index import NAMES, MemoryIndex, fits
from fakes.postgres_server import GUARDED, PASSWORD, postgres_url, server_url, socket_folder
from syntype.errors import DataError, DataNotFoundError, ResourceError, UsageError, VectorError
from syntype.search import postgres_cells
from syntype.search.index import Card, Index
from syntype.search.postgres import PostgresIndex, create_postgres, exists_postgres, open_postgres
from syntype.search.postgres_cells import (
    MOST_CELLS,
    Cells,
    bytes_of_kmeans,
    how_many,
    ready,
    select_cells,
)
from syntype.search.postgres_link import address_of
from syntype.search.postgres_near import USUAL, Effort
from syntype.search.postgres_rows import beginnings
from syntype.search.postgres_where import around, condition
from syntype.search.records import conform_records
from syntype.search.where import Circle, Where

DIM = 8
SECRET = "Top:Secret/1"
QUOTED = quote(PASSWORD, safe="")


def card(dim: int = DIM, weights: str = "fake") -> Card:
    return Card(engine="", dim=dim, encoder={"weights": weights})


def vectors(n: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def records(*rows: dict) -> pa.Table:
    columns = dict.fromkeys(name for row in rows for name in row)
    return conform_records(pa.table({name: [row.get(name) for row in rows] for name in columns}))


def ask(statement: str, *values: object) -> list:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


def do(statement: str, database: str = "postgres") -> None:
    with psycopg.connect(server_url(database), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def index() -> Iterator[PostgresIndex]:
    with closing(create_postgres(postgres_url(), card(), connections=4)) as made:
        yield made


# Addresses


def test_the_index_is_named_in_the_url_and_the_rest_is_libpqs() -> None:
    address = address_of(
        "postgresql://u@h:5433/d?sslmode=require&index=moths&application_name=a%20b"
    )
    assert address.name == "moths"
    assert address.conninfo == "postgresql://u@h:5433/d?sslmode=require&application_name=a%20b"
    assert str(address) == "u@h:5433/d, index moths"
    assert address_of("postgresql://h/d").name == "syntype"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://u:{SECRET}@h/d",
        f"postgresql://u:{SECRET} x@h/d",
        f"postgresql://u:{SECRET}@[::1/d",
        "postgresql://h/d?index",
        f"postgresql://h/d?nothing={SECRET}",
        "postgresql://h/d?index=Moths",
        "postgresql://h/d?index=pg_catalog",
        "postgresql://h/d?index=" + "a" * 64,
        "postgresql://h/d?index=a%22%3B%20DROP",
        "postgresql://h/d?index=",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_what_it_holds(url: str) -> None:
    with pytest.raises(UsageError, match="index=NAME") as caught:
        address_of(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_password_stands_in_no_message_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for place in ("127.0.0.1:1/db", f"/postgres?host={socket_folder()}"):
        for user in ("u", GUARDED):
            url = f"postgresql://{user}:wrong-{QUOTED}@{place}"
            with pytest.raises(ResourceError) as caught:
                open_postgres(url)
            assert PASSWORD not in repr(caught.value)
            assert "wrong-" not in repr(caught.value)
    assert PASSWORD not in repr(address_of(url))
    assert "wrong-" not in repr(address_of(url))
    assert "wrong-" not in caplog.text


# What is not as it must be


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    for url in ("postgresql://127.0.0.1:1/db", f"postgresql:///db?host={tmp_path}"):
        with pytest.raises(ResourceError, match="Start the server, or correct host and port"):
            open_postgres(url)


def test_who_may_not_enter_is_told_why() -> None:
    wrong = f"postgresql://{GUARDED}:no@/postgres?host={socket_folder()}"
    with pytest.raises(ResourceError, match="PGPASSWORD"):
        open_postgres(wrong)
    with pytest.raises(ResourceError, match="PGPASSWORD"):
        open_postgres(wrong.replace(":no", ""))
    with pytest.raises(ResourceError, match="createdb"):
        open_postgres(server_url("nowhere"))
    with pytest.raises(ResourceError, match="createuser"):
        open_postgres(server_url(user="nobody"))


def test_the_right_password_opens() -> None:
    url = postgres_url()
    create_postgres(url, card()).close()
    name = address_of(url).name
    do(f"GRANT USAGE ON SCHEMA {name} TO {GUARDED}")
    do(f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {GUARDED}")
    reading = url.replace("postgres@", f"{GUARDED}:{QUOTED}@")
    with closing(open_postgres(reading, connections=1)) as index:
        assert len(index) == 0
        with pytest.raises(ResourceError, match="may write"):
            index.upsert(records({"id": "a"}), vectors(1))


def test_a_database_without_pgvector_is_told() -> None:
    do("CREATE DATABASE bare")
    url = server_url("bare")
    with pytest.raises(ResourceError, match="CREATE EXTENSION vector"):
        open_postgres(url)
    guarded = f"postgresql://{GUARDED}:{QUOTED}@"
    with pytest.raises(ResourceError, match=r"permission denied.*administrator"):
        create_postgres(url.replace("postgresql://postgres@", guarded), card())
    create_postgres(url, card()).close()
    do("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'", "bare")
    with pytest.raises(ResourceError, match=r"0\.7\.4.*0\.8 or later.*ALTER EXTENSION"):
        open_postgres(url)


def test_a_database_that_is_not_unicode_is_refused() -> None:
    do("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ResourceError, match="createdb -E UTF8"):
        create_postgres(server_url("latin"), card())


def test_an_index_that_is_not_there_is_not_made_by_opening() -> None:
    url = postgres_url()
    with pytest.raises(DataNotFoundError, match="syntype index"):
        open_postgres(url)
    assert not exists_postgres(url)
    create_postgres(url, card()).close()
    assert exists_postgres(url)


def test_an_index_of_another_format_is_refused(index: PostgresIndex) -> None:
    do(f"UPDATE {index._address.name}.card SET format = 99")
    with pytest.raises(DataError, match="format 99"):
        _ = index.card


def test_an_index_that_was_dropped_is_told(index: PostgresIndex) -> None:
    do(f"DROP SCHEMA {index._address.name} CASCADE")
    with pytest.raises(DataNotFoundError, match="is gone"):
        _ = index.card
    with pytest.raises(DataError, match="is gone"):
        index.search(vectors(1), 3)


def test_making_finds_the_index_of_the_same_encoder_and_refuses_another() -> None:
    url = postgres_url()
    with closing(create_postgres(url, card())) as index:
        index.upsert(records({"id": "a"}), vectors(1))
    with closing(create_postgres(url, card())) as index:
        assert index.browse(9) == ["a"]
    for other in (card(dim=DIM + 1), card(weights="other")):
        with pytest.raises(VectorError, match="cannot be compared"):
            create_postgres(url, other)
    with pytest.raises(UsageError, match="4000"):
        create_postgres(postgres_url(), card(dim=4001))


def test_a_table_of_ours_is_not_made_in_a_schema_of_others() -> None:
    url = postgres_url()
    name = address_of(url).name
    do(f"CREATE SCHEMA {name}")
    do(f"CREATE TABLE {name}.records (theirs integer)")
    with pytest.raises(DataError, match="another name"):
        create_postgres(url, card())
    assert ask("SELECT to_regclass(%s)", f"{name}.card") == [(None,)]


def test_the_servers_text_and_indexes_hold_what_is_written_or_it_is_refused(
    index: PostgresIndex,
) -> None:
    for row, said in (
        ({"id": "b", "locality": "a\0b"}, "`locality` of the record 'b' holds the character NUL"),
        ({"id": "b", "sex": "é" * 1001}, "`sex` of the record 'b' has more than 2,000 bytes"),
        ({"id": "i" * 2001}, "`id` of the record 'iii"),
        ({"id": "b", "vernacularName": "v" * 2001}, "`vernacularName` of the record 'b'"),
    ):
        with pytest.raises(DataError, match=said):
            index.upsert(records({"id": "a"}, row), vectors(2))
    assert len(index) == 0, "nothing of a refused write is there"
    rng = np.random.default_rng(0)  # what does not compress
    long = "".join(chr(letter) for letter in rng.integers(0x4E00, 0x9FFF, 660)) + " x"
    row = {"id": long, "vernacularName": long, "locality": "l" * 100_000}
    row |= dict.fromkeys(("sex", "species", "typeStatus"), long)
    index.upsert(records(row), vectors(1))
    assert index.records([long])[0]["locality"] == row["locality"]
    assert index.facet("sex") == [(long, 1)]
    assert index.suggest(long[:100], 9)[0] == ("species", long, 1)


def test_texts_that_the_server_cannot_hold_find_nothing(index: PostgresIndex) -> None:
    index.upsert(records({"id": "a"}, {"id": "ab"}), vectors(2))
    for odd in ("a\0", "\0", "\ud800"):
        assert index.records([odd, "a"])[0] is None
        assert index.delete([odd]) == 0
        assert index.suggest(odd, 5) == []
        assert index.count(Where(equal={"sex": (odd,)})) == 0
        assert index.count(Where(equal={"sex": (odd, "")})) == 2
        with pytest.raises(DataError):
            index.vectors([odd])
    assert index.browse(9, after="a\0b") == ["ab"]
    with pytest.raises(UsageError, match="surrogate"):
        index.browse(9, after="\ud800")


def test_what_is_not_a_number_is_unknown(index: PostgresIndex) -> None:
    row = {"id": "a", "decimalLatitude": float("nan"), "decimalLongitude": 5.0}
    index.upsert(records(row), vectors(1))
    assert index.records(["a"])[0]["decimalLatitude"] is None
    assert index.places(10.0) == []


# Writing


def test_it_says_that_it_is_always_current(index: PostgresIndex) -> None:
    assert index.refresh() is False


def test_many_may_write_the_same_records_at_once() -> None:
    url, wrong = postgres_url(), []
    create_postgres(url, card()).close()
    table = synthetic_records(120)

    def write(seed: int) -> None:
        try:
            order = np.random.default_rng(seed).permutation(120)
            with closing(open_postgres(url, connections=1)) as index:
                for start in range(0, 120, 30):
                    part = table.take(order[start : start + 30])
                    index.upsert(part, clustered_vectors(part, DIM, seed=seed))
                    index.delete(part.column("id").to_pylist()[:3])
                    index.describe(notes={str(seed): start})
        except BaseException as error:
            wrong.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not wrong
    naive = MemoryIndex(DIM)
    with closing(open_postgres(url)) as index:
        ids = index.browse(1000)
        there = index.records(ids)
        naive.upsert(records(*there), index.vectors(ids))
        assert len(index) == len(ids)
        for column in ("species", "sex"):
            assert index.facet(column) == naive.facet(column), "tallies are not lost in between"


def test_many_may_make_the_same_index_at_once() -> None:
    url, made = postgres_url(), []

    def make() -> None:
        with closing(create_postgres(url, card(), connections=1)) as index:
            made.append(len(index))

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert made == [0, 0, 0, 0]


def test_a_connection_that_the_server_closed_is_replaced(index: PostgresIndex) -> None:
    index.upsert(records({"id": "a"}), vectors(1))
    ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'")  # fmt: skip
    assert index.browse(9) == ["a"]


def test_what_is_written_by_hand_is_counted_too(index: PostgresIndex) -> None:
    index.upsert(records({"id": "a", "sex": "male"}, {"id": "b"}), vectors(2))
    state, name = index.state, index._address.name
    do(f"UPDATE {name}.records SET sex = 'female' WHERE id = 'a'")
    assert index.facet("sex") == [("", 1), ("female", 1)]
    do(f"DELETE FROM {name}.records WHERE id = 'b'")
    assert len(index) == 1
    assert index.state != state


# Finding


def filled(url: str, effort: Effort, n: int = 400) -> tuple[PostgresIndex, MemoryIndex]:
    table = synthetic_records(n)
    # Of one connection, whose statistics `cell_scans` flushes.
    index, naive = create_postgres(url, card(), effort, connections=1), MemoryIndex(DIM)
    for one in (index, naive):
        one.upsert(table, clustered_vectors(table, DIM))
    return index, naive


def cell_scans(index: PostgresIndex) -> int:
    """How often cells were searched, once the server's statistics are in."""
    name = index._address.name
    with index._transaction() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    return ask(
        "SELECT sum(idx_scan)::integer FROM pg_stat_all_indexes WHERE schemaname = %s "
        "AND indexrelname LIKE 'records_cells_%%'",
        name,
    )[0][0]


def test_cells_are_searched_where_many_fit_and_not_where_few_do() -> None:
    index, naive = filled(postgres_url(), Effort(exact_rows=100, cost=1e9, cells_from=300))
    with closing(index):
        assert index.n_cells == 0
        assert index.search(vectors(1), 5)[0], "without cells all are compared"
        index.build()
        assert index.n_cells == 2 * math.sqrt(400)
        before = cell_scans(index)
        few = Where(equal={"species": ("Vanessa atalanta",)})
        assert naive.count(few) < 100
        assert len(index.search(vectors(1), 5, few)[0]) == 5
        assert cell_scans(index) == before
        many = Where(equal={"class": ("Insecta",)})
        assert naive.count(many) > 100
        found, wanted = index.search(vectors(1), 5, many)[0], naive.search(vectors(1), 5, many)[0]
        assert [hit.id for hit in found] == [hit.id for hit in wanted]
        assert cell_scans(index) == before + 1
        index.search(vectors(1), 300)
        assert cell_scans(index) == before + 1, "where most are wanted, all are compared"


def test_few_records_have_no_cells() -> None:
    index, _ = filled(postgres_url(), USUAL)
    with closing(index):
        index.build()
        assert index.n_cells == 0


def test_n_are_found_though_the_cells_gave_too_few() -> None:
    effort = Effort(exact_rows=0, held=0.0, taken=1000, cost=1e9, cells_from=1)
    index, naive = filled(postgres_url(), effort)
    with closing(index):
        index.build()
        female, before = Where(equal={"sex": ("female",)}), cell_scans(index)
        assert 40 < naive.count(female) < 1000, "fewer than are to be taken"
        (found,) = index.search(vectors(1), 5, female)
        assert cell_scans(index) == before + 1
        assert [hit.id for hit in found] == [h.id for h in naive.search(vectors(1), 5, female)[0]]


def test_cells_are_made_once_and_again_where_a_build_was_killed_or_records_doubled() -> None:
    index, _ = filled(postgres_url(), Effort(cells_from=1))
    name = index._address.name

    def there() -> list[tuple[str, bool]]:
        return ask(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "WHERE indrelid = %s::regclass AND relname LIKE 'records_cells_%%'",
            f"{name}.records",
        )

    with closing(index):
        builders = [threading.Thread(target=index.build) for _ in range(2)]
        for builder in builders:
            builder.start()
        for builder in builders:
            builder.join()
        assert there() == [("records_cells_40", True)]
        oid = ask("SELECT %s::regclass::oid", f"{name}.records_cells_40")
        index.build(memory="64MB", workers=0)
        assert ask("SELECT %s::regclass::oid", f"{name}.records_cells_40") == oid
        do(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
            f"'{name}.records_cells_40'::regclass"
        )
        assert index.n_cells == 0
        index.build()
        assert there() == [("records_cells_40", True)]
        assert ask("SELECT %s::regclass::oid", f"{name}.records_cells_40") != oid
        do(f"DELETE FROM {name}.cells")  # as a build leaves it that was killed at its end
        index.build()
        assert ask(f"SELECT name, searched > 0 FROM {name}.cells") == [("records_cells_40", True)]
        more = synthetic_records(1000)
        index.upsert(more, clustered_vectors(more, DIM))
        index.build()
        assert there() == [("records_cells_63", True)]


def test_more_cells_are_searched_for_what_lies_far_from_all_records() -> None:
    effort = Effort(exact_rows=0, held=0.0, cells=1, cost=1e9, cells_from=1, far=40)
    index, naive = filled(postgres_url(), effort)
    asked = vectors(40, seed=5)
    with closing(index):
        index.build()
        assert index.n_cells == 40
        do(f"UPDATE {index._address.name}.cells SET searched = 1")

        def recall(far: bool) -> float:
            found, best = index.search(asked, 10, far=far), naive.search(asked, 10)
            ids = [[{hit.id for hit in hits} for hits in of] for of in (found, best)]
            return float(np.mean([len(one & true) / 10 for one, true in zip(*ids, strict=True)]))

        assert recall(False) < 0.9
        assert recall(True) == 1


def test_records_may_lie_in_partitions_that_were_made_by_hand() -> None:
    effort = Effort(exact_rows=0, cells=4, cost=1e9, cells_from=1)
    index, naive = create_postgres(postgres_url(), card(), effort), MemoryIndex(DIM)
    name = index._address.name
    do(f"ALTER TABLE {name}.records RENAME TO plain")
    do(f"CREATE TABLE {name}.records (LIKE {name}.plain INCLUDING ALL) PARTITION BY HASH (id)")
    for part in range(2):
        do(
            f"CREATE TABLE {name}.part{part} PARTITION OF {name}.records "
            f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
        )
    do(f"DROP TABLE {name}.plain")
    for event, tables in (
        ("insert", "NEW TABLE AS fresh"),
        ("update", "NEW TABLE AS fresh OLD TABLE AS gone"),
        ("delete", "OLD TABLE AS gone"),
    ):
        do(
            f"CREATE TRIGGER count_{event} AFTER {event} ON {name}.records REFERENCING {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}.count_{event}()"
        )
    with closing(index):
        table = synthetic_records(400)
        for one in (index, naive):
            one.upsert(table, clustered_vectors(table, DIM))
        do(
            f"CREATE INDEX records_cells_4 ON {name}.records "
            "USING ivfflat (vector halfvec_ip_ops) WITH (lists = 4)"
        )
        do(f"ANALYZE {name}.records")
        index.build()
        assert index.n_cells == 4, "what was made by hand stays"
        for where in (Where(), Where(equal={"class": ("Insecta",)})):
            (found,), (wanted,) = (one.search(vectors(1), 5, where) for one in (index, naive))
            assert [hit.id for hit in found] == [hit.id for hit in wanted]
            assert index.facets(["class", "sex"], where) == naive.facets(["class", "sex"], where)


def test_as_many_cells_are_made_as_memory_allows() -> None:
    assert how_many(1_000_000, 512, 2**30) == 2000
    fewer = how_many(1_000_000, 512, 2**26)
    assert bytes_of_kmeans(fewer, 512) <= 2**26 < bytes_of_kmeans(int(1.1 * fewer), 512)
    assert how_many(10**9, 512, 2**60) == MOST_CELLS
    assert how_many(0, 512, 2**30) == 1


@given(
    st.integers(1, 2000),
    st.floats(1, 1e8),
    st.floats(1, 1e8),
    st.integers(1, MOST_CELLS),
    st.integers(0, 256),
    st.booleans(),
)
def test_the_fewer_records_fit_the_more_cells_are_searched(
    n, fitting, rest, k, searched, far
) -> None:
    n_all, cells = fitting + rest, Cells("", k, True, searched)
    base = USUAL.base(cells, far=far)
    assert base == max(USUAL.cells, searched) * (USUAL.far if far else 1)
    first, most = USUAL.probes(n, fitting, n_all, base, cells)
    assert min(base, k) <= first <= most <= k
    looked_at = first * fitting / k
    assert first == k or looked_at >= max(USUAL.held * base * n_all / k, 4 * n) * (1 - 1e-9)
    assert USUAL.probes(n, fitting / 2, n_all, base, cells)[0] >= first


def test_how_many_cells_must_be_searched_is_measured(monkeypatch) -> None:
    monkeypatch.setattr(postgres_cells, "_TRIED", (1, 4, 16, 64))
    found, n = {}, 3000
    table = synthetic_records(n)
    near = np.repeat(vectors(300, seed=3), 10, axis=0) + 0.001 * vectors(n, seed=4)
    for name, given_ in (
        ("clusters", near / np.linalg.norm(near, axis=1, keepdims=True)),
        ("evenly", vectors(n, seed=5)),
    ):
        made = create_postgres(postgres_url(), card(), Effort(exact_rows=0, cells=1, cells_from=1))
        with closing(made) as index:
            index.upsert(table, given_.astype(np.float32))
            index.build()
            with index._transaction() as connection:
                cells = ready(select_cells(connection, index._address.name))
            assert cells.n == 109
            found[name] = cells.searched
            asked = given_[:40].astype(np.float32)
            best = np.sort(asked @ given_.T, axis=1)[:, -10:][:, ::-1]
            hits = [[hit.similarity for hit in of] for of in index.search(asked, 10)]
            assert np.mean(np.abs(np.array(hits) - best) < 1e-3) > 0.95
    assert found["clusters"] < found["evenly"] < 64


# Pure functions


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 25_000), st.data())
def test_the_box_around_a_circle_holds_it(
    latitude: float, longitude: float, km: float, data: st.DataObject
) -> None:
    circle = Circle(latitude=latitude, longitude=longitude, km=km)
    near = st.floats(-1, 1)
    north = min(90, max(-90, latitude + data.draw(near) * km / 111))
    east = (longitude + data.draw(near) * km / 111 + 180) % 360 - 180
    row = {"decimalLatitude": float(north), "decimalLongitude": float(east), "has": ""}
    if fits(row, Where(circle=circle)):
        assert fits(row, Where(box=around(circle)))


@given(st.text(max_size=30), st.integers(0, 30), st.integers(1, 10))
def test_a_name_is_found_by_what_begins_its_words(name: str, start: int, length: int) -> None:
    wanted = name[start : start + length].strip().casefold()
    if wanted:
        naive = MemoryIndex(2)
        row = dict.fromkeys(NAMES, "") | {"species": name}
        naive._rows["a"] = row
        assert bool(naive.suggest(wanted, 1)) == any(
            word.startswith(wanted) for word in beginnings(name, None)
        )


def test_no_value_becomes_a_part_of_the_statement() -> None:
    evil = "'; DROP TABLE records; --"
    where = Where(equal={"sex": (evil,), "order": (evil,)}, has=("sound",), since="1900")
    made, values = condition(where)
    assert evil not in made.as_string()
    assert made.as_string().startswith('"sex" = ANY(%s::text[]) AND "order" = ANY(%s::text[])')
    assert [evil] in values


def test_it_is_an_index(index: PostgresIndex) -> None:
    assert isinstance(index, Index)
    assert index.card.engine == "postgres"
