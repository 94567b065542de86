"""The large sets can be fetched by the names that read them."""

import pytest

from syntype.data.collections.registry import COLLECTIONS
from syntype.fetching import sources
from syntype.fetching.hub import Repository
from syntype.fetching.sources import SOURCES, find
from syntype.fetching.wanted import Wanted


@pytest.mark.parametrize("name", list(COLLECTIONS))
def test_every_large_set_can_be_fetched(name):
    source, collection = SOURCES[name], COLLECTIONS[name]
    assert source.page == collection.source
    assert source.license == collection.license
    assert source.reader == f"{name}:{{}}"
    assert f"syntype data get {name}" in collection.get


def test_bioscan_1m_comes_from_zenodo_with_its_hashes():
    found = find("bioscan-1m")
    names = [one.path for one in found.files]
    assert names == ["BIOSCAN_Insect_Dataset_metadata.tsv", "cropped_256.zip"]
    assert all(one.digest.startswith("md5:") for one in found.files)
    assert [one.path for one in find("bioscan-1m#metadata").files] == names[:1]


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (
            "tree-of-life-10m#metadata",
            ["metadata/catalog.csv", "metadata/licenses.csv", "metadata/taxon.tab"],
        ),
        (
            "tree-of-life-10m#eol",
            ["metadata/catalog.csv", "metadata/licenses.csv", "dataset/EOL/image_set_01.tar.gz"],
        ),
        (
            "tree-of-life-200m",
            ["dataset/catalog.parquet", "dataset/metadata/provenance.parquet"],
        ),
        ("tree-of-life-200m#catalog", ["dataset/catalog.parquet"]),
        ("biotrove", ["BioTrove/chunk_1.parquet"]),
        ("biotrove-train#benchmark", ["BioTrove-benchmark/BioTrove-Balanced.parquet"]),
    ],
)
def test_parts_of_the_hub_take_what_their_readers_need(spec, paths, monkeypatch):
    listed = [
        "README.md", "metadata/catalog.csv", "metadata/licenses.csv", "metadata/taxon.tab",
        "dataset/EOL/image_set_01.tar.gz", "dataset/catalog.parquet",
        "dataset/metadata/provenance.parquet", "BioTrove/chunk_1.csv", "BioTrove/chunk_1.parquet",
        "BioTrove-benchmark/BioTrove-Balanced.parquet",
    ]  # fmt: skip
    files = [Wanted(url=f"https://hub.example/{path}", path=path) for path in listed]

    def repository(repo, revision=""):
        return Repository(name=repo, revision="r", license="", files=files)

    monkeypatch.setattr(sources, "repository", repository)
    assert [one.path for one in find(spec).files] == paths
