"""The residual adapter: nothing until it is trained, and the same by both of its ways in."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from syntype.encoders.adapter import AdaptedTower, ResidualAdapter, unit_rows
from syntype.errors import VectorError


def vectors(n=20, dim=16, seed=0):
    source = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(n, dim, generator=source), dim=1)


def trained(dim=16, hidden=8):
    adapter = ResidualAdapter(dim, hidden, torch.Generator().manual_seed(0))
    nn.init.normal_(adapter.outer.weight, generator=torch.Generator().manual_seed(1))
    return adapter


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_untrained_it_gives_back_what_it_got(dim, hidden, seed):
    adapter = ResidualAdapter(dim, hidden, torch.Generator().manual_seed(seed))
    given_vectors = vectors(dim=dim, seed=seed)
    torch.testing.assert_close(adapter(given_vectors), given_vectors, rtol=0, atol=2e-7)


def test_first_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, again = (ResidualAdapter(4, 3, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first.inner.weight, again.inner.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_it_is_the_formula_at_unit_length():
    adapter, x = trained(), vectors()
    hidden = nn.functional.gelu(x @ adapter.inner.weight.T + adapter.inner.bias)
    y = x + hidden @ adapter.outer.weight.T + adapter.outer.bias
    torch.testing.assert_close(adapter(x), y / y.norm(dim=1, keepdim=True))


def test_transform_is_forward_in_blocks_on_arrays(monkeypatch):
    monkeypatch.setattr("syntype.encoders.adapter._ROWS", 6)
    adapter, x = trained(), vectors()
    by_array = adapter.transform(x.numpy().astype(np.float16))
    assert by_array.dtype == np.float32
    np.testing.assert_allclose(by_array, adapter(x).detach().numpy(), atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(by_array, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        adapter.transform(3 * x.numpy()), adapter.transform(x.numpy()), atol=1e-6
    )


def test_broken_vectors_are_named():
    x = vectors().numpy().copy()
    x[3] = 0
    with pytest.raises(VectorError, match=r"cached vectors.*row 3"):
        trained().transform(x)


def test_adapted_tower_is_encoder_then_unit_then_adapter():
    base, adapter = nn.Sequential(nn.Flatten(), nn.Linear(12, 16)), trained()
    images = torch.rand(5, 3, 2, 2)
    expected = adapter(nn.functional.normalize(base(images), dim=1))
    torch.testing.assert_close(AdaptedTower(base, adapter, "x")(images), expected)
    base[1].weight.data.zero_()
    base[1].bias.data.zero_()
    with pytest.raises(VectorError, match="tower-name"):
        AdaptedTower(base, adapter, "tower-name")(images)


def test_unit_rows_matches_torch_with_gradients():
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(unit_rows(x), nn.functional.normalize(x, dim=1))
    assert torch.autograd.gradcheck(unit_rows, x)
    assert torch.equal(unit_rows(torch.zeros(1, 3)), torch.zeros(1, 3))
