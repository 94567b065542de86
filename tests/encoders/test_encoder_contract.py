"""What every source promises, whatever it loads."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from fakes import models
from syntype.encoders import describe, load_encoder
from syntype.encoders.architectures import empty_module
from syntype.encoders.weights import pour, weights_hash

FOLDERS = {
    "open_clip": "open_clip:{}/open_clip",
    "timm": "timm:{}/timm",
    "unicom": "unicom:{}/unicom.pt",
    **{family: f"transformers:{{}}/{family}" for family in models.FAMILIES},
}
SPECS = {
    "pixels": "pixels",
    "descriptors": "descriptors",
    "untrained": "untrained:test_resnet?size=32",
    "untrained vit": "untrained:test_vit?size=32",
    "imagebind": "imagebind:{}/imagebind.pth?licence=accepted",
    **FOLDERS,
}


@pytest.fixture(scope="module")
def loaded(zoo):
    cache = {}

    def load(name):
        if name not in cache:
            cache[name] = load_encoder(SPECS[name].format(zoo[0]), "cpu")
        return cache[name]

    return load


@pytest.fixture(params=SPECS)
def encoder(request, loaded):
    return loaded(request.param)


def test_vectors_are_unit_float32_of_the_stated_length(encoder, pictures):
    vectors = encoder.encode(pictures(5, encoder.preprocess.size))
    assert vectors.shape == (5, encoder.dim)
    assert vectors.dtype == torch.float32
    assert vectors.device.type == "cpu"
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))


def test_vectors_do_not_depend_on_the_batch(encoder, pictures):
    images = pictures(5, encoder.preprocess.size)
    alone = torch.cat([encoder.encode(image[None]) for image in images])
    torch.testing.assert_close(encoder.encode(images), alone, atol=1e-5, rtol=0)


def test_vectors_tell_pictures_apart_and_repeat_exactly(encoder, pictures):
    images = pictures(4, encoder.preprocess.size)
    first = encoder.encode(images)
    assert torch.equal(first, encoder.encode(images))
    apart = (first @ first.T)[~torch.eye(4, dtype=torch.bool)]
    assert float(apart.max()) < 0.99999


def test_module_is_in_eval_mode_and_float32(encoder):
    assert not any(module.training for module in encoder.module.modules())
    assert {p.dtype for p in encoder.module.parameters()} <= {torch.float32}


def test_encode_leaves_training_mode_behind(encoder, pictures):
    images = pictures(3, encoder.preprocess.size)
    expected = encoder.encode(images)
    encoder.module.train()
    assert torch.equal(encoder.encode(images), expected)


def test_identity_is_plain_and_survives_a_second_load(encoder):
    again = load_encoder(encoder.name, "cpu")
    assert again.identity == encoder.identity
    assert again.key == encoder.key
    assert json.loads(json.dumps(encoder.identity)) == encoder.identity


def test_another_preprocessing_is_another_encoder(encoder):
    fit = "pad" if encoder.preprocess.fit != "pad" else "crop"
    changed = replace(encoder, preprocess=replace(encoder.preprocess, fit=fit))
    assert changed.key != encoder.key


def test_identity_names_no_path(encoder, zoo):
    assert str(zoo[0]) not in json.dumps(encoder.identity)


def test_weights_are_hashed(encoder):
    has_weights = any(True for _ in encoder.module.parameters())
    expected = weights_hash(encoder.module.state_dict()) if has_weights else "none"
    assert encoder.weights == expected


def test_name_is_a_spec_that_describes_it(encoder):
    plan = describe(encoder.name)
    assert plan.name == encoder.name
    assert (plan.size, plan.dim) == (encoder.preprocess.size, encoder.dim)
    assert plan.weights in ("none", "local")
    assert plan.downloads == ()
    assert encoder.name in plan.summary


def test_architecture_builds_the_module_again(encoder, pictures):
    module = empty_module(encoder.architecture)
    pour(module, encoder.module.state_dict(), encoder.name)
    again = replace(encoder, module=module)
    images = pictures(3, encoder.preprocess.size)
    torch.testing.assert_close(again.encode(images), encoder.encode(images))


def test_module_can_be_trained(encoder, pictures):
    trained = [p for p in encoder.module.parameters() if p.requires_grad]
    if not trained:
        pytest.skip("an encoder without parameters")
    images = encoder.normalise(pictures(2, encoder.preprocess.size))
    encoder.module.eval()(images).square().sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in trained)
    encoder.module.zero_grad()


@pytest.mark.parametrize("name", FOLDERS)
def test_description_needs_no_readable_weights(name, zoo, tmp_path):
    """A plan is made of configs alone: weights of zero bytes do not stop it."""
    original = zoo[0] / SPECS[name].format("").rpartition("/")[2]
    if original.is_file():
        pytest.skip("one file is both; its header is read")
    shutil.copytree(original, tmp_path / "copy")
    for path in (tmp_path / "copy").glob("*.safetensors"):
        path.write_bytes(b"")
    source = SPECS[name].partition(":")[0]
    assert describe(f"{source}:{tmp_path}/copy").dim == describe(SPECS[name].format(zoo[0])).dim
