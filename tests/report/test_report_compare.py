import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, UsageError
from syntype.evaluation.scores import schema
from syntype.provenance import canonical_json
from syntype.report.compare import ClusterQuality, Context, Evaluated, compare
from syntype.report.data import OVERALL

QUICK = EvaluateConfig(resamples=200)


def test_the_fakes_have_the_columns_of_real_scores(fakes):
    expected = schema(("species", "genus", "family"), (1, 5, 10))
    table = fakes["table"]()
    assert {field.name: field.type for field in table.schema} == {
        field.name: field.type for field in expected
    }


def with_hits(table, hits):
    """`table` with its species hits replaced, singletons kept."""
    old = table.column("speciesHit@1").to_numpy()
    new = np.where(np.isnan(old), np.nan, np.resize(np.asarray(hits, dtype=float), len(old)))
    place = table.schema.get_field_index("speciesHit@1")
    return table.set_column(place, "speciesHit@1", pa.array(new, pa.float32()))


def test_estimates_are_the_plain_means_over_pictures_and_over_species(fakes, quick):
    tables = {
        name: with_hits(fakes["table"](units_per_species=3), hits)
        for name, hits in (("base", [1, 0, 0, 1, 1]), ("clusters", [1, 1, 0, 1, 0, 1, 1]))
    }
    models = [
        Evaluated(name, role, k, 0, *[fakes["scores"](tables[name], {})] * 2)
        for name, role, k in (("base", "base", None), ("clusters", "clusters", 9))
    ]
    data = compare(models, [], fakes["context"](), quick)
    for model, name in zip(data.models, ("base", "clusters"), strict=True):
        frame = [row for row in tables[name].to_pylist() if not np.isnan(row["speciesHit@1"])]
        for scope in data.scope_names:
            rows = [r for r in frame if scope in (OVERALL, r["taxonGroup"])]
            hits = [r["speciesHit@1"] for r in rows]
            species = sorted({r["species"] for r in rows})
            by_species = [
                np.mean([r["speciesHit@1"] for r in rows if r["species"] == s]) for s in species
            ]
            micro = data.value(model.key, scope, average="micro")
            macro = data.value(model.key, scope, average="macro")
            assert micro.estimate == pytest.approx(np.mean(hits))
            assert macro.estimate == pytest.approx(np.mean(by_species))
            assert macro.lower <= macro.estimate <= macro.upper
            genus = data.value(model.key, scope, rank="genus", metric="mAP@R", average="micro")
            values = [r["genusAveragePrecisionAtR"] for r in rows]
            assert genus.estimate == pytest.approx(np.mean(values))
    for scope in data.scope_names:
        gain = data.comparison("base", scope, "macro")
        first, second = (data.value(m.key, scope).estimate for m in reversed(data.models))
        assert gain.difference.estimate == pytest.approx(first - second)
        assert gain.difference.lower <= gain.difference.estimate <= gain.difference.upper


def test_seeds_of_one_model_are_averaged(fakes, quick):
    tables = [with_hits(fakes["table"](), [hit]) for hit in (0, 1, 1, 1)]
    models = [
        Evaluated("c", "clusters", 9, seed, *[fakes["scores"](table, {})] * 2)
        for seed, table in enumerate(tables)
    ]
    data = compare(models, [], fakes["context"](), quick)
    (model,) = data.models
    assert model.seeds == (0, 1, 2, 3)
    assert data.value(model.key).estimate == pytest.approx(0.75)


def test_k_is_chosen_on_validation_even_if_another_k_is_better_on_test(fakes, quick):
    make = fakes["evaluated"]
    models = [
        make("base", "base", 0.4),
        make("good on validation", "clusters", 0.45, k=10, validation_skill=0.9),
        make("good on test", "clusters", 0.9, k=40, validation_skill=0.3),
        make("baseline A", "baseline", 0.3, validation_skill=0.8),
        make("baseline B", "baseline", 0.9, validation_skill=0.2),
    ]
    data = compare(models, [], fakes["context"](), quick)
    assert data.best.k == 10
    assert data.by_key[data.choice(OVERALL).baseline].name == "baseline A"
    tested = {one.second for one in data.comparisons if one.question == "baseline"}
    assert [data.by_key[key].name for key in tested] == ["baseline A"]


def test_without_validation_scores_no_k_is_chosen(fakes, quick):
    empty = fakes["table"](split="validation", species_per_group=0, singletons_per_group=3)
    models = [
        dataclasses.replace(one, validation=fakes["scores"](empty, {}))
        for one in fakes["sweep"](ks=(8, 24), seeds=(0,))
    ]
    data = compare(models, [], fakes["context"](), quick)
    assert data.has_scores
    assert data.best is None
    assert data.comparisons == ()


def test_the_order_of_models_and_rows_does_not_matter(fakes, quick):
    models = fakes["sweep"](ks=(8, 24), seeds=(0,))
    quality = fakes["quality"]()
    rng = np.random.default_rng(0)
    mixed = [
        dataclasses.replace(
            one,
            test=fakes["scores"](one.test.table.take(rng.permutation(len(one.test.table))), {}),
        )
        for one in reversed(models)
    ]
    first = compare(models, quality, fakes["context"](), quick)
    second = compare(mixed, quality[::-1], fakes["context"](), quick)
    assert canonical_json(first) == canonical_json(second)


def test_p_values_are_corrected_and_enough_is_drawn_to_find_something(fakes):
    shape = {"groups": tuple(f"Group {n}" for n in range(9)), "species_per_group": 2}
    models = [
        fakes["evaluated"]("b", "base", 0.1, **shape),
        fakes["evaluated"]("a", "baseline", 0.2, **shape),
        fakes["evaluated"]("c", "clusters", 0.9, k=9, **shape),
    ]
    data = compare(models, [], fakes["context"](), QUICK)
    macro = [one for one in data.comparisons if one.average == "macro"]
    assert all(one.p_holm >= one.p for one in macro)
    assert data.resamples > QUICK.resamples
    assert 2 / (data.resamples + 1) * len(macro) < 1 - data.confidence
    overall = [one for one in macro if one.scope == OVERALL]
    for family in (overall, [one for one in macro if one.scope != OVERALL]):
        assert {one.family for one in family} == {len(family)}
        clearest = min(family, key=lambda one: one.p)
        assert clearest.p_holm == pytest.approx(min(1, clearest.p * len(family)))


def test_the_count_question_needs_a_k_near_the_number_of_species(fakes, quick):
    models = fakes["sweep"](ks=(8, 24, 48), seeds=(0,))
    near = compare(models, [], fakes["context"](n_species=26), quick)
    assert near.by_key[near.nearest].k == 24
    assert near.comparison("count") is not None
    far = compare(models, [], fakes["context"](n_species=400), quick)
    assert far.nearest is None
    assert far.comparison("count") is None


def test_bins_hold_every_scored_picture_once(compared):
    of_base = [one for one in compared.bins if one.model == compared.base]
    assert sum(one.n_images for one in of_base) == compared.scope(OVERALL).n_scored
    assert sum(one.n_species for one in of_base) == compared.scope(OVERALL).n_species
    assert compared.scope(OVERALL).n_singletons == 3


def test_panels_show_what_changed_and_are_drawn_by_lot(fakes, compared):
    assert {panel.kind for panel in compared.panels} == {"rescued", "broken"}
    for panel in compared.panels:
        assert panel.best[0].right == (panel.kind == "rescued")
        assert panel.base[0].right == (panel.kind == "broken")
        assert len(panel.base) <= 5
    rescued = [panel for panel in compared.panels if panel.kind == "rescued"]
    assert {panel.group for panel in rescued} == {"Bird", "Fish", "Plankton"}
    assert len({panel.label for panel in rescued}) == len(rescued)
    other = compare(
        fakes["sweep"](ks=(24, 48), seeds=(0,)),
        [],
        fakes["context"](),
        EvaluateConfig(resamples=200, seed=9),
    )
    assert [p.id for p in other.panels] != [p.id for p in compared.panels]


def test_where_no_answer_changed_right_and_wrong_ones_are_shown(fakes, quick):
    models = [fakes["evaluated"]("b", "base", 0.5), fakes["evaluated"]("c", "clusters", 0.5, k=9)]
    panels = compare(models, [], fakes["context"](), quick).panels
    assert [panel.kind for panel in panels] == ["right"] * 4 + ["wrong"] * 4
    for panel in panels:
        assert panel.base == panel.best
        assert panel.best[0].right == (panel.kind == "right")


def test_quality_is_averaged_over_seeds_and_keeps_numbers_only(fakes, quick):
    model = fakes["evaluated"]("base", "base", 0.5)
    clusters = [
        ClusterQuality(4, seed, {"ami": value, "sizes": [1, 2], "bad": float("nan")}, {"ami": 1})
        for seed, value in ((0, 0.2), (1, 0.4))
    ]
    (point,) = compare([model], clusters, fakes["context"](), quick).quality
    assert point.quality == pytest.approx({"ami": 0.3})
    assert point.ceiling == {"ami": 1.0}
    assert (point.k, point.seeds) == (4, 2)


def test_scores_of_other_pictures_are_refused(fakes, quick):
    models = [
        fakes["evaluated"]("base", "base", 0.5),
        fakes["evaluated"]("other", "baseline", 0.5, units_per_species=3),
    ]
    with pytest.raises(DataError, match="evaluate both on the same data and split"):
        compare(models, [], fakes["context"](), quick)


def test_two_equal_models_and_no_models_are_refused(fakes, quick):
    model = fakes["evaluated"]("base", "base", 0.5)
    with pytest.raises(UsageError, match="twice with the same seed"):
        compare([model, model], [], fakes["context"](), quick)
    with pytest.raises(UsageError, match="nothing to report"):
        compare([], [], fakes["context"](), quick)


def test_unknown_labels_are_not_singletons(fakes, quick):
    table = fakes["table"](known_ranks=())
    model = Evaluated("base", "base", None, 0, *[fakes["scores"](table, {})] * 2)
    scope = compare([model], [], fakes["context"](), quick).scope(OVERALL)
    assert scope.n_singletons == 0
    assert scope.n_unknown == scope.n_images


@settings(max_examples=10, deadline=None)
@given(
    n_groups=st.integers(1, 3),
    n_k=st.integers(0, 2),
    baseline=st.booleans(),
    base=st.booleans(),
    species=st.integers(0, 2),
    single=st.integers(0, 1),
)
def test_any_subset_of_models_and_data_is_reported(
    fakes, n_groups, n_k, baseline, base, species, single
):
    shape = {
        "groups": ("Bird", "Fish", "Moss")[:n_groups],
        "species_per_group": species,
        "singletons_per_group": single,
        "units_per_species": 2,
    }
    make = fakes["evaluated"]
    models = [make("c", "clusters", 0.6, k=10 * (1 + i), **shape) for i in range(n_k)]
    models += [make("b", "baseline", 0.6, **shape)] * baseline
    models += [make("z", "base", 0.5, **shape)] * base
    if models:
        data = compare(models, [], Context(title="t", n_species=0), QUICK)
        canonical_json(data)
        assert data.has_scores == (species > 0)
        assert len(data.models) == len(models)
