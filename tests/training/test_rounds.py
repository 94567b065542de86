"""Rounds: labels are asked for anew, the encoder goes on, histories count through."""

import pytest
import torch

from syntype.configs import TrainConfig
from syntype.errors import UsageError
from syntype.progress import SILENT
from syntype.training.adapt import adapt
from syntype.training.loop import Setting

CONFIG = TrainConfig(epochs=2, batch_size=64, hidden=8, rounds=3, checkpoint_every=3)


def relabelling(planted, seen):
    def relabel(module, number):
        seen.append((number, module(planted.vectors).clone()))
        labels = planted.labels // 2 if number == 1 else planted.labels
        n_classes = int(labels.max()) + 1
        return labels, torch.nn.functional.normalize(torch.ones(n_classes, 32).cumsum(0))

    return relabel


def test_each_round_trains_on_from_the_last(planted):
    seen, epochs = [], []
    trained = adapt(
        planted.vectors,
        planted.labels,
        12,
        CONFIG,
        relabel=relabelling(planted, seen),
        evaluate=lambda module, epoch: epochs.append(epoch) or {},
    )
    assert [number for number, _ in seen] == [1, 2]
    moved = [(after - before).abs().max() for before, after in
             zip([planted.vectors, seen[0][1]], [seen[0][1], seen[1][1]], strict=True)]  # fmt: skip
    assert min(moved) > 1e-4
    assert epochs == [0, 1, 2, 3, 4, 5]
    assert [line["round"] for line in trained.history] == [0, 0, 1, 1, 2, 2]
    assert [line["epoch"] for line in trained.history] == [0, 1, 2, 3, 4, 5]
    assert [line["step"] for line in trained.history] == [4, 8, 12, 16, 20, 24]
    assert trained.history[2]["negatives"] == 5  # the second round had six classes


def test_an_interrupted_round_goes_on(planted, tmp_path, interrupted_after):
    def run(folder=None, progress=SILENT):
        relabel, setting = relabelling(planted, []), Setting(folder, progress=progress)
        labels = planted.labels
        return adapt(planted.vectors, labels, 12, CONFIG, relabel=relabel, setting=setting)

    with pytest.raises(KeyboardInterrupt):
        run(folder=tmp_path, progress=interrupted_after(13))
    resumed, whole = run(folder=tmp_path), run()
    assert resumed.history == whole.history
    for one, other in zip(resumed.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_rounds_without_relabel_are_refused(planted):
    with pytest.raises(UsageError, match=r"relabel.*--train\.rounds 1"):
        adapt(planted.vectors, planted.labels, 12, CONFIG)
