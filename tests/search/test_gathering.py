"""Whatever a user names becomes records: folders, tables, catalogues, archives, services."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.catalogues import COLUMNS, catalogue_of, jpeg, row
from fakes.fault_server import Site
from fakes.occurrence_api import Api, gbif_record, idigbio_medium, idigbio_record
from fakes.occurrences import CORE_TERMS, star, write_star
from fakes.pictures import write_picture
from fakes.worlds import drawn_once
from syntype.configs import IndexConfig, Workplace
from syntype.errors import DataError, DataNotFoundError, IncompleteError
from syntype.search.gathering import Gathered, gather
from syntype.search.records import RECORD, read_medium

JPEG = "image/jpeg"
MORE = (*COLUMNS, "mediaType", "occurrenceID", "accessURI", "format", "eventDate",
        "decimalLatitude", "decimalLongitude")  # fmt: skip
HERE = {"imageStore": ""}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(workspace=tmp_path / "work", quiet=True, workers=1, device="cpu")


@pytest.fixture
def drawn(home_of_worlds: Path) -> Iterator[None]:
    """Synthetic worlds are drawn once for all tests."""
    with drawn_once(home_of_worlds):
        yield


def records(found: Gathered) -> list[dict[str, Any]]:
    """All records; they are the same each time."""
    tables = list(found.tables())
    assert all(table.schema == RECORD for table in tables)
    rows = [record for table in tables for record in table.to_pylist()]
    assert rows == [record for table in found.tables() for record in table.to_pylist()]
    assert len({record["id"] for record in rows}) == len(rows)
    return rows


def check_readable(found: Gathered) -> None:
    for record in records(found):
        assert len(read_medium(record, found.roots)) > 50, record["id"]


def published(numbers: Iterable[int]) -> Site:
    """A web server with pictures of these numbers."""
    contents = {f"/{number}.jpg": jpeg(number) for number in numbers}
    return Site(contents, types=dict.fromkeys(contents, JPEG))


def test_a_folder_has_pictures_with_names_and_without(tmp_path: Path, place: Workplace) -> None:
    home = tmp_path / "cabinet"
    for name in ("loose.jpg", "Parus major/1.jpg", "Parus major/2.PNG", "birds/Parus_minor/x.jpg",
                 ".hidden.jpg", "Parus major/.hidden.png", "ü #1%/a b.jpg"):  # fmt: skip
        write_picture(home / name)
    (home / "notes.pdf").write_text("no picture")
    (home / "linked.jpg").symlink_to(write_picture(tmp_path / "elsewhere" / "a.jpg"))
    (home / "Danaus plexippus").symlink_to(tmp_path / "elsewhere")
    (home / "Parus major" / "circle").symlink_to(home)
    found = gather(str(home), IndexConfig(), place)
    by_id = {record["id"]: record for record in records(found)}
    assert set(by_id) == {
        f"cabinet/{name}"
        for name in ("loose.jpg", "linked.jpg", "Danaus plexippus/a.jpg", "Parus major/1.jpg",
                     "Parus major/2.PNG", "birds/Parus_minor/x.jpg", "ü #1%/a b.jpg")
    }  # fmt: skip
    assert found.n == 7
    assert by_id["cabinet/Parus major/1.jpg"]["scientificName"] == "Parus major"
    assert by_id["cabinet/Parus major/1.jpg"]["genus"] == "Parus"
    assert by_id["cabinet/birds/Parus_minor/x.jpg"]["species"] == "Parus minor"
    assert by_id["cabinet/loose.jpg"]["scientificName"] == ""
    assert {record["has"] for record in by_id.values()} == {"image"}
    assert {record["mediaType"] for record in by_id.values()} == {"StillImage"}
    assert found.roots == {"cabinet": home}
    check_readable(found)
    named = gather(f"Drawers={home}", IndexConfig(), place)
    assert {record["datasetName"] for record in records(named)} == {"Drawers"}
    kind = gather(f"folder:{home}", IndexConfig(), place)
    assert {record["id"] for record in records(kind)} == set(by_id)


def test_a_folder_of_loose_pictures_needs_no_names(tmp_path: Path, place: Workplace) -> None:
    for number in range(3):
        write_picture(tmp_path / "loose" / f"{number}.jpg")
    assert len(records(gather(str(tmp_path / "loose"), IndexConfig(), place))) == 3


def test_a_record_that_leads_out_of_all_folders_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    for name in ("in", "also"):
        write_picture(tmp_path / name / "a.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "also")
    roots = {"set": tmp_path / "in", "other": tmp_path / "also"}
    medium = {"id": "x", "datasetName": "set", "imageStore": "", "imageOffset": 0, "imageLength": 0}
    for place in ("a.jpg", "link/a.jpg", "../also/a.jpg", "b/../a.jpg"):
        assert read_medium({**medium, "image": place}, roots)
    for place in ("../secret.jpg", str(tmp_path / "secret.jpg"), "link/../../secret.jpg",
                  "link/../secret.jpg", "../in.jpg", "/etc/passwd", "..",
                  "../insecure/a.jpg"):  # fmt: skip
        with pytest.raises(DataNotFoundError):
            read_medium({**medium, "image": place}, roots)


@pytest.mark.parametrize(("make", "error"), [(False, DataNotFoundError), (True, DataError)])
def test_nothing_there_and_nothing_in_it_are_clear_errors(
    tmp_path: Path, place: Workplace, make: bool, error: type[Exception]
) -> None:
    if make:
        (tmp_path / "empty" / "deep").mkdir(parents=True)
        (tmp_path / "empty" / "deep" / "a.txt").write_text("x")
    with pytest.raises(error, match="empty"):
        gather(str(tmp_path / "empty"), IndexConfig(), place)
    with pytest.raises(error):
        gather(f"folder:{tmp_path / 'empty'}", IndexConfig(), place)


def test_a_table_says_what_its_pictures_are(tmp_path: Path, place: Workplace) -> None:
    for number in range(3):
        write_picture(tmp_path / "set" / "images" / f"{number}.jpg")
    (tmp_path / "set" / "labels.csv").write_text(
        "path,label,order,common_name\n"
        "images/0.jpg,Parus major,Passeriformes,Great Tit\n"
        "images/1.jpg,Parus minor,Passeriformes,\nimages/2.jpg,Danaus plexippus,,\n"
    )
    for source in (tmp_path / "set", tmp_path / "set" / "labels.csv"):
        found = gather(str(source), IndexConfig(), place)
        rows = records(found)
        assert [one["species"] for one in rows] == [
            "Parus major",
            "Parus minor",
            "Danaus plexippus",
        ]
        assert rows[0]["vernacularName"] == "Great Tit"
        check_readable(found)


def sounding(folder: Path, root: Path, **addresses: str) -> Path:
    """A catalogue: pictures and sounds of occurrences, some only by their address."""
    root.mkdir(parents=True)
    for number in (0, 1, 4):
        (root / f"{number}.jpg").write_bytes(jpeg(number))
    (root / "0.wav").write_bytes(b"RIFF")
    still, sound = {"mediaType": "StillImage"}, {"mediaType": "Sound", "format": "audio/wav"}
    there = {"decimalLatitude": 1.0, "decimalLongitude": -2.0, "eventDate": "1913-05"}
    rows = [
        row(0, HERE, image="0.jpg", occurrenceID="A", **still, **there),
        row(1, HERE, image="1.jpg", occurrenceID="B", eventDate="May 1913"),
        row(2, HERE, image="0.wav", occurrenceID="A", **sound),
        row(3, HERE, image="", occurrenceID="B", accessURI=addresses.get("picture", ""), **still),
        row(4, HERE, image="4.jpg", occurrenceID="", decimalLatitude=1.0, **still),
        row(5, HERE, image="", occurrenceID="", **sound),
        row(6, HERE, image="", occurrenceID="B", accessURI=addresses.get("gone", ""), **still),
    ]
    whole = [
        dict.fromkeys(MORE) | {"mediaType": "", "accessURI": "", "format": ""} | r for r in rows
    ]
    return catalogue_of(whole, folder, root, columns=MORE).folder


def test_pictures_of_a_catalogue_say_whether_there_is_a_sound(
    tmp_path: Path, place: Workplace
) -> None:
    folder = sounding(tmp_path / "catalogue", tmp_path / "media")
    for source in (str(folder), f"catalogue:{folder}"):
        found = gather(source, IndexConfig(), place)
        has = {record["image"]: set(record["has"].split()) for record in records(found)}
        assert has == {
            "0.jpg": {"image", "sound", "place", "date"},
            "1.jpg": {"image"},
            "4.jpg": {"image"},
        }
        check_readable(found)


def test_what_is_elsewhere_is_fetched_unless_offline(tmp_path: Path, place: Workplace) -> None:
    site = published((3,))
    with site.running() as address:
        folder = sounding(
            tmp_path / "catalogue",
            tmp_path / "media",
            picture=f"{address}/3.jpg",
            gone=f"{address}/gone.jpg",
        )
        away = gather(str(folder), IndexConfig(offline=True), place)
        assert len(records(away)) == 3
        assert not site.asked
        found = gather(str(folder), IndexConfig(), place)
        rows = {record["id"].rpartition("/")[2]: record for record in records(found)}
        assert set(rows) == {"p00000", "p00001", "p00003", "p00004"}
        assert read_medium(rows["p00003"], found.roots) == jpeg(3)
        check_readable(found)
        n_asked = len([1 for path, _, _ in site.asked if path == "/3.jpg"])
        again = gather(str(folder), IndexConfig(), place)
        assert records(again) == records(found)
        assert len([1 for path, _, _ in site.asked if path == "/3.jpg"]) == n_asked


def archive(target: Path, address: str, n: int) -> Path:
    core, _ = star(n)
    media = [
        [f"r{i}", f"{address}/{i}.jpg", "StillImage", "image/jpeg",
         "http://creativecommons.org/licenses/by/4.0/", f"creator {i}"]
        for i in range(n)
    ]  # fmt: skip
    return write_star(target, core, media)


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_a_darwin_core_archive_is_fetched_and_grows(
    tmp_path: Path, place: Workplace, ending: str
) -> None:
    site = published(range(6))
    target = tmp_path / f"archive{ending}"
    with site.running() as address:
        archive(target, address, 4)
        found = gather(str(target), IndexConfig(), place)
        first = records(found)
        assert len(first) == 4
        assert {record["has"] for record in first} == {"image place date"}
        assert {record["license"] for record in first} == {"CC-BY-4.0"}
        check_readable(found)
        archive(target, address, 6)
        grown = records(gather(str(target), IndexConfig(), place))
        assert [record for record in grown if record["id"] in {one["id"] for one in first}] == first
        assert len(grown) == 6
        assert {len([1 for path, _, _ in site.asked if path == f"/{i}.jpg"]) for i in range(6)} == {
            1
        }
        with pytest.raises(DataError, match="has no record with a picture"):
            gather(
                str(archive(tmp_path / f"b{ending}", address, 2)), IndexConfig(offline=True), place
            )


def test_records_without_any_picture_are_a_clear_error(tmp_path: Path, place: Workplace) -> None:
    core, _ = star(3)
    target = write_star(tmp_path / "archive", core, [])
    assert len(CORE_TERMS) == 5
    with pytest.raises(DataError, match="picture"):
        gather(str(target), IndexConfig(), place)


def test_gbif_is_asked_and_its_pictures_are_fetched(
    tmp_path: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = published((1, 2, 3))
    with site.running() as address:
        answers = [gbif_record(key, n_media=1) for key in (1, 2, 3)]
        for answer in answers:
            answer["media"][0]["identifier"] = f"{address}/{answer['key']}.jpg"
            answer["extensions"] = {}
        api = Api(records=answers[:2])
        with api.running() as service:
            monkeypatch.setenv("SYNTYPE_GBIF_API", f"{service}/v1")
            found = gather("gbif:country=US", IndexConfig(), place)
            assert len(records(found)) == 2
            assert {record["species"] for record in records(found)} == {"Puma concolor"}
            check_readable(found)
            api.records = answers
            assert len(records(gather("gbif:country=US", IndexConfig(), place))) == 3
            n_files = len([1 for path, _, _ in site.asked if path == "/1.jpg"])
            assert n_files == 1
            one = gather("gbif:country=CA", IndexConfig(limit=1), place)
            assert len(records(one)) == 1
            # Each query is a set of its own, so that an index can hold several.
            assert {name for name, *_ in (card_names(found), card_names(one))} == {
                "gbif-country-US", "gbif-country-CA"
            }  # fmt: skip
            named = gather("Cats=gbif:country=US", IndexConfig(), place)
            assert {record["datasetName"] for record in records(named)} == {"Cats"}
            n_asked = len(api.asked)
            assert len(records(gather("gbif:country=US", IndexConfig(offline=True), place))) == 3
            assert len(api.asked) == n_asked


def card_names(found: Gathered) -> list[str]:
    return [card.name for card in found.cards]


def test_an_answer_that_was_cut_off_goes_on(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: Any, **options: Any) -> Any:
        raise IncompleteError("A page does not come.")

    site = published(range(1, 3))
    answers = [gbif_record(key, n_media=1) for key in (1, 2)]
    with site.running() as address, Api(records=answers).running() as service:
        for answer in answers:
            answer["media"][0]["identifier"] = f"{address}/{answer['key']}.jpg"
            answer["extensions"] = {}
        monkeypatch.setenv("SYNTYPE_GBIF_API", f"{service}/v1")
        gather("gbif:country=US", IndexConfig(), place)
        with monkeypatch.context() as patch:
            patch.setattr("syntype.fetching.gbif_api.fetch_pages", cut)
            with pytest.raises(IncompleteError):
                gather("gbif:country=US", IndexConfig(), place)
        (home,) = place.workspace.glob("gathered/gbif-*")
        kept = home / "answer" / "kept"
        kept.parent.mkdir()
        kept.touch()
        assert len(records(gather("gbif:country=US", IndexConfig(), place))) == 2
        assert kept.exists(), "what had come of it before stays"


def test_idigbio_is_asked_and_its_pictures_are_fetched(
    tmp_path: Path, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = published((7, 8))
    with site.running() as address:
        media = [idigbio_medium(7, [1]), idigbio_medium(8, [2])]
        for number, medium in zip((7, 8), media, strict=True):
            medium["data"]["ac:accessURI"] = f"{address}/{number}.jpg"
            medium["indexTerms"]["accessuri"] = f"{address}/{number}.jpg"
        api = Api(items=[idigbio_record(1, [7]), idigbio_record(2, [8])], media=media)
        with api.running() as service:
            monkeypatch.setenv("SYNTYPE_IDIGBIO_API", f"{service}/v2")
            found = gather("idigbio:genus=puma", IndexConfig(), place)
    assert len(records(found)) == 2
    check_readable(found)


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_observations_have_places_and_sounds(tmp_path: Path, place: Workplace) -> None:
    found = gather("synthetic-six:tiny", IndexConfig(), place)
    rows = records(found)
    assert rows
    has = [set(record["has"].split()) for record in rows]
    assert all("image" in words for words in has)
    assert any("sound" in words for words in has)
    assert any("place" in words for words in has)
    assert all(record["species"] for record in rows)
    for record in rows[:20]:
        assert len(read_medium(record, found.roots)) > 50


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
def test_synthetic_pictures_are_gathered_as_by_data(tmp_path: Path, place: Workplace) -> None:
    found = gather("synthetic:tiny", IndexConfig(), place)
    assert len(records(found)) == found.n > 100
    assert [card.name for card in found.cards]
    assert len(read_medium(records(found)[0], found.roots)) > 50


@pytest.mark.real_data
def test_the_real_birds_come_with_their_names(
    real_data: Callable[[str], Path], place: Workplace
) -> None:
    found = gather(str(real_data("birds_opennature_cc0")), IndexConfig(), place)
    rows = records(found)
    assert len(rows) == found.n == 742
    assert all(record["species"] and record["vernacularName"] for record in rows)
    check_readable(found)


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("dwc_cyanolichens", marks=pytest.mark.slow),
        "dwc_dissco",
        "dwc_nfhm_samples",
    ],
)
def test_real_museum_records_whose_pictures_are_elsewhere_say_so_offline(
    real_data: Callable[[str], Path], place: Workplace, name: str
) -> None:
    with pytest.raises(DataError, match="has no record with a picture here"):
        gather(str(real_data(name)), IndexConfig(offline=True), place)
