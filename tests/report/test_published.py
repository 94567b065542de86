from collections import defaultdict

import pytest

from fakes.versus import fake_entries
from syntype.configs import EvaluateConfig
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.load import parse_spec as data_spec
from syntype.encoders.spec import parse_spec
from syntype.report.published import aliases, all_published, columns_beside, published
from syntype.report.versus import contrast

BIOCLIP = "open_clip:hf-hub:imageomics/bioclip"


def by_table():
    tables = defaultdict(lambda: defaultdict(dict))
    for one in all_published():
        tables[one.table][one.model][one.benchmark] = one.value
    return tables


def test_every_number_is_a_percentage_with_a_source():
    for one in all_published():
        assert 0 < one.value < 100
        assert one.source
        assert one.remark.endswith(".")
        assert one.benchmark in aliases().values()


def test_the_means_printed_are_those_of_their_rows():
    """A number that was mistyped would show in the mean that was printed beside it."""
    rows = [row for table in by_table().values() for row in table.values() if "Mean of 10" in row]
    assert len(rows) == 23
    for row in rows:
        assert len(row) == 11
        parts = [value for name, value in row.items() if name != "Mean of 10"]
        assert sum(parts) / 10 == pytest.approx(row["Mean of 10"], abs=0.11)


def test_the_mean_of_unlike_tasks_is_that_of_its_tables():
    tables = by_table()
    parts = [f"bioclip2-{name}" for name in ("fishnet", "newt", "awa2", "herbarium19", "plantdoc")]
    for model, row in tables["bioclip2-other-mean"].items():
        values = [value for part in parts for value in tables[part][model].values()]
        assert sum(values) / 5 == pytest.approx(row["Mean of 5"], abs=0.06)


def test_only_the_confirmed_column_of_the_recalled_tables_agrees_with_the_data_card():
    tables = by_table()
    for shots in ("1-shot", "5-shot"):
        for model, row in tables[f"rare-species-card-{shots}"].items():
            recalled = tables[f"bioclip-{shots}"][model]["Rare Species"]
            assert recalled == pytest.approx(row["Rare Species"], abs=0.1)
    recalled = {one.table for one in all_published() if one.recalled}
    assert recalled == {"bioclip-1-shot", "bioclip-5-shot"}


def test_specs_are_specs_and_name_one_model_each():
    model_of = {}
    for one in all_published():
        for spec in one.specs:
            assert str(parse_spec(spec)) == spec
            assert model_of.setdefault(spec, one.model) == one.model


def test_contradicting_sources_are_all_there():
    found = published(BIOCLIP, "Meta-Album Fungi", "zero-shot")
    assert [(one.table, one.value) for one in found] == [
        ("bioclip-card", 51.8),
        ("bioclip-site", 40.7),
        ("bioclip2-species", 40.9),
    ]
    assert "older run" in found[0].remark


def test_benchmarks_and_models_are_found_by_any_of_their_names():
    expected = published(BIOCLIP, "Rare Species", "few-shot")
    assert [one.metric for one in expected] == [
        "species1Shot", "species5Shot", "species1Shot", "species5Shot",
    ]  # fmt: skip
    for name in ("rare-species", "rare_species", "imageomics/rare-species"):
        assert published(BIOCLIP, name, "few-shot") == expected
    assert published("bioclip", "rare-species", "few-shot") == expected
    assert published("dino", "meta-album-fng", "few-shot")[0].value == 20.0


def test_parts_of_sets_are_found_by_the_names_that_the_page_asks_for():
    for code in BENCHMARKS["meta-album"].parts:
        assert not code or published("BioCLIP", f"meta-album-{code.lower()}", "zero-shot")
    assert published("BioCLIP", "IDLE-OO-Camera-Traps", "zero-shot")
    assert data_spec("meta-album-ins=meta-album:FOLDER#INS")[0] == "meta-album-ins"


def test_what_is_not_known_is_not_guessed():
    assert published("open_clip:ViT-B-32/openai", "Meta-Album Fungi", "zero-shot") == ()
    assert published(BIOCLIP, "Meta-Album Fungi", "retrieval") == ()
    assert published(BIOCLIP, "my own set", "zero-shot") == ()
    assert published("open_clip:ViT-B-16/laion400m_e32", "Meta-Album Fungi", "zero-shot") == ()


def test_columns_beside_hold_the_models_that_are_compared():
    places = (("rare-species", "zero-shot"), ("mine", "zero-shot"))
    versus = contrast(
        fake_entries({"BioCLIP 2": 0.7, BIOCLIP: 0.6, "unknown": 0.5}, places),
        EvaluateConfig(resamples=100, confidence=0.9),
    )
    columns = columns_beside(versus)
    assert [one.key.split("/")[1] for one in columns] == [
        "bioclip-card", "bioclip-site", "rare-species-card-zero-shot", "bioclip2-species",
    ]  # fmt: skip
    assert columns[0].values == {BIOCLIP: 39.2}
    assert columns[3].values == {"BioCLIP 2": 76.8, BIOCLIP: 37.1}
    assert {one.set for one in columns} == {"rare-species"}


def test_a_set_of_ones_own_is_not_taken_for_a_benchmark():
    for name in ("insects", "fungi", "plankton", "birds", ""):
        assert published("BioCLIP", name, "zero-shot") == ()
