import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import models
from fakes.picture_sets import fake_encoder
from fakes.slow_texts import Reader, reading_encoder
from syntype.embeddings import texts as module
from syntype.embeddings.texts import text_vectors
from syntype.encoders import load_encoder
from syntype.errors import EncoderError, ResourceError, VectorError

TESTS = Path(__file__).resolve().parents[1]
WORDS = [f"species number {i}" for i in range(150)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 64)


def blocks(folder):
    return sorted(folder.glob("texts/*/*.npz"))


def test_vectors_are_the_encoders_of_each_text(tmp_path):
    reader = Reader()
    asked = [*WORDS, WORDS[3], WORDS[0]]
    found = text_vectors(reading_encoder(reader), asked, tmp_path)
    np.testing.assert_array_equal(found, Reader()(asked).numpy())
    assert found.dtype == np.float32
    assert len(reader.heard) == len(set(reader.heard)) + 160 - 150  # the last batch is filled up
    assert set(reader.heard) == set(WORDS)
    assert len(blocks(tmp_path)) == 3


def test_only_new_texts_are_encoded(tmp_path):
    encoder = reading_encoder(reader := Reader())
    first = text_vectors(encoder, WORDS[:40], tmp_path)
    reader.heard.clear()
    np.testing.assert_array_equal(text_vectors(encoder, WORDS[39::-1], tmp_path), first[::-1])
    assert reader.heard == []
    text_vectors(encoder, WORDS[20:60], tmp_path)
    assert set(reader.heard) == set(WORDS[40:60])


def test_each_text_tower_has_its_own_vectors(tmp_path):
    one, other = reading_encoder(Reader(seed=0)), reading_encoder(Reader(seed=1))
    text_vectors(one, WORDS[:3], tmp_path)
    found = text_vectors(other, WORDS[:3], tmp_path)
    np.testing.assert_array_equal(found, Reader(seed=1)(WORDS[:3]).numpy())
    configs = [json.loads(path.read_text()) for path in tmp_path.glob("texts/*/config.json")]
    assert sorted(config["seed"] for config in configs) == [0, 1]


def test_no_texts_give_no_vectors(tmp_path):
    assert text_vectors(reading_encoder(Reader()), [], tmp_path).shape == (0, 8)


def test_a_real_tower_gives_the_same_bits_whatever_was_asked_for_before(tmp_path):
    models.write_open_clip(tmp_path / "model")
    encoder = load_encoder(f"open_clip:{tmp_path}/model", "cpu")
    at_once = text_vectors(encoder, WORDS[:70], tmp_path / "a")
    text_vectors(encoder, WORDS[40:55], tmp_path / "b")
    text_vectors(encoder, WORDS[:3], tmp_path / "b")
    np.testing.assert_array_equal(text_vectors(encoder, WORDS[:70], tmp_path / "b"), at_once)
    np.testing.assert_allclose(at_once, encoder.encode_texts(WORDS[:70]).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:],
        lambda content: b"",
        lambda content: b"no zip at all",
    ],
)
def test_a_damaged_block_is_made_anew(tmp_path, spoil):
    encoder = reading_encoder(Reader())
    right = text_vectors(encoder, WORDS, tmp_path)
    path = blocks(tmp_path)[1]
    path.write_bytes(spoil(path.read_bytes()))
    np.testing.assert_array_equal(text_vectors(encoder, WORDS, tmp_path), right)
    reader = Reader()
    np.testing.assert_array_equal(text_vectors(reading_encoder(reader), WORDS, tmp_path), right)
    assert reader.heard == []


def test_a_broken_vector_is_refused_and_what_was_right_is_kept(tmp_path):
    encoder = reading_encoder(reader := Reader(broken=100))
    with pytest.raises(VectorError, match="reader gave"):
        text_vectors(encoder, WORDS, tmp_path)
    assert len(blocks(tmp_path)) == 1
    again = Reader()
    found = text_vectors(reading_encoder(again), WORDS, tmp_path)
    np.testing.assert_array_equal(found, Reader()(WORDS).numpy())
    assert len(set(again.heard)) == 150 - 64
    assert reader.heard


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def savez(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    with pytest.raises(ResourceError, match="is full"):
        text_vectors(reading_encoder(Reader()), WORDS[:3], tmp_path)
    assert blocks(tmp_path) == []


def test_threads_that_want_the_same_texts_encode_them_once(tmp_path):
    reader = Reader(delay=0.02)
    found = [None] * 4

    def work(i):
        found[i] = text_vectors(reading_encoder(reader), WORDS, tmp_path)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reader.heard) == 160
    for vectors in found:
        np.testing.assert_array_equal(vectors, Reader()(WORDS).numpy())


def test_kills_leave_nothing_wrong(tmp_path):
    script = TESTS / "fakes" / "slow_texts.py"
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    child = subprocess.Popen([sys.executable, script, tmp_path], env=environment)
    try:
        deadline = time.monotonic() + 60
        while len(blocks(tmp_path)) < 2 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(blocks(tmp_path)) >= 2
    left = blocks(tmp_path)[0].with_name(".half.npz.1.tmp")
    left.write_bytes(b"half")
    reader = Reader()
    found = text_vectors(reading_encoder(reader), WORDS, tmp_path)
    np.testing.assert_array_equal(found, Reader()(WORDS).numpy())
    assert len(set(reader.heard)) <= 150 - 64
    assert not left.exists()


def test_an_encoder_without_texts_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"no text tower.*--task retrieval"):
        text_vectors(fake_encoder(), ["x"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_counts_what_is_there_already(tmp_path):
    encoder = reading_encoder(Reader())
    text_vectors(encoder, WORDS[:10], tmp_path)
    seen = []

    class Recorder:
        def task(self, title, total, done=0):
            seen.append((title, total, done))
            return torch.no_grad()  # any context manager

        def say(self, text):
            raise AssertionError

    text_vectors(encoder, WORDS[:10], tmp_path, Recorder())
    assert seen == [("texts", 10, 10)]
