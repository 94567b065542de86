"""Saved encoders: the same vectors after loading, and no doubt about what they belong to."""

import numpy as np
import pytest
import torch

from syntype import files
from syntype.encoders.adapter import ResidualAdapter
from syntype.encoders.encoder import Encoder
from syntype.encoders.from_checkpoint import (
    checkpoint_identity,
    load_adapter,
    load_checkpoint,
    save_checkpoint,
)
from syntype.encoders.load import load_encoder
from syntype.errors import ResourceError, WeightsError

BASE = "untrained:resnet10t?size=32"


@pytest.fixture(scope="module")
def base():
    return load_encoder(BASE, device="cpu")


@pytest.fixture(scope="module")
def pictures():
    source = np.random.default_rng(0)
    return torch.from_numpy(source.integers(0, 255, (3, 3, 32, 32), dtype=np.uint8))


def adapter_of(base):
    adapter = ResidualAdapter(base.dim, 8, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(adapter.outer.weight, generator=torch.Generator().manual_seed(1))
    return adapter


def save(folder, base, kind="adapter"):
    if kind == "adapter":
        state = adapter_of(base).state_dict()
    else:
        state = {name: part + 0.01 if part.is_floating_point() else part
                 for name, part in base.module.state_dict().items()}  # fmt: skip
    return save_checkpoint(
        folder,
        kind=kind,
        base=base.name,
        base_identity=base.identity,
        state=state,
        dim=base.dim,
    )


def test_an_adapter_comes_back_with_pictures_and_without(tmp_path, base, pictures):
    identity = save(tmp_path, base)
    loaded = load_checkpoint(tmp_path)
    expected = adapter_of(base)(base.encode(pictures).clone())
    torch.testing.assert_close(loaded.encode(pictures), expected, rtol=0, atol=1e-6)
    cached = base.encode(pictures).numpy()
    found = load_adapter(tmp_path).transform(cached)
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)
    assert loaded.identity == identity == checkpoint_identity(tmp_path)
    assert loaded.name == f"checkpoint:{tmp_path}"
    assert load_encoder(loaded.name, device="cpu").identity == identity
    assert loaded.encode_texts is None


def test_a_tower_comes_back(tmp_path, base, pictures):
    identity = save(tmp_path, base, "tower")
    loaded = load_checkpoint(tmp_path)
    assert loaded.identity == identity == checkpoint_identity(tmp_path)
    tuned = load_encoder(BASE, device="cpu")
    with torch.no_grad():
        for part in tuned.module.state_dict().values():
            if part.is_floating_point():
                part += 0.01
    assert torch.equal(loaded.encode(pictures), tuned.encode(pictures))
    assert not torch.equal(loaded.encode(pictures), base.encode(pictures))
    with pytest.raises(WeightsError, match=r"tuned tower.*needs the pictures"):
        load_adapter(tmp_path)


def test_identity_does_not_depend_on_the_folder_but_on_base_and_weights(tmp_path, base):
    identities = [save(tmp_path / name, base, kind) for name, kind in
                  [("a", "adapter"), ("b", "adapter"), ("c", "tower")]]  # fmt: skip
    assert identities[0] == identities[1] != identities[2]
    other = {**base.identity, "weights": "0" * 64}
    state = adapter_of(base).state_dict()
    moved = save_checkpoint(
        tmp_path / "d", kind="adapter", base=BASE, base_identity=other, state=state, dim=base.dim
    )
    assert moved != identities[0]


def test_another_base_is_refused_for_an_adapter(tmp_path, base):
    save(tmp_path, base)
    card = files.read_json(tmp_path / "encoder.json")
    card["base"] = "untrained:resnet10t?seed=1&size=32"
    files.write_json(tmp_path / "encoder.json", card)
    with pytest.raises(WeightsError, match=r"not the encoder .* its weights changed"):
        load_checkpoint(tmp_path)


def test_a_tower_needs_nothing_of_its_base(tmp_path, base, pictures):
    save(tmp_path, base, "tower")
    expected = load_checkpoint(tmp_path).encode(pictures)
    card = files.read_json(tmp_path / "encoder.json")
    card["base"] = "timm:gone"
    files.write_json(tmp_path / "encoder.json", card)
    assert torch.equal(load_checkpoint(tmp_path).encode(pictures), expected)


def test_a_trained_encoder_can_be_trained_on(tmp_path, base, pictures):
    save(tmp_path / "adapter", base)
    first = load_checkpoint(tmp_path / "adapter")
    identity = save_checkpoint(
        tmp_path / "tower",
        kind="tower",
        base=first.name,
        base_identity=first.identity,
        state=first.module.state_dict(),
        dim=first.dim,
    )
    second = load_checkpoint(tmp_path / "tower")
    assert second.identity == identity
    assert torch.equal(second.encode(pictures), first.encode(pictures))


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_damaged_weights_are_refused(tmp_path, base, damage):
    save(tmp_path, base)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(flipped if damage == "flipped" else content[:-9])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_adapter(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path, base):
    save(tmp_path, base)
    card = files.read_json(tmp_path / "encoder.json")
    files.write_json(tmp_path / "encoder.json", {**card, "hidden": 9})
    with pytest.raises(WeightsError, match="do not fit"):
        load_adapter(tmp_path)


def test_a_folder_without_an_encoder_says_which_to_give(tmp_path):
    with pytest.raises(WeightsError, match=r"encoder\.json is missing.*`train`"):
        checkpoint_identity(tmp_path)
    (tmp_path / "encoder.json").write_text('{"kind": "adapter"}')
    with pytest.raises(WeightsError, match="not written by syntype"):
        checkpoint_identity(tmp_path)


def test_a_full_disk_is_said_plainly(tmp_path, base, monkeypatch):
    from safetensors import SafetensorError

    def full(tensors, path):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("syntype.encoders.tensor_files.save_file", full)
    with pytest.raises(ResourceError, match="full"):
        save(tmp_path, base)
    assert not any(tmp_path.iterdir())


def test_an_adapter_may_stand_behind_an_adapter(tmp_path, base, pictures):
    save(tmp_path / "first", base)
    once = load_checkpoint(tmp_path / "first")
    assert isinstance(once, Encoder)
    save_checkpoint(
        tmp_path / "second",
        kind="adapter",
        base=once.name,
        base_identity=once.identity,
        state=adapter_of(once).state_dict(),
        dim=once.dim,
    )
    twice = load_checkpoint(tmp_path / "second")
    expected = adapter_of(once)(once.encode(pictures).clone())
    torch.testing.assert_close(twice.encode(pictures), expected, rtol=0, atol=1e-6)
