import dataclasses

import pytest

from syntype.report import formats, words
from syntype.report.compare import compare
from syntype.report.data import Comparison, Value

GAIN = (0.05, 0.02, 0.08, 0.01)


def answered(data, question, estimate, lower, upper, p_holm):
    """`data` with the overall answer to one question replaced."""
    kept = [
        one
        for one in data.comparisons
        if (one.question, one.scope, one.average) != (question, "Overall", "macro")
    ]
    random = data.random_for(data.best.k)
    second = {"base": data.base, "count": data.nearest, "random": random and random.key}[question]
    new = Comparison(
        question, "Overall", "macro", data.best.key, second,
        Value(estimate, lower, upper), p_holm, p_holm, 5,
    )  # fmt: skip
    return dataclasses.replace(data, comparisons=(*kept, new))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((0.05, 0.02, 0.08, 0.01), "5.0 points [2.0,\u00a08.0] more than the base model"),
        ((-0.05, -0.08, -0.02, 0.01), "5.0 points [2.0,\u00a08.0] less than the base model"),
        ((0.05, 0.02, 0.08, 0.20), "does not survive the correction"),
        ((0.01, -0.02, 0.04, 0.50), "no difference to the base model"),
    ],
)
def test_the_answer_says_more_than_the_interval_only_where_it_may(compared, answer, expected):
    assert expected in words.headline(answered(compared, "base", *answer))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((0.05, 0.02, 0.08, 0.01), "which supports the hypothesis"),
        ((0.05, -0.02, 0.08, 0.30), "neither supported nor refuted"),
        ((-0.05, -0.08, -0.02, 0.01), "did not hold on test"),
    ],
)
def test_the_verdict_on_the_hypothesis_follows_the_interval(compared, answer, expected):
    assert compared.best.k == 48
    better = answered(answered(compared, "base", *GAIN), "random", *GAIN)
    assert expected in words.hypothesis(answered(better, "count", *answer))


@pytest.mark.parametrize("question", ["base", "random"])
def test_beating_few_clusters_alone_supports_nothing(compared, question):
    """Many clusters that do no better than random labels, or than no training, did less harm."""
    data = compared
    for other in ("base", "random", "count"):
        data = answered(data, other, *GAIN)
    assert "which supports" in words.hypothesis(data)
    data = answered(data, question, 0.003, -0.008, 0.015, 0.5)
    assert "does not support the hypothesis" in words.hypothesis(data)
    assert "no gain over" in words.hypothesis(data)


def test_the_methods_say_what_was_clustered(compared):
    settings = {**compared.settings, "cluster": {"within": "species", "iterations": 20}}
    text = words.methods(dataclasses.replace(compared, settings=settings))
    assert "spherical k-means within each species (at most 20 iterations)" in text


def test_one_cluster_per_species_does_not_support_the_hypothesis(compared):
    one = dataclasses.replace(compared, nearest=compared.best.key)
    assert "do not support the hypothesis" in words.hypothesis(one)
    none = dataclasses.replace(compared, nearest=None)
    assert "No k near the number of species" in words.hypothesis(none)


def test_numbers_in_the_words_are_those_of_the_data(compared):
    value = compared.value(compared.best.key)
    assert formats.share(value.estimate) + " %" in words.headline(compared)
    assert formats.interval(value) in words.headline(compared)
    text = words.methods(compared)
    assert "k = 24 and 48" in text
    assert f"{compared.resamples} draws" in text
    assert "16 epochs" in text
    assert "95 % intervals" in text


def test_limitations_name_what_is_missing(compared, fakes, quick):
    assert any("one seed per k" in line for line in words.limitations(compared))
    few = compare(
        [fakes["evaluated"]("c", "clusters", 0.5, k=9, known_ranks=("species",))],
        [],
        fakes["context"](),
        quick,
    )
    said = " ".join(words.limitations(few))
    assert "no control with random labels" in said
    assert "rank genus" in said
    assert "rank family" in said


def test_singletons_alone_are_said_to_answer_nothing(fakes, quick):
    data = compare(
        fakes["sweep"](ks=(8,), seeds=(0,), species_per_group=0), [], fakes["context"](), quick
    )
    assert words.headline(data).startswith("Nothing can be scored: of 3 test pictures none")
    assert words.hypothesis(data) == ""


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (formats.share(0.71249), "71.2"),
        (formats.share(None), "–"),
        (formats.signed(-0.0123), "−1.2"),
        (formats.signed(0.0004), "0.0"),
        (formats.signed(-0.0004), "0.0"),
        (formats.count(9999), "9999"),
        (formats.count(12345), "12\u202f345"),
        (formats.p_value(0.0002), "< 0.001"),
        (formats.number(-0.5, 2), "−0.50"),
        (formats.with_interval(Value(0.5, 0.4, 0.6)), "50.0 [40.0,\u00a060.0]"),
        (formats.with_interval(Value(0.5)), "50.0"),
        (formats.signed_with_interval(Value(0.1, -0.1, 0.3)), "+10.0 [−10.0,\u00a0+30.0]"),
    ],
)
def test_numbers_are_written_one_way(made, expected):
    assert made == expected


def test_the_readers_notes_become_sentences():
    notes = {
        "leftOut": {"total": 3, "reasons": {"no JPEG": 1, "no label": 2}, "rows": []},
        "duplicates": {"copies": 12, "nLeaks": 4},
        "limit": 7,
        "unitsCut": {"units": 2, "examples": []},
    }
    assert words.cleaned(notes) == (
        "Left out: 3 (no JPEG: 1; no label: 2). Copies of other pictures: 12. Copies across "
        "splits, taken out: 4. Left out by --taxon, --per-species and --limit: 7. Units that the "
        "given split cuts, so that it may flatter: 2."
    )
    assert words.cleaned({}) == ""


def test_a_group_of_singletons_says_why_it_has_no_score(compared):
    alone = [
        dataclasses.replace(scope, n_scored=0, n_singletons=scope.n_images)
        if scope.name == compared.groups[0]
        else scope
        for scope in compared.scopes
    ]
    scores = tuple(one for one in compared.scores if one.scope != compared.groups[0])
    data = dataclasses.replace(compared, scopes=tuple(alone), scores=scores)
    group, sentence = words.group_answers(data)[0]
    assert group == compared.groups[0]
    assert "the only ones of their species" in sentence
