import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip import OPENAI_IMAGENET_TEMPLATES

from syntype.configs import EvaluateConfig, ZeroShotConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation import zero_shot as module
from syntype.evaluation.items import Items
from syntype.evaluation.zero_shot import Candidates, class_vectors, zero_shot
from syntype.taxonomy.taxon import RANKS

DIM = 16
CONFIG = EvaluateConfig(resamples=100, confidence=0.9)
QUICK = settings(max_examples=15, deadline=None)
FORMS = ["as-is", "scientific", "common", "taxonomic", "scientific+common", "taxonomic+common"]
BARE = ZeroShotConfig(names="scientific", templates="none")
SPECIES = [  # family, genus, epithet, common name
    ("Paridae", "Parus", "major", "Great Tit"),
    ("Paridae", "Parus", "minor", "Japanese Tit"),
    ("Paridae", "Poecile", "montanus", ""),
    ("Corvidae", "Corvus", "corax", "Raven"),
    ("Corvidae", "Corvus", "cornix", "Hooded Crow"),
    ("Corvidae", "Pica", "pica", "Magpie"),
    ("Turdidae", "Turdus", "merula", "Blackbird"),
]


def row(number, family, genus, epithet, common, label=None):
    return {
        "id": f"picture {number:03d}",
        "unit": f"unit {number // 2}",
        "taxonGroup": "Bird",
        "verbatimIdentification": label or f"{genus}_{epithet}",
        "scientificName": f"{genus} {epithet}",
        "vernacularName": common,
        "kingdom": "Animalia",
        "phylum": "Chordata",
        "class": "Aves",
        "order": "Passeriformes",
        "family": family,
        "genus": genus,
        "species": f"{genus} {epithet}",
    }


def table(rows):
    return pa.Table.from_pylist(rows)


def encode(texts):
    """Texts that share words lie near each other."""
    vectors = np.stack([sum(map(word_vector, text.split())) for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def word_vector(word):
    return np.random.default_rng(list(word.encode())).standard_normal(DIM)


def birds(n=60, seed=0):
    """Pictures near the vector of all names of their species, and their rows."""
    rng = np.random.default_rng(seed)
    rows = [row(i, *SPECIES[min(int(rng.exponential(2)), 6)]) for i in range(n)]
    names = ("scientificName", "vernacularName", "verbatimIdentification")
    vectors = encode([" ".join(one[name] for name in names) for one in rows])
    return (vectors + rng.normal(0, 0.2, vectors.shape)).astype(np.float32), table(rows)


def scored(vectors, samples, options=BARE, config=CONFIG, whole=None, scale=20.0):
    candidates = Candidates.of(whole or samples, encode, config.ranks, options)
    query = Items.read(vectors, samples, RANKS, "queries")
    return zero_shot(query, candidates, scale, config, options)


def published_name(sample, form):
    """A class as BioCLIP's script writes it, from the seven ranks and the epithet."""
    epithet = sample["species"].split(" ")[1]
    scientific = f"{sample['genus']} {epithet}"
    ranks = [sample[rank] for rank in RANKS[:-1]]
    taxonomic = " ".join([*ranks, epithet])
    common = sample["vernacularName"]
    with_common = f" with common name {common}" if common else ""
    return {
        "as-is": sample["verbatimIdentification"],
        "scientific": scientific,
        "common": common or scientific,  # the script would write nothing
        "taxonomic": taxonomic,
        "scientific+common": scientific + with_common,
        "taxonomic+common": taxonomic + with_common,
    }[form]


def published(vectors, samples, form, templates, scale):
    """The script's procedure, one picture and one class at a time: sorted names of each picture."""
    samples = samples.to_pylist()
    names = list(dict.fromkeys(published_name(sample, form) for sample in samples))
    sentences = OPENAI_IMAGENET_TEMPLATES if templates == "openai" else [lambda name: name]
    weights = []
    for name in names:
        each = [encode([sentence(name)])[0].astype(np.float64) for sentence in sentences]
        mean = sum(vector / np.linalg.norm(vector) for vector in each) / len(each)
        weights.append(mean / np.linalg.norm(mean))
    answers, probabilities = [], []
    for vector in np.asarray(vectors, dtype=np.float64):
        logits = [scale * (vector / np.linalg.norm(vector)) @ weight for weight in weights]
        odds = [math.exp(logit - max(logits)) for logit in logits]
        order = sorted(range(len(names)), key=lambda i: -logits[i])
        answers.append([names[i] for i in order])
        probabilities.append([odds[i] / sum(odds) for i in order])
    return answers, probabilities


@pytest.mark.parametrize("templates", ["openai", "none"])
@pytest.mark.parametrize("form", FORMS)
def test_answers_and_accuracies_are_those_of_the_published_script(form, templates):
    vectors, samples = birds()
    scores = scored(vectors, samples, ZeroShotConfig(names=form, templates=templates))
    names, probabilities = published(vectors, samples, form, templates, 20.0)
    rows = samples.to_pylist()
    name_of = {one["species"]: published_name(one, form) for one in rows}
    found = [[name_of[species] for species in answers] for answers in scores.column("answers")]
    assert found == [answers[:5] for answers in names]
    np.testing.assert_allclose(
        scores.column("answerScores"), [p[:5] for p in probabilities], atol=1e-5
    )
    for k in (1, 3, 5):
        hits = [
            published_name(one, form) in answers[:k]
            for one, answers in zip(rows, names, strict=True)
        ]
        by_class = defaultdict(list)
        for one, hit in zip(rows, hits, strict=True):
            by_class[one["species"]].append(hit)
        mean = scores.summary["all"][f"speciesTop@{k}"]
        assert mean["micro"]["estimate"] == pytest.approx(np.mean(hits))
        macro = np.mean([np.mean(each) for each in by_class.values()])
        assert mean["macro"]["estimate"] == pytest.approx(macro)
    assert 0.1 < scores.summary["all"]["speciesTop@1"]["micro"]["estimate"] < 1


def test_higher_ranks_sum_the_probabilities_of_their_species():
    vectors, samples = birds()
    scores = scored(vectors, samples, scale=5.0)
    names, probabilities = published(vectors, samples, "scientific", "none", 5.0)
    family_of = {f"{genus} {epithet}": family for family, genus, epithet, _ in SPECIES}
    alone = 0
    for i, prediction in enumerate(scores.column("familyPrediction")):
        total = defaultdict(float)
        for name, p in zip(names[i], probabilities[i], strict=True):
            total[family_of[name]] += p
        assert prediction == max(total, key=total.get)
        alone += prediction != family_of[names[i][0]]
    assert alone > 0  # the sum is not just the first species' family


def test_higher_ranks_are_put_into_words_on_request():
    vectors, samples = birds()
    options = ZeroShotConfig(names="taxonomic", templates="none", higher="embed")
    scores = scored(vectors, samples, options)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    above = "Animalia Chordata Aves Passeriformes"
    genera = {genus: f"{above} {family} {genus}" for family, genus, _, _ in SPECIES}
    families = {family: f"{above} {family}" for family, _, _, _ in SPECIES}
    for rank, words in (("genus", genera), ("family", families)):
        names = sorted(words)
        nearest = (unit @ encode([words[name] for name in names]).T).argmax(axis=1)
        assert scores.column(f"{rank}Prediction") == [names[i] for i in nearest]
    summed = scored(vectors, samples, ZeroShotConfig(names="taxonomic", templates="none"))
    assert summed.column("genusPrediction") != scores.column("genusPrediction")
    assert summed.column("answers") == scores.column("answers")
    assert scores.summary["higher"] == "embed"


def test_a_rank_without_any_name_has_nothing_to_find():
    vectors, samples = birds(10)
    rows = [one | {"family": ""} for one in samples.to_pylist()]
    scores = scored(vectors, table(rows), ZeroShotConfig(templates="none", higher="embed"))
    assert scores.summary["queries"]["family"]["unknownLabel"] == 10
    assert set(scores.column("familyPrediction")) == {""}


def test_species_that_are_only_in_training_can_be_answered():
    only = row(900, *SPECIES[6])
    few = table([row(i, *SPECIES[i % 2]) for i in range(4)])
    vectors = np.tile(encode(["Turdus merula"]), (4, 1))
    alone = scored(vectors, few)
    scores = scored(vectors, few, whole=pa.concat_tables([few, table([only])]))
    assert (alone.summary["nClasses"], scores.summary["nClasses"]) == (2, 3)
    assert set(scores.column("speciesPrediction")) == {"Turdus merula"}
    assert scores.summary["all"]["speciesTop@1"]["micro"]["estimate"] == 0
    assert scores.summary["all"]["speciesTop@3"]["micro"]["estimate"] == 1


def test_species_with_the_same_words_are_a_tie_that_goes_to_the_alphabet():
    """Equal columns of a product are not always rounded alike."""
    tits = [("Paridae", "Parus", letter * 5, "Tit") for letter in "zyxwvutsrqponmlkjihgfedcba"]
    samples = table([row(i, *one) for i, one in enumerate([*tits, SPECIES[3]])])
    vectors = birds(27)[0]
    scores = scored(vectors, samples, ZeroShotConfig(names="common", templates="none"), scale=1.0)
    assert (scores.summary["nClasses"], scores.summary["nAmbiguous"]) == (27, 26)
    for answers, odds in zip(scores.column("answers"), scores.column("answerScores"), strict=True):
        found = [(name, p) for name, p in zip(answers, odds, strict=True) if name[0] == "P"]
        assert [name for name, _ in found] == [f"Parus {x * 5}" for x in "abcde"][: len(found)]
        assert len({p for _, p in found}) == 1
    assert scored(vectors, samples).summary["nAmbiguous"] == 0


def test_a_picture_without_species_is_not_scored_and_no_class():
    vectors, samples = birds(6)
    rows = samples.to_pylist()
    rows[0] |= {"species": "", "genus": "", "scientificName": ""}
    scores = scored(vectors, table(rows))
    assert scores.summary["queries"]["species"]["unknownLabel"] == 1
    assert "" not in {name for answers in scores.column("answers") for name in answers}


@settings(max_examples=5, deadline=None)
@given(st.randoms(), st.sampled_from(["sum", "embed"]))
def test_the_order_of_rows_does_not_count(random, higher):
    vectors, samples = birds(20)
    options = ZeroShotConfig(names="taxonomic+common", templates="none", higher=higher)
    order = random.sample(range(20), 20)
    one = scored(vectors, samples, options)
    other = scored(vectors[order], samples.take(order), options)
    assert repr(other.table.to_pylist()) == repr(one.table.take(order).to_pylist())  # NaN as well
    assert other.summary == one.summary


def test_the_summary_says_how_names_were_put():
    vectors, samples = birds(10)
    summary = scored(vectors, samples, scale=33.5).summary
    expected = {"task": "zero-shot", "names": "scientific", "templates": "none", "higher": "sum"}
    assert expected.items() <= summary.items()
    assert (summary["logitScale"], summary["scoreKind"]) == (33.5, "probability")


def test_the_page_names_each_form_and_each_key_of_the_summary():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "zero-shot.md").read_text()
    keys = ["names", "templates", "higher", "logitScale", "nClasses", "nAmbiguous"]
    vectors, samples = birds(10)
    assert set(keys) < scored(vectors, samples).summary.keys()
    forms = page.split("## Names")[1].split("\n\n")[1]
    assert re.findall(r"^\| `(\S+)`", forms, re.MULTILINE)[1:] == [*FORMS[1:], FORMS[0]]
    summary = page.split("## Summary")[1].split("## ")[0]
    assert re.findall(r"`(\w+)`", summary) == keys


@QUICK
@given(
    st.lists(st.lists(st.text("ab ", min_size=1), min_size=3, max_size=3), min_size=1, max_size=9),
    st.integers(1, 40),
)
def test_class_vectors_are_normalised_means_in_whatever_portions(texts, portion):
    texts = [[f"x{text}" for text in one] for one in texts]
    asked = []

    def hear(batch):
        assert len(batch) == len(set(batch)) <= max(3, portion)
        asked.extend(batch)
        return encode(batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TEXTS", portion)
        found = class_vectors(hear, texts)
    means = np.stack([encode(one).astype(np.float64).mean(axis=0) for one in texts])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(found, means, atol=1e-6)
    assert set(asked) == {text for one in texts for text in one}


def test_texts_that_cancel_out_are_refused():
    def opposite(texts):
        return np.array([[1.0, 0.0] if text == "a" else [-1.0, 0.0] for text in texts], np.float32)

    with pytest.raises(VectorError, match=r"2 texts.*'a'.*--zero-shot\.templates none"):
        class_vectors(opposite, [["b", "b"], ["a", "b"]])


def test_one_species_is_no_choice():
    samples = table([row(i, *SPECIES[0]) for i in range(3)])
    with pytest.raises(DataError, match="1 known species, and a choice needs two"):
        Candidates.of(samples, encode, CONFIG.ranks, BARE)


def test_names_of_another_encoder_are_refused():
    vectors, samples = birds(10)
    with pytest.raises(VectorError, match="5 dimensions and the names have 16"):
        scored(vectors[:, :5], samples)
