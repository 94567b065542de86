"""`syntype search` as it is typed: options to a question, a table or the interface's JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

import syntype.cli.search  # noqa: F401 - adds the verb
from fakes.collection import SET, picture, synthetic_records
from fakes.memory_index import MemoryIndex
from syntype.cli import main
from syntype.configs import FilterConfig, SearchConfig
from syntype.encoders.load import load_encoder
from syntype.errors import UsageError
from syntype.provenance import plain
from syntype.search import opening
from syntype.search.asking import Asker
from syntype.search.calibration import Calibration, calibrate
from syntype.search.question import Question
from syntype.search.records import FACETS
from syntype.search.where import PARAMETERS, where_of

ROWS = synthetic_records(60).to_pylist()


@pytest.fixture(scope="module")
def index() -> MemoryIndex:
    """Records with the vectors of their pictures, by the floor's encoder."""
    encoder = load_encoder("pixels", "cpu")
    made = MemoryIndex(encoder.dim, plain(encoder.identity), spec="pixels")
    asker = Asker(made.card, "cpu")
    vectors = [asker.vector(Question(pictures=((picture(row), 1.0),)), made) for row in ROWS]
    made.upsert(synthetic_records(60), np.array(vectors))
    made.describe(notes=calibrate(made).to_notes())
    return made


@pytest.fixture
def search(index, monkeypatch, capsys):
    def run(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(opening, "open_index", lambda location: index)
        code = 0
        try:
            main(["search", "somewhere", *options])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def reply(search, *options: str) -> dict:
    code, out, err = search(*options, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_picture_finds_its_own_record(search, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(ROWS[7]))
    found = reply(search, "--image", str(tmp_path / "a.jpg"), "--n", "3", "--device", "cpu")
    assert found["records"][0]["id"] == ROWS[7]["id"]
    assert found["records"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert 0 < found["records"][0]["closeness"] <= 1
    assert len(found["records"]) == 3
    assert found["question"]["images"] == 1
    code, out, _ = search("--image", str(tmp_path / "a.jpg"), "--n", "3", "--device", "cpu")
    assert code == 0
    assert "60 records fit" in out
    assert "There is more: --after" in out


def test_examples_filters_groups_and_pages(search, index) -> None:
    options = (
        "--like",
        f"{SET}/plain",
        f"{SET}/a b",
        "--weight",
        "2",
        "1",
        "--unlike",
        f"{SET}/a#b",
    )
    filters = ("--class", "Aves", "Insecta", "--has", "image", "--box", "-90,-180,90,180")
    found = reply(search, *options, *filters, "--n", "4")
    assert {one["record"]["class"] for one in found["records"]} <= {"Aves", "Insecta"}
    assert not {f"{SET}/plain", f"{SET}/a b", f"{SET}/a#b"} & {o["id"] for o in found["records"]}
    again = reply(search, *options, *filters, "--n", "4", "--after", found["next"])
    assert not {o["id"] for o in found["records"]} & {o["id"] for o in again["records"]}
    grouped = reply(search, *options, "--group", "species", "--n", "2")
    assert len(grouped["groups"]) == 2
    assert reply(search, *options, "--diversity", "0.5")["records"]
    assert (
        reply(search, "--near", "-35.3,149.1,100", "--since", "1800", "--until", "2050")["total"]
        > 0
    )


def test_without_a_question_records_are_listed(search, index) -> None:
    found = reply(search, "--license", "")
    assert [one["id"] for one in found["records"]] == index.browse(10, where_of({"license": ("",)}))


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--text", "wings"), 2, "cannot be asked by text"),
        (("--at", "-33.9,151.2"), 2, "cannot be asked by place"),
        (("--climate-at", "-33.9,151.2"), 2, "cannot be asked by climate"),
        (("--like", "nothing"), 3, "no record"),
        (("--unlike", "text:egg"), 2, "Only what is not wanted"),
        (("--image", "nowhere.jpg"), 3, "cannot be read"),
        (("--sound", "nowhere.wav"), 3, "cannot be read"),
        (("--weight", "0"), 2, "--weight"),
        (("--n", "0"), 2, "--n"),
        (("--diversity", "2"), 2, "--diversity"),
        (("--box", "1,2,3"), 2, "box is south,west,north,east"),
        (("--since", "May"), 2, "no date"),
        (("--has", "wings"), 2, "wings"),
        (("--after", "x"), 2, "Begin with the first page"),
        (("--group", "species"), 2, "nothing is given"),
    ],
)
def test_what_is_wrong_is_said(search, options, code, said) -> None:
    found, _, err = search(*options)
    assert found == code, err
    assert said in " ".join(err.split())


def test_what_is_no_picture_is_said(search, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%PDF")
    code, _, err = search("--image", str(tmp_path / "a.jpg"))
    assert code == 3
    assert "not a picture of the formats" in err


def test_nothing_close_is_said(index, search, tmp_path: Path) -> None:
    kept = index.card.notes
    index.describe(notes=Calibration(form="none", far=2.0).to_notes())
    code, out, _ = search("--like", f"{SET}/plain")
    index.describe(notes=kept)
    assert code == 0
    assert "Nothing close:" in out


def test_filters_are_all_there_are() -> None:
    names = dict.fromkeys(FACETS, ("x",))
    given = FilterConfig(
        box="1,2,3,4", near="1,2,3", since="1900", until="1950", has=("image",),
        **{_field(name): values for name, values in names.items()},
    ).parameters()  # fmt: skip
    assert given.keys() == set(PARAMETERS)
    assert {name: given[name] for name in FACETS} == names
    assert where_of(given).equal == names
    assert FilterConfig().parameters() == {}
    assert FilterConfig(sex=("",)).parameters() == {"sex": ("",)}


def _field(name: str) -> str:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return "class_" if snake == "class" else snake


def test_options_are_checked_when_they_are_given() -> None:
    for wrong in ({"n": 0}, {"diversity": -0.1}, {"weight": (1.0, -1.0)}):
        with pytest.raises(UsageError):
            SearchConfig(**wrong)
