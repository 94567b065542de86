from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fakes.sweeps import tiny_sweep
from syntype.clustering.clusters import cluster
from syntype.clustering.kmeans import draw_seeds
from syntype.configs import ClusterConfig, EvaluateConfig, TaskOptions, TrainConfig, Workplace
from syntype.embeddings.embed import embed
from syntype.encoders.load import load_encoder
from syntype.errors import DataError, MediaError, UsageError, VectorError
from syntype.sweep import Workshop
from syntype.sweep.memory import recall


def open_photos(photos: Path, workspace: Path, **samples) -> Workshop:
    config = tiny_sweep(photos, samples=samples)
    return Workshop.open(config.samples, config.embed, Workplace(workspace=workspace, quiet=True))


def test_a_part_has_one_vector_for_each_row_even_where_pictures_are_broken(
    photos: Path, tmp_path: Path
) -> None:
    workshop = open_photos(photos, tmp_path / "runs")
    assert len(workshop.dataset) == 50  # the empty file is left out on the way in
    model = workshop.model("descriptors", "base")
    assert len(model.vectors) == 48
    seen = []
    for split in ("train", "val", "test"):
        vectors, samples = workshop.part(model, split)
        assert len(vectors) == len(samples) > 0
        assert set(samples.column("split")) == {split}
        assert not any("broken" in name for name in samples.ids)
        # The vector of each row is that of this very picture, made by itself.
        for row in (0, len(samples) - 1):
            alone = samples.select(np.array([row]))
            folder = tmp_path / f"alone-{split}-{row}"
            made = embed(alone, load_encoder("descriptors", "cpu"), workshop.embed, folder)
            np.testing.assert_allclose(vectors[row], made.matrix()[0], atol=1e-5)
        seen += samples.ids
    assert sorted(seen) == sorted(model.vectors.ids)


def test_vectors_made_by_skipping_do_not_hide_broken_pictures_from_stop(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "Esox_specie00s" / "broken-1.jpg").unlink()
    skipping = open_photos(photos, tmp_path / "runs")
    skipping.model("pixels", "floor")
    stopping = open_photos(photos, tmp_path / "runs", on_error="stop")
    with pytest.raises(MediaError, match=r"2 pictures .*broken-0\.jpg.*--on-error skip"):
        stopping.model("pixels", "floor")


def test_a_split_without_a_picture_says_how_to_make_one(photos: Path, tmp_path: Path) -> None:
    workshop = open_photos(photos, tmp_path / "runs", split_fractions=(0.7, 0.0, 0.3))
    model = workshop.model("pixels", "floor")
    with pytest.raises(DataError, match=r"val split has no readable picture.*--split made"):
        workshop.part(model, "val")


def test_an_encoder_is_loaded_once_and_remembered(workshop: Workshop, place: Workplace) -> None:
    encoder = workshop.encoder("pixels")
    assert workshop.encoder("pixels") is encoder
    assert recall(place.workspace, "pixels") == encoder.identity


def test_stages_are_made_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    config = ClusterConfig(k=5)
    evaluate = TaskOptions(evaluate=EvaluateConfig(resamples=100))
    train = TrainConfig(epochs=1)
    base = workshop.model("descriptors", "base")
    clustering = workshop.clusters(base, config)
    model = workshop.trained(base, "clusters", clustering, train)
    scores = workshop.scores(model, "test", evaluate)
    for name in ("cluster_split", "train_split", "run_task"):
        monkeypatch.setattr(f"syntype.sweep.workshop.{name}", None)
    again = workshop.clusters(base, config)
    assert again.key == clustering.key
    np.testing.assert_array_equal(again.clusters.centres, clustering.clusters.centres)
    trained = workshop.trained(base, "clusters", again, train)
    assert trained.spec == model.spec
    found = workshop.scores(trained, "test", evaluate)
    for name in ("id", "neighbourIds", "neighbourSimilarities"):
        assert found.column(name) == scores.column(name)


def test_several_k_share_one_draw_of_first_centres(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(vectors: np.ndarray, k: int, **options: Any) -> torch.Tensor:
        drawn.append(k)
        return draw_seeds(vectors, k, **options)

    monkeypatch.setattr("syntype.sweep.make.draw_seeds", counted)
    base = workshop.model("descriptors", "base")
    found = {k: workshop.clusters(base, ClusterConfig(k=k), most=9).clusters for k in (4, 7, 9)}
    assert drawn == [9]
    vectors, samples = workshop.part(base, "train")
    for k, shared in found.items():
        alone = cluster(vectors, samples.ids, ClusterConfig(k=k))
        np.testing.assert_array_equal(shared.centres, alone.centres)
    workshop.clusters(base, ClusterConfig(k=11))
    workshop.clusters(base, ClusterConfig(k=5, seed=1))
    assert drawn == [9, 11, 5], "a larger k and another seed need draws of their own"


def test_a_k_beyond_what_differs_does_not_fail_the_smaller_ones(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = workshop.model("descriptors", "base")
    vectors, samples = workshop.part(base, "train")
    copies = np.repeat(vectors[:3], -(-len(vectors) // 3), axis=0)[: len(vectors)]
    monkeypatch.setattr(Workshop, "part", lambda *_: (copies, samples))
    with pytest.raises(VectorError, match="only 3 of the"):
        workshop.clusters(base, ClusterConfig(k=5, seed=2), most=5)
    assert workshop.clusters(base, ClusterConfig(k=3, seed=2), most=5).clusters.k == 3


def test_resamples_do_not_make_other_scores(workshop: Workshop) -> None:
    model = workshop.model("pixels", "floor")
    few = TaskOptions(evaluate=EvaluateConfig(resamples=100))

    def changed(**options: Any) -> TaskOptions:
        return replace(few, evaluate=replace(few.evaluate, **options))

    run = workshop.score_run(model, "test", few)
    assert workshop.score_run(model, "test", changed(resamples=500)).key == run.key
    assert workshop.score_run(model, "val", few).key != run.key
    assert workshop.score_run(model, "test", changed(recall_at=(1,))).key != run.key


def test_a_trained_model_knows_its_k_role_and_spec(workshop: Workshop) -> None:
    base = workshop.model("descriptors", "base")
    train = TrainConfig(epochs=1)
    species = workshop.trained(base, "species", None, train)
    assert (species.role, species.k) == ("species", 6)
    clustering = workshop.clusters(base, ClusterConfig(k=5))
    random = workshop.trained(base, "random", clustering, train)
    assert (random.role, random.k) == ("random", 5)
    encoder = load_encoder(species.spec, "cpu")
    vectors = embed(workshop.dataset, encoder, workshop.embed, species.vectors.folder / "afresh")
    np.testing.assert_allclose(vectors.matrix(), species.vectors.matrix(), atol=1e-5)


def test_more_clusters_than_pictures_are_refused_by_number(workshop: Workshop) -> None:
    base = workshop.model("descriptors", "base")
    with pytest.raises(UsageError, match="900"):
        workshop.clusters(base, ClusterConfig(k=900))
