"""What a training will need, against what a forward pass really keeps; and memory that runs out."""

import pytest
import timm
import torch

from syntype.configs import TrainConfig
from syntype.errors import ResourceError
from syntype.training.footprint import Fitting, footprint, is_out_of_memory
from syntype.training.tuning import choose_weights, save_memory


def kept_bytes(module, n, size):
    """Bytes that a real forward pass of `n` pictures keeps, weights and buffers not counted."""
    own = {
        tensor.untyped_storage().data_ptr() for tensor in [*module.parameters(), *module.buffers()]
    }
    found = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        module(torch.randn(n, 3, size, size))
    return sum(size for size, _ in found.values())


@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet10t", {}), ("vit_tiny_patch16_224", {"img_size": 64}), ("convnext_atto", {})],
)
def test_activations_are_those_of_a_real_pass(name, options):
    module = timm.create_model(name, pretrained=False, num_classes=0, **options).train()
    counted = footprint(module, 64, TrainConfig(), 10)
    assert counted.activations_each * 6 == pytest.approx(kept_bytes(module, 6, 64), rel=0.02)
    n_weights = sum(weight.numel() for weight in module.parameters())
    assert counted.weights == counted.gradients == 4 * n_weights
    assert counted.moments == 8 * n_weights


def test_frozen_weights_and_checkpointing_need_less():
    def tower():
        return timm.create_model(
            "vit_tiny_patch16_224", pretrained=False, num_classes=0, img_size=64
        )

    whole, low_rank, twice = tower(), tower(), tower()
    choose_weights(low_rank, torch.randn(2, 3, 64, 64), TrainConfig(tune="lora", lora_rank=4))
    save_memory(twice)
    full, lora, saved = (
        footprint(module, 64, TrainConfig(), 10) for module in (whole, low_rank, twice)
    )
    assert lora.gradients < full.gradients / 20
    assert saved.activations_each < full.activations_each / 5
    assert saved.weights == full.weights
    half = footprint(whole, 64, TrainConfig(), 10, half=True)
    assert half.activations_each == full.activations_each // 2
    assert full.total(8) - full.total(4) == 4 * full.activations_each
    assert "activations of 4 pictures" in full.in_words(4)


def test_it_halves_until_it_fits_and_remembers():
    fitting, tried = Fitting(100), []

    def work(most):
        tried.append(most)
        if most > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return "done"

    assert fitting.retry(work) == "done"
    assert tried == [100, 50, 25, 13]
    assert fitting.retry(work) == "done"
    assert tried[4:] == [13]


def test_one_sample_that_does_not_fit_is_an_error_with_advice():
    def work(most):
        return torch.empty(1 << 50, dtype=torch.uint8)  # a real refusal of the system

    with pytest.raises(ResourceError, match=r"one sample.*--train\.gradient-checkpointing.*lora"):
        Fitting(4).retry(work)


def test_other_errors_are_not_taken_for_memory():
    def work(most):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Fitting(4).retry(work)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))


def test_several_processes_are_told_which_batch_to_try():
    def cramped(most):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a lot")

    with pytest.raises(ResourceError, match=r"--train\.micro-batch 32: the steps stay the same"):
        Fitting(64).once(cramped)
    assert Fitting(64).once(lambda most: most) == 64
