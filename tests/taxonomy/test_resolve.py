from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from fakes import backbones
from syntype.configs.resolve import ResolveConfig
from syntype.errors import DataError
from syntype.taxonomy.backbone import Backbone
from syntype.taxonomy.backbone_index import build_backbone
from syntype.taxonomy.resolve import (
    CHANGES,
    LABEL,
    REWRITTEN,
    Resolution,
    count_labels,
    label_key,
    resolve,
    resolve_catalogue,
)
from syntype.taxonomy.taxon import RANKS


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbone")
    build_backbone(backbones.write_gbif(folder / "backbone.zip"), folder / "b.sqlite")
    return folder / "b.sqlite"


def row(label: str, **given: str) -> dict[str, str]:
    """A row as a catalogue has it, with `label` cleaned as it is."""
    words = label.split(" ")
    derived = {"scientificName": label, "species": label}
    if len(words) == 2 and words[1].islower():
        derived["genus"] = words[0]
    empty = dict.fromkeys([*LABEL, "taxonID"], "")
    return empty | {"verbatimIdentification": label} | derived | given


def table(*rows: dict[str, str], ids: bool = True) -> pa.Table:
    made = pa.Table.from_pylist(list(rows))
    return made.append_column("id", [[f"set/{i}" for i in range(len(rows))]]) if ids else made


def resolved(
    index: Path, *rows: dict[str, str], **options: object
) -> tuple[Resolution, list[dict]]:
    config = ResolveConfig(**options)  # type: ignore[arg-type]
    batches = [table(*rows)]
    resolution, after = resolve_catalogue(lambda: iter(batches), index, config)
    return resolution, pa.concat_tables(after).to_pylist()


def ranks_of(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[rank] for rank in RANKS)


BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae")


def test_a_synonym_becomes_the_accepted_name(index: Path) -> None:
    resolution, (after,) = resolved(index, row("Parus ater"))
    assert after["scientificName"] == "Periparus ater"
    assert after["scientificNameAuthorship"] == "(Linnaeus, 1758)"
    assert (after["taxonID"], after["taxonRank"]) == ("111", "species")
    assert ranks_of(after) == (*BIRD, "Periparus", "Periparus ater")
    assert after["verbatimIdentification"] == "Parus ater"
    assert after["id"] == "set/0"
    (change,) = resolution.changes.to_pylist()
    assert change == {
        "verbatimIdentification": "Parus ater",
        "rows": 1,
        "scientificNameBefore": "Parus ater",
        "scientificNameAfter": "Periparus ater",
        "scientificNameAuthorshipBefore": "",
        "scientificNameAuthorshipAfter": "(Linnaeus, 1758)",
        "taxonRankBefore": "",
        "taxonRankAfter": "species",
        "lineageChanged": "kingdom: - > Animalia; phylum: - > Chordata; class: - > Aves; "
        "order: - > Passeriformes; family: - > Paridae; genus: Parus > Periparus; "
        "species: Parus ater > Periparus ater",
        "changed": True,
        "how": "exact",
        "score": 1.0,
        "matchedName": "Parus ater Linnaeus, 1758",
        "taxonomicStatus": "homotypic synonym",
        "taxonID": "111",
        "note": "",
    }


def test_a_synonym_may_keep_its_name(index: Path) -> None:
    _, (after,) = resolved(index, row("Parus ater"), synonyms="keep")
    assert (after["scientificName"], after["taxonID"]) == ("Parus ater", "112")
    assert after["scientificNameAuthorship"] == "Linnaeus, 1758"
    assert ranks_of(after) == (*BIRD, "Parus", "Parus ater")


def test_nothing_that_is_not_found_is_touched_or_lost(index: Path) -> None:
    given = [
        row("acantharia protist", taxonID="mine"),
        row("Carex nigra", order="Poales"),
        row("Parus duplex"),
        row(""),
        row("Salix alba x Carex nigra"),
    ]
    resolution, after = resolved(index, *given)
    kept = [{name: each[name] for name in (*LABEL, "taxonID")} for each in after]
    assert kept == given
    changes = {each["verbatimIdentification"]: each for each in resolution.changes.to_pylist()}
    assert changes.keys() == {each["verbatimIdentification"] for each in given}
    assert not any(each["changed"] for each in changes.values())
    assert changes["Carex nigra"]["how"] == "ambiguous"
    assert "may be Carex nigra (L.) Reichard" in changes["Carex nigra"]["note"]


def test_only_what_is_above_is_filled_where_the_name_is_not_found(index: Path) -> None:
    given = row("Parus novus", taxonID="mine", genus="Parus", family="Paridaee")
    resolution, (after,) = resolved(index, given)
    assert ranks_of(after) == (*BIRD, "Parus", "Parus novus")
    assert (after["scientificName"], after["taxonID"]) == ("Parus novus", "mine")
    (change,) = resolution.changes.to_pylist()
    assert (change["how"], change["taxonID"], change["changed"]) == ("genus", "100", True)
    assert "family: Paridaee > Paridae" in change["lineageChanged"]
    _, (after,) = resolved(index, given, higher=False)
    assert ranks_of(after) == ranks_of(given)
    doubt = row("Parus cf. major", genus="Parus")
    _, (after,) = resolved(index, doubt)
    assert ranks_of(after) == (*BIRD, "Parus", "Parus cf. major")


def test_how_ranks_are_written(index: Path) -> None:
    given = row("Parus ater", kingdom="Metazoa", family="Sylviidae")
    for lineage, expected in {
        "overwrite": BIRD,
        "fill": ("Metazoa", "Chordata", "Aves", "Passeriformes", "Sylviidae"),
        "keep": ("Metazoa", "", "", "", "Sylviidae"),
    }.items():
        _, (after,) = resolved(index, given, lineage=lineage)
        assert ranks_of(after) == (*expected, "Periparus", "Periparus ater")
    _, (after,) = resolved(index, given, ranks=("class", "genus"))
    assert ranks_of(after) == ("Metazoa", "", "Aves", "", "Sylviidae", "Periparus", "Parus ater")


def test_the_species_of_what_is_no_species(index: Path) -> None:
    rows = [
        row("Parus major major"),
        row("Parus", genus=""),
        row("Paridae", family="Paridae"),
        row("Paridae", family="Paridae", species="a class of its own"),
    ]
    _, after = resolved(index, *rows)
    assert [each["species"] for each in after] == [
        "Parus major",
        "Parus",
        "Paridae",
        "a class of its own",
    ]
    assert [each["taxonRank"] for each in after] == ["subspecies", "genus", "family", "family"]
    assert after[0]["scientificName"] == "Parus major major"


def test_authors_that_cleaning_took_away_tell_homonyms_apart(index: Path) -> None:
    label = row("Carex nigra", verbatimIdentification="Carex nigra All., 1785")
    _, (after,) = resolved(index, label)
    assert after["scientificName"] == "Carex parviflora"
    column = row("Carex nigra", scientificNameAuthorship="(L.) Reichard")
    _, (after,) = resolved(index, column)
    assert (after["scientificName"], after["taxonID"]) == ("Carex nigra", "234")


def test_one_label_of_two_lineages_is_two_labels(index: Path) -> None:
    rows = [
        row("Oenanthe", kingdom="Plantae"),
        row("Oenanthe", kingdom="Animalia"),
        row("Oenanthe", kingdom="Animalia"),
        row("Oenanthe"),
    ]
    resolution, after = resolved(index, *rows)
    assert [each["taxonID"] for each in after] == ["200", "141", "141", ""]
    assert sorted(resolution.changes.column("rows").to_pylist()) == [1, 1, 2]
    assert resolution.notes()["labels"] == {"ambiguous": 1, "exact": 2}
    assert resolution.notes()["rows"] == {"ambiguous": 1, "exact": 3}
    assert resolution.notes()["changed"] == {"labels": 2, "rows": 3}
    assert resolution.notes()["backbone"]["release"] == "2023-08-28"


def test_made_ids_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("family,scientificName\nParidae,Parus major\n")
    build_backbone(tmp_path / "list.csv", tmp_path / "b.sqlite")
    _, (after,) = resolved(tmp_path / "b.sqlite", row("Parus major", taxonID="mine"))
    assert (after["taxonID"], after["family"]) == ("mine", "Paridae")


def test_columns_that_are_not_there_are_added(index: Path) -> None:
    rows = pa.table({"verbatimIdentification": ["Parus ater", "?"]})
    _, after = resolve_catalogue(lambda: [rows], index)
    (written,) = after
    assert written.column_names == ["verbatimIdentification", *REWRITTEN]
    assert written.column("scientificName").to_pylist() == ["Periparus ater", ""]


def test_labels_that_come_later_are_refused(index: Path) -> None:
    resolution, _ = resolved(index, row("Parus ater"))
    with pytest.raises(DataError, match="Parus major"):
        resolution.apply(table(row("Parus major")))


def test_the_changes_are_a_table_to_read(index: Path, tmp_path: Path) -> None:
    resolution, _ = resolved(index, row("Parus ater"), row("Oenante crocata"))
    resolution.write_changes(tmp_path / "changes.csv")
    read = csv.read_csv(tmp_path / "changes.csv")
    assert read.column_names == CHANGES.names
    assert read.column("how").to_pylist() == ["fuzzy", "exact"]


LABELS = st.sampled_from(
    ["Parus ater", "Parus major", "Oenanthe", "Carex nigra", "?", "a\x1fb", "a\x1e1b", "Parus sp."]
)
ROWS = st.lists(
    st.tuples(LABELS, st.sampled_from(["", "Plantae", "Animalia"])), min_size=1, max_size=30
)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 30))
def test_batches_and_order_of_rows_do_not_matter(
    index: Path, rows: list[tuple[str, str]], cut: int
) -> None:
    """Each row becomes what it becomes alone; the table of changes counts every row once."""
    whole = table(*(row(label, kingdom=kingdom) for label, kingdom in rows))

    def batches() -> Iterator[pa.Table]:
        yield whole.slice(0, cut)
        yield whole.slice(cut)

    resolution, after = resolve_catalogue(batches, index)
    written = pa.concat_tables(after)
    assert written.column("id") == whole.column("id")
    assert written.column("verbatimIdentification") == whole.column("verbatimIdentification")
    assert written.schema.names == whole.schema.names
    assert sum(resolution.changes.column("rows").to_pylist()) == len(rows)
    assert resolution.changes.num_rows == len(set(rows))
    backward = whole.take(list(range(len(rows)))[::-1])
    other, _ = resolve_catalogue(lambda: [backward], index)
    assert other.changes == resolution.changes
    assert other.apply(backward).take(list(range(len(rows)))[::-1]) == written.combine_chunks()


def test_a_resolved_catalogue_resolves_to_itself(index: Path) -> None:
    rows = [row("Parus ater"), row("Oenante crocata"), row("Parus sp."), row("Salix ×rubra")]
    batch = table(*rows)
    _, once = resolve_catalogue(lambda: [batch], index)
    (first,) = once
    again, twice = resolve_catalogue(lambda: [first], index)
    assert pa.concat_tables(twice) == first
    assert not any(again.changes.column("changed").to_pylist())


def test_labels_can_be_resolved_by_themselves(index: Path) -> None:
    key = label_key({"verbatimIdentification": "Parus ater"})
    assert count_labels([table({"verbatimIdentification": "Parus ater"}, ids=False)]) == {key: 1}
    with Backbone(index) as backbone:
        resolution = resolve({key: 5}, backbone)
    assert resolution.changes.column("rows").to_pylist() == [5]
    assert resolution.changes.column("scientificNameAfter").to_pylist() == ["Periparus ater"]
