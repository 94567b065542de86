"""The objective: each sense over the rows that have it, whatever the number of processes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from syntype.binding.losses import binding_loss, start_of
from syntype.binding.objective import Binding, Strand
from syntype.configs.bind import BindConfig
from syntype.training.parallel import SOLO
from training.gang import together

N, D = 30, 6
CONFIG = BindConfig(clip=0.0).training("locked")


def setting(locked, losses=("hard-negative", "supcon", "siglip"), behind=None):
    source = torch.Generator().manual_seed(3)
    species = torch.randint(5, (N,), generator=source)
    images = torch.randn(N, D, generator=source, dtype=torch.float64)
    has = [torch.rand(N, generator=source).numpy() < share for share in (1.1, 0.7, 0.5)]
    strands = [
        Strand(name, loss, mask, start_of(loss, 4.0).double(), behind)
        for name, loss, mask in zip(("place", "satellite", "sound"), losses, has, strict=False)
    ]
    width = sum(one.width for one in strands) + (not locked)
    vectors = torch.randn(N, width * D, generator=source, dtype=torch.float64)
    return species, images if locked else None, strands, vectors


def expected(locked, rows, behind=None):
    """Losses by selecting rows by hand."""
    species, images, strands, vectors = setting(locked, behind=behind)
    chosen = vectors[torch.from_numpy(rows)].clone().requires_grad_()
    parts = list(chosen.split(D, dim=1))
    pictures = images[torch.from_numpy(rows)] if locked else parts.pop(0)
    kinds, total = species[torch.from_numpy(rows)], 0
    for strand in strands:
        own = parts.pop(0)
        background = parts.pop(0) if strand.width == 2 else None
        there = torch.from_numpy(strand.has[rows])
        whose = None
        if background is not None and behind is not None:
            whose = species[torch.from_numpy(behind(0)[rows])][there]
        total = total + binding_loss(
            strand.loss, pictures[there], own[there], strand.temperature, kinds[there],
            background=None if background is None else background[there],
            background_species=whose,
        ) / len(strands)  # fmt: skip
    total.backward()
    return float(total.detach()), chosen.grad


def pulled(world, locked, behind=None):
    species, images, strands, vectors = setting(locked, behind=behind)
    objective = Binding(species, strands, images, CONFIG, world).double()
    found = []
    for step, rows in enumerate([np.arange(17), np.arange(17, 30)]):
        leaf = vectors[torch.from_numpy(rows)][world.share(len(rows))].requires_grad_()
        figures = objective.pull(leaf, rows, step)
        objective.move(1.0)
        temperatures = {k: v.clone() for k, v in objective.temperatures().items()}
        found.append(
            {**vars(figures), **temperatures, "vectors": world.gather(leaf.grad, len(rows))}
        )
    return found


def rolled(step):
    return np.roll(np.arange(N), 1 + step)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("behind", [None, rolled])
def test_it_is_the_mean_of_the_losses_of_those_that_have_a_sense(locked, behind):
    rows = np.arange(17)
    loss, gradient = expected(locked, rows, behind)
    found = pulled(SOLO, locked, behind)[0]
    assert float(found["loss"]) == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(found["vectors"], gradient)
    assert 0 <= float(found["accuracy"]) <= 1
    assert float(found["negatives"]) > 0


@pytest.mark.parametrize("locked", [True, False])
def test_several_processes_see_the_negatives_of_all(locked):
    alone = pulled(SOLO, locked)
    for size in (2, 3):
        for found in together(size, pulled, locked):
            for one, other in zip(alone, found, strict=True):
                for part, value in one.items():
                    torch.testing.assert_close(other[part], value, rtol=1e-6, atol=1e-10)


def test_a_sense_that_no_row_of_the_batch_has_pulls_nothing():
    species, images, strands, vectors = setting(locked=True)
    nobody = [replace(one, has=np.zeros(N, dtype=bool)) for one in strands]
    objective = Binding(species, nobody, images, CONFIG).double()
    leaf = vectors[:8].clone().requires_grad_()
    figures = objective.pull(leaf, np.arange(8), 0)
    assert float(figures.loss) == 0
    assert not leaf.grad.any()
    objective.move(1.0)
    assert float(objective.temperatures()["place"][0, 0]) == pytest.approx(np.log(4.0))


def test_the_scale_never_exceeds_100():
    species, images, strands, vectors = setting(locked=True, losses=("supcon",))
    high = [replace(strands[0], temperature=start_of("supcon", 100.0).double())]
    objective = Binding(species, high, vectors[:, :D], CONFIG).double()
    for step in range(4):
        leaf = vectors[:8, :D].clone().requires_grad_()
        objective.pull(leaf, np.arange(8), step)
        objective._gradients["place"] = torch.full_like(high[0].temperature, -1.0)
        objective.move(100.0)
    assert float(objective.temperatures()["place"].exp()) == pytest.approx(100.0)
    del images


def test_its_state_holds_temperatures_and_no_pictures():
    species, images, strands, _ = setting(locked=True)
    names = set(Binding(species, strands, images, CONFIG).state_dict())
    assert {f"temperature_{one.sense}" for one in strands} < names
    assert not any("image" in name for name in names)
