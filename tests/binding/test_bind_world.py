"""Bound in several processes: the same weights as in one, in float64, whatever the shares are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from binding.world import DIM, binder, observations
from syntype.binding.bind import Lesson, bind_locked, bind_unlocked
from syntype.binding.losses import PUBLISHED, start_of
from syntype.configs.bind import BindConfig
from syntype.progress import SILENT
from syntype.senses.load import load_sense
from syntype.training.loop import Setting
from syntype.training.parallel import SOLO
from training.conftest import Interruption
from training.gang import together

SPECS = {
    "place": f"untrained:place-sphere?hidden=16&frequencies=8&dim={DIM}",
    "climate": f"untrained:climate-values?dim={DIM}&depth=1",
}
# 35 observations in batches of 12, 12 and 11: neither two nor three processes divide them evenly.
CONFIG = BindConfig(
    loss=("climate=supcon",), epochs=1, unlocked_epochs=1, batch_size=13, lr=1e-2, binder_lr=1e-3,
    checkpoint_every=2,
)  # fmt: skip
ASKED = {
    "random places, sums over a species": CONFIG,
    "a background that is somebody's": replace(CONFIG, loss=(), background="observations"),
    "sums and means over a species": replace(CONFIG, loss=("place=supcon", "climate=supcon-mean")),
    "pairs": replace(CONFIG, loss=("place=symmetric", "climate=siglip")),
    "in pieces": replace(CONFIG, micro_batch=3),
    "fewer rows than processes": replace(CONFIG, batch_size=2),
}
FEW = 5  # rows of that one, in batches of 3 and 2


class Wide(nn.Module):
    """A module that computes in float64, whatever it is given or asked to be."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner.double()
        for part in inner.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0  # each share draws its own masks

    def float(self):
        return self

    def forward(self, *inputs):
        return self.inner(*(one.double() for one in inputs))


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    seen = observations(tmp_path_factory.mktemp("media"), missing=True).where(split="train")
    seen = seen.select(np.arange(len(seen)) > 0)
    assert len(seen) == 35
    senses = {name: load_sense(spec, "cpu") for name, spec in SPECS.items()}
    senses = {name: replace(one, module=Wide(one.module)) for name, one in senses.items()}
    wide = binder()
    return Lesson(seen, replace(wide, module=Wide(wide.module)), senses, CONFIG)


@pytest.fixture(scope="module")
def images(lesson):
    source = np.random.default_rng(0)
    return source.normal(size=(len(lesson.observations), DIM)).astype(np.float32)


def started(lesson, config):
    """The lesson under another config, with temperatures in float64."""
    losses = {name: config.loss_of(name, PUBLISHED) for name in lesson.senses}
    first = {name: start_of(loss, 4.0).double() for name, loss in losses.items()}
    return replace(lesson, config=config, temperatures=first)


def weights(bound):
    """All that was learned, by name."""
    found = {f"temperature {name}": one for name, one in bound.temperatures.items()}
    for name, sense in bound.senses.items():
        found |= {f"{name} {key}": one for key, one in sense.module.state_dict().items()}
    found |= {f"tower {key}": one for key, one in (bound.tower or {}).items()}
    return found


def trained(world, asked, images, step, folder=None, progress=SILENT):
    setting = Setting(folder, world, progress)
    if step == "locked":
        return bind_locked(asked, images, setting)
    return bind_unlocked(asked, setting)


def every(world, lesson, images, step):
    found = []
    for config in ASKED.values():
        asked, n = started(lesson, config), FEW if config.batch_size == 2 else len(images)
        asked = replace(asked, observations=asked.observations.select(np.arange(len(images)) < n))
        bound = trained(world, asked, images[:n], step)
        found.append((weights(bound), bound.history))
    return found


def same(found, expected, what):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.dtype == torch.float64, name
        torch.testing.assert_close(
            found[name], value, rtol=1e-9, atol=1e-9, msg=lambda text, n=name: f"{what} {n}: {text}"
        )


@pytest.fixture(scope="module", params=["locked", "unlocked"])
def alone(request, lesson, images):
    """A step, and what one process learns in it of each that is asked."""
    return request.param, every(SOLO, lesson, images, request.param)


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_learn_the_weights_of_one(alone, lesson, images, size):
    step, expected = alone
    for found in together(size, every, lesson, images, step):
        for what, one, other in zip(ASKED, found, expected, strict=True):
            same(one[0], other[0], what)
            for line, twin in zip(one[1], other[1], strict=True):
                assert line == pytest.approx(twin, rel=1e-4)  # figures are float32


def test_what_is_learned_is_not_what_it_began_with(alone, lesson, images):
    step, (first, *_) = alone
    del images
    asked = started(lesson, CONFIG)
    moved = first[0]
    for name, sense in asked.senses.items():
        before = sense.module.state_dict()
        assert any((moved[f"{name} {k}"] - v).abs().max() > 1e-3 for k, v in before.items())
    if step == "unlocked":
        before = asked.binder.module.state_dict()
        assert any((moved[f"tower {k}"] - v).abs().max() > 1e-4 for k, v in before.items())


def stop():
    raise KeyboardInterrupt


def stopped(world, asked, images, step, folder, n_steps):
    with pytest.raises(KeyboardInterrupt):
        trained(world, asked, images, step, folder, Interruption(n_steps, stop))


@pytest.mark.parametrize("step", ["locked", "unlocked"])
def test_another_number_of_processes_goes_on(lesson, images, tmp_path, step):
    asked = started(lesson, replace(CONFIG, epochs=2, unlocked_epochs=2))
    folder = tmp_path / "stopped"
    together(2, stopped, asked, images, step, folder, 3)
    assert [one.stem for one in folder.glob("step-*.json")] == ["step-00000002"]
    together(3, stopped, asked, images, step, folder, 3)
    assert max(one.stem for one in folder.glob("step-*.json")) == "step-00000004"
    found, expected = (trained(SOLO, asked, images, step, one) for one in (folder, None))
    same(weights(found), weights(expected), "went on")
    assert found.history[-1]["step"] == 6
