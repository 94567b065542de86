"""The way of a catalogue through the real command line: records and tars in, an encoder out."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.catalogues import catalogue_of, everywhere, jpeg
from fakes.fault_server import Site
from syntype.cli import main
from syntype.data.catalogue import Catalogue


def syntype(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "syntype", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def done(*words: object) -> str:
    found = syntype(*words)
    assert found.returncode == 0, found.stderr
    return found.stdout


STREAM = ("--base", "untrained:test_resnet?size=32", "--objective", "species", "--train.mode",
          "finetune", "--train.stream", "8", "--train.epochs", "2", "--train.batch-size", "8",
          "--workers", "1")  # fmt: skip


WITHOUT_BATCH_NORM = "untrained:test_vit?size=32"


def test_import_split_subset_info_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = everywhere(tmp_path / "media")
    (tmp_path / "media" / "own" / "35.jpg").write_bytes(b"broken")
    made = catalogue_of(rows, tmp_path / "all", tmp_path / "media")
    assert str(tmp_path / "few") in done(
        "data", "subset", made.folder, "--out", tmp_path / "few", "--per-species", 8
    )
    done("data", "split", "--data", tmp_path / "few", "--out", tmp_path / "split",
         "--split", "made", "--split-fractions", 0.8, 0.2, 0)  # fmt: skip
    shown = done("data", "info", "--data", tmp_path / "split", "--page", tmp_path / "info.html")
    assert "Parus major" in (tmp_path / "info.html").read_text()
    assert "split" in shown
    printed = done("train", "--data", tmp_path / "split", *STREAM, "--workspace", tmp_path / "ws")
    encoder = Path(printed.strip().removeprefix("checkpoint:"))
    assert (encoder / "model.safetensors").is_file()
    history = json.loads((encoder.parent / "history.json").read_text())
    assert [line["epoch"] for line in history] == [0, 1]
    told = encoder.parent / "unreadable.csv"
    in_split = {
        row["image"] for table in Catalogue.open(tmp_path / "split").scan(["image", "split"])
        for row in table.to_pylist() if row["split"] == "train"
    }  # fmt: skip
    assert told.is_file() == ("own/35.jpg" in in_split)
    # What is finished is not done again; no start of a process is needed to see that.
    main(["train", "--data", f"{tmp_path}/split", *STREAM, "--workspace", f"{tmp_path}/ws"])
    assert capsys.readouterr().out == printed


@pytest.mark.slow
def test_what_cannot_be_streamed_says_what_to_do(tmp_path: Path) -> None:
    made = catalogue_of(everywhere(tmp_path / "media", 8), tmp_path / "c", tmp_path / "media")
    for words, said in (
        (("--data", made.folder, "--k", 3, *STREAM[:2], "--train.mode", "finetune",
          "--train.stream", 8), "--objective species or contrastive"),
        (("--data", tmp_path / "media", *STREAM), "syntype data import"),
        (("--data", made.folder, "--limit", 3, *STREAM), "syntype data subset"),
        (("--data", made.folder, *STREAM), "syntype data split"),
    ):  # fmt: skip
        found = syntype("train", *words, "--workspace", tmp_path / "ws")
        assert found.returncode in (2, 3), found.stderr
        assert said in found.stderr
    found = syntype("data", "shards", made.folder, "--to", tmp_path / "s", "--share", "3/3")
    assert found.returncode == 2
    assert "SLURM_ARRAY_TASK_ID" in found.stderr


@pytest.mark.slow
def test_a_streamed_training_that_is_killed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    rows = [dict(row, split="train") for row in everywhere(tmp_path / "media")]
    made = catalogue_of(rows, tmp_path / "c", tmp_path / "media")
    options = [*STREAM[:-5], "6", "--train.batch-size", "8", "--workers", "1",
               "--train.checkpoint-every", "1", "--data", str(made.folder)]  # fmt: skip
    whole = Path(done("train", *options, "--workspace", tmp_path / "a").strip()[11:])
    process = subprocess.Popen(
        [sys.executable, "-m", "syntype", "train", *options, "--workspace", str(tmp_path / "b")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list((tmp_path / "b").glob("train/*/checkpoints/**/step-0000000[3-9].json")):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = Path(done("train", *options, "--workspace", tmp_path / "b").strip()[11:])
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_two_processes_share_a_stream(tmp_path: Path) -> None:
    rows = [dict(row, split="train") for row in everywhere(tmp_path / "media")]
    made = catalogue_of(rows, tmp_path / "c", tmp_path / "media")
    losses = []
    for n in (1, 2):
        printed = done("train", "--data", made.folder, "--base", WITHOUT_BATCH_NORM, *STREAM[2:],
                       "--processes", n, "--workspace", tmp_path / f"ws{n}", "--train.precision",
                       "float32")  # fmt: skip
        folder = Path(printed.strip().removeprefix("checkpoint:")).parent
        losses.append([one["loss"] for one in json.loads((folder / "history.json").read_text())])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_media_come_by_their_addresses(tmp_path: Path) -> None:
    site = Site({f"/{i}.jpg": jpeg(i) for i in range(12)})
    site.types = dict.fromkeys(site.files, "image/jpeg")
    site.faults["/3.jpg"] = ["cut", "busy"]
    with site.running() as address:
        rows = [
            {"key": f"r{i}", "verbatimIdentification": "Parus major", "mediaType": "StillImage",
             "accessURI": f"{address}/{i}.jpg"}
            for i in range(14)
        ]  # fmt: skip
        rows[13]["accessURI"] = "ftp://example.org/x.jpg"
        made = catalogue_of(rows, tmp_path / "c", tmp_path, columns=tuple(rows[0]))
        media = ("--to", tmp_path / "media", "--rate", 1000, "--tries", 3)
        done_ = syntype("data", "download", made.folder, *media, "--out", tmp_path / "here")
    assert done_.returncode == 8, done_.stderr
    assert "2 of 14 media did not come (1 have an address that is none)" in done_.stderr
    here = Catalogue.open(tmp_path / "here")
    found = [row for table in here.scan() for row in table.to_pylist()]
    for i, row in enumerate(found):
        if i < 12:
            path = here.header.roots["mini"] / row["image"]
            assert path.read_bytes() == jpeg(i)
            assert row["imageLength"] == len(jpeg(i))
            assert len(row["imageDigest"]) == 64
        else:
            assert row["image"] == ""
    failed = table_of(tmp_path / "media" / "00000" / ".fetch" / "failed.csv")
    assert [one["url"] for one in failed] == [f"{address}/12.jpg"]


def test_records_are_imported_resolved_and_curated(tmp_path: Path) -> None:
    names = tmp_path / "backbone.csv"
    names.write_text(
        "taxonID,scientificName,taxonRank,taxonomicStatus,acceptedNameUsageID,kingdom,family,genus\n"
        "1,Parus major,species,accepted,,Animalia,Paridae,Parus\n"
        "2,Parus minor,species,synonym,1,Animalia,Paridae,Parus\n"
        "3,Danaus plexippus,species,accepted,,Animalia,Nymphalidae,Danaus\n"
    )
    media = tmp_path / "media"
    rows = everywhere(media, 16)
    (media / "own" / "13.jpg").write_bytes(jpeg(12))
    (media / "own" / "14.jpg").write_bytes(b"broken")
    made = catalogue_of(rows, tmp_path / "c", media)
    done("data", "backbone", names, "--out", tmp_path / "b.sqlite")
    done("data", "resolve", made.folder, "--backbone", tmp_path / "b.sqlite", "--out",
         tmp_path / "named")  # fmt: skip
    species = [row["species"] for table in Catalogue.open(tmp_path / "named").scan()
               for row in table.to_pylist()]  # fmt: skip
    assert species[:4] == ["Parus major", "Parus major", "Danaus plexippus", "Vanessa atalanta"]
    told = table_of(tmp_path / "named" / "names.csv")
    assert len(told) == 4
    done("data", "curate", tmp_path / "named", "--out", tmp_path / "kept", "--curate.blank", 0,
         "--workspace", tmp_path / "ws")  # fmt: skip
    kept = Catalogue.open(tmp_path / "kept")
    assert len(kept) == 14
    assert kept.header.notes["leftOut"]["total"] == 2
    assert [entry["verb"] for entry in kept.header.history] == ["import", "resolve", "curate"]
