"""Adapters: they learn what clusters tell, nothing from chance, and survive any kill."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from syntype.configs import TrainConfig
from syntype.errors import DataError, TrainingError, UsageError
from syntype.progress import SILENT
from syntype.training.adapt import adapt
from syntype.training.controls import random_labels
from syntype.training.discrimination import Discrimination, check_labels
from syntype.training.loop import Setting
from syntype.training.schedule import epoch_batches, epoch_rows

SMALL = TrainConfig(epochs=3, batch_size=32, hidden=16, checkpoint_every=5)


def weights(trained):
    return [*trained.module.state_dict().values(), trained.prototypes]


def same(one, other):
    return all(map(torch.equal, weights(one), weights(other))) and one.history == other.history


def run(planted, config=SMALL, folder=None, progress=SILENT, **options):
    setting = Setting(folder, progress=progress)
    labels = planted.labels
    return adapt(planted.vectors, labels, planted.n_classes, config, setting=setting, **options)


def test_it_learns_the_classes_and_random_labels_do_not(planted, nearest_neighbour):
    train, test = slice(0, 120), slice(120, None)
    config = TrainConfig(epochs=12, batch_size=32, hidden=64, lr=4e-3)
    truth = planted.labels[test, 0]
    base = nearest_neighbour(planted.vectors[test], truth)
    dealt = torch.from_numpy(random_labels(planted.labels[train].numpy(), 0))
    scores = {}
    for name, labels in {"clusters": planted.labels[train], "random": dealt}.items():
        trained = adapt(planted.vectors[train], labels, planted.n_classes, config)
        scores[name] = nearest_neighbour(trained.module(planted.vectors[test]), truth)
    assert scores["clusters"] > base + 0.15
    assert scores["random"] < base + 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"form": "mlcd", "margin_type": "cosface"},
        {"class_fraction": 0.3},
        {"class_fraction": 0.3, "class_sampling": "sample", "feature_fraction": 0.5},
        {"filter": 0.6, "margin_type": "arcface-published", "init": "random"},
        {"clip": 0.0, "warmup": 0.0},
        {"balance": "class"},
    ],
)
def test_the_loss_falls_with_every_option(planted, options):
    config = TrainConfig(epochs=6, batch_size=32, hidden=32, scale=8.0, **options)
    lines = run(planted, config).history
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_history_has_one_line_an_epoch_and_the_evaluations(planted):
    seen = []

    def evaluate(module, epoch):
        seen.append((epoch, module.training, torch.is_grad_enabled()))
        return {"recall": 0.5 + epoch, "undefined": float("nan")}

    trained = run(planted, evaluate=evaluate)
    assert seen == [(epoch, False, False) for epoch in range(3)]
    assert [line["step"] for line in trained.history] == [8, 16, 24]
    line = trained.history[1]
    assert line["round"] == 0
    assert line["epoch"] == 1
    assert line["recall"] == 1.5
    assert line["undefined"] is None
    assert line["negatives"] == planted.n_classes - 1
    assert 0 < line["lr"] < SMALL.lr
    assert line["gradient"] > 0
    assert line["centre_gradient"] > 0
    assert not trained.module.training
    torch.testing.assert_close(trained.prototypes.norm(dim=1), torch.ones(planted.n_classes))


def test_equal_configs_give_equal_bytes_and_seeds_differ(planted):
    first = run(planted)
    torch.rand(7)  # the global generator has no say
    assert same(first, run(planted))
    other = TrainConfig(epochs=3, batch_size=32, hidden=16, checkpoint_every=5, seed=1)
    assert not same(first, run(planted, other))


def test_training_leaves_the_global_generator_alone(planted):
    before = torch.get_rng_state()
    run(planted)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("step", [1, 5, 8, 13, 16, 24])
def test_a_training_that_stops_at_any_step_ends_the_same(
    planted, tmp_path, interrupted_after, step
):
    config = TrainConfig(epochs=3, batch_size=32, hidden=16, checkpoint_every=5, class_fraction=0.4)
    evaluate = lambda module, epoch: {"weight": module.outer.weight.sum().item()}  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        run(planted, config, folder=tmp_path, progress=interrupted_after(step), evaluate=evaluate)
    listener = interrupted_after(-1)
    resumed = run(planted, config, folder=tmp_path, progress=listener, evaluate=evaluate)
    assert same(resumed, run(planted, config, evaluate=evaluate))
    assert bool(listener.said) == (step > 5)  # the checkpoint of step 5 follows its advance


def test_a_killed_process_goes_on_bit_for_bit(planted, tmp_path, interrupted_after):
    torch.save((planted.vectors, planted.labels), tmp_path / "planted.pt")
    script = textwrap.dedent("""
        import os, signal, sys
        import torch
        from syntype.configs import TrainConfig
        from syntype.progress import Silent
        from syntype.training import checkpoint
        from syntype.training.adapt import adapt
        from syntype.training.loop import Setting
        from pathlib import Path

        folder = Path(sys.argv[1])
        vectors, labels = torch.load(folder / "planted.pt", weights_only=True)
        write = checkpoint.write

        def write_and_die(place, snapshot, *others):
            write(place, snapshot, *others)
            if snapshot.step == 15:
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.write = write_and_die
        config = TrainConfig(epochs=3, batch_size=32, hidden=16, checkpoint_every=5)
        adapt(vectors, labels, 12, config, setting=Setting(folder / "run"))
    """)
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    listener = interrupted_after(-1)
    resumed = run(planted, folder=tmp_path / "run", progress=listener)
    assert listener.said == ["Going on from step 15 of 24."]
    assert same(resumed, run(planted))


def test_a_truncated_checkpoint_is_passed_over(planted, tmp_path, interrupted_after):
    with pytest.raises(KeyboardInterrupt):
        run(planted, folder=tmp_path, progress=interrupted_after(12))
    newest = sorted(tmp_path.glob("round-0/*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    listener = interrupted_after(-1)
    resumed = run(planted, folder=tmp_path, progress=listener)
    assert "damaged" in listener.said[0]
    assert listener.said[1] == "Going on from step 5 of 24."
    assert same(resumed, run(planted))


def test_a_finished_training_is_given_back_at_once(planted, tmp_path, interrupted_after):
    first = run(planted, folder=tmp_path)
    again = run(planted, folder=tmp_path, progress=interrupted_after(1))
    assert same(first, again)


def test_checkpoints_of_other_labels_vectors_or_options_are_refused(planted, tmp_path):
    run(planted, folder=tmp_path)
    others = [
        lambda: run(planted, TrainConfig(epochs=3, batch_size=32, hidden=16), folder=tmp_path),
        lambda: adapt(planted.vectors, planted.labels.flip(0), 12, SMALL,
                      setting=Setting(tmp_path)),
        lambda: adapt(planted.vectors.flip(0), planted.labels, 12, SMALL, setting=Setting(tmp_path),
                      centroids=torch.eye(12, 32)),
    ]  # fmt: skip
    for other in others:
        with pytest.raises(UsageError, match="another training"):
            other()


def test_a_class_that_takes_no_part_does_not_move(planted):
    # Class 12 has no samples, and the budget has no room for it.
    config = TrainConfig(epochs=1, batch_size=240, hidden=4, class_fraction=0.01, warmup=0.0)
    start = normalize(torch.randn(13, 32, generator=torch.Generator().manual_seed(0)))
    trained = adapt(planted.vectors, planted.labels, 13, config, centroids=start)
    torch.testing.assert_close(trained.prototypes[12], start[12], rtol=0, atol=1e-7)
    assert (trained.prototypes[:12] - start[:12]).abs().max() > 1e-4


def test_a_share_without_negatives_is_refused(planted):
    config = TrainConfig(class_fraction=0.05, class_sampling="sample")
    with pytest.raises(TrainingError, match=r"no negatives.*--train\.class-fraction above 0\.083"):
        run(planted, config)


def test_momentum_does_not_move_a_class_that_rests(tmp_path):
    """Classes 0 and 1 are in the first batch only; dense Adam would move them in the second too."""
    config = TrainConfig(
        epochs=1, batch_size=40, hidden=4, class_fraction=0.01, warmup=0.0, checkpoint_every=1
    )
    labels = torch.empty(80, 1, dtype=torch.int64)
    order = epoch_rows(np.zeros(80, dtype=np.int64), "instance", config.seed, 0)
    for place, rows in enumerate(epoch_batches(order, 40)):
        labels[torch.from_numpy(rows), 0] = 2 * place + torch.arange(40) % 2
    vectors = normalize(torch.randn(80, 4, generator=torch.Generator().manual_seed(0)))
    adapt(vectors, labels, 4, config, setting=Setting(tmp_path), centroids=torch.eye(4))
    first, second = (
        load_file(path)["objective.centres.weight"]
        for path in sorted(tmp_path.rglob("*.safetensors"))
    )
    assert torch.equal(first[2:], torch.eye(4)[2:])
    assert not torch.equal(first[:2], torch.eye(4)[:2])
    assert torch.equal(second[:2], first[:2])
    assert not torch.equal(second[2:], first[2:])


def test_a_loss_that_is_not_finite_stops_with_advice(planted, tmp_path):
    vectors = planted.vectors.clone()
    vectors[17] = float("nan")
    with pytest.raises(TrainingError) as error:
        adapt(vectors, planted.labels, 12, SMALL, setting=Setting(tmp_path))
    message = str(error.value)
    assert "epoch 0" in message
    assert "No checkpoint was written before" in message
    assert "--train.lr 0.0001" in message
    assert "--train.scale 16" in message
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_last_good_checkpoint_is_named(planted, tmp_path):
    def spoil(module, epoch):
        if epoch == 0:
            module.outer.bias.fill_(float("inf"))
        return {}

    with pytest.raises(TrainingError, match=r"epoch 1 .*step 8.*step-00000005\.safetensors"):
        run(planted, folder=tmp_path, evaluate=spoil)


@pytest.mark.parametrize("n_classes", [1, 5])
def test_one_label_is_nothing_to_learn(n_classes):
    labels = torch.zeros(10, 1, dtype=torch.int64)
    with pytest.raises(TrainingError, match=r"same label.*larger --k"):
        adapt(torch.randn(10, 4), labels, n_classes, SMALL)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0], [1], [9]], "between 0 and 2"),
        ([[0], [1], [-1]], "between 0 and 2"),
        ([[0], [1]], "3 samples want as many rows"),
        ([[], [], []], "3 samples want as many rows"),
        ([[0, 1], [1, 1], [2, 0]], "the same label twice"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        check_labels(torch.tensor(labels, dtype=torch.int64), 3, 3)


def test_a_batch_may_be_larger_than_the_set():
    config = TrainConfig(epochs=2, batch_size=256, hidden=4)
    trained = adapt(torch.eye(5), torch.tensor([[0], [1], [1], [0], [1]]), 2, config)
    assert [line["step"] for line in trained.history] == [1, 2]


def test_missing_labels_after_the_first_are_allowed(planted):
    labels = torch.cat([planted.labels, torch.full_like(planted.labels, -1)], dim=1)
    config = TrainConfig(epochs=1, batch_size=64, hidden=4, form="mlcd")
    alone = run(planted, config).history
    padded = adapt(planted.vectors, labels, 12, config).history
    assert alone == padded


def test_vectors_straight_from_an_encoder_can_be_trained_on(planted):
    with torch.inference_mode():
        vectors, centroids = planted.vectors * 1, torch.eye(12, 32)
    trained = adapt(vectors, planted.labels, 12, SMALL, centroids=centroids)
    assert same(trained, run(planted, centroids=torch.eye(12, 32)))


def test_centres_learn_faster_by_their_factor(planted):
    starts = torch.nn.functional.normalize(torch.ones(planted.n_classes, planted.vectors.shape[1]))
    moved = {}
    for factor in (2.0, 6.0):
        config = TrainConfig(
            epochs=1, batch_size=1000, lr=1e-4, warmup=0.0, hidden=8, centre_lr_factor=factor
        )
        trained = run(planted, config, centroids=starts)
        moved[factor] = (trained.prototypes - starts).norm()
    assert moved[6.0] / moved[2.0] == pytest.approx(3, rel=0.02)


def test_a_training_that_went_on_names_its_last_checkpoint(planted, tmp_path, interrupted_after):
    def spoil(module, epoch):
        module.outer.bias.fill_(float("inf"))
        return {}

    with pytest.raises(KeyboardInterrupt):
        run(planted, folder=tmp_path, progress=interrupted_after(7))
    with pytest.raises(TrainingError, match=r"The last good checkpoint is .*step-0*5\."):
        run(planted, folder=tmp_path, evaluate=spoil)


def test_a_loss_that_grows_and_grows_stops_the_training(planted, monkeypatch):
    pull = Discrimination.pull

    def growing(self, vectors, rows, step):
        figures = pull(self, vectors, rows, step)
        return replace(figures, loss=figures.loss * (1 + step))

    monkeypatch.setattr(Discrimination, "pull", growing)
    with pytest.raises(TrainingError, match="has grown to 10 times what it began with"):
        run(planted, replace(SMALL, epochs=60))
