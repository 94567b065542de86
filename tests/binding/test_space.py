"""A space as a folder: what comes back, and what is refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from binding.world import DIM, SPECIES, binder, observations
from syntype import files
from syntype.binding.projection import in_dimensions, with_weights
from syntype.binding.space import Space, space_key, with_tower
from syntype.errors import DataError, UsageError, WeightsError
from syntype.progress import Silent
from syntype.senses.load import load_sense

PLACE = "untrained:place-sphere?hidden=16&frequencies=8&dim=12"
VALUES = "untrained:climate-values?dim=16&depth=1"
EAR = "untrained:sound-small?dim=12&seconds=0.3"


def moved(state, size=0.05):
    source = torch.Generator().manual_seed(1)
    return {
        name: value + size * torch.randn(value.shape, generator=source)
        if value.is_floating_point() and "capsule.0.b" not in name
        else value.clone()
        for name, value in state.items()
    }


def space(workspace, tower=True):
    base = binder()
    senses = {}
    for spec in (PLACE, VALUES, EAR):
        sense = in_dimensions(load_sense(spec, "cpu"), DIM, 3)
        senses[sense.modality] = with_weights(sense, moved(sense.module.state_dict()), None)
    return Space(
        binder=with_tower(base, moved(base.module.state_dict())) if tower else base,
        senses=senses,
        temperatures={"place": torch.tensor([[2.0]]), "sound": torch.tensor([[1.0], [-3.0]])},
        steps=[{"step": "locked"}],
        workspace=workspace,
        base=base,
    )


def opened(folder, **options):
    return Space.open(
        folder, load_binder=lambda spec, device: binder(), load_sense=load_sense, **options
    )


@pytest.mark.parametrize("tower", [True, False])
def test_it_comes_back_as_it_was(tmp_path, tower):
    seen = observations(tmp_path / "media", 2, missing=True, media=("image", "sound"))
    made = space(tmp_path / "a", tower)
    made.save(tmp_path / "space")
    assert (tmp_path / "space" / "binder.safetensors").is_file() == tower
    found = opened(tmp_path / "space", device="cpu")
    assert found.modalities == ("image", "text", "place", "sound", "climate")
    assert found.steps == [{"step": "locked"}]
    for modality in found.modalities:
        ids, vectors = made.vectors(seen, modality)
        again, same = found.vectors(seen, modality)
        assert ids == again
        np.testing.assert_array_equal(vectors, same)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert found.logit_scale("place") == pytest.approx(np.exp(2.0))
    assert found.logit_scale("sound") == pytest.approx(np.exp(1.0))
    assert found.logit_scale("text") == 10.0
    assert found.logit_scale("climate") is None
    torch.testing.assert_close(found.temperatures["sound"], made.temperatures["sound"])
    if tower:
        changed = opened(tmp_path / "space", device="cpu")
        assert changed.binder.weights != changed.base.weights
    assert found.key == space_key(tmp_path / "space")


def test_rows_that_lack_a_sense_have_no_vector_and_what_is_broken_is_told(tmp_path):
    said = []
    progress = Silent()
    progress.say = said.append
    seen = observations(tmp_path / "media", 2, missing=True, media=("image", "sound"))
    (tmp_path / "media" / "5.wav").write_bytes(b"no sound")
    made = replace(space(tmp_path / "a"), progress=progress)
    ids, vectors = made.vectors(seen, "climate")
    assert ids == [one for one, has in zip(seen.ids, seen.has("climate"), strict=True) if has]
    assert len(ids) == len(vectors)
    ids, _ = made.vectors(seen, "sound")
    assert "set/0005" not in ids
    assert len(ids) == len(seen) - 1
    assert "set/0005" in said[0]
    with pytest.raises(DataError, match="No observation has a place"):
        made.vectors(seen.select(~seen.has("place")), "place")
    with pytest.raises(UsageError, match="has no satellite"):
        made.vectors(seen, "satellite")


def test_vectors_are_kept(tmp_path):
    seen = observations(tmp_path / "media", 1)
    made = space(tmp_path / "a")
    _, first = made.vectors(seen, "image")
    for path in (tmp_path / "media").glob("*.png"):
        path.unlink()
    np.testing.assert_array_equal(first, made.vectors(seen, "image")[1])


def test_texts_are_those_of_the_untouched_binder(tmp_path):
    made, base = space(tmp_path), binder()
    words = made.words([])
    assert words == []
    texts = [f"a photo of {name}." for name in SPECIES]
    np.testing.assert_array_equal(made.text_vectors(texts), base.encode_texts(texts).numpy())


@pytest.mark.parametrize("part", ["binder", "place", "climate"])
def test_changed_weights_are_refused(tmp_path, part):
    space(tmp_path / "a").save(tmp_path / "space")
    path = tmp_path / "space" / f"{part}.safetensors"
    state = load_file(path)
    name = sorted(state)[0]
    state[name] = state[name] + 1e-3
    save_file(state, path)
    with pytest.raises(WeightsError, match=rf"{part}\.safetensors is not the file that was saved"):
        opened(tmp_path / "space", device="cpu")
    path.unlink()
    with pytest.raises(WeightsError, match="There is no file"):
        opened(tmp_path / "space", device="cpu")


def test_another_binder_or_sense_is_refused(tmp_path):
    space(tmp_path / "a").save(tmp_path / "space")
    open_ = partial(Space.open, tmp_path / "space", device="cpu")
    with pytest.raises(WeightsError, match="flat:1 is not what this space was made with: its wei"):
        open_(load_binder=lambda spec, device: binder(1), load_sense=load_sense)

    def other_ear(spec, device):
        return load_sense(spec.replace("seconds=0.3", "seconds=0.4"), device)

    with pytest.raises(WeightsError, match="its preparation changed"):
        open_(load_binder=lambda spec, device: binder(), load_sense=other_ear)


def test_a_folder_without_a_space_says_so(tmp_path):
    with pytest.raises(WeightsError, match="There is no space"):
        opened(tmp_path)
    files.write_json(tmp_path / "space.json", {"format": "syntype-space", "version": 99})
    with pytest.raises(WeightsError, match="version 99"):
        opened(tmp_path)
    (tmp_path / "space.json").write_text("{")
    with pytest.raises(WeightsError, match="is damaged"):
        opened(tmp_path)


def test_without_names_there_is_no_text(tmp_path):
    made = space(tmp_path)
    mute = binder(texts=False)
    silent = replace(made, binder=mute, base=mute)
    assert "text" not in silent.modalities
    assert silent.logit_scale("text") is None
