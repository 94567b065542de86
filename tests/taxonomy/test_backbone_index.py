import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import jaxtyping
import pytest

from fakes import backbones
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.provenance import file_hash
from syntype.taxonomy import backbone_index
from syntype.taxonomy.backbone import Backbone
from syntype.taxonomy.backbone_index import build_backbone

N = len(backbones.NAMES)
WRITERS: dict[str, Callable[[Path], Path]] = {
    "Darwin Core backbone.zip": backbones.write_gbif,
    "GBIF simple simple.txt.gz": backbones.write_gbif_simple,
    "ColDP col.zip": backbones.write_coldp,
    "ColDP folder": lambda path: backbones.write_coldp(path, prefix=""),
    "Darwin Core dwca.zip": backbones.write_col_dwca,
}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_holds_the_same_names(layout: str, tmp_path: Path) -> None:
    kind, _, file = layout.rpartition(" ")
    download = WRITERS[layout](tmp_path / file)
    facts = build_backbone(download, tmp_path / "backbone.sqlite")
    assert (facts.kind, facts.n_usages, facts.n_synonyms) == (kind, N, 8)
    assert (facts.n_orphans, facts.n_dangling) == (1, 1)
    assert facts.n_lines == facts.n_usages + facts.n_left_out
    with Backbone(tmp_path / "backbone.sqlite") as backbone:
        assert backbone.facts == facts
        (major,) = backbone.named("parus major")
        assert (major.taxon_id, major.name, major.rank) == ("101", "Parus major", "species")
        assert major.authorship == "Linnaeus, 1758"
        lineage = ("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae", "Parus")
        assert backbone.lineage(major) == (*lineage, "Parus major")
        (old,) = backbone.named("parus vetus")
        assert backbone.accepted(old) == major
        (hybrid,) = backbone.named("salix rubra")
        assert (hybrid.name, hybrid.authorship) == ("Salix x rubra", "Huds.")
        (bee,) = backbone.named("bombus hypnorum")
        assert (bee.name, bee.authorship) == ("Bombus hypnorum", "(Linnaeus, 1758)")
        (variety,) = backbone.named("salix alba vitellina")
        assert backbone.lineage(variety)[5:] == ("Salix", "Salix alba")
        (virus,) = backbone.named("tobacco mosaic virus")
        assert backbone.lineage(virus) == ("Viruses", "", "", "", "", "", "Tobacco mosaic virus")


def test_where_an_index_is_from(tmp_path: Path) -> None:
    gbif = backbones.write_gbif(tmp_path / "backbone.zip")
    facts = build_backbone(gbif, tmp_path / "gbif.sqlite")
    assert (facts.title, facts.release) == ("GBIF Backbone Taxonomy", "2023-08-28")
    assert (facts.source, facts.digest) == ("backbone.zip", file_hash(gbif))
    assert facts.statuses["doubtful"] == 1
    assert facts.ranks["kingdom"] == 3
    col = backbones.write_coldp(tmp_path / "col")
    facts = build_backbone(col, tmp_path / "col.sqlite")
    assert (facts.title, facts.release) == ("Catalogue of Life", "Annual Checklist 2024")
    assert facts.digest == file_hash(col / "NameUsage.tsv")


def test_rows_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    build_backbone(backbones.write_gbif(tmp_path / "b.zip"), tmp_path / "b.sqlite")
    with Backbone(tmp_path / "b.sqlite") as backbone:
        wide, without, twice = backbone.left_out()
        assert (wide[0], wide[2]) == (N + 2, "32 columns instead of 23")
        assert without == (N + 3, "Sine numero", "no id")
        assert twice == (N + 4, "101", "an id that another row has")
        assert [each.name for each in backbone.named("parus bis")] == []


def test_a_checklist_without_a_header_is_read_by_its_meta_xml(tmp_path: Path) -> None:
    archive = backbones.write_archive_without_header(tmp_path / "list.zip")
    facts = build_backbone(archive, tmp_path / "b.sqlite")
    assert (facts.n_usages, facts.n_synonyms) == (2, 1)
    with Backbone(tmp_path / "b.sqlite") as backbone:
        (brevis,) = backbone.named("parus brevis")
        assert backbone.accepted(brevis).name == "Parus major"
        assert backbone.lineage(brevis)[4:] == ("Paridae", "Parus", "Parus major")


def test_a_plain_table_with_a_header(tmp_path: Path) -> None:
    table = tmp_path / "birds.csv"
    table.write_text(
        "family,order,scientificName,scientificNameAuthorship\n"
        'Paridae,Passeriformes,Parus major,"Linnaeus, 1758"\n'
        "Paridae,Passeriformes,Parus ater,\n"
        "Paridae,Passeriformes,,\n"
        "Paridae,Passeriformes,Parus major,Again\n"
    )
    facts = build_backbone(table, tmp_path / "b.sqlite")
    assert facts.ranks == {"family": 1, "genus": 1, "order": 1, "species": 2}
    assert (facts.n_lines, facts.n_left_out) == (4, 2)
    with Backbone(tmp_path / "b.sqlite") as backbone:
        (major,) = backbone.named("parus major")
        assert major.authorship == "Linnaeus, 1758"
        assert major.taxon_id == "#Passeriformes/Paridae/Parus/Parus major"
        assert backbone.lineage(major)[3:] == ("Passeriformes", "Paridae", "Parus", "Parus major")
        assert [reason for _, _, reason in backbone.left_out()] == [
            "no name",
            "the same as in line 2",
        ]


def test_columns_of_a_table_can_be_named(tmp_path: Path) -> None:
    table = tmp_path / "list.tsv"
    table.write_text("Parus major\tbirds\tAnimalia\nPica pica\tbirds\tAnimalia\n")
    columns = ("scientificName=1", "kingdom=3")
    facts = build_backbone(table, tmp_path / "b.sqlite", columns=columns, release="mine")
    assert facts.ranks == {"genus": 2, "kingdom": 1, "species": 2}
    assert (facts.columns, facts.release) == (columns, "mine")
    table.write_text("Species\tWhere\nParus major\thome\n")
    facts = build_backbone(table, tmp_path / "c.sqlite", columns=["species=Species"])
    assert facts.ranks == {"genus": 1, "species": 1}
    for wrong in (["kingdom=3"], ["name=1"], ["species=7"], ["species=Name"], ["species"]):
        with pytest.raises(UsageError, match="--column"):
            build_backbone(table, tmp_path / "d.sqlite", columns=wrong)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Functions are called without the check of their types, which takes most of the time."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.real_data
@pytest.mark.usefixtures("unchecked")
def test_the_birds_of_open_nature(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """The counts of the published table: 10,750 lines, one of them a subspecies."""
    table = real_data("birds_opennature_cc0") / "taxonomy.csv"
    facts = build_backbone(table, tmp_path / "birds.sqlite")
    assert (facts.n_lines, facts.n_left_out) == (10750, 0)
    assert facts.ranks == {
        "family": 248,
        "genus": 2307,
        "order": 41,
        "species": 10749,
        "subspecies": 1,
    }
    with Backbone(tmp_path / "birds.sqlite") as backbone:
        (tit,) = backbone.named("parus major")
        assert backbone.lineage(tit)[3:] == ("Passeriformes", "Paridae", "Parus", "Parus major")


def test_the_same_download_is_not_indexed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, out = backbones.write_gbif(tmp_path / "b.zip"), tmp_path / "b.sqlite"
    facts = build_backbone(download, out)
    with monkeypatch.context() as context:
        context.setattr(backbone_index, "_read_rows", None)
        assert build_backbone(download, out) == facts
    backbones.write_gbif(download, dirty=False)
    assert build_backbone(download, out).n_left_out == 0


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backbone_index, "_sort", fail)
    with pytest.raises(KeyboardInterrupt):
        build_backbone(backbones.write_gbif(tmp_path / "b.zip"), tmp_path / "out" / "b.sqlite")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_backbone_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "b.sqlite"
    with pytest.raises(DataNotFoundError, match="is not there"):
        build_backbone(tmp_path / "nothing.zip", out)
    (tmp_path / "words.csv").write_text("one;two\nthree;four\n")
    with pytest.raises(DataError, match="--column scientificName"):
        build_backbone(tmp_path / "words.csv", out)
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(DataError, match="empty"):
        build_backbone(tmp_path / "empty.tsv", out)
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(DataNotFoundError, match="no table of names"):
        build_backbone(tmp_path / "pictures.zip", out)
    with zipfile.ZipFile(tmp_path / "apart.zip", "w") as archive:
        archive.writestr("Taxon.tsv", "col:ID\tcol:parentID\tcol:nameID\n1\t\t2\n")
    with pytest.raises(DataError, match=r"NameUsage\.tsv"):
        build_backbone(tmp_path / "apart.zip", out)
    assert not out.exists()


def test_a_damaged_download_is_told(tmp_path: Path) -> None:
    whole = backbones.write_gbif_simple(tmp_path / "simple.txt.gz").read_bytes()
    (tmp_path / "simple.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        build_backbone(tmp_path / "simple.txt.gz", tmp_path / "b.sqlite")


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="syntype data backbone"):
        Backbone(tmp_path / "b.sqlite")
    (tmp_path / "b.sqlite").write_text("text" * 1000)
    with pytest.raises(DataError, match="no index"):
        Backbone(tmp_path / "b.sqlite")
    build_backbone(backbones.write_gbif(tmp_path / "b.zip"), tmp_path / "c.sqlite")
    with closing(sqlite3.connect(tmp_path / "c.sqlite")) as database:
        database.execute("UPDATE fact SET value = '0' WHERE name = 'format'")
        database.commit()
    with pytest.raises(DataError, match="version"):
        Backbone(tmp_path / "c.sqlite")
    assert build_backbone(tmp_path / "b.zip", tmp_path / "c.sqlite").n_usages == N
