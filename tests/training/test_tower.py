"""A tower trained by one process or several, whole or in pieces, comes out the same."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from syntype.configs import TrainConfig
from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.training.checkpoint import latest
from syntype.training.discrimination import Discrimination
from syntype.training.finetune import finetune
from syntype.training.loop import Setting, train
from syntype.training.parallel import SOLO
from syntype.training.tower import tower_of, used_weights
from syntype.training.tuning import weight_groups
from training.gang import together

N, CLASSES, DIM = 46, 7, 8
# 46 samples in batches of 16 are three of 15 or 16: uneven shares for two and for four.
CONFIG = TrainConfig(
    mode="finetune",
    epochs=2,
    batch_size=16,
    init="random",
    lr=3e-3,
    checkpoint_every=2,
    crop=1.0,
    precision="float32",  # a processor with AMX would compute in bfloat16
)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.tanh(self.inner(self.norm(x)))


class Tower(nn.Module):
    """Blocks without batch statistics, and a weight that no vector depends on."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3 * 64, 16)
        self.blocks = nn.ModuleList(Block(16) for _ in range(3))
        self.mask_token = nn.Parameter(torch.ones(16))
        self.head = nn.Linear(16, DIM)

    def forward(self, images):
        x = self.stem(images.flatten(1))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Cramped(Tower):
    """A tower on a device that holds five samples at a time."""

    def forward(self, images):
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return super().forward(images)


def encoder(tower=Tower):
    torch.manual_seed(0)
    module = tower().requires_grad_(False).eval()
    return Encoder("test:tower", {"source": "test"}, "none", Preprocess(size=8), DIM, module)


def pictures():
    source = np.random.default_rng(0)
    labels = np.arange(N) % CLASSES
    images = source.integers(0, 255, (CLASSES, 3, 8, 8))[labels]
    images = (images + source.integers(-30, 30, (N, 3, 8, 8))).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(images), torch.from_numpy(labels)[:, None]


def run(world=SOLO, config=CONFIG, folder=None, tower=Tower):
    images, labels = pictures()
    trained = finetune(
        encoder(tower),
        lambda rows: images[torch.from_numpy(rows)],
        labels,
        CLASSES,
        config,
        setting=Setting(folder, world),
    )
    whole = trained.module.state_dict()
    if config.fully_shard and world.size > 1:
        whole = {name: value.full_tensor() for name, value in whole.items()}
    return {"weights": whole, "prototypes": trained.prototypes, "history": trained.history}


def close(found, expected, tolerance=2e-5):
    for name, value in expected["weights"].items():
        torch.testing.assert_close(found["weights"][name], value, rtol=1e-3, atol=tolerance)
    torch.testing.assert_close(
        found["prototypes"], expected["prototypes"], rtol=1e-3, atol=tolerance
    )
    for one, other in zip(found["history"], expected["history"], strict=True):
        assert one == pytest.approx(other, rel=1e-3)


@pytest.fixture(scope="module")
def alone():
    return run()


@pytest.mark.parametrize("micro", [1, 5, 7])
def test_the_samples_of_a_batch_may_pass_one_after_the_other(alone, micro):
    close(run(config=replace(CONFIG, micro_batch=micro)), alone)


def test_memory_that_runs_out_halves_the_batch_and_changes_nothing(alone):
    close(run(tower=Cramped), alone)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
def test_a_compiled_tower_learns_what_a_plain_one_does(alone):
    close(run(config=replace(CONFIG, compile=True)), alone, tolerance=1e-4)


def _one_step(world, config, folder):
    """In float64; the first moments in the checkpoint after it are the gradients."""
    torch.manual_seed(0)
    source, module = torch.Generator().manual_seed(1), Tower().double()
    images = torch.randn(23, 3, 8, 8, generator=source, dtype=torch.float64)
    labels = torch.rand(23, 13, generator=source).topk(1).indices
    start = torch.randn(13, DIM, generator=source)
    objective = Discrimination(start, labels, config, world).double()
    tower = tower_of(module, weight_groups(module, None, config), (images[:2],), config, world)

    def batches(rows, epoch):
        for chosen in rows:
            yield (images[torch.from_numpy(chosen)],)

    setting = Setting(folder, world)
    return train(tower, objective, batches, labels[:, 0].numpy(), config, setting=setting).history


def _gradients_in(folder):
    stored = load_file(folder / "step-00000001.safetensors")
    rows = [load_file(path) for path in sorted(folder.glob("step-00000001.rows-*"))]
    for name in rows[0] if rows else ():
        stored[name] = torch.cat([part[name] for part in rows])
    return {name: value for name, value in stored.items() if name.endswith(("exp_avg", "mean"))}


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"centres": "copied"},
        {"centres": "split", "micro_batch": 2, "feature_fraction": 0.5},
        {"centres": "split", "fully_shard": True, "class_fraction": 0.4},
        {"centres": "copied", "fully_shard": True, "micro_batch": 3},
    ],
)
def test_all_gradients_of_a_step_are_those_of_one_process(tmp_path, size, options):
    """23 samples and 13 classes, which nothing divides; all weights, in float64."""
    config = replace(CONFIG, epochs=1, batch_size=23, clip=0.0, **options)
    plain = replace(config, micro_batch=0, fully_shard=False)
    history = _one_step(SOLO, plain, tmp_path / "alone")
    expected = _gradients_in(tmp_path / "alone")
    assert len(expected) == 17  # all weights but the one that is not used, and the centres
    for found in together(size, _one_step, config, tmp_path / "shared"):
        assert found[0]["loss"] == pytest.approx(history[0]["loss"], rel=1e-6)
    found = _gradients_in(tmp_path / "shared")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"centres": "split"},
        {"centres": "copied", "micro_batch": 3},
        {"fully_shard": True, "centres": "split"},
    ],
)
def test_several_processes_give_what_one_gives(alone, size, options):
    for found in together(size, run, replace(CONFIG, **options)):
        close(found, alone)


@pytest.mark.parametrize(
    "options", [{"centres": "split"}, pytest.param({"fully_shard": True}, marks=pytest.mark.slow)]
)
def test_a_checkpoint_is_read_by_any_number_of_processes(tmp_path, options):
    """Stopped after four of six steps with four processes, or one; others go on from there."""
    config = replace(CONFIG, **options)

    def stopped(world, folder):
        from syntype.training import loop

        class Stop(Exception):
            pass

        step = loop._Training.take_step

        def take(self, *arguments):
            if self.step == 4:
                raise Stop
            step(self, *arguments)

        loop._Training.take_step = take
        try:
            run(world, config, folder)
        except Stop:
            return True
        finally:
            loop._Training.take_step = step

    whole = run(config=config)
    assert stopped(SOLO, tmp_path / "1")
    assert all(together(4, stopped, tmp_path / "4"))
    for begun, size in ((4, 1), (4, 2), (4, 4), (1, 4)):
        folder = shutil.copytree(tmp_path / str(begun), tmp_path / f"{begun}-{size}")
        names = sorted(path.name for path in (folder / "round-0").glob("step-00000004*"))
        assert len(names) == (6 if begun == 4 and config.centres == "split" else 2)
        alone = size == 1
        found = [run(SOLO, config, folder)] if alone else together(size, run, config, folder)
        for one in found:
            close(one, whole)


def test_rows_of_a_split_tensor_come_back_whole(tmp_path):
    from syntype.training.checkpoint import Snapshot, write

    rows = torch.arange(26.0).reshape(13, 2)

    def save(world):
        split = {"centres": rows[world.share(13)]}
        write(tmp_path, Snapshot(3, {"a": torch.ones(2)}, {}, split, 13), "me", 2, world)
        stored = latest(tmp_path, "me", world=world)
        return stored.tensor("centres", world.share(13))

    for rank, found in enumerate(together(4, save)):
        assert torch.equal(found, rows[[range(4), range(4, 7), range(7, 10), range(10, 13)][rank]])
    stored = latest(tmp_path, "me")
    assert torch.equal(stored.tensor("centres"), rows)
    assert torch.equal(stored.tensor("centres", slice(2, 9)), rows[2:9])
    assert sorted(stored.names()) == ["a", "centres"]
    damaged = tmp_path / "step-00000003.rows-2.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert latest(tmp_path, "me") is None


def test_weights_that_no_vector_depends_on_are_found():
    module = Tower()
    used = used_weights(module, (torch.randn(2, 3, 8, 8),))
    assert {name for name, weight in module.named_parameters() if weight not in used} == {
        "mask_token"
    }


def test_the_moving_average_is_the_result_and_survives_a_stop(tmp_path, interrupted_after):
    config = replace(CONFIG, average=0.9)
    whole = run(config=config)
    assert not torch.allclose(whole["weights"]["head.weight"], run()["weights"]["head.weight"])
    images, labels = pictures()

    def go(progress=None):
        setting = Setting(tmp_path, progress=progress or interrupted_after(-1))
        read = lambda rows: images[torch.from_numpy(rows)]  # noqa: E731
        return finetune(encoder(), read, labels, CLASSES, config, setting=setting)

    with pytest.raises(KeyboardInterrupt):
        go(interrupted_after(5))
    resumed = go().module.state_dict()
    for name, value in whole["weights"].items():
        assert torch.equal(resumed[name], value)
    again = go().module.state_dict()  # read from the last checkpoint alone
    assert torch.equal(again["head.weight"], resumed["head.weight"])
