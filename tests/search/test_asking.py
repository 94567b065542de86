"""Questions as vectors: bit for bit those of `embed`, combined by the formula, bytes distrusted."""

import io
import json
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from binding.test_space import EAR, PLACE, VALUES
from binding.test_space import space as bound_space
from binding.world import SPECIES as WORLD
from fakes.collection import picture, synthetic_records
from fakes.memory_index import MemoryIndex
from fakes.models import write_open_clip
from syntype.configs import DataConfig, EmbedConfig
from syntype.data.load import load_dataset
from syntype.embeddings.embed import embed
from syntype.encoders.load import load_encoder
from syntype.errors import DataError, MediaError, UsageError, VectorError
from syntype.provenance import plain
from syntype.search.asking import (
    MOST_PIXELS,
    Asker,
    Senses,
    check_format,
    combine,
    describe_asker,
    in_forms,
    open_senses,
)
from syntype.search.index import Card
from syntype.search.question import At, Question, Variables, question_of
from syntype.senses.waves import read_wave

UNTRAINED = "untrained:test_resnet?size=32"
ROWS = synthetic_records(6).to_pylist()


def index_for(encoder, **changes) -> MemoryIndex:
    return MemoryIndex(encoder.dim, plain(encoder.identity), **changes)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_open_clip(folder)
    return f"open_clip:local-dir:{folder}"


@pytest.fixture(scope="module")
def asker_of_words(words):
    return Asker(index_for(load_encoder(words, "cpu"), spec=words).card, "cpu")


@pytest.fixture
def asker_of_space(tmp_path):
    made = bound_space(tmp_path)
    identities = (made.binder.identity, {"space": made.key})
    senses = Senses("folder", made.binder, made.base, made.senses, made.prompt, identities)
    card = Card(engine="exact", dim=12, encoder=plain(made.binder.identity), spec="folder")
    return made, Asker(card, "cpu", lambda spec, device: senses)


@pytest.mark.parametrize("spec", ["pixels", UNTRAINED])
def test_a_picture_has_the_vector_that_embed_gives(tmp_path: Path, spec: str) -> None:
    for number, row in enumerate(ROWS):
        (tmp_path / "set" / f"k{number % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / f"k{number % 2}" / f"{number}.jpg").write_bytes(picture(row, 70))
    encoder = load_encoder(spec, "cpu")
    dataset = load_dataset(DataConfig(data=(f"folder:{tmp_path / 'set'}",)), workspace=tmp_path)
    stored = embed(dataset, encoder, EmbedConfig(batch_size=1), tmp_path / "store")
    index = index_for(encoder, spec=spec)
    asker = Asker(index.card, "cpu")
    for row, vector in enumerate(np.asarray(stored.matrix())):
        content = dataset.read(row)
        np.testing.assert_array_equal(
            asker.vector(Question(pictures=((content, 1.0),)), index), vector
        )
        ready = asker.prepare(Question(pictures=((content, 3.0),)))
        assert ready.pictures[0][0].shape == (3, encoder.preprocess.size, encoder.preprocess.size)
        np.testing.assert_array_equal(asker.vector(ready, index), vector)


units = st.integers(0, 10**6).map(lambda seed: _unit(np.random.default_rng(seed), 5))


def _unit(rng, dim):
    drawn = rng.standard_normal(dim)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


@given(
    st.lists(st.tuples(units, st.floats(0.1, 5)), min_size=1, max_size=4),
    st.lists(st.tuples(units, st.floats(0.1, 0.5)), max_size=2),
)
@settings(max_examples=50, deadline=None)
def test_parts_are_combined_by_the_formula(wanted, unwanted) -> None:
    total = sum(weight * vector.astype(float) for vector, weight in wanted)
    total = total - sum(weight * vector.astype(float) for vector, weight in unwanted)
    length = np.linalg.norm(total)
    if length < 1e-2:
        return
    found = combine(wanted, unwanted)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, total / length, atol=1e-6)
    if len(wanted) == 1 and not unwanted:
        np.testing.assert_array_equal(found, wanted[0][0])


def test_what_cancels_is_refused() -> None:
    one = _unit(np.random.default_rng(0), 5)
    with pytest.raises(UsageError, match="cancel each other"):
        combine([(one, 1.0)], [(one, 1.0)])
    with pytest.raises(UsageError, match="cancel each other"):
        combine([(one, 1.0), (-one, 1.0)])


def test_records_pictures_and_words_are_mixed(words: str, asker_of_words: Asker) -> None:
    encoder = load_encoder(words, "cpu")
    index = index_for(encoder, spec=words)
    vectors = np.array([_unit(np.random.default_rng(n), encoder.dim) for n in range(6)])
    index.upsert(synthetic_records(6), vectors)
    ids = [row["id"] for row in ROWS]
    halved = index.vectors(ids)
    content = picture(ROWS[0])

    def alone(**parts):
        return asker_of_words.vector(Question(**parts), index).astype(float)

    np.testing.assert_array_equal(alone(likes=((ids[0], 2.0),)), halved[0])
    question = Question(
        pictures=((content, 1.0),),
        texts=(("Parus major", 0.5),),
        likes=((ids[1], 2.0),),
        unlikes=((ids[2], 0.5),),
        unlike_texts=(("larva", 0.25),),
    )
    wanted = (
        alone(pictures=((content, 1.0),)) + 0.5 * alone(texts=(("Parus major", 1.0),))
        + 2 * halved[1] - 0.5 * halved[2] - 0.25 * alone(texts=(("larva", 1.0),))
    )  # fmt: skip
    found = asker_of_words.vector(question, index)
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), atol=1e-6)
    with pytest.raises(DataError, match="no record"):
        alone(likes=(("nothing", 1.0),))


def test_a_text_is_read_as_it_is_and_in_the_prompt(words: str, asker_of_words: Asker) -> None:
    encoder = load_encoder(words, "cpu")
    assert encoder.encode_texts is not None
    index = index_for(encoder)
    two = encoder.encode_texts(["wings open", "a photo of wings open."]).numpy().astype(float)
    found = asker_of_words.vector(Question(texts=((" wings  open ", 1.0),)), index)
    np.testing.assert_allclose(found, two.sum(0) / np.linalg.norm(two.sum(0)), atol=1e-6)
    assert in_forms("A photo of a tit.") == ["A photo of a tit."]
    assert in_forms("Parus major.") == ["Parus major.", "a photo of Parus major."]


def test_texts_are_read_once(words: str) -> None:
    read: list = []
    loaded = open_senses(words, "cpu")

    def texts(given):
        read.append(given)
        return loaded.texts.encode_texts(given)

    from dataclasses import replace

    senses = replace(loaded, texts=replace(loaded.texts, encode_texts=texts))
    index = index_for(loaded.binder, spec=words)
    asker = Asker(index.card, "cpu", lambda spec, device: senses)
    first = [asker.vector(Question(texts=((text, 1.0),)), index) for text in "abca"]
    assert len(read) == 3
    np.testing.assert_array_equal(first[0], first[3])
    for number in range(600):
        asker.vector(Question(texts=((f"n{number}", 1.0),)), index)
    asker.vector(Question(texts=(("a", 1.0),)), index)
    assert read[-1] == ["a", "a photo of a."]  # forgotten meanwhile


def test_a_bound_space_is_asked_by_every_sense(asker_of_space, tmp_path: Path) -> None:
    made, asker = asker_of_space
    index = MemoryIndex(12)
    assert asker.can == ("image", "text", "sound", "place", "climate")
    held = io.BytesIO()
    tone = np.sin(np.arange(8000) / 5) * 0.4
    soundfile.write(held, tone, 16000, format="WAV")
    sound = held.getvalue()
    ear = made.senses["sound"]
    np.testing.assert_array_equal(
        asker.vector(Question(sounds=((sound, 1.0),)), index), ear.encode([sound])[0].numpy()
    )
    place = made.senses["place"].encode(latitude=[51.5], longitude=[-0.12])[0].numpy()
    at = Question(places=(At(latitude=51.5, longitude=-0.12),))
    np.testing.assert_array_equal(asker.vector(at, index), place)
    values = tuple(float(n) / 10 for n in range(20))
    climate = made.senses["climate"].encode(np.array([values]))[0].numpy()
    question = Question(climates=(Variables(values=values),))
    np.testing.assert_array_equal(asker.vector(question, index), climate)
    with pytest.raises(UsageError, match="no raster"):
        asker.vector(Question(climates=(At(latitude=0.0, longitude=0.0),)), index)
    name = made.base.encode_texts([WORLD[0]])[0].numpy()
    found = asker.vector(Question(texts=((WORLD[0], 1.0),)), index)
    np.testing.assert_allclose(found, name, atol=1e-6)
    content = picture(ROWS[0])
    mixed = Question(
        pictures=((content, 1.0),), places=(At(latitude=51.5, longitude=-0.12, weight=2.0),)
    )
    image = asker.vector(Question(pictures=((content, 1.0),)), index)
    total = image.astype(float) + 2 * place
    np.testing.assert_allclose(asker.vector(mixed, index), total / np.linalg.norm(total), atol=1e-6)


def test_a_climate_is_looked_up_in_the_raster_of_the_space(asker_of_space, tmp_path: Path) -> None:
    from dataclasses import replace

    from syntype.senses.load import load_sense

    made, _ = asker_of_space
    raster = np.random.default_rng(0).standard_normal((6, 12, 20)).astype(np.float16)
    np.save(tmp_path / "climate.npy", raster)
    sense = load_sense(f"untrained:climate?raster={tmp_path / 'climate.npy'}&dim=12&depth=1", "cpu")
    senses = Senses("s", made.binder, made.base, {"climate": sense}, "{}", (made.binder.identity,))
    card = Card(engine="exact", dim=12, encoder=plain(made.binder.identity), spec="s")
    asker = Asker(card, "cpu", lambda spec, device: senses)
    wanted = sense.encode(latitude=[40.0], longitude=[-100.0])[0].numpy()
    question = Question(climates=(At(latitude=40.0, longitude=-100.0),))
    np.testing.assert_array_equal(asker.vector(question, MemoryIndex(12)), wanted)
    by_values = sense.prepare(latitude=[40.0], longitude=[-100.0])[0][0].tolist()
    question = Question(climates=(Variables(values=tuple(by_values)),))
    np.testing.assert_array_equal(asker.vector(question, MemoryIndex(12)), wanted)
    assert replace(senses, senses={}).can == ("image", "text")


def test_the_folder_of_a_space_is_opened(tmp_path: Path, words: str) -> None:
    """A saved space over an encoder that can be loaded by its spec."""
    from syntype.binding.projection import in_dimensions
    from syntype.binding.space import Space
    from syntype.senses.load import load_sense

    base = load_encoder(words, "cpu")
    senses = {}
    for spec in (PLACE, VALUES, EAR):
        sense = in_dimensions(load_sense(spec, "cpu"), base.dim, 3)
        senses[sense.modality] = sense
    folder = tmp_path / "space"
    made = Space(base, senses, {}, [], tmp_path, base)
    made.save(folder)
    card = index_for(base, spec=str(folder)).card
    asker = Asker(card, "cpu")
    assert asker.can == ("image", "text", "sound", "place", "climate")
    found = asker.vector(Question(places=(At(latitude=1.0, longitude=2.0),)), MemoryIndex(base.dim))
    wanted = senses["place"].encode(latitude=[1.0], longitude=[2.0])[0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    whole = Card(engine="exact", dim=base.dim, encoder={"space": made.key}, spec=str(folder))
    assert Asker(whole, "cpu").senses.can == asker.can


def test_another_encoder_is_refused() -> None:
    encoder = load_encoder(UNTRAINED, "cpu")
    card = index_for(encoder, spec=f"{UNTRAINED}&seed=1").card
    with pytest.raises(VectorError, match="make the index anew"):
        Asker(card, "cpu").vector(Question(pictures=((picture(ROWS[0]), 1.0),)), MemoryIndex(2))
    with pytest.raises(VectorError):
        _ = Asker(card, "cpu").can


def test_what_cannot_be_asked_is_said() -> None:
    index = index_for(load_encoder("pixels", "cpu"), spec="pixels")
    asker = Asker(index.card, "cpu")
    for question in (
        Question(texts=(("Parus", 1.0),)),
        Question(sounds=((b"RIFF", 1.0),)),
        Question(places=(At(latitude=0.0, longitude=0.0),)),
        Question(climates=(At(latitude=0.0, longitude=0.0),)),
    ):
        with pytest.raises(UsageError, match="It can be asked by image, record"):
            asker.vector(question, index)
    nameless = Asker(MemoryIndex(4).card)
    assert nameless.can == ()
    with pytest.raises(UsageError, match="cannot be asked by image"):
        nameless.prepare(Question(pictures=((picture(ROWS[0]), 1.0),)))


def test_notes_say_what_can_be_asked_without_torch(words: str) -> None:
    notes = json.loads(json.dumps(describe_asker(words, "cpu")))
    assert notes == {"asker": {"spec": words, "can": ["image", "text"]}}
    assert describe_asker("") == {"asker": {"spec": "", "can": []}}
    script = (
        "import sys\n"
        "from syntype.search.asking import Asker\n"
        "from syntype.search.index import Card\n"
        f"card = Card(engine='exact', dim=4, encoder={{}}, spec={words!r}, notes={notes!r})\n"
        "assert Asker(card).can == ('image', 'text')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    other = Card(engine="exact", dim=4, encoder={}, spec="pixels", notes=notes)
    with pytest.raises(VectorError):  # the notes are of another encoder, so it is loaded
        _ = Asker(other, "cpu").can


def test_threads_share_one_encoder() -> None:
    loaded = []
    gate = threading.Barrier(6)
    encoder = load_encoder("pixels", "cpu")

    def slowly(spec, device):
        loaded.append(spec)
        return open_senses(spec, device)

    index = index_for(encoder, spec="pixels")
    asker = Asker(index.card, "cpu", slowly)
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        gate.wait()
        question = Question(pictures=((picture(ROWS[number]), 1.0),))
        found[number] = asker.vector(question, index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["pixels"]
    for number, vector in found.items():
        question = Question(pictures=((picture(ROWS[number]), 1.0),))
        np.testing.assert_array_equal(vector, asker.vector(question, index))


def saved(kind: str, side: int = 40, **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, kind, **options)
    return held.getvalue()


@pytest.fixture(scope="module")
def pixel_asker():
    index = index_for(load_encoder("pixels", "cpu"), spec="pixels")
    return lambda content: Asker(index.card, "cpu").vector(
        Question(pictures=((content, 1.0),)), index
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_formats_that_are_read(pixel_asker, kind: str) -> None:
    assert np.linalg.norm(pixel_asker(saved(kind))) == pytest.approx(1, abs=1e-5)


def test_of_an_animation_the_first_frame_counts(pixel_asker) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "TIFF", "WEBP"):
        one, both = io.BytesIO(), io.BytesIO()
        options = {"lossless": True} if kind == "WEBP" else {}
        frames[0].save(one, kind, **options)
        frames[0].save(both, kind, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_allclose(
            pixel_asker(both.getvalue()), pixel_asker(one.getvalue()), atol=1e-6
        )


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels in a few bytes."""

    def chunk(kind: bytes, held: bytes) -> bytes:
        return len(held).to_bytes(4) + kind + held + zlib.crc32(kind + held).to_bytes(4)

    header = side.to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    packed = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture of the formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "not a picture of the formats"),
        (b"%PDF-1.7", "not a picture of the formats"),
        (saved("JPEG2000"), "not a picture of the formats"),
        (b"RIFF\0\0\0\0WAVEfmt ", "not a picture of the formats"),
        (b"GIF89a", "damaged|not a picture"),
        (saved("JPEG")[:200], "truncated|damaged"),
        (bomb(8001), "exceed the limit"),
        (bomb(60_000), "more pixels|exceed"),
        (bomb(2**31 - 1), "more pixels|exceed|damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(pixel_asker, content, reason) -> None:
    assert MOST_PIXELS < 8001**2
    with pytest.raises(MediaError, match=reason):
        pixel_asker(content)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0"])
)
@settings(max_examples=40, deadline=None)
def test_bytes_from_anyone_give_a_reason_and_nothing_else(pixel_asker, content, sign) -> None:
    with pytest.raises(MediaError):
        pixel_asker(sign + content)


def test_elongated_pictures_take_no_memory(pixel_asker) -> None:
    held = io.BytesIO()
    Image.new("L", (60_000, 2), 90).save(held, "PNG")
    assert np.isfinite(pixel_asker(held.getvalue())).all()


def test_sounds_are_refused_with_the_reason(asker_of_space) -> None:
    _, asker = asker_of_space

    def written(samples, rate=16000, kind="FLAC") -> bytes:
        held = io.BytesIO()
        soundfile.write(held, samples, rate, format=kind)
        return held.getvalue()

    long = written(np.zeros(301 * 1000), 1000)
    wide = written(np.zeros((2**23 + 1, 8), np.int16), 48_000)  # a few bytes, 2 ** 26 samples
    assert len(wide) < 2**20
    for content, reason in (
        (b"no sound", "not a sound"),
        (b"", "empty"),
        (long, "exceed the limit"),
        (wide, "more than 67108864 samples"),
        (written(np.zeros(16000)), "silent"),
    ):
        with pytest.raises(MediaError, match=reason):
            asker.prepare(Question(sounds=((content, 1.0),)))
    good = written(np.sin(np.arange(16000) / 9) * 0.5, kind="WAV")
    (prepared, _) = asker.prepare(Question(sounds=((good, 1.0),))).sounds[0]
    np.testing.assert_array_equal(prepared.samples, read_wave(good).samples)


def test_formats_are_told_by_their_first_bytes() -> None:
    check_format(saved("WEBP"))
    with pytest.raises(MediaError):
        check_format(b"RIFF")


@pytest.mark.parametrize(
    "parts",
    [
        {"texts": (("", 1.0),)},
        {"texts": ((" \n", 1.0),)},
        {"texts": (("x" * 1001, 1.0),)},
        {"texts": (("\ud800", 1.0),)},
        {"likes": (("a", 0.0),)},
        {"likes": (("a", -1.0),)},
        {"likes": (("a", float("nan")),)},
        {"likes": (("a", float("inf")),)},
        {"likes": tuple((str(n), 1.0) for n in range(33))},
        {"unlikes": (("a", 1.0),)},
        {"unlike_texts": (("a", 1.0),)},
        {"likes": (("a", 1.0),), "unlike_texts": (("", 1.0),)},
    ],
)
def test_questions_that_cannot_be_are_refused(parts: dict) -> None:
    with pytest.raises(UsageError):
        Question(**parts)


def test_places_and_climates_that_cannot_be_are_refused() -> None:
    for latitude, longitude in ((91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0)):
        with pytest.raises(UsageError):
            At(latitude=latitude, longitude=longitude)
    for values in ((1.0,), (float("nan"),) * 20):
        with pytest.raises(UsageError):
            Variables(values=values)


def test_questions_from_texts() -> None:
    found = question_of(
        pictures=(b"p",),
        sounds=(b"s",),
        texts=("t", "u"),
        likes=("a/b",),
        unlikes=("c", "text:egg"),
        weights=(2.0, 3.0, 4.0),
        place="51.5, -0.12",
        climate=",".join(["0.5"] * 20),
    )
    assert found.pictures == ((b"p", 2.0),)
    assert found.sounds == ((b"s", 3.0),)
    assert found.texts == (("t", 4.0), ("u", 1.0))
    assert found.likes == (("a/b", 1.0),)
    assert (found.unlikes, found.unlike_texts) == ((("c", 0.5),), (("egg", 0.5),))
    assert found.places == (At(latitude=51.5, longitude=-0.12),)
    assert found.climates == (Variables(values=(0.5,) * 20),)
    assert found.named == ("a/b", "c")
    assert json.loads(json.dumps(found.summary())) == {
        "images": 1, "sounds": 1, "texts": ["t", "u"], "likes": ["a/b"],
        "unlikes": ["c", "text:egg"], "places": [[51.5, -0.12]], "climates": [[0.5] * 20],
    }  # fmt: skip
    assert question_of(climate="1,2").climates == (At(latitude=1.0, longitude=2.0),)
    assert question_of().empty
    for wrong in (
        {"weights": (1.0,)},
        {"place": "here"},
        {"place": "1"},
        {"place": "1,2,3"},
        {"climate": "1,x"},
        {"climate": "1,2,3"},
        {"texts": ("t",), "weights": (0.0,)},
    ):
        with pytest.raises(UsageError):
            question_of(**wrong)


@pytest.mark.parametrize(
    ("question", "comparable"),
    [
        (Question(), False),
        (Question(pictures=((b"", 1.0),)), True),
        (Question(likes=(("a", 2.0),)), True),
        (Question(likes=(("a", 2.0), ("b", 1.0))), False),
        (Question(texts=(("a", 1.0),)), False),
        (Question(likes=(("a", 1.0),), unlikes=(("b", 1.0),)), False),
        (Question(places=(At(latitude=0.0, longitude=0.0),)), False),
    ],
)
def test_which_questions_calibration_speaks_of(question: Question, comparable: bool) -> None:
    assert question.comparable == comparable
