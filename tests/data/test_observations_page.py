"""The page on observations says what the code does."""

from pathlib import Path

import pytest

from syntype.data.observation_sets.published_set import PublishedSet
from syntype.data.observations import SCHEMA
from syntype.data.observations_published import SETS
from syntype.data.synthetic.six_config import SIX_SIZES

PAGE = (Path(__file__).parents[2] / "docs/reference/observations.md").read_text(encoding="utf-8")


def _row(one: PublishedSet) -> str:
    tables = "<br>".join(
        f"`{table}` {split}" + (f" ({one.rows[table]:,} rows)" if table in one.rows else "")
        for table, split in one.tables.items()
    )
    layout = "<br>".join(f"`{line}`" for line in one.layout)
    unsure = one.unconfirmed or "nothing"
    return f"| `{one.name}:FOLDER` | {one.title} | {tables} | {layout} | {one.license} | {unsure} |"


@pytest.mark.parametrize("name", SETS)
def test_the_page_has_each_set(name: str) -> None:
    assert _row(SETS[name]) in PAGE


def test_the_page_names_each_column() -> None:
    ranks = {"phylum", "class", "order", "family", "genus"}
    for name in set(SCHEMA.names) - ranks:
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("name", SIX_SIZES)
def test_the_page_has_each_size(name: str) -> None:
    one = SIX_SIZES[name]
    cells = f"{one.degrees:g} degree" + "s" * (one.degrees != 1)
    assert (
        f"| `{name}` | {one.n_species} | {one.n_observations:,} | {one.image_size}, "
        f"{one.tile_size} pixels | {one.seconds:g} s at {one.sample_rate:,} Hz | {cells} |" in PAGE
    )
