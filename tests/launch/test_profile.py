"""Profiles: what is in the file is what is asked for, and what is wrong is named."""

import pytest

from syntype.errors import UsageError
from syntype.launch.profile import Ask, read_profile, require_filled, shipped


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_profile_reads(name):
    profile = read_profile(name)
    assert profile.name == name
    assert profile.train.minutes >= 60
    assert profile.train.signal_minutes < profile.train.minutes


def test_a_stage_overrules_what_stands_above_it(tmp_path):
    profile = read_profile(
        written(tmp_path, 'gpus = 2\nmodules = ["cuda/12"]\n[report]\ngpus = 0\ncpus = 3\n')
    )
    assert profile.embed == profile.train == Ask(gpus=2, modules=("cuda/12",))
    assert profile.report == Ask(gpus=0, modules=("cuda/12",), cpus=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('acount = "x"', "acount.*mean account"),
        ("zzz = 1", "zzz.*partition"),
        ('gpus = "two"', "gpus = 'two'.*int"),
        ('modules = "cuda"', "modules.*list"),
        ("gpus = true", "gpus = True.*int"),
        ("report = 3", "report.*table"),
        ("a = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_profile(written(tmp_path, text))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml"])
def test_an_unknown_profile_lists_those_there_are(name):
    with pytest.raises(UsageError, match="generic-gpu"):
        read_profile(name)


@pytest.mark.parametrize(
    ("time", "minutes"),
    [("90", 90), ("01:30:00", 90), ("1:30", 90), ("2-00:00:00", 2880), ("00:00:30", 1)],
)
def test_times(time, minutes):
    assert Ask(time=time).minutes == minutes


@pytest.mark.parametrize("time", ["", "soon", "1:2", "24 h"])
def test_what_is_no_time(time):
    with pytest.raises(UsageError, match="24:00:00"):
        _ = Ask(time=time).minutes


def test_a_question_mark_asks_the_user():
    profile = read_profile("hipergator")
    with pytest.raises(UsageError, match=r"--account NAME --qos NAME"):
        require_filled(profile)
    require_filled(profile.with_account("lab", "lab", ""))
