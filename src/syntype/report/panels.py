"""Which pictures to show with their neighbours: drawn by lot, not picked by hand.

Of all test pictures whose nearest neighbour is wrong for the base model and right for the best
clusters' model ("rescued"), and of those the other way round ("broken"), the same number is shown.
Where the clusters changed no answer, pictures that both models get right, and wrong, take their
place. The lot is the hash of seed and id, so that equal scores show equal pictures; the taxon
groups take turns, and a species comes twice only when there are no others left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from syntype.provenance import named_seed
from syntype.report.data import Neighbour, Panel, PanelKind, ReportData

N_PANELS = 4
N_NEIGHBOURS = 5
# Whether the nearest neighbour is right: for the base model, for the best clusters' model.
_CHANGED: dict[PanelKind, tuple[int, int]] = {"rescued": (0, 1), "broken": (1, 0)}
_UNCHANGED: dict[PanelKind, tuple[int, int]] = {"right": (1, 1), "wrong": (0, 0)}


def _rows(table: pa.Table, rank: str, depth: str) -> dict[str, dict[str, Any]]:
    wanted = ["id", "taxonGroup", rank, f"{rank}Hit@{depth}"]
    lists = ["neighbourIds", "neighbourLabels", "neighbourSimilarities"]
    return {row["id"]: row for row in table.select([*wanted, *lists]).to_pylist()}


def _neighbours(row: Mapping[str, Any], truth: str) -> tuple[Neighbour, ...]:
    found = zip(
        row["neighbourIds"], row["neighbourLabels"], row["neighbourSimilarities"], strict=True
    )
    return tuple(
        Neighbour(id, label, float(similarity), label == truth)
        for id, label, similarity in list(found)[:N_NEIGHBOURS]
    )


def _take_turns(rows: Sequence[Mapping[str, Any]], rank: str, seed: int) -> list[str]:
    """Ids by lot: groups take turns, species that were shown already come last."""
    by_lot = sorted(rows, key=lambda row: (named_seed(seed, "panel", row["id"]), row["id"]))
    turn: dict[str, int] = {}
    seen: dict[str, int] = {}
    keyed = []
    for row in by_lot:
        again = seen.get(row[rank], 0)
        seen[row[rank]] = again + 1
        round_key = f"{again}\x1f{row['taxonGroup']}"
        turn[round_key] = turn.get(round_key, 0) + 1
        keyed.append((again, turn[round_key], row["taxonGroup"], row["id"]))
    return [id for *_, id in sorted(keyed)]


def draw_panels(data: ReportData, tables: Mapping[str, pa.Table], seed: int) -> list[Panel]:
    """The pictures that the best clusters rescued and broke, at most `N_PANELS` of each.

    If there are none of either, those that both models get right and wrong.

    Args:
        data: For the base and the best clusters' model.
        tables: Model key to the test scores of its first seed.
        seed: Seed of the lot.
    """
    best = data.best
    if best is None or data.base is None or not data.has_scores:
        return []
    rank, depth = data.rank, data.metric.partition("@")[2]
    hit = f"{rank}Hit@{depth}"
    base_rows = _rows(tables[data.base], rank, depth)
    best_rows = _rows(tables[best.key], rank, depth)
    for kinds in (_CHANGED, _UNCHANGED):
        panels = []
        for kind, hits in kinds.items():
            found = [row for id, row in best_rows.items() if (base_rows[id][hit], row[hit]) == hits]
            for id in _take_turns(found, rank, seed)[:N_PANELS]:
                row, label = best_rows[id], best_rows[id][rank]
                before, after = _neighbours(base_rows[id], label), _neighbours(row, label)
                panels.append(Panel(kind, id, label, row["taxonGroup"], before, after))
        if panels:
            break
    return panels
