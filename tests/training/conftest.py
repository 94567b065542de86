"""Planted clusters: few coordinates tell the class, the others are loud and mean nothing."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from syntype.progress import Silent


@dataclass(frozen=True)
class Planted:
    vectors: Tensor
    labels: Tensor
    n_classes: int


def make_planted(n_classes=12, per_class=20, dim=32, telling=8, noise=3.0, seed=0):
    source = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=source))[0]
    centres = 2 * torch.randn(n_classes, telling, generator=source)
    labels = torch.arange(n_classes * per_class) % n_classes
    parts = noise * torch.randn(len(labels), dim, generator=source)
    parts[:, :telling] = centres[labels] + 0.7 * torch.randn(len(labels), telling, generator=source)
    return Planted(normalize(parts @ basis, dim=1), labels[:, None], n_classes)


@pytest.fixture(scope="session")
def planted():
    return make_planted()


def one_nn(vectors: Tensor, labels: Tensor) -> float:
    """Leave-one-out accuracy of the nearest neighbour."""
    cosines = (vectors @ vectors.T).fill_diagonal_(-2)
    return (labels[cosines.argmax(1)] == labels).float().mean().item()


@pytest.fixture(scope="session")
def nearest_neighbour():
    return one_nn


class Interruption(Silent):
    """A progress that calls `then` when so many steps are done; it keeps what was said."""

    def __init__(self, after, then):
        self.left, self.then, self.said = after, then, []

    def say(self, text):
        self.said.append(text)

    def task(self, title, total, done=0):
        del title, total, done
        outer = self

        class Task:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def note(self, text):
                pass

            def advance(self, n=1):
                outer.left -= n
                if outer.left == 0:
                    outer.then()

        return Task()


@pytest.fixture(scope="session")
def interrupted_after():
    def make(n_steps, then=None):
        def stop():
            raise KeyboardInterrupt

        return Interruption(n_steps, then or stop)

    return make
