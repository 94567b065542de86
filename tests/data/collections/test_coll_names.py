"""How TreeOfLife-10M cleans names."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.data.collections.published_names import Cleaner, clean_ranks
from syntype.taxonomy.taxon import RANKS

BIRD = ("Animalia", "Chordata", "Aves", "Passeriformes", "Corvidae", "Pica", "hudsonia")


def ranks(**given: str) -> tuple[str, ...]:
    return tuple(given.get(rank, "") for rank in RANKS)


@pytest.mark.parametrize(
    ("delivered", "cleaned", "rules"),
    [
        (BIRD, BIRD, ()),
        (ranks(kingdom="Metazoa"), ranks(kingdom="Animalia"), ("kingdom",)),
        (ranks(kingdom="Archaeplastida"), ranks(kingdom="Plantae"), ("kingdom",)),
        (ranks(kingdom="Chloroplastida"), ranks(kingdom="Plantae"), ("kingdom",)),
        (ranks(genus="unknown", family="(unidentified)"), ranks(), ("unknown",)),
        (ranks(order="<i>Diptera</i>"), ranks(order="Diptera"), ("tags",)),
        (ranks(order="<b><i>Diptera</i></b>"), ranks(order="Diptera"), ("tags",)),
        (ranks(genus="PICA"), ranks(genus="Pica"), ("letter_case",)),
        (ranks(genus="nan", species="null"), ranks(), ("unknown",)),
        (
            ranks(genus="Callophrys", species="affinis apama (w.h.edwards"),
            ranks(genus="Callophrys", species="affinis apama"),
            ("behind_name",),
        ),
        (
            ranks(genus="Abies", species="alba var. acutifolia"),
            ranks(genus="Abies", species="alba"),
            ("behind_name",),
        ),
        (
            ranks(genus="Abies", species="alba Miller 1768"),
            ranks(genus="Abies", species="alba"),
            ("behind_name",),
        ),
        (
            ranks(genus="Abies", species="alba L."),
            ranks(genus="Abies", species="alba"),
            ("behind_name",),
        ),
        (
            ranks(genus="Cinclus", species="Cinclus cinclus cinclus"),
            ranks(genus="Cinclus", species="cinclus"),
            ("genus_twice", "epithet_twice"),
        ),
        (
            ranks(species="Cinclus pallasii"),
            ranks(genus="Cinclus", species="pallasii"),
            ("genus_twice",),
        ),
        (
            ranks(genus="Rosa", species="canina x gallica"),
            ranks(genus="Rosa", species="canina x gallica"),
            (),
        ),
    ],
)
def test_rules(
    delivered: tuple[str, ...], cleaned: tuple[str, ...], rules: tuple[str, ...]
) -> None:
    assert clean_ranks(delivered) == (cleaned, rules)


words = st.text(alphabet="abcxyz ABX.()<>i/&,0123456789-", max_size=24)


@given(st.tuples(*[words] * 7))
def test_what_no_rule_changed_stays_as_it_was(delivered: tuple[str, ...]) -> None:
    cleaned, rules = clean_ranks(delivered)
    assert len(cleaned) == 7
    if not rules:
        assert cleaned == tuple(name for name in delivered)


def test_each_distinct_taxon_is_cleaned_once_and_every_row_counted() -> None:
    rows = [BIRD, ranks(kingdom="Metazoa"), BIRD, ranks(kingdom="Metazoa")]
    columns = {
        rank: pa.array([row[n] for row in rows], pa.string()) for n, rank in enumerate(RANKS)
    }
    cleaner = Cleaner()
    found = cleaner.columns(columns)
    assert found["kingdom"].to_pylist() == ["Animalia"] * 4
    assert cleaner.did == {"kingdom": 2}
