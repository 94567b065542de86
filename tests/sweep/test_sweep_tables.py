from dataclasses import replace
from pathlib import Path

import pytest

from fakes.sweeps import tiny_sweep
from syntype.configs import ClusterConfig, EvaluateConfig, TaskOptions, Workplace
from syntype.data.load import load_dataset
from syntype.report.data_tables import data_tables
from syntype.sweep import Workshop
from syntype.sweep.tables import Table, cluster_table, score_table


def rectangular(table: Table) -> bool:
    _, header, rows = table
    return bool(rows) and all(len(row) == len(header) for row in rows)


def test_a_dataset_in_tables(photos: Path, tmp_path: Path) -> None:
    (photos / "Esox_specie00s" / "copy.jpg").write_bytes(
        (photos / "Esox_specie00s" / "000.jpg").read_bytes()
    )
    config = tiny_sweep(photos).samples
    dataset = load_dataset(config, workspace=tmp_path / "runs")
    tables = {title: (title, header, rows) for title, header, rows in data_tables(dataset)}
    assert all(rectangular(table) for table in tables.values())
    title = f"{len(dataset)} pictures, revision {dataset.revision}"
    (row,) = tables[title][2]
    assert row[:5] == ("photos", str(len(dataset)), "4", str(len(dataset) - 1), "0")
    assert sum(map(int, row[-3:])) == len(dataset)
    assert dict(tables["Checks"][2])["copies of another picture"] == "1"
    assert ("species", "4", "100 %") in tables["Taxa"][2]


def test_what_was_left_out_is_listed(tmp_path: Path, photos: Path) -> None:
    found = sorted(photos.rglob("0*.jpg"))
    lines = ["path,label", *(f"{path.relative_to(photos)},{path.parent.name}" for path in found)]
    lines += [f"none-{number}.jpg,Esox_specie00s" for number in range(20)]
    (photos / "labels.csv").write_text("\n".join(lines) + "\n")
    dataset = load_dataset(tiny_sweep(photos).samples, workspace=tmp_path / "runs")
    title, _, rows = data_tables(dataset)[-1]
    assert title == "Left out: 20 (the first 12)"
    assert rows[0] == ("photos/none-0.jpg", "no such file")
    columns = next(table for table in data_tables(dataset) if table[0] == "Columns")
    assert ("photos", "image", "path", "guessed") in columns[2]


def test_long_lists_of_cleaned_labels_end_in_a_count(workshop: Workshop) -> None:
    changed = {f"esox_{number:02d}": f"Esox {number:02d}" for number in range(20)}
    notes = {"cleaning": {"set": {"steps": [["as delivered", 20]], "changed": changed}}}
    dataset = replace(workshop.dataset, notes=notes)
    (table,) = (table for table in data_tables(dataset) if table[0] == "Cleaning of labels")
    assert rectangular(table)
    assert table[2][0] == ("set", "as delivered", "20")
    assert table[2][1] == ("set", "'esox_00' read as 'Esox 00'", "")
    assert table[2][-1] == ("set", "... and 8 more", "")


def test_clusterings_stand_beside_their_ceiling(workshop: Workshop) -> None:
    base = workshop.model("descriptors", "base")
    made = [workshop.clusters(base, ClusterConfig(k=k)) for k in (4, 9)]
    table = cluster_table(made)
    assert rectangular(table)
    assert [row[0] for row in table[2]] == ["4", "9"]
    for one, row in zip(made, table[2], strict=True):
        quality = one.clusters.quality
        assert row[2] == f"{quality['scores']['ami']:.3f} / {quality['ceiling']['ami']:.3f}"


def test_scores_have_an_interval_or_say_that_there_is_nothing(
    workshop: Workshop, tmp_path: Path
) -> None:
    evaluate = EvaluateConfig(resamples=100, recall_at=(1,), ranks=("species", "genus"))
    models = [workshop.model(spec, "baseline") for spec in ("pixels", "descriptors")]
    scores = [workshop.scores(model, "test", TaskOptions(evaluate=evaluate)) for model in models]
    table = score_table("retrieval", [model.name for model in models], scores, evaluate)
    assert rectangular(table)
    assert [row[1] for row in table[2]] == ["pixels", "descriptors"] * len(evaluate.ranks)
    assert [row[0] for row in table[2][:3]] == ["speciesHit@1", "speciesHit@1", "genusHit@1"]
    for row, one in zip(table[2], scores, strict=False):
        mean = one.values("speciesHit@1")
        wanted = 100 * mean[mean == mean].mean()
        assert row[3].startswith(f"{wanted:.1f} (")
        low, high = row[3].split("(")[1].rstrip(")").split(" to ")
        assert float(low) <= wanted + 0.05
        assert wanted - 0.05 <= float(high)


def test_singletons_give_nothing_to_find(tmp_path: Path) -> None:
    from fakes.class_folders import write_class_folders

    config = tiny_sweep(write_class_folders(tmp_path / "birds", n_species=20, n_images=1))
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    workshop = Workshop.open(config.samples, config.embed, place)
    evaluate = EvaluateConfig(resamples=100, ranks=("species",))
    model = workshop.model("pixels", "floor")
    scores = workshop.scores(model, "test", TaskOptions(evaluate=evaluate))
    table = score_table("retrieval", [model.name], [scores], evaluate)
    assert table[2] == [("speciesHit@1", "pixels", "nothing to find", "nothing to find")]


@pytest.mark.parametrize("title", ["Cleaning of labels", "Columns"])
def test_tables_without_rows_are_left_out(workshop: Workshop, title: str) -> None:
    dataset = replace(workshop.dataset, notes={})
    assert title not in {table[0] for table in data_tables(dataset)}
