"""Snapshots: whole, hashed, two of them, and refused where they do not belong."""

import pytest
import torch

from syntype.errors import UsageError
from syntype.training import checkpoint
from syntype.training.checkpoint import Snapshot

ENDS = ("json", "safetensors")


def snapshot(step):
    return Snapshot(step, {"a": torch.full((3,), float(step))}, {"history": [{"loss": 0.1}]})


class Listener:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def task(self, title, total, done=0):
        raise NotImplementedError


def test_round_trip_keeps_the_newest_two(tmp_path):
    for step in (5, 10, 100):
        checkpoint.write(tmp_path, snapshot(step), "me")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"step-{step:08d}.{end}" for step in (10, 100) for end in ENDS]
    found = checkpoint.latest(tmp_path, "me")
    assert found.step == 100
    assert found.notes == {"history": [{"loss": 0.1}]}
    assert torch.equal(found.tensor("a"), torch.full((3,), 100.0))
    checkpoint.clear(tmp_path)
    assert checkpoint.latest(tmp_path, "me") is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "json"])
def test_a_damaged_snapshot_is_passed_over(tmp_path, damage):
    checkpoint.write(tmp_path, snapshot(1), "me")
    path = checkpoint.write(tmp_path, snapshot(2), "me")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-4])
    elif damage == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text('{"step": 2')
    listener = Listener()
    assert checkpoint.latest(tmp_path, "me", listener).step == 1
    assert "step-00000002" in listener.said[0]
    assert "damaged" in listener.said[0]


def test_tensors_without_their_note_are_unfinished_and_go_with_the_next(tmp_path):
    torn = checkpoint.write(tmp_path, snapshot(3), "me")
    torn.with_suffix(".json").unlink()
    assert checkpoint.latest(tmp_path, "me") is None
    checkpoint.write(tmp_path, snapshot(4), "me")
    assert not torn.exists()


def test_snapshots_of_another_training_are_refused(tmp_path):
    checkpoint.write(tmp_path, snapshot(1), "me")
    with pytest.raises(UsageError, match=r"another training.*Choose another folder"):
        checkpoint.latest(tmp_path, "you")
