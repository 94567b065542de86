import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from syntype.configs import EvaluateConfig
from syntype.data.strata import training_bin
from syntype.errors import DataError, DataNotFoundError, ResourceError, UsageError
from syntype.evaluation import Scores, metrics, resample, retrieve, schema, stack

CONFIG = EvaluateConfig(resamples=200)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "evaluation.md"


def samples(n=60, seed=0):
    rng = np.random.default_rng(seed)
    species = [f"{'abc'[i % 3]}{i % 7}" for i in rng.integers(0, 21, n)]
    return pa.table(
        {
            "id": [f"id{i:03d}" for i in range(n)],
            "unit": [f"{name}/{rng.integers(0, 4)}" for name in species],
            "taxonGroup": ["Fish" if name < "b" else "Bird" for name in species],
            "species": species,
            "genus": [name[0] for name in species],
            "family": ["F"] * n,
        }
    )


def scored(seed=0, config=CONFIG, **options):
    table = samples()
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((len(table), 6)).astype(np.float32)
    vectors[:, :3] += (
        2
        * np.eye(3)["abc".index("a") + np.array([ord(g) - 97 for g in table["genus"].to_pylist()])]
    )
    return retrieve(vectors, table, config, **options)


def test_saved_scores_come_back(tmp_path):
    scores = scored(n_train={"a0": 3})
    scores.save(tmp_path)
    again = Scores.load(tmp_path)
    assert again.summary == scores.summary
    assert repr(again.table.to_pydict()) == repr(scores.table.to_pydict())
    assert again.table.schema.equals(schema(CONFIG.ranks, CONFIG.recall_at))


def test_equal_scores_are_equal_bytes(tmp_path):
    for name in ("one", "two"):
        scored().save(tmp_path / name)
    for file in ("scores.parquet", "summary.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    Scores.load(tmp_path / "one").save(tmp_path / "again")
    first = (tmp_path / "one" / "scores.parquet").read_bytes()
    assert (tmp_path / "again" / "scores.parquet").read_bytes() == first


def test_loading_what_is_not_there_or_not_ours(tmp_path):
    with pytest.raises(DataNotFoundError, match="holds no scores"):
        Scores.load(tmp_path)
    scored().save(tmp_path)
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(ResourceError, match="not a JSON object"):
        Scores.load(tmp_path)


def test_columns_are_exactly_these():
    assert schema(("species", "class"), (1, 5)).names == [
        "id",
        "unit",
        "taxonGroup",
        "species",
        "speciesRelevant",
        "speciesHit@1",
        "speciesHit@5",
        "speciesPrecisionAtR",
        "speciesAveragePrecisionAtR",
        "class",
        "classRelevant",
        "classHit@1",
        "classHit@5",
        "classPrecisionAtR",
        "classAveragePrecisionAtR",
        "neighbourIds",
        "neighbourLabels",
        "neighbourSimilarities",
        "withinSimilarity",
        "betweenSimilarity",
        "nTrain",
    ]


def test_the_page_specifies_every_column():
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z0-9<>]+) \|", PAGE.read_text(), re.MULTILINE)
    ranks, depths = ("species", "genus"), (1, 5)
    written = {
        name.replace("RANK", rank).replace("@K", f"@{k}"): kind
        for name, kind in rows
        for rank in ranks
        for k in depths
    }
    columns = schema(ranks, depths)
    actual = {field.name: str(field.type).replace("element: ", "") for field in columns}
    assert written == {name: kind.replace("float", "float32") for name, kind in actual.items()}


def test_the_page_specifies_every_key_of_the_summary():
    page = PAGE.read_text()
    summary = scored(n_train={"a0": 3}).summary
    cell = summary["all"]["speciesHit@1"]["micro"]
    for key in (*summary, *summary["queries"]["species"], *cell):
        assert f"`{key}`" in page, key


def test_names_of_metrics_and_values():
    scores = scored()
    assert scores.ranks == ["species", "genus", "family"]
    assert scores.metrics[:3] == ["speciesHit@1", "speciesHit@5", "speciesHit@10"]
    assert scores.metrics[-2:] == ["withinSimilarity", "betweenSimilarity"]
    assert scores.values("genusHit@1").dtype == np.float32
    with pytest.raises(DataError, match=r"no metric 'Recall@1'. They hold: speciesHit@1"):
        scores.values("Recall@1")


def test_rank_of_a_metric():
    scores = scored()
    assert scores.rank_of("genusAveragePrecisionAtR") == "genus"
    assert scores.rank_of("betweenSimilarity") == "species"
    assert scores.classes("genusHit@5") == scores.column("genus")


def test_summary_holds_the_means_of_the_table():
    scores = scored(n_train={f"{g}{i}": 3 * i for g in "abc" for i in range(7)})
    json.dumps(scores.summary, allow_nan=False)
    groups = scores.column("taxonGroup")
    bins = training_bin(scores.table.column("nTrain").to_numpy())
    assert set(scores.summary["byTrainingImages"]) == {"0", "2-4", "5-9", "10-19"}
    for metric in scores.metrics:
        values, classes = scores.values(metric), scores.classes(metric)
        cells = {("all", ""): scores.summary["all"][metric]}
        rows = {("all", ""): values}
        for by, strata in (("byTaxonGroup", groups), ("byTrainingImages", bins)):
            for name in set(strata) - {""}:
                rows[by, name] = np.where(np.array(strata) == name, values, np.nan)
                cells[by, name] = scores.summary[by][name][metric]
        for key, cell in cells.items():
            micro, macro = metrics.micro_mean(rows[key]), metrics.macro_mean(rows[key], classes)
            assert cell["micro"]["estimate"] == pytest.approx(micro)
            assert cell["macro"]["estimate"] == pytest.approx(macro)
            assert cell["micro"]["n"] == (~np.isnan(rows[key])).sum()


def test_models_are_stacked_by_id():
    one, two = scored(0), scored(1)
    order = np.random.default_rng(0).permutation(len(two))
    shuffled = Scores(two.table.take(pa.array(order)), two.summary)
    rows = stack([one, shuffled], "speciesHit@1")
    np.testing.assert_array_equal(rows, [one.values("speciesHit@1"), two.values("speciesHit@1")])
    drawn = resample(rows.astype(np.float64), one.column("unit"))
    assert drawn.difference(0, 1).estimate == pytest.approx(drawn.estimate[0] - drawn.estimate[1])


def renamed(scores, name, value):
    place = scores.table.schema.get_field_index(name)
    column = pa.array([value, *scores.column(name)[1:]], pa.string())
    return Scores(scores.table.set_column(place, name, column), scores.summary)


@pytest.mark.parametrize("name", ["id", "unit", "genus"])
def test_models_scored_on_other_queries_are_refused(name):
    one = scored(0)
    with pytest.raises(DataError, match="Model 1 was not scored on the same queries"):
        stack([one, renamed(scored(1), name, "other")], "speciesHit@1")


def test_models_of_other_lengths_or_ranks_are_refused():
    one = scored(0)
    with pytest.raises(DataError, match="same queries"):
        stack([one, Scores(one.table[:10], {})], "speciesHit@1")
    fewer = scored(1, EvaluateConfig(resamples=200, ranks=("species",)))
    with pytest.raises(DataError, match="same queries"):
        stack([one, fewer], "speciesHit@1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": ()}, "at least one rank"),
        ({"ranks": ("genus", "genus")}, "each once"),
        ({"recall_at": ()}, "depths of 1"),
        ({"recall_at": (1, 0)}, "depths of 1"),
        ({"recall_at": (5, 5)}, "each once"),
        ({"resamples": 100, "confidence": 0.99}, "take more resamples"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        EvaluateConfig(**options)
