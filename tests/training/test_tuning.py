"""Which weights are trained, how fast, at what price: on towers of every family."""

import open_clip.model
import pytest
import timm
import torch
from torch import nn

from syntype.configs import TrainConfig
from syntype.errors import TrainingError
from syntype.training.tuning import (
    Average,
    blocks_of,
    choose_weights,
    depths,
    half,
    merged,
    save_memory,
    weight_groups,
)


def clip_vit():
    shape = {"image_size": 32, "layers": 3, "width": 64, "patch_size": 16, "head_width": 16}
    return open_clip.model._build_vision_tower(32, shape)


def clip_resnet():
    return open_clip.model._build_vision_tower(
        32, {"image_size": 32, "layers": [1] * 4, "width": 16}
    )


def from_timm(name, **options):
    return lambda: timm.create_model(name, pretrained=False, num_classes=0, **options)


TOWERS = {
    "open_clip ViT": (clip_vit, 32, 3),
    "open_clip ResNet": (clip_resnet, 32, 4),
    "ViT": (from_timm("vit_tiny_patch16_224", img_size=32), 32, 12),
    "ResNet": (from_timm("resnet10t"), 32, 4),
    "ConvNeXt": (from_timm("convnext_atto"), 64, 12),
    "EfficientNet": (from_timm("efficientnet_b0"), 64, 16),
}
LINEAR = ("open_clip ViT", "ViT")


def made(name):
    torch.manual_seed(0)
    make, size, _ = TOWERS[name]
    return make().float(), torch.randn(2, 3, size, size)


@pytest.mark.parametrize("name", TOWERS)
def test_blocks_are_found_in_order(name):
    module, _ = made(name)
    blocks = blocks_of(module)
    assert len(blocks) == TOWERS[name][2]
    places = [[id(part) for part in module.modules()].index(id(block)) for block in blocks]
    assert places == sorted(places)


@pytest.mark.parametrize("name", TOWERS)
def test_depth_counts_the_blocks_above(name):
    module, example = made(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    found, blocks = depths(module, example), blocks_of(module)
    for place, block in enumerate(blocks):
        assert {found[weight] for weight in block.parameters()} == {len(blocks) - place}
    stem = next(weight for weight in module.parameters() if weight.ndim == 4)
    assert found[stem] == len(blocks)
    assert all(weight.grad is None for weight in module.parameters())
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])


def test_what_follows_the_blocks_lies_above_them():
    module, example = made("open_clip ViT")
    found = depths(module, example)
    assert found[module.proj] == found[module.ln_post.weight] == 0
    assert found[module.class_embedding] == found[module.positional_embedding] == 3


def test_layer_decay_slows_the_depth_and_spares_vectors_from_weight_decay():
    module, example = made("open_clip ViT")
    config = TrainConfig(lr=1.0, layer_decay=0.5, weight_decay=0.1)
    groups = weight_groups(module, example, config)
    peak = {weight: group["peak"] for group in groups for weight in group["params"]}
    decay = {weight: group["weight_decay"] for group in groups for weight in group["params"]}
    block = module.transformer.resblocks[0]
    assert peak[module.proj] == 1
    assert peak[block.mlp.c_fc.weight] == peak[module.conv1.weight] == 0.125
    assert decay[block.mlp.c_fc.weight] == 0.1
    assert decay[block.mlp.c_fc.bias] == decay[module.class_embedding] == 0
    assert len(peak) == len(list(module.parameters()))
    plain = weight_groups(module, None, TrainConfig())
    assert [group["weight_decay"] for group in plain] == [0.05, 0.0]


@pytest.mark.parametrize("name", TOWERS)
def test_the_last_blocks_alone(name):
    module, example = made(name)
    choose_weights(module, example, TrainConfig(tune="last", last_blocks=1))
    trained = {weight for weight in module.parameters() if weight.requires_grad}
    *below, last = blocks_of(module)
    assert set(last.parameters()) <= trained
    assert not trained & {weight for block in below for weight in block.parameters()}
    assert next(weight for weight in module.parameters() if weight.ndim == 4) not in trained or (
        len(below) == 0
    )


@pytest.mark.parametrize("name", LINEAR)
def test_low_rank_additions_begin_as_nothing_learn_and_merge(name):
    module, example = made(name)
    module.eval()
    keys = {key: value.shape for key, value in module.state_dict().items()}
    before = module(example)
    choose_weights(module, example, TrainConfig(tune="lora", lora_rank=4))
    assert torch.equal(module(example), before)
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    assert {min(weight.shape) for weight in trained} == {4}
    optimiser = torch.optim.SGD(trained, lr=0.1)
    module.train()
    for _ in range(2):
        optimiser.zero_grad()
        module(example).square().mean().backward()
        optimiser.step()
    assert all(weight.grad is not None and weight.grad.any() for weight in trained)
    module.eval()
    after = module(example)
    assert not torch.allclose(after, before)
    found = merged(module)
    assert {key: value.shape for key, value in found.state_dict().items()} == keys
    torch.testing.assert_close(found(example), after, rtol=1e-4, atol=1e-5)


def test_low_rank_additions_depend_on_the_seed_alone():
    def additions(seed):
        module, example = made("ViT")
        torch.rand(3)
        choose_weights(module, example, TrainConfig(tune="lora", seed=seed))
        return torch.cat([w.flatten() for w in module.parameters() if w.requires_grad])

    before = torch.get_rng_state()
    first = additions(0)
    assert torch.equal(first, additions(0))
    assert not torch.equal(first, additions(1))
    torch.set_rng_state(before)


def test_towers_without_blocks_or_linear_layers_are_refused():
    bare = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    with pytest.raises(TrainingError, match=r"--train\.tune last.*--train\.tune all"):
        choose_weights(bare, torch.randn(2, 3, 2, 2), TrainConfig(tune="last"))
    with pytest.raises(TrainingError, match=r"gradient-checkpointing"):
        save_memory(bare)
    module, example = made("ResNet")
    with pytest.raises(TrainingError, match="linear layers"):
        choose_weights(module, example, TrainConfig(tune="lora"))


@pytest.mark.parametrize("name", TOWERS)
def test_checkpointing_keeps_the_gradients_and_less_memory(name):
    def gradients(saving):
        module, example = made(name)
        module.eval()
        if saving:
            save_memory(module)
        kept = []
        hooks = torch.autograd.graph.saved_tensors_hooks
        with hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor):
            loss = module(example).square().sum()
        loss.backward()
        return [weight.grad for weight in module.parameters()], sum(kept)

    (plain, much), (saved, little) = gradients(False), gradients(True)
    for one, other in zip(plain, saved, strict=True):
        torch.testing.assert_close(one, other)
    assert little < 0.6 * much


def test_half_precision_by_device():
    cpu = torch.device("cpu")
    assert half(cpu, TrainConfig(precision="float32")) is None
    assert half(cpu, TrainConfig(precision="bfloat16")) == torch.bfloat16


def test_the_average_follows_slowly_and_swaps_back():
    module = nn.Linear(2, 1)
    average = Average(module, 0.9)
    start = module.weight.detach().clone()
    expected = start.clone()
    for step in range(1, 40):
        with torch.no_grad():
            module.weight += 1
        average.update(module)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module.weight.detach()
    now = module.weight.detach().clone()
    average.swap(module)
    torch.testing.assert_close(module.weight.detach(), expected)
    average.swap(module)
    assert torch.equal(module.weight, now)
    other = Average(module, 0.9)
    other.load_state_dict(average.state_dict())
    assert int(other.steps) == 39
