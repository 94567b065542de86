import shutil

import numpy as np
import pytest

from fakes.sounds import encoded, tone, write_folder
from syntype.configs import DataConfig
from syntype.data.catalogue import Catalogue
from syntype.data.importing import import_raw
from syntype.data.sounds import FORMATS, format_of, raw_sounds, read_sounds
from syntype.errors import DataError, DataNotFoundError, UsageError


@pytest.fixture(scope="module")
def owls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds") / "owls"
    return folder, write_folder(folder)


def test_a_table_of_sounds_has_rows_folds_and_places(owls):
    folder, rows = owls
    sounds = read_sounds(folder)
    table = sounds.dataset.table
    assert len(sounds) == len(rows) == 6
    assert table.column("image").to_pylist() == [row["path"] for row in rows]
    assert table.column("species").to_pylist() == [row["label"] for row in rows]
    assert table.column("genus").to_pylist()[:3] == ["Strix", "Strix", "Turdus"]
    assert set(table.column("license").to_pylist()) == {"CC0"}
    assert list(sounds.fold) == ["1", "2"] * 3
    np.testing.assert_array_equal(sounds.latitude, [50, np.nan] * 3)
    np.testing.assert_array_equal(sounds.longitude, [-3.5, np.nan] * 3)
    assert sounds.dataset.read(0) == (folder / rows[0]["path"]).read_bytes()


def test_the_table_itself_may_be_named(owls):
    folder, _ = owls
    sounds = read_sounds(folder / "labels.csv")
    assert sounds.dataset.revision == read_sounds(folder).dataset.revision
    assert list(sounds.fold) == ["1", "2"] * 3


def test_absolute_paths_keep_what_stands_beside_them(owls, tmp_path):
    folder, rows = owls
    lines = ["file,species,fold,recordist"]
    lines += [f"{folder / row['path']},{row['label']},{row['fold']},Ann" for row in rows]
    (tmp_path / "elsewhere.csv").write_text("\n".join(lines))
    sounds = read_sounds(tmp_path / "elsewhere.csv")
    assert list(sounds.fold) == ["1", "2"] * 3
    assert set(sounds.recorded_by) == {"Ann"}
    assert np.isnan(sounds.latitude).all()


@pytest.mark.parametrize("split", [False, True])
def test_class_folders_of_sounds(tmp_path, split):
    for number, label in enumerate(["Strix aluco", "Tyto alba"]):
        place = tmp_path / ("train" if split else "") / label
        place.mkdir(parents=True)
        (place / f"{number}.wav").write_bytes(encoded(tone(seconds=0.1)))
        (place / "notes.txt").write_text("no sound")
    (tmp_path / "loose.wav").write_bytes(encoded(tone(seconds=0.1)))
    sounds = read_sounds(tmp_path, name="owls")
    table = sounds.dataset.table
    assert table.column("species").to_pylist() == ["Strix aluco", "Tyto alba"]
    assert set(table.column("split").to_pylist()) == ({"train"} if split else {""})
    assert table.column("id").to_pylist()[0].startswith("owls/")
    (left,) = sounds.dataset.notes["leftOut"]["rows"]
    assert left == {"id": "owls/loose.wav", "reason": "in no class folder"}


def test_a_catalogue_gives_the_same_sounds(owls, tmp_path):
    folder, _ = owls
    plain = read_sounds(folder)
    import_raw(raw_sounds(folder), tmp_path / "catalogue")
    catalogue = Catalogue.open(tmp_path / "catalogue")
    (rows,) = catalogue.scan()
    assert set(rows.column("mediaType").to_pylist()) == {"Sound"}
    assert set(rows.column("format").to_pylist()) == {"audio/flac"}
    sounds = read_sounds(tmp_path / "catalogue")
    for name in ("id", "image", "species", "genus", "unit", "license", "taxonGroup"):
        assert sounds.dataset.table.column(name).equals(plain.dataset.table.column(name)), name
    np.testing.assert_array_equal(sounds.latitude, plain.latitude)
    assert sounds.dataset.read(2) == plain.dataset.read(2)


def test_pictures_in_a_catalogue_are_no_sounds(owls, tmp_path):
    from dataclasses import replace

    raw = raw_sounds(owls[0])
    (table,) = raw.tables
    kinds = ["StillImage"] * 2 + ["Sound"] * 4
    place = table.schema.get_field_index("mediaType")
    mixed = replace(raw, tables=iter([table.set_column(place, "mediaType", [kinds])]))
    import_raw(mixed, tmp_path / "mixed")
    assert set(read_sounds(tmp_path / "mixed").dataset.column("genus")) == {"Turdus"}
    silent = table.set_column(place, "mediaType", [["StillImage"] * 6])
    import_raw(replace(raw, tables=iter([silent])), tmp_path / "silent")
    with pytest.raises(DataError, match="no row whose mediaType is Sound"):
        read_sounds(tmp_path / "silent")


def test_units_come_from_names_of_files(owls):
    sounds = read_sounds(owls[0]).units_by_name(r"/(\w+)-\d")
    assert sounds.dataset.column("unit").tolist()[:3] == ["aluco", "aluco", "merula"]
    for wrong in ("(", r"/\w+-", r"(nothing)"):
        with pytest.raises(UsageError):
            sounds.units_by_name(wrong)


def test_rows_are_chosen_with_all_that_stands_beside_them(owls):
    sounds = read_sounds(owls[0])
    first = sounds.select(np.array([fold == "1" for fold in sounds.fold]))
    assert (len(first), set(first.fold)) == (3, {"1"})
    assert not np.isnan(first.latitude).any()
    assert set(sounds.with_units(["a", "", "a", "a", "a", "a"]).dataset.column("unit")) == {
        "a",
        sounds.dataset.ids[1],
    }


def test_places_that_are_none_are_unknown(owls, tmp_path):
    folder = shutil.copytree(owls[0], tmp_path / "owls")
    text = (folder / "labels.csv").read_text().replace("-3.5", "999")
    (folder / "labels.csv").write_text(text)
    sounds = read_sounds(folder)
    assert np.isnan(sounds.latitude).all()
    assert np.isnan(sounds.longitude).all()


def test_nothing_where_the_sounds_should_be(tmp_path):
    with pytest.raises(DataNotFoundError, match="no sounds at"):
        read_sounds(tmp_path / "gone")
    with pytest.raises(DataError, match="no sounds in class folders"):
        read_sounds(tmp_path)


def test_formats_by_their_endings():
    assert format_of("a/b.MP3") == "audio/mpeg"
    assert format_of("a/b.jpg") == ""
    assert all(kind.startswith("audio/") for kind in FORMATS.values())


@pytest.mark.real_data
def test_the_real_sets_are_read(real_data):
    birds = read_sounds(real_data("birdsong_uk_xc"))
    assert len(birds) == 92
    assert len(set(birds.dataset.column("species"))) == 58
    assert np.isfinite(birds.latitude).sum() > 80
    config = DataConfig(data=("esc10",))
    esc = read_sounds(real_data("esc10"), config).units_by_name(r"-(\d+)-")
    assert (len(esc), sorted(set(esc.fold))) == (400, list("12345"))
    assert len(set(esc.dataset.column("unit"))) == 304
    assert len(set(esc.dataset.column("species"))) == 10
