import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fakes.sounds import encoded, tone
from syntype.encoders.spec import parse_spec
from syntype.errors import UnknownEncoderError, UsageError, WeightsError
from syntype.senses import sound_descriptors, sound_small
from syntype.senses.waves import Wave

CPU = torch.device("cpu")
SHORT = "?seconds=0.5&windows=1"


def descriptors(options=SHORT):
    return sound_descriptors.load(parse_spec(f"sound-descriptors{options}"), CPU)


def untrained(options=SHORT):
    return sound_small.load_untrained(parse_spec(f"untrained:sound-small{options}"), CPU)


@pytest.fixture
def sounds():
    return [Wave(tone(hertz, 0.6, 32_000, seed=hertz), 32_000) for hertz in (400, 1500, 5000)]


@pytest.mark.parametrize("make", [descriptors, untrained])
def test_vectors_are_unit_and_as_long_as_said(make, sounds):
    sense = make()
    vectors = sense.encode(sounds)
    assert vectors.shape == (3, sense.dim)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(sense.encode(sounds[:1]), vectors[:1], atol=1e-5, rtol=0)
    assert sense.modality == "sound"
    assert make().key == sense.key


@pytest.mark.parametrize("make", [descriptors, untrained])
def test_loudness_hardly_counts(make, sounds):
    sense = make()
    louder = [Wave(0.1 * wave.samples, wave.rate) for wave in sounds]
    torch.testing.assert_close(sense.encode(louder), sense.encode(sounds), atol=2e-3, rtol=0)


def test_the_same_pitch_is_nearer_than_another():
    sense = descriptors()
    waves = [Wave(tone(f, 0.6, 32_000, seed=s), 32_000) for f, s in ((500, 1), (500, 2), (4000, 3))]
    vectors = sense.encode(waves)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2] + 0.05


def test_a_rhythm_tells_pulses_of_one_pitch_apart():
    sense = descriptors("?seconds=4&windows=1")
    time = np.arange(4 * 32_000) / 32_000

    def pulses(rate, seed):
        gate = (np.sin(2 * np.pi * rate * time) > 0.7).astype(np.float32)
        return Wave(gate * tone(2000, 4, 32_000, seed=seed) + 1e-4, 32_000)

    vectors = sense.encode([pulses(3, 1), pulses(3, 2), pulses(11, 3)])
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2]


def test_a_window_of_one_frequency_is_no_nan():
    sense = descriptors()
    vectors = sense.encode([Wave(np.r_[np.ones(1), np.zeros(15_999)].astype(np.float32), 32_000)])
    assert torch.isfinite(vectors).all()


def test_the_vector_is_the_mean_over_windows(sounds):
    sense = untrained("?crop=spread&seconds=0.5&windows=2")
    (windows,) = sense.prepare(sounds)
    assert windows.shape[:2] == (3, 2)
    with torch.inference_mode():
        each = [sense.module(windows[:, place : place + 1]) for place in (0, 1)]
        torch.testing.assert_close(sense.module(windows), sum(each) / 2, atol=1e-5, rtol=1e-4)


def test_seeds_and_sizes_are_part_of_what_it_is(sounds):
    one, other = untrained(), untrained(f"{SHORT}&seed=1")
    assert one.weights != other.weights
    assert untrained(f"{SHORT}&dim=16").encode(sounds).shape == (3, 16)
    assert sum(p.numel() for p in one.module.parameters()) == 458_480
    assert untrained("?seconds=1&windows=1").key != one.key


def test_drawing_weights_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    untrained()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_saved_weights_are_read_again(sounds, tmp_path):
    sense = untrained(f"{SHORT}&dim=16")
    sound_small.save(sense.module, tmp_path / "ear.safetensors")
    again = sound_small.load(parse_spec(f"sound-small:{tmp_path}/ear.safetensors{SHORT}"), CPU)
    assert (again.weights, again.dim) == (sense.weights, 16)
    torch.testing.assert_close(again.encode(sounds), sense.encode(sounds))


def test_partial_weights_are_refused(tmp_path):
    path = tmp_path / "ear.safetensors"
    sound_small.save(untrained().module, path)
    state = load_file(path)
    save_file({key: value for key, value in state.items() if key != "head.bias"}, path)
    with pytest.raises(WeightsError, match=r"missing: head\.bias"):
        sound_small.load(parse_spec(f"sound-small:{path}"), CPU)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="holds no weights of sound-small"):
        sound_small.load(parse_spec(f"sound-small:{path}"), CPU)


@pytest.mark.parametrize(
    "options",
    ["?ear=dog", "?crop=best", "?seconds=many", "?seconds=0", "?windows=0", "?pitch=3", "?seed=1"],
)
def test_options_are_checked(options):
    with pytest.raises(UsageError):
        descriptors(options)


def test_another_name_is_unknown():
    with pytest.raises(UnknownEncoderError, match="sound-small"):
        sound_small.load_untrained(parse_spec("untrained:sound-smal"), CPU)


def test_the_ear_for_bats_hears_what_the_common_one_does_not():
    calls = [Wave(tone(hertz, 0.5, 192_000), 192_000) for hertz in (30_000, 60_000)]
    bats = descriptors("?ear=bats&seconds=0.5&windows=1").encode(calls)
    assert bats[0] @ bats[1] < 0.97


def test_files_are_decoded_on_the_way():
    content = encoded(tone(800, 0.6, 32_000), 32_000, subtype="FLOAT")
    sense = descriptors()
    own = sense.encode([Wave(tone(800, 0.6, 32_000), 32_000)])
    torch.testing.assert_close(sense.encode([content]), own)


def test_cepstra_are_those_of_scipy():
    from scipy.fft import dct

    module = descriptors().module
    cells = torch.rand(1, 20, 64)
    found = module._cepstrum(cells)[0, :20]
    expected = dct(cells[0].double().numpy(), type=2, axis=1)[:, 1:21].mean(axis=0) / 2
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
