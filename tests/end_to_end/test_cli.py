"""The command line as a user types it; in a process of its own where that matters."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.class_folders import write_class_folders
from syntype import errors
from syntype.cli import EXIT_INTERRUPTED, EXIT_OUR_FAULT, main

ROOT = Path(__file__).parents[2]
TINY = ["--data", "synthetic:species=6,images=90,size=48"]
STAGES = ("embed", "cluster", "train", "evaluate", "report")
FAST = ["--train.epochs", "2", "--evaluate.resamples", "100"]


def run(*arguments: str) -> int:
    """The exit code of a command."""
    try:
        main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("workspace"))


VERBS = [
    *("", "data", "embed", "cluster", "train", "sweep", "evaluate", "compare", "leakage"),
    *("report", "demo", "doctor"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb: str) -> None:
    code = (
        "import sys\nfrom syntype.cli import main\n"
        f"main({[verb, '--help'] if verb else ['--help']!r})\n"
        "heavy = {'torch', 'numpy', 'pyarrow', 'matplotlib', 'open_clip'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: syntype" in done.stdout


def test_the_walk_from_pictures_to_report(
    workspace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ["--workspace", workspace, "--quiet"]
    assert run("data", "info", *TINY, *place) == 0
    assert "90 pictures" in capsys.readouterr().out

    assert run("embed", *TINY, *place) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / "manifest.json").is_file()

    assert run("cluster", *TINY, "--k", "6", "12", *place) == 0
    table = capsys.readouterr().out
    assert "ceiling" in table
    assert " 12 " in table

    assert run("train", *TINY, "--k", "6", "--train.epochs", "2", *place) == 0
    spec = capsys.readouterr().out.strip()
    assert spec.startswith("checkpoint:")

    assert (
        run("evaluate", *TINY, "--encoder", "pixels", spec, "--evaluate.resamples", "100", *place)
        == 0
    )
    assert "class-balanced" in capsys.readouterr().out

    assert run("sweep", *TINY, "--k", "6", "12", *FAST, *place) == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert page.read_text().startswith("<!doctype html>")
    assert (page.parent / "figures" / "models.pdf").is_file()

    monkeypatch.setattr("syntype.report.page.draw_all", lambda data: [])  # once is enough
    before = (page.parent / "report.json").read_bytes()
    (page.parent / "report.json").unlink()
    assert run("report", str(page.parent.parent)) == 0
    assert (page.parent / "report.json").read_bytes() == before


def test_a_plan_runs_nothing(workspace: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["--workspace", workspace + "-plan", "--quiet"]
    assert run("sweep", *TINY, "--k", "6", "900", "--dry-run", *other) == 0
    out = capsys.readouterr().out
    assert "will fail" in out
    assert "k = 6, seed 0" in out
    assert not (Path(workspace + "-plan") / "embed").exists()


def test_the_plan_of_the_real_experiment_needs_no_network_and_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("recipe", "vlm4bio-vit-h14", "--dry-run", "--workspace", str(tmp_path)) == 0
    out = " ".join(capsys.readouterr().out.split())
    for word in ("31,450", "742", "k = 10,000", "bioclip-2", "ViT-H-14"):
        assert word in out


def test_finished_stages_are_shown_as_done(
    workspace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", workspace, "--quiet"]
    assert run("sweep", *TINY, "--k", "6", "12", *FAST, *place) == 0
    capsys.readouterr()
    assert run("sweep", *TINY, "--k", "6", "12", *FAST, "--dry-run", *place) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = [line for line in lines if any(line.startswith(f"│ {stage} ") for stage in STAGES)]
    assert len(steps) == 10  # two encoders, two k twice, two controls, scores, report
    assert all(" done " in line for line in steps)


def test_a_toml_file_is_the_same_as_flags(
    tmp_path: Path, workspace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        f'data = ["{TINY[1]}"]\nk = [6, 12]\nworkspace = "{workspace}"\nquiet = true\n'
        "[train]\nepochs = 2\n[evaluate]\nresamples = 100\n"
    )
    assert run("sweep", "--config", str(file)) == 0
    from_file = capsys.readouterr().out
    assert run("sweep", *TINY, "--k", "6", "12", *FAST, "--workspace", workspace, "--quiet") == 0
    assert capsys.readouterr().out == from_file


@pytest.mark.parametrize(
    ("arguments", "code", "advice"),
    [
        (["sweep", "--dta", "x", "--k", "3"], 2, "does not know --dta"),
        (["sweep", "--data", "x"], 2, "needs --k"),
        (["sweep", "--data", "x", "--k", "3", "--bse", "y"], 2, "--base"),
        (["sweep", "--data", "x", "--k", "1"], 2, "at least 2"),
        (["sweep", "--data", "x", "--k", "three"], 2, "three"),
        (["nonsense"], 2, "Available commands"),
        (["sweep", "--config", "none.toml"], 2, "--config"),
        (["recipe", "nonsense"], 2, "No recipe"),
        (["train", "--data", "x"], 2, "--k"),
        (["sweep", "--data", "no/such/folder", "--k", "3", "--quiet"], 3, "no/such/folder"),
        (["report", "no/such/folder"], 3, "no/such/folder"),
        (["embed", *TINY, "--encoder", "openclip:ViT-B-32", "--quiet"], 4, "open_clip"),
        (["embed", *TINY, "--encoder", "checkpoint:nowhere", "--quiet"], 4, "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_errors_are_one_line_with_what_to_do_and_a_documented_code(
    arguments: list[str],
    code: int,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == code
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("syntype:")]
    assert len(err) == 1
    assert advice in err[0]


def test_tracebacks_only_with_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("report", "nowhere")
    assert "Traceback" not in capsys.readouterr().err
    run("report", "nowhere", "--debug")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), EXIT_INTERRUPTED), (RuntimeError("x"), EXIT_OUR_FAULT)],
)
def test_interrupts_and_our_own_faults_have_their_codes(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(workspace: Path) -> None:
        raise error

    monkeypatch.setattr("syntype.doctor.examine", fails)
    assert run("doctor") == code
    assert capsys.readouterr().err.startswith("syntype:")


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    documented = {
        int(line.split("|")[1])
        for line in page.splitlines()
        if line[:3].strip("| ").isdigit()
        or (line.startswith("| ") and line.split("|")[1].strip().isdigit())
    }
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.SyntypeError)
    }
    assert codes - {1} | {0, EXIT_INTERRUPTED, EXIT_OUR_FAULT} == documented


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_verbs_and_options(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where shells' start files lie
    script = tmp_path / "completion"
    assert run("--install-completion", "--shell", shell, "--output", str(script)) == 0
    text = script.read_text()
    for word in ("sweep", "evaluate", "train.epochs", "plus-plus"):
        assert word in text


def with_prefixes(options: set[str]) -> set[str]:
    """Options, and what stands before their dots: messages and pages put names together."""
    return options | {option.rpartition(".")[0] for option in options if "." in option}


def test_every_option_that_a_message_names_can_be_typed() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    option = re.compile(r"(?<![\w-])--[a-z][a-z.-]*[a-z]")
    known = with_prefixes({*option.findall(page), "--help"})
    elsewhere = {"report", "provenance.py", "hub.py", "fungitastic.py"}  # others' tools and styles
    named = {
        (found, path.name)
        for path in (ROOT / "src" / "syntype").rglob("*.py")
        if not elsewhere & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for found in option.findall(node.value)
    }
    assert len(named) > 50
    assert {(found, name) for found, name in named if found not in known} == set()


def test_every_option_that_a_page_names_can_be_typed() -> None:
    option = re.compile(r"(?<![\w-])--[a-z][a-z.-]*[a-z]")
    reference = ROOT / "docs" / "reference"
    known = with_prefixes({*option.findall((reference / "cli.md").read_text()), "--help"})
    elsewhere = {
        *("--nv", "--metadata", "--images", "--subset"),  # of apptainer, of FungiTastic
        *("--shm-size", "--pwprompt"),  # of docker, of PostgreSQL
        *("--engines", "--hnsw", "--concurrency"),  # of benchmarks/
    }
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    named = {
        (found, page.name)
        for page in pages
        for found in option.findall(page.read_text().replace("--train.NAME", ""))
    }
    assert len(named) > 50
    assert {(found, name) for found, name in named if found not in known | elsewhere} == set()


def test_broken_pictures_are_left_out_and_named_or_stop_the_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_figures: None
) -> None:
    write_class_folders(tmp_path / "photos", n_species=4, n_images=12, n_broken=2)
    place = ["--workspace", str(tmp_path / "runs"), "--quiet", "--k", "4", *FAST]
    data = ["--data", str(tmp_path / "photos")]
    assert run("sweep", *data, "--on-error", "stop", *place) == 3
    assert "--on-error skip" in capsys.readouterr().err
    assert run("sweep", *data, *place) == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1])
    described = json.loads((page.parent / "report.json").read_text())["dataset"]
    assert described["images"] == 48
    assert [one["id"] for one in described["notes"]["leftOut"]["rows"]] == [
        f"photos/Esox_specie00s/broken-{number}.jpg" for number in (0, 1)
    ]
    assert "Left out: 2 (" in page.read_text()
    # The vectors are there by now; who asks for a stop still gets one.
    assert run("sweep", *data, "--on-error", "stop", *place) == 3
    err = capsys.readouterr().err
    assert re.search(r"broken-\d\.jpg", err)
    assert "--on-error skip" in err
    before = (page.parent / "report.json").read_bytes()
    assert run("report", str(page.parent.parent)) == 0
    assert (page.parent / "report.json").read_bytes() == before


def test_models_are_scored_on_several_tasks_and_compared(
    workspace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", workspace, "--quiet"]
    few = ["--evaluate.resamples", "100", "--few-shot.shots", "1", "2", "--probe.strengths", "1"]
    tasks = ["retrieval", "knn", "clustering", "few-shot", "linear-probe"]
    assert run("evaluate", *TINY, "--task", *tasks, *few, *place) == 0
    printed = capsys.readouterr().out
    for metric in ("speciesHit@1", "speciesTop@1", "speciesBCubedF1", "species2Shot"):
        assert metric in printed
    folders = [line for line in printed.splitlines() if line.startswith(workspace)]
    assert len(folders) == 2 * len(tasks)
    assert run("compare", *folders, "--evaluate.resamples", "100", *place) == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert page.name == "index.html"
    assert (page.parent / "comparison.tex").is_file()
    assert run("evaluate", *TINY, "--task", "zero-shot", *place) == errors.EncoderError.exit_code
    assert "--task retrieval" in capsys.readouterr().err.replace("\n", " ")
    assert run("compare", *place) == errors.UsageError.exit_code


def test_a_split_is_published_and_replayed_and_its_leaks_are_looked_for(
    workspace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", workspace, "--quiet"]
    data = ["--data", "synthetic:species=12,images=120,size=48"]
    file = str(tmp_path / "split.parquet")
    assert run("data", "split", *data, "--split", "unseen", "--out", file, *place) == 0
    assert "unseen in training" in capsys.readouterr().out
    assert run("data", "info", *data, "--split", file, *place) == 0
    assert "120 pictures" in capsys.readouterr().out
    assert run("data", "split", *data, "--out", "split.csv", *place) == errors.UsageError.exit_code
    capsys.readouterr()
    assert run("leakage", *data, "--split", file, "--encoder", "pixels", *place) == 0
    printed = capsys.readouterr().out
    assert "train" in printed
    folder = Path(printed.strip().splitlines()[-1])
    assert (folder / "pairs.parquet").is_file()
    other = ["--against", TINY[1]]
    assert run("leakage", *data, *other, *place) == 0
