"""Waves of jobs, what is written down of them, and the scripts that ask for them."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from fakes.sweeps import tiny_sweep
from syntype.configs import Workplace
from syntype.errors import DataNotFoundError, ResourceError, UsageError
from syntype.launch import Launch, logs, read_profile, scripts, status, submit
from syntype.sweep import parts_of, run_part

CONFIG = tiny_sweep(objective=("clusters", "species", "random"))


@pytest.fixture
def launch(tmp_path):
    return Launch.of(CONFIG, Workplace(workspace=tmp_path / "runs", quiet=True))


@pytest.fixture
def queue(monkeypatch):
    """What squeue says."""
    states = {}

    def run(command, **options):
        assert command[0] == "squeue"
        text = "".join(f"{job}|{state}\n" for job, state in states.items())
        return subprocess.CompletedProcess(command, 0, text, "")

    monkeypatch.setattr(subprocess, "run", run)
    return states


def test_what_is_written_is_what_is_read(launch):
    launch.write()
    assert Launch.read(launch.folder) == launch
    assert launch.place.workspace.is_absolute()
    with pytest.raises(DataNotFoundError, match="syntype launch"):
        Launch.read(launch.folder / "elsewhere")


def test_another_sweep_is_another_launch(launch):
    other = Launch.of(replace(CONFIG, k=(6,)), launch.place)
    assert other.folder != launch.folder


def test_waves_hold_every_part_once_and_the_control_waits_for_the_choice(launch):
    assert launch.parts == ("embed", "k-6", "k-12", "species", "random", "report")
    assert launch.parts[:-1] == parts_of(CONFIG)
    names = [wave.name for wave in launch.waves]
    for place, wave in enumerate(launch.waves):
        assert {*wave.after, *wave.ended} <= set(names[:place])
    assert launch.waves[2].ended == ("train",)
    plain = Launch.of(replace(CONFIG, objective=("clusters",)), launch.place)
    assert plain.parts == ("embed", "k-6", "k-12", "report")


def test_an_unknown_part_is_refused(launch):
    with pytest.raises(UsageError, match="k-6, k-12"):
        run_part(CONFIG, launch.place, "k-7")


def test_scripts_ask_for_what_the_profile_says(launch, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'partition = "gpu"\naccount = "lab"\nqos = "lab-b"\ngpus = 2\ngpu_type = "a100"\n'
        'memory = "64GB"\ntime = "2-00:00:00"\nsignal_minutes = 7\nmodules = ["cuda/12", "gcc"]\n'
        'container = "apptainer exec image.sif"\nconstraint = "big"\narray_parallelism = 3\n'
        'setup = ["echo ready"]\nenvironment = { HF_HOME = "$HOME/hub", FLAGS = "-a \\"b\\"" }\n'
        'extra = { mail-type = "END" }\n[report]\ngpus = 0\ntime = "30"\n'
    )
    found = scripts(launch, read_profile(str(path)))
    assert list(found) == ["embed", "train", "control", "report"]
    train = found["train"].splitlines()
    for directive in (
        "partition=gpu", "account=lab", "qos=lab-b", "gpus=a100:2", "mem=64GB", "time=2880",
        "signal=USR1@420", "constraint=big", "array=0-2%3", "dependency=afterok:EMBED_JOB",
        "kill-on-invalid-dep=yes", "mail-type=END", "cpus-per-task=4", "nodes=1",
    ):  # fmt: skip
        assert f"#SBATCH --{directive}" in train
    text = found["train"]
    places = [text.index(one) for one in (
        "module load cuda/12", "module load gcc", 'export HF_HOME="$HOME/hub"',
        r'export FLAGS="-a \"b\""', "echo ready", "apptainer exec image.sif",
    )]  # fmt: skip
    assert places == sorted(places)
    assert "#SBATCH --dependency=afterok:EMBED_JOB,afterany:TRAIN_JOB\n" in found["control"]
    report = found["report"]
    assert (
        "#SBATCH --dependency=afterok:EMBED_JOB,afterany:TRAIN_JOB,afterany:CONTROL_JOB\n" in report
    )
    assert "--gpus" not in report
    assert "#SBATCH --time=30\n" in report


def test_a_container_may_have_an_interpreter_of_its_own(launch, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('container = "apptainer exec image.sif"\npython = "/opt/py/bin/python"\n')
    text = scripts(launch, read_profile(str(path)))["train"]
    assert " apptainer exec image.sif /opt/py/bin/python -u -m submitit" in text
    assert sys.executable not in text


def test_a_workspace_with_a_space_is_one_word(tmp_path):
    launch = Launch.of(CONFIG, Workplace(workspace=tmp_path / "my runs", quiet=True))
    text = scripts(launch, read_profile("generic-gpu"))["train"]
    assert f"submitit.core._submit '{launch.folder / 'logs'}'" in text


def test_what_is_done_is_not_asked_for_again(launch):
    launch.write()
    for part in ("embed", "k-6", "species"):
        launch.note(part, "start")
        launch.note(part, "done")
    found = scripts(launch, read_profile("generic-gpu"))
    assert list(found) == ["train", "control", "report"]
    assert "--array" not in found["train"]
    assert "--dependency" not in found["train"]
    assert "#SBATCH --dependency=afterany:TRAIN_JOB\n" in found["control"]


def test_what_follows_something_that_is_done_again_is_done_again(launch):
    launch.write()
    embed, train, control, report = launch.waves
    for part in launch.parts:
        launch.note(part, "start")
        launch.note(part, "done")
        time.sleep(0.002)
    assert [launch.left(wave) for wave in launch.waves] == [[], [], [], []]
    launch.note("k-6", "start")
    launch.note("k-6", "failed", message="it diverged")
    assert launch.left(train) == ["k-6"]
    assert launch.left(control) == ["random"]
    assert launch.left(report) == ["report"]
    time.sleep(0.002)
    launch.note("k-6", "done")
    assert launch.left(train) == launch.left(embed) == []
    assert launch.left(control) == ["random"]


def test_without_slurm_it_says_where_to_go(launch, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ResourceError, match="--on processes"):
        submit(launch, read_profile("generic-gpu"))
    assert not launch.folder.exists()


def test_nothing_is_submitted_twice(launch, queue, monkeypatch):
    launch.write()
    (launch.folder / "jobs.json").write_text(json.dumps({"embed": "7", "k-6": "8_0"}))
    queue["8_0"] = "PENDING"
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(UsageError, match=r"under way already \(k-6\).*--cancel"):
        submit(launch, read_profile("generic-gpu"))


def test_status_believes_slurm_about_what_a_killed_job_could_not_say(launch, queue):
    launch.write()
    jobs = {"embed": "7", "k-6": "8_0", "k-12": "8_1", "species": "8_2", "random": "9"}
    (launch.folder / "jobs.json").write_text(json.dumps(jobs))
    queue.update({"8_0": "RUNNING", "8_2": "PENDING"})
    launch.note("embed", "start")
    launch.note("embed", "done")
    for event in ("start", "paused", "start"):
        launch.note("k-6", event)
    launch.note("k-12", "start")
    rows = {row[0]: row for row in status(launch)}
    states = {part: row[2] for part, row in rows.items()}
    assert states == {
        "embed": "done", "k-6": "running", "k-12": "killed", "species": "pending",
        "random": "not run", "report": "not begun",
    }  # fmt: skip
    assert rows["k-6"][4] == "1"
    launch.note("species", "start")
    launch.note("species", "failed", message="too few pictures")
    assert status(launch)[3][-1] == "too few pictures"


def test_status_looks_for_a_process_that_could_not_say_that_it_was_killed(launch):
    launch.write()
    launch.note("embed", "start")  # by this very process
    assert status(launch)[0][2] == "running"
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    lines = launch.folder / "events.jsonl"
    event = json.loads(lines.read_text()) | {"job": gone.stdout.strip()}
    lines.write_text(json.dumps(event) + "\n")
    assert status(launch)[0][2] == "killed"
    lines.write_text(json.dumps(event | {"node": "elsewhere"}) + "\n")
    assert status(launch)[0][2] == "running"


def test_logs_are_those_of_the_part(launch):
    launch.write()
    folder = launch.folder / "logs"
    folder.mkdir()
    (launch.folder / "jobs.json").write_text(json.dumps({"k-6": "8_0", "k-12": "8_1"}))
    (folder / "8_0_0_log.out").write_text("a\nb\nc\n")
    (folder / "8_1_0_log.out").write_text("other\n")
    assert logs(launch, "k-6", 2) == [(folder / "8_0_0_log.out", "b\nc")]
    with pytest.raises(UsageError, match="--status"):
        logs(launch, "report")
    with pytest.raises(UsageError, match="k-12"):
        logs(launch, "k-7")
