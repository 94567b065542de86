import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fakes.models import truncate
from syntype.data.preprocess import Preprocess
from syntype.encoders.weights import (
    check_finite,
    poison,
    pour,
    read_shapes,
    read_state,
    recorded_loading,
    sealed_encoder,
    weights_hash,
)
from syntype.errors import EncoderError, WeightsError

STATE = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "a.bias": torch.zeros(2),
    "steps": torch.tensor(3),
    "half": torch.ones(4, dtype=torch.bfloat16),
}


@settings(max_examples=25, deadline=None)
@given(st.permutations(list(STATE)))
def test_hash_does_not_depend_on_the_order(names):
    assert weights_hash({name: STATE[name] for name in names}) == weights_hash(STATE)


@pytest.mark.parametrize(
    "change",
    [
        {"a.bias": torch.tensor([0.0, 1e-30])},
        {"a.bias": torch.tensor([0.0, -0.0])},
        {"a.bias": torch.zeros(2, dtype=torch.float16)},
        {"a.bias": torch.zeros(2, 1)},
        {"a.weight": torch.arange(6.0).view(3, 2)},
        {"steps": torch.tensor(4)},
        {"new": torch.zeros(0)},
    ],
)
def test_hash_changes_with_values_type_shape_and_names(change):
    assert weights_hash({**STATE, **change}) != weights_hash(STATE)


def test_hash_is_of_what_is_in_memory():
    half = {"w": torch.randn(3, 4).half()}
    widened = {"w": half["w"].float()}
    assert weights_hash(half) != weights_hash(widened)
    assert weights_hash({"w": widened["w"].T.contiguous().T}) == weights_hash(widened)


def test_hash_is_pinned():
    """Stored embeddings are named by it, so it may never change."""
    assert weights_hash({"w": torch.tensor([1.0, 2.0])}) == (
        "016ddd310329a3788e28c472f7335e43de75ccc21782735152898207731d54ed"
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_states_are_read_back(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    assert weights_hash(read_state(path)) == weights_hash(STATE)
    assert read_shapes(path) == {name: tuple(part.shape) for name, part in STATE.items()}


def test_training_checkpoints_give_their_state_dict(tmp_path):
    torch.save({"epoch": 3, "state_dict": STATE}, tmp_path / "epoch_3.pt")
    assert weights_hash(read_state(tmp_path / "epoch_3.pt")) == weights_hash(STATE)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("read", [read_state, read_shapes])
def test_truncated_files_are_refused(tmp_path, suffix, share, read):
    path = tmp_path / f"weights{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    truncate(path, share)
    with pytest.raises(WeightsError, match=r"truncated or damaged .*fetch it again") as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_files_that_could_run_code_are_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"w": torch.zeros(1), "config": nn.Linear(1, 1)}, path)
    with pytest.raises(WeightsError, match="could run code"):
        read_state(path)
    path.write_bytes(pickle.dumps(print, protocol=2))
    with pytest.raises(WeightsError, match=r"could run code|damaged"):
        read_state(path)


def test_absent_files_and_other_content_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no file .*nothing\.bin"):
        read_state(tmp_path / "nothing.bin")
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state(tmp_path / "list.pt")


def test_pouring_is_complete_or_refused():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = {name: torch.ones_like(part) for name, part in module.state_dict().items()}
    pour(module, state, "x")
    assert bool((module[0].weight == 1).all())
    for change, words in [
        (lambda s: s.pop("0.weight"), "missing: 0.weight"),
        (lambda s: s.pop("1.running_mean"), "missing: 1.running_mean"),
        (lambda s: s.update(head=torch.zeros(1)), "unexpected: head"),
        (lambda s: s.update({"0.bias": torch.zeros(3)}), r"of another shape: 0.bias \(3,\)"),
    ]:
        broken = dict(state)
        change(broken)
        with pytest.raises(WeightsError, match=words):
            pour(module, broken, "x")


def test_long_lists_of_keys_are_cut():
    module = nn.ModuleList([nn.Linear(1, 1) for _ in range(10)])
    with pytest.raises(WeightsError, match="and 14 more"):
        pour(module, {}, "x")


def test_poison_shows_what_was_never_loaded():
    module = nn.Linear(2, 2)
    poison(module)
    module.bias.data.fill_(0)
    with pytest.raises(WeightsError, match=r"not loaded at all: weight\."):
        check_finite(module, "x")


def test_loading_is_recorded_and_the_library_left_as_it_was():
    before = nn.Module.load_state_dict
    module = nn.Linear(2, 2)
    with recorded_loading() as reports:
        module.load_state_dict({"bias": torch.zeros(2)}, strict=False)
    assert [report.missing_keys for report in reports] == [["weight"]]
    assert nn.Module.load_state_dict is before


@pytest.mark.parametrize(
    ("module", "form"),
    [(nn.Conv2d(3, 4, 1), r"\(1, 4, 8, 8\)"), (nn.MaxPool2d(2, return_indices=True), "tuple")],
)
def test_modules_that_give_no_vector_are_refused(module, form):
    with pytest.raises(EncoderError, match=f"gives {form} for one picture"):
        sealed_encoder("x", {}, module, Preprocess(size=8), torch.device("cpu"))
