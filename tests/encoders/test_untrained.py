import pytest
import torch

from syntype.encoders import load_encoder
from syntype.errors import UnknownEncoderError, UsageError


def test_the_seed_and_the_name_determine_the_weights():
    keys = {
        spec: load_encoder(spec, "cpu").key
        for spec in (
            "untrained:test_resnet?size=32",
            "untrained:test_resnet?size=32&seed=1",
            "untrained:test_efficientnet?size=32",
            "untrained:test_resnet?size=48",
        )
    }
    assert len(set(keys.values())) == 4
    assert load_encoder("untrained:test_resnet?seed=0&size=32", "cpu").key == next(
        iter(keys.values())
    )


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = load_encoder("untrained:test_resnet?size=32", "cpu").weights
    assert torch.equal(torch.rand(3), expected)
    assert load_encoder("untrained:test_resnet?size=32", "cpu").weights == first


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("untrained:resnet50.a1_in1k", UnknownEncoderError, "names trained weights"),
        ("untrained:tst_resnet", UnknownEncoderError, "Did you mean test_resnet"),
        ("untrained:test_resnet?size=8", UsageError, "size must be a whole number of at least 16"),
        ("untrained:test_resnet?seed=-1", UsageError, "seed must be a whole number"),
    ],
)
def test_mistakes_are_named(spec, error, words):
    with pytest.raises(error, match=words):
        load_encoder(spec, "cpu")
