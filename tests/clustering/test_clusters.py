"""The verb and its artefact, and the page that specifies the bytes."""

import json
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent))
from clustering_data import mixture, noise

from syntype.clustering.clusters import DESCRIPTION, TENSORS, Clusters, cluster, from_kmeans
from syntype.clustering.kmeans import KMeansResult, kmeans
from syntype.configs import ClusterConfig
from syntype.errors import DataNotFoundError, ResourceError, UsageError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "clustering.md"
VECTORS = mixture(400, 8, 6)
IDS = [f"set/{row}.jpg" for row in range(400)]


def made(**options):
    return cluster(
        VECTORS,
        IDS,
        ClusterConfig(k=9, iterations=4, **options),
        groups=[f"s{row % 5}" for row in range(400)],
    )


@pytest.mark.parametrize("options", [{}, {"top": 3}, {"within": "species"}, {"search": "pruned"}])
def test_what_was_saved_is_what_is_loaded(options, tmp_path):
    clusters = replace(made(**options), quality={"ami": 0.5})
    clusters.save(tmp_path)
    loaded = Clusters.load(tmp_path)
    for field in fields(Clusters):
        before, after = (getattr(each, field.name) for each in (clusters, loaded))
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
        elif field.name == "config":
            assert dict(after) == dict(before)
        else:
            assert list(after) == list(before) if field.name == "ids" else after == before


def test_equal_questions_give_equal_bytes(tmp_path):
    for name in "ab":
        made(top=2).save(tmp_path / name)
    for name in (TENSORS, DESCRIPTION):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_labels_are_the_exact_nearest_centres_also_after_a_pruned_search():
    clusters = made(top=3, search="pruned")
    cosines = VECTORS.numpy() @ clusters.centres.T
    assert np.allclose(np.sort(cosines, axis=1)[:, ::-1][:, :3], clusters.cosines, atol=1e-6)
    assert np.array_equal(clusters.label, clusters.labels[:, 0])
    assert clusters.objective == pytest.approx(clusters.cosines[:, 0].mean(), abs=1e-6)


def test_within_records_the_owner_of_each_cluster():
    clusters = made(within="species")
    owners = [clusters.owners[label] for label in clusters.label]
    assert owners == [f"s{row % 5}" for row in range(400)]
    own = (VECTORS.numpy() * clusters.centres[clusters.label]).sum(axis=1)
    assert np.allclose(own, clusters.cosines[:, 0], atol=1e-6)


@pytest.mark.parametrize("top", [1, 3])
def test_a_cluster_that_is_nobodys_nearest_keeps_its_samples(top):
    """As after a pruned search, or among copies of one vector."""
    vectors = noise(6, 4)
    centres = torch.cat([vectors[:3], vectors[2:3]])
    labels = torch.tensor([0, 1, 2, 0, 1, 3])
    found = KMeansResult(centres, labels, 0.5, (0.5,), 0, 1, 0.0)
    clusters = from_kmeans(found, vectors, list("abcdef"), ClusterConfig(k=4, top=top))
    assert clusters.label[5] == 3
    assert clusters.cosines[5, 0] == pytest.approx(float(vectors[5] @ centres[3]), abs=1e-6)
    assert all(len(set(row)) == top for row in clusters.labels.tolist())
    assert set(clusters.label.tolist()) == {0, 1, 2, 3} or 3 in clusters.label


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="399 ids were given for 400"):
        cluster(VECTORS, IDS[1:], ClusterConfig(k=3))
    with pytest.raises(UsageError, match=r"--cluster\.within species needs the species"):
        cluster(VECTORS, IDS, ClusterConfig(k=3, within="species"))
    with pytest.raises(UsageError, match=r"leave --cluster\.top at 1"):
        ClusterConfig(k=3, within="species", top=2)
    with pytest.raises(UsageError, match=r"--cluster\.top must lie between 1 and 3"):
        cluster(VECTORS, IDS, ClusterConfig(k=3, top=4))


def test_damaged_folders_say_what_to_do(tmp_path):
    with pytest.raises(DataNotFoundError, match="run `syntype cluster` first"):
        Clusters.load(tmp_path)
    made().save(tmp_path)
    (tmp_path / TENSORS).write_bytes(b"cut off")
    with pytest.raises(ResourceError, match="damaged"):
        Clusters.load(tmp_path)
    (tmp_path / TENSORS).unlink()
    with pytest.raises(ResourceError, match="missing or damaged"):
        Clusters.load(tmp_path)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(ResourceError, match="format 99"):
        Clusters.load(tmp_path)


def test_the_page_specifies_the_bytes(tmp_path):
    """Every tensor and every field has its row in the page's tables, and no row is of the past."""
    made(top=2).save(tmp_path)
    page = PAGE.read_text()
    named = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    tensors = load_file(tmp_path / TENSORS)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    assert sorted(named) == sorted([*tensors, *description])
    for name, tensor in tensors.items():
        row = re.search(rf"^\| `{name}` \|.*$", page, flags=re.MULTILINE)
        assert row is not None
        assert str(tensor.dtype) in row[0]


def test_a_sweeps_result_makes_the_same_artefact(tmp_path):
    config = ClusterConfig(k=9, iterations=4)
    found = kmeans(VECTORS, 9, iterations=4)
    assert np.array_equal(from_kmeans(found, VECTORS, IDS, config).labels, made().labels)
