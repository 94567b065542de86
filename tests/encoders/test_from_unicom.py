import pytest
import torch
from torch.nn import functional

from fakes import models
from syntype.encoders import describe, load_encoder
from syntype.encoders.from_unicom import PUBLISHED, empty, infer_architecture
from syntype.errors import UnknownEncoderError, WeightsError


def functional_unicom(state, pixels, patch=16):
    """The model written out from its description, with explicit attention."""

    def linear(x, name):
        return functional.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(x, name):
        return functional.layer_norm(
            x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"]
        )

    def batch_norm(x, name):
        scaled = (x - state[f"{name}.running_mean"]) / (state[f"{name}.running_var"] + 2e-5).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    weight, bias = (state[f"patch_embed.proj.{part}"] for part in ("weight", "bias"))
    x = functional.conv2d(pixels, weight, bias, stride=patch)
    x = x.flatten(2).transpose(1, 2) + state["pos_embed"]
    for block in range(2):
        inner = norm(x, f"blocks.{block}.norm1")
        query, key, value = linear(inner, f"blocks.{block}.attn.qkv").chunk(3, dim=-1)
        weights = (query @ key.transpose(1, 2) / 64**0.5).softmax(dim=-1)
        x = x + linear(weights @ value, f"blocks.{block}.attn.proj")
        inner = linear(norm(x, f"blocks.{block}.norm2"), f"blocks.{block}.mlp.fc1").clamp(0, 6)
        x = x + linear(inner, f"blocks.{block}.mlp.fc2")
    x = linear(norm(x, "norm").flatten(1), "feature.0")
    return batch_norm(linear(batch_norm(x, "feature.1"), "feature.2"), "feature.3")


def test_vectors_equal_the_description(zoo, pictures):
    folder, originals = zoo
    encoder = load_encoder(f"unicom:{folder}/unicom.pt", "cpu")
    pixels = encoder.normalise(pictures(3, 64))
    expected = functional_unicom(originals["unicom"], pixels)
    torch.testing.assert_close(encoder.module(pixels), expected, atol=1e-3, rtol=1e-4)


def test_preprocessing_is_the_released_one(zoo):
    found = load_encoder(f"unicom:{zoo[0]}/unicom.pt", "cpu").preprocess
    assert (found.size, found.fit, found.interpolation) == (64, "crop", "bicubic")
    assert found.mean == (0.48145466, 0.4578275, 0.40821073)
    assert found.std == (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures_are_inferred(name):
    with torch.device("meta"):
        module = empty(PUBLISHED[name])
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    assert infer_architecture(shapes, name) == PUBLISHED[name]
    n_first = (
        PUBLISHED[name]["width"] ** 2 * (PUBLISHED[name]["size"] // PUBLISHED[name]["patch"]) ** 2
    )
    assert module.feature[0].weight.numel() == n_first


def test_head_parameters_are_those_of_the_reference():
    with torch.device("meta"):
        module = empty(PUBLISHED["ViT-B/32"])
    assert round(module.feature[0].weight.numel() / 1e6, 1) == 28.9
    assert [block.attn.n_heads for block in module.blocks] == [12] * 12


def test_plans_read_the_shapes(zoo):
    plan = describe(f"unicom:{zoo[0]}/unicom.pt")
    assert (plan.weights, plan.size, plan.dim) == ("local", 64, 24)
    plan = describe("unicom:/nowhere/FP16.pt?arch=ViT-L/14@336px")
    assert (plan.weights, plan.size, plan.dim) == ("missing", 336, 768)


def test_the_architecture_asked_for_must_be_the_one_found(zoo):
    with pytest.raises(WeightsError, match=r"does not hold ViT-B/32, but .*'size': 64"):
        load_encoder(f"unicom:{zoo[0]}/unicom.pt?arch=ViT-B/32", "cpu")
    with pytest.raises(UnknownEncoderError, match=r"no architecture 'ViT-B-32'. Did you mean"):
        load_encoder(f"unicom:{zoo[0]}/unicom.pt?arch=ViT-B-32", "cpu")


def rewritten(zoo, tmp_path, change):
    state = torch.load(zoo[0] / "unicom.pt", weights_only=True)
    change(state)
    torch.save(state, tmp_path / "changed.pt")
    return f"unicom:{tmp_path}/changed.pt"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("blocks.1.mlp.fc2.bias"), r"missing: blocks\.1\.mlp\.fc2\.bias"),
        (lambda s: s.pop("feature.3.running_var"), r"missing: feature\.3\.running_var"),
        (lambda s: s.update(cls_token=torch.zeros(1)), "unexpected: cls_token"),
        (lambda s: s.update({"norm.bias": torch.zeros(3)}), r"another shape: norm\.bias"),
        (lambda s: s["pos_embed"].fill_(torch.inf), "NaN or infinite.*pos_embed"),
        (lambda s: s.pop("pos_embed"), "is not a UNICOM model"),
        (lambda s: s.update(pos_embed=torch.zeros(1, 15, 64)), "no square"),
    ],
)
def test_other_weights_are_refused_by_name(zoo, tmp_path, change, words):
    with pytest.raises(WeightsError, match=words):
        load_encoder(rewritten(zoo, tmp_path, change), "cpu")


def test_truncated_files_are_refused(tmp_path):
    models.write_unicom(tmp_path / "x.pt")
    models.truncate(tmp_path / "x.pt", 0.7)
    with pytest.raises(WeightsError, match="truncated or damaged"):
        load_encoder(f"unicom:{tmp_path}/x.pt", "cpu")
