"""What users get wrong: each ends in one line that says what to do, and in its exit code."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from fakes.class_folders import write_class_folders
from fakes.picture_sets import fake_encoder
from syntype import files
from syntype.cli import main

Failure = tuple[int, str]
FAST = ["--k", "3", "--train.epochs", "1", "--evaluate.resamples", "100", "--quiet"]


@pytest.fixture
def fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Failure]:
    """The code and the one line of a sweep that cannot be."""
    monkeypatch.setattr("syntype.report.page.draw_all", lambda data: [])

    def run(data: Path, *arguments: str) -> Failure:
        place = ["--workspace", str(tmp_path / "runs")]
        with pytest.raises(SystemExit) as stop:
            main(["sweep", "--data", str(data), *FAST, *place, *arguments])
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("syntype: ")
        return int(stop.value.code or 0), line

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "photos", n_species=3, n_images=8)


def test_a_missing_folder(fail: Callable[..., Failure], tmp_path: Path) -> None:
    code, line = fail(tmp_path / "nowhere")
    assert code == 3
    assert "nowhere" in line
    assert "--data takes a folder of class folders" in line


def test_a_folder_without_pictures(fail: Callable[..., Failure], tmp_path: Path) -> None:
    (tmp_path / "photos" / "Esox_lucius").mkdir(parents=True)
    code, line = fail(tmp_path / "photos")
    assert code == 3
    assert "Put each species in a folder of its own" in line or "Check the path" in line


def test_an_empty_class_does_not_stop_the_others(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "Salmo_trutta").mkdir()
    main(["data", "info", "--data", str(photos), "--workspace", str(tmp_path / "runs"), "--quiet"])
    out = capsys.readouterr().out
    assert "24 pictures" in out
    assert "Salmo" in out
    assert "a folder without pictures" in out


def test_one_class(fail: Callable[..., Failure], tmp_path: Path) -> None:
    code, line = fail(write_class_folders(tmp_path / "photos", n_species=1, n_images=8))
    assert code == 3
    assert "one species" in line
    assert "two species or more" in line


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 no picture"])
def test_no_picture_can_be_read(content: bytes, fail: Callable[..., Failure], photos: Path) -> None:
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))):
        path.write_bytes(content and content + bytes([number]))
    code, line = fail(photos)
    assert code in (3, 5)
    assert "Mend or remove" in line or "Check --data" in line
    assert "--column" not in line  # class folders have none


def test_more_clusters_than_pictures(fail: Callable[..., Failure], photos: Path) -> None:
    code, line = fail(photos, "--k", "500")
    assert code == 8
    assert "k = 500, seed 0: " in line
    assert "run the same command again" in line
    said = line.split("k = 500, seed 0: ")[1]
    assert "vectors" in said or "pictures" in said
    assert "--k" in said


class Nothing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 8), torch.nan)


def test_vectors_that_are_nan(
    fail: Callable[..., Failure], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = fake_encoder(module=Nothing())
    monkeypatch.setattr("syntype.sweep.workshop.load_encoder", lambda spec, device: encoder)
    code, line = fail(photos)
    assert code == 5
    assert "zero, NaN or infinite" in line
    assert "Check the weights" in line
    assert "sample photos/" in line


def test_an_unknown_encoder_costs_nothing(
    fail: Callable[..., Failure], photos: Path, tmp_path: Path
) -> None:
    code, line = fail(photos, "--baseline", "open_clip:ViT-B-33/openai")
    assert code == 4
    assert "ViT-B-33" in line
    assert "ViT-B-32" in line  # a close one
    assert not (tmp_path / "runs" / "embed").exists()


@pytest.mark.parametrize("stage", ["embed", "cluster", "train", "evaluate", "sweep"])
def test_a_full_disk(
    stage: str, fail: Callable[..., Failure], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if stage in path.parts:
            with files.clear_disk_errors(path):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    write = files.write_bytes
    monkeypatch.setattr(files, "write_bytes", full)
    code, line = fail(photos)
    assert code == 7
    assert "is full" in line
    assert "Free some room" in line
    assert "run the same command again" in line


def test_a_workspace_that_is_a_file(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SystemExit) as stop:
        main(["sweep", "--data", str(photos), *FAST, "--workspace", str(tmp_path / "file")])
    assert stop.value.code == 2
    assert (
        "file is a file. Name a folder, there or to be made: --workspace" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--column", "label=speces"], "no column 'speces'"),
        (["--column", "image=file"], "no column 'file'"),
        (["--unit", "track"], "no column 'track'"),
    ],
)
def test_a_wrong_column(
    options: list[str], words: str, fail: Callable[..., Failure], photos: Path
) -> None:
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in photos.rglob("*.jpg")]
    (photos / "labels.csv").write_text("\n".join(["path,species", *rows]) + "\n")
    code, line = fail(photos, *options)
    assert code == 2
    assert words in line
    assert "path, species" in line
