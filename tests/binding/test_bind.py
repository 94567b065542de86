"""Locked and unlocked tuning: what learns, what stays, and that a stopped one ends the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from binding.world import binder, observations
from syntype.binding.bind import Lesson, Towers, bind_locked, bind_unlocked
from syntype.binding.material import Material
from syntype.binding.projection import Projected, in_dimensions
from syntype.binding.scoring import found_again, named_right
from syntype.binding.vectors import encoded
from syntype.configs.bind import BindConfig
from syntype.errors import TrainingError, UsageError
from syntype.progress import SILENT
from syntype.senses.load import load_sense
from syntype.training.loop import Setting
from syntype.training.parallel import SOLO
from training.gang import together

PLACE = "untrained:place-sphere?hidden=16&frequencies=8&dim=12"
VALUES = "untrained:climate-values?dim=16&depth=1"
CONFIG = BindConfig(
    epochs=12, unlocked_epochs=3, batch_size=16, lr=1e-2, binder_lr=1e-3, crop=1.0, flip=False,
    background="observations", checkpoint_every=3,
)  # fmt: skip


def lesson(folder, config=CONFIG, specs=(("place", PLACE),), **options):
    senses = {name: load_sense(spec, "cpu") for name, spec in specs}
    seen = observations(folder, **options).where(split="train")
    return Lesson(seen, binder(), senses, config)


def pictures(asked):
    album = [asked.observations.read(row, "image") for row in range(len(asked.observations))]
    from syntype.data.media import prepare

    images = [torch.from_numpy(np.asarray(prepare(one, asked.binder.preprocess))) for one in album]
    return asked.binder.encode(torch.stack(images)).numpy()


def locked(asked, setting=None):
    return bind_locked(asked, pictures(asked), setting)


def vectors(asked, sense):
    material = Material(asked.observations, sense)
    return encoded(sense, material.batch(np.arange(len(asked.observations))))


def test_locked_tuning_brings_places_to_their_pictures(tmp_path):
    asked = lesson(tmp_path)
    before = asked.binder.module.state_dict()
    kept = {name: value.clone() for name, value in before.items()}
    images = pictures(asked)
    bound = locked(asked)
    sense = bound.senses["place"]
    start = in_dimensions(asked.senses["place"], asked.binder.dim, 0)
    assert found_again(vectors(asked, sense), images) > 1.5 * found_again(
        vectors(asked, start), images
    )
    kinds = np.unique(asked.observations.column("species"), return_inverse=True)[1]
    centres = np.stack([images[kinds == kind].mean(0) for kind in range(6)])
    assert named_right(vectors(asked, sense), centres, kinds) > 0.9
    assert bound.history[-1]["loss"] < bound.history[0]["loss"]
    assert sense.logit_scale == pytest.approx(float(bound.temperatures["place"].exp()))
    assert sense.weights != start.weights
    assert bound.tower is None
    for name, value in asked.binder.module.state_dict().items():
        assert torch.equal(value, kept[name])


def test_random_fourier_draws_are_never_trained(tmp_path):
    asked = lesson(tmp_path)
    before = asked.senses["place"].module.state_dict()
    after = locked(asked).senses["place"].module.state_dict()
    draws = [name for name in before if name.endswith("capsule.0.b")]
    assert draws
    for name in draws:
        assert torch.equal(before[name], after[name])


def test_unlocked_tuning_moves_the_tower_and_no_text(tmp_path):
    asked = lesson(tmp_path)
    first = locked(asked)
    words = asked.binder.encode_texts(["Lynx lynx"])
    again = replace(asked, senses=first.senses, temperatures=first.temperatures)
    bound = bind_unlocked(again)
    assert bound.tower is not None
    assert bound.tower.keys() == asked.binder.module.state_dict().keys()
    moved = [
        name
        for name, value in asked.binder.module.state_dict().items()
        if not torch.equal(value, bound.tower[name])
    ]
    assert moved
    assert torch.equal(asked.binder.encode_texts(["Lynx lynx"]), words)
    # It starts from where locked tuning ended.
    assert bound.history[0]["loss"] < first.history[0]["loss"]
    start = first.senses["place"].module.state_dict()
    end = bound.senses["place"].module.state_dict()
    assert any(not torch.equal(start[name], end[name]) for name in start)


@pytest.mark.parametrize("step", ["locked", "unlocked"])
def test_a_stopped_binding_ends_the_same(tmp_path, interrupted_after, step):
    asked = lesson(tmp_path / "media", replace(CONFIG, epochs=3))

    def run(folder, progress=SILENT):
        setting = Setting(folder, progress=progress)
        return locked(asked, setting) if step == "locked" else bind_unlocked(asked, setting)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", interrupted_after(4))
    found, expected = run(tmp_path / "a"), run(tmp_path / "b")
    assert found.history == expected.history
    for name, value in expected.senses["place"].module.state_dict().items():
        assert torch.equal(found.senses["place"].module.state_dict()[name], value)


@pytest.mark.parametrize("step", ["locked", "unlocked"])
def test_the_size_of_pieces_does_not_count(tmp_path, step):
    found = []
    for micro in (0, 5):
        asked = lesson(tmp_path, replace(CONFIG, epochs=2, unlocked_epochs=2, micro_batch=micro))
        found.append(locked(asked) if step == "locked" else bind_unlocked(asked))
    for one, other in zip(found[0].history, found[1].history, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize(
    "loss", ["place=hard-negative", "place=supcon-mean", "place=symmetric", "place=siglip"]
)
def test_every_loss_learns(tmp_path, loss):
    asked = lesson(tmp_path, replace(CONFIG, loss=(loss,)))
    history = locked(asked).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_several_senses_at_once_and_rows_that_lack_one(tmp_path):
    config = replace(CONFIG, epochs=8, unlocked_epochs=2)
    specs = (("place", PLACE), ("climate", VALUES))
    asked = lesson(tmp_path, config, specs, missing=True)
    first = locked(asked)
    assert set(first.senses) == {"place", "climate"}
    assert isinstance(first.senses["climate"].module, Projected)
    assert first.senses["climate"].dim == asked.binder.dim
    again = replace(asked, senses=first.senses, temperatures=first.temperatures)
    bound = bind_unlocked(again)
    assert bound.tower is not None
    images, has = pictures(asked), asked.observations.has("climate")
    start = in_dimensions(asked.senses["climate"], asked.binder.dim, 0)
    seen = replace(asked, observations=asked.observations.select(has))
    assert found_again(vectors(seen, first.senses["climate"]), images[has]) > found_again(
        vectors(seen, start), images[has]
    )


def test_sounds_and_tiles_go_the_same_way(tmp_path):
    config = replace(CONFIG, epochs=2, unlocked_epochs=1)
    specs = (
        ("sound", "untrained:sound-small?dim=12&seconds=0.3"),
        ("satellite", "satellite:untrained:test_resnet?size=16"),
    )
    asked = lesson(tmp_path, config, specs, per_species=5, media=("image", "sound", "satellite"))
    bound = locked(asked)
    assert set(bound.temperatures) == {"sound", "satellite"}
    assert bound.senses["satellite"].dim == asked.binder.dim


def test_towers_give_pictures_first_and_backgrounds_behind_their_sense():
    image, double = torch.nn.Linear(2, 3, bias=False), torch.nn.Linear(1, 3, bias=False)
    towers = Towers(image, {"place": double}, {"place": 1}, {"place": 2})
    given = torch.randn(4, 2), torch.randn(4, 1), torch.randn(4, 1)
    found = towers(*given)
    expected = torch.cat([image(given[0]), double(given[1]), double(given[2])], dim=1)
    assert torch.equal(found, expected)


def test_what_cannot_be_bound_says_so(tmp_path):
    asked = lesson(tmp_path / "a")
    one = asked.observations.column("species") == "Lynx lynx"
    with pytest.raises(TrainingError, match="one species"):
        locked(replace(asked, observations=asked.observations.select(one)))
    with pytest.raises(UsageError, match="random background"):
        BindConfig(loss=("sound=hard-negative",))
    with pytest.raises(UsageError, match="write SENSE=VALUE"):
        BindConfig(loss=("supcon",))
    with pytest.raises(TrainingError, match=r"--bind\.lr") as told:
        locked(replace(asked, config=replace(CONFIG, lr=1e30, clip=0.0)))
    assert "--train." not in str(told.value)


def test_the_learned_temperature_is_where_the_next_step_starts(tmp_path):
    asked = lesson(tmp_path, replace(CONFIG, epochs=1, lr=1e-9, unlocked_epochs=1, binder_lr=1e-9))
    start = torch.tensor([[1.25]])
    bound = locked(replace(asked, temperatures={"place": start}))
    assert float(bound.temperatures["place"][0, 0]) == pytest.approx(1.25, abs=1e-4)


def _in_world(world, asked, images):
    config = asked.config
    one = bind_locked(asked, images, Setting(world=world))
    both = bind_unlocked(replace(asked, config=config), Setting(world=world))
    return [(b.history, b.senses["place"].module.state_dict()) for b in (one, both)]


def test_several_processes_bind_alike(tmp_path):
    asked = lesson(tmp_path, replace(CONFIG, epochs=2, unlocked_epochs=1, lr=1e-3))
    images = pictures(asked)
    alone = _in_world(SOLO, asked, images)
    for found in together(2, _in_world, asked, images):
        for (history, state), (expected, weights) in zip(found, alone, strict=True):
            for line, other in zip(history, expected, strict=True):
                assert line == pytest.approx(other, rel=2e-3)
            for name, value in weights.items():
                torch.testing.assert_close(state[name], value, rtol=1e-2, atol=2e-4)
