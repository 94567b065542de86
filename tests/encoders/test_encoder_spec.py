import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.encoders.spec import (
    Spec,
    check_options,
    close_matches,
    looks_like_path,
    parse_spec,
    whole_number,
)
from syntype.errors import UsageError

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(words, words, st.dictionaries(words, words, max_size=3))
def test_specs_survive_writing_and_parsing(source, name, options):
    spec = Spec(source, name, options)
    assert parse_spec(str(spec)) == spec
    assert str(parse_spec(str(spec))) == str(spec)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("descriptors", ("descriptors", "", {})),
        (
            "open_clip:ViT-H-14/laion2b_s32b_b79k",
            ("open_clip", "ViT-H-14/laion2b_s32b_b79k", {}),
        ),
        (
            "open_clip:hf-hub:imageomics/bioclip-2",
            ("open_clip", "hf-hub:imageomics/bioclip-2", {}),
        ),
        (
            "untrained:resnet10t?size=64&seed=1",
            ("untrained", "resnet10t", {"size": "64", "seed": "1"}),
        ),
        ("unicom:/a b/x.pt?arch=ViT-B/32", ("unicom", "/a b/x.pt", {"arch": "ViT-B/32"})),
    ],
)
def test_spec_strings_are_taken_apart(text, parts):
    assert parse_spec(text) == Spec(*parts)


def test_options_are_sorted_in_the_canonical_form():
    assert str(parse_spec("a:b?z=1&a=2")) == "a:b?a=2&z=1"


@pytest.mark.parametrize("text", ["a:b?size", "a:b?size=", "a:b?=3", "a:b?x=1&", "a:b?x=1&x=2"])
def test_malformed_options_are_refused(text):
    with pytest.raises(UsageError, match=r"option=value|given twice"):
        parse_spec(text)


def test_unknown_options_name_the_known_ones():
    with pytest.raises(UsageError, match=r"has seed, size, not 'sise'.*Did you mean size or seed"):
        check_options(parse_spec("untrained:resnet10t?sise=64"), ("seed", "size"))
    with pytest.raises(UsageError, match="has no options"):
        check_options(parse_spec("pixels?size=64"), ())


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "3"])
def test_numbers_are_checked(value):
    with pytest.raises(UsageError, match="whole number of at least 4"):
        whole_number(parse_spec(f"a:b?n={value}"), "n", 8, least=4)


def test_close_matches_ignore_case():
    assert close_matches("vit-h-14", ["ViT-H-14", "RN50"]) == " Did you mean ViT-H-14?"
    assert close_matches("zzz", ["ViT-H-14"]) == ""


def test_paths_are_told_from_names():
    assert all(map(looks_like_path, ["/a", "./a", "../a", "~/a", "."]))
    assert not any(map(looks_like_path, ["a/b", "ViT-B-32", ".hidden"]))
