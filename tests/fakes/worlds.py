"""Synthetic worlds, each drawn once a session: to draw one takes longer than most tests of one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from syntype.data import synthetic
from syntype.data.dataset import Dataset
from syntype.data.synthetic import WorldConfig, write_world
from syntype.provenance import content_hash, plain


@contextmanager
def drawn_once(home: Path) -> Iterator[None]:
    """Inside, a world that is wanted in a new folder is copied from `home`, where it was drawn."""

    def copied(config: WorldConfig, folder: Path, **options: Any) -> Dataset:
        if not folder.exists():
            drawn = home / content_hash(plain(config))
            write_world(config, drawn, **options)
            shutil.copytree(drawn, folder)
        return write_world(config, folder, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "write_world", copied)
        yield
