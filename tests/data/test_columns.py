import pytest

from syntype.configs import DataConfig
from syntype.data.columns import SYNONYMS, map_columns
from syntype.errors import DataError, UsageError

CONFIG = DataConfig(data=("t",))


def table(*names: str, **columns: list[str | None]) -> dict[str, list[str | None]]:
    return {name: ["a", "b"] for name in names} | columns


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["path", "label"], {"image": "path", "label": "label"}),
        (["File Name", "Scientific_Name"], {"image": "File Name", "label": "Scientific_Name"}),
        (
            ["dwc:scientificName", "imagePath", "dwc:family"],
            {"image": "imagePath", "label": "dwc:scientificName", "family": "dwc:family"},
        ),
        (["filename", "species"], {"image": "filename", "label": "species"}),
        (["filepath", "class"], {"image": "filepath", "label": "class"}),
        (
            ["filepath", "class", "species"],
            {"image": "filepath", "label": "species", "class": "class"},
        ),
        (
            ["image", "scientificName", "species", "verbatimIdentification", "taxonGroup"],
            {
                "image": "image",
                "label": "scientificName",
                "species": "species",
                "verbatimIdentification": "verbatimIdentification",
                "taxonGroup": "taxonGroup",
            },
        ),
        (
            ["path", "label", "taxon_group", "group", "common_name", "specimen_id"],
            {
                "image": "path",
                "label": "label",
                "taxonGroup": "taxon_group",
                "unit": "specimen_id",
                "vernacularName": "common_name",
            },
        ),
    ],
)
def test_guesses(names: list[str], expected: dict[str, str]) -> None:
    mapped = map_columns(table(*names), "t", CONFIG)
    assert dict(mapped.columns) == expected
    assert mapped.guessed == sorted(expected)


def test_group_is_the_taxon_group_only_if_it_looks_like_one() -> None:
    taxa = table("path", label=["a", "b", "c"], group=["Fish", "Fish", "Bird"])
    assert map_columns(taxa, "t", CONFIG).columns["taxonGroup"] == "group"
    tracks = table("path", label=["a", "a", "b"], group=["t1", "t2", "t3"])
    assert map_columns(tracks, "t", CONFIG).columns["unit"] == "group"
    beside = table("path", "taxon_group", label=["a", "a", "b"], group=["t1", "t1", "t3"])
    columns = map_columns(beside, "t", CONFIG).columns
    assert (columns["taxonGroup"], columns["unit"]) == ("taxon_group", "group")


def test_integer_codes_are_no_labels_while_names_are_there() -> None:
    columns = map_columns(table("path", "species", label=["0", "1"]), "t", CONFIG).columns
    assert columns["label"] == "species"
    assert map_columns(table("path", label=["0", "1"]), "t", CONFIG).columns["label"] == "label"


def test_named_columns_go_before_guesses() -> None:
    config = DataConfig(data=("t",), column=("species=label", "image=file"), unit="group")
    mapped = map_columns(table("path", "file", "label", "species", "group"), "t", config)
    assert mapped.columns["label"] == "label"
    assert mapped.columns["image"] == "file"
    assert mapped.columns["unit"] == "group"
    assert mapped.guessed == ["species"]


def test_a_column_may_be_named_for_one_set_only() -> None:
    config = DataConfig(data=("t", "u"), column=("t.image=file", "image=path"))
    assert map_columns(table("path", "file", "label"), "t", config).columns["image"] == "file"
    assert map_columns(table("path", "file", "label"), "u", config).columns["image"] == "path"


@pytest.mark.parametrize("option", ["image", "image=", "picture=path"])
def test_malformed_options_list_the_terms(option: str) -> None:
    with pytest.raises(UsageError, match="where TERM is one of: image"):
        map_columns(table("path", "label"), "t", DataConfig(data=("t",), column=(option,)))


def test_unknown_columns_list_those_there_are() -> None:
    config = DataConfig(data=("t",), column=("image=photo",))
    with pytest.raises(UsageError, match=r"no column 'photo'.*path, label"):
        map_columns(table("path", "label"), "t", config)
    with pytest.raises(UsageError, match=r"no column 'track'.*path, label"):
        map_columns(table("path", "label"), "t", DataConfig(data=("t",), unit="track"))


def test_columns_that_cannot_be_guessed() -> None:
    with pytest.raises(DataError, match=r"--column image=NAME; the columns are: a, label"):
        map_columns(table("a", "label"), "t", CONFIG)
    with pytest.raises(DataError, match=r"--column label=NAME; the columns are: path, b"):
        map_columns(table("path", "b"), "t", CONFIG)


def test_every_term_is_a_column_of_a_dataset_or_the_label() -> None:
    from syntype.data.dataset import SCHEMA

    assert SYNONYMS.keys() - set(SCHEMA.names) == {"label"}
