"""What a training in the middle of its work is stopped by."""

import pytest

from training.conftest import Interruption


@pytest.fixture(scope="session")
def interrupted_after():
    def make(n_steps):
        def stop():
            raise KeyboardInterrupt

        return Interruption(n_steps, stop)

    return make
