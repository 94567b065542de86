import pytest

from syntype.configs import ZeroShotConfig
from syntype.evaluation.prompts import class_texts, templates
from syntype.taxonomy.taxon import Taxon

TIT = Taxon.from_name("parus_major", "Parus major").with_ranks({"kingdom": "Animalia"})
BLOB = Taxon.from_name("unknown_blobs", "unknown blobs")


def test_clips_sentences_are_eighty_and_each_holds_the_name_once() -> None:
    sentences = [put("{name}") for put in templates("openai")]
    assert len(set(sentences)) == 80
    assert all(sentence.count("{name}") == 1 for sentence in sentences)


@pytest.mark.parametrize("form", ["as-is", "scientific", "common", "taxonomic"])
def test_each_class_is_put_into_each_sentence(form) -> None:
    texts = class_texts([TIT, BLOB], ZeroShotConfig(names=form))
    bare = class_texts([TIT, BLOB], ZeroShotConfig(names=form, templates="none"))
    words = {"as-is": "parus_major", "taxonomic": "Animalia Parus major"}.get(form, "Parus major")
    assert bare == [[words], ["unknown_blobs" if form == "as-is" else "unknown blobs"]]
    assert [len(one) for one in texts] == [80, 80]
    assert all(words in text for text in texts[0])
    assert texts[0][0] == f"a bad photo of a {words}."
