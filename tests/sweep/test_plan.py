from pathlib import Path

import pytest

from fakes.sweeps import tiny_sweep
from syntype.configs import ClusterConfig, Expected, KMeansConfig, Workplace
from syntype.errors import DataNotFoundError, UnknownEncoderError
from syntype.sweep import Plan, Workshop, plan_sweep
from syntype.sweep.plan import Step


def steps_of(plan: Plan, stage: str) -> list[Step]:
    return [step for step in plan.steps if step.stage == stage]


def test_the_plan_of_an_undrawn_world_draws_nothing(tmp_path: Path) -> None:
    plan = plan_sweep(tiny_sweep(), Workplace(workspace=tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    assert plan.facts[0] == ("data", "to be drawn: 90 pictures, 6 species")
    assert {step.state for step in plan.steps} == {"to do"}
    assert [step.what for step in steps_of(plan, "embed")] == ["pixels", "descriptors"]
    assert [step.what for step in steps_of(plan, "cluster")] == ["k = 6, seed 0", "k = 12, seed 0"]
    assert [step.what for step in steps_of(plan, "train")] == [
        "k = 6, seed 0",
        "k = 12, seed 0",
        "species labels, seed 0",
        "random labels, seed 0",
    ]
    assert steps_of(plan, "evaluate")[0].what == "6 models on val and test"


def test_what_is_there_is_done_and_the_rest_to_do(workshop: Workshop, place: Workplace) -> None:
    config = tiny_sweep()
    before = plan_sweep(config, place)
    assert {step.state for step in before.steps} == {"to do"}
    assert before.facts[0][1].startswith("90 pictures, 6 species, ")

    base = workshop.model("descriptors", "base")
    clustering = workshop.clusters(base, ClusterConfig.of(config.cluster, 6))
    workshop.trained(base, "species", None, config.train)
    workshop.trained(base, "random", clustering, config.train)
    plan = plan_sweep(config, place)
    done = {(step.stage, step.what) for step in plan.steps if step.state == "done"}
    assert done == {
        ("embed", "descriptors"),
        ("cluster", "k = 6, seed 0"),
        ("train", "species labels, seed 0"),
        ("train", "random labels, seed 0"),
    }


def test_changed_options_are_to_do_again(workshop: Workshop, place: Workplace) -> None:
    config = tiny_sweep(k=(7,))
    base = workshop.model("descriptors", "base")
    workshop.clusters(base, ClusterConfig.of(config.cluster, 7))
    assert steps_of(plan_sweep(config, place), "cluster")[0].state == "done"
    other = tiny_sweep(k=(7,), seeds=(1,))
    assert steps_of(plan_sweep(other, place), "cluster")[0].state == "to do"


def test_a_k_beyond_the_pictures_is_said_to_fail(workshop: Workshop, place: Workplace) -> None:
    plan = plan_sweep(tiny_sweep(k=(6, 900)), place)
    n_train = workshop.dataset.counts("split")["train"]
    said = [step.what for step in plan.steps if "will fail" in step.what]
    assert said == [f"k = 900, seed 0: will fail, only {n_train} pictures to train on"] * 2


def test_k_within_species_is_a_number_for_each_species(
    workshop: Workshop, place: Workplace
) -> None:
    config = tiny_sweep(k=(2, 600), cluster=KMeansConfig(within="species"))
    plan = plan_sweep(config, place)
    assert [step.what for step in steps_of(plan, "cluster")] == [
        "k = 2, seed 0: for each species",
        "k = 600, seed 0: for each species",
    ]
    bytes_of_a_centre = 822 * 4
    n_train = workshop.dataset.counts("split")["train"]
    assert [step.n_bytes // bytes_of_a_centre for step in steps_of(plan, "cluster")] == [
        12,
        n_train,
    ]
    groups = plan_sweep(tiny_sweep(k=(2,), cluster=KMeansConfig(within="group")), place)
    assert steps_of(groups, "cluster")[0].n_bytes // bytes_of_a_centre == 6


def test_data_that_are_not_here_need_a_published_size(tmp_path: Path) -> None:
    config = tiny_sweep(tmp_path / "nothing")
    place = Workplace(workspace=tmp_path / "runs")
    with pytest.raises(DataNotFoundError, match="nothing"):
        plan_sweep(config, place)
    plan = plan_sweep(config, place, expected=Expected(1000, 50, "the paper"))
    found = "not here; published: 1,000 pictures, 50 species (the paper)"
    assert plan.facts[0] == ("data", found)
    assert {step.state for step in plan.steps} == {"to do"}


def test_unknown_encoders_stop_the_plan(place: Workplace) -> None:
    with pytest.raises(UnknownEncoderError, match="open_clip"):
        plan_sweep(tiny_sweep(base="openclip:ViT-B-32"), place)


def test_the_total_is_of_what_is_to_do_and_counts_what_is_unknown(tmp_path: Path) -> None:
    config = tiny_sweep(baseline=("transformers:nobody/nothing",))
    plan = plan_sweep(config, Workplace(workspace=tmp_path / "runs"))
    (_, header, rows) = plan.tables()[1]
    assert len({len(row) for row in rows} | {len(header)}) == 1
    assert rows[-1][0] == "all to do"
    assert rows[-1][1] == "and 1 of unknown cost"
    known = sum(step.cost.flops for step in plan.steps if step.cost.flops is not None)
    assert rows[-1][3] == f"{known / 1e12:,.2f}"
    unknown = next(row for row in rows if row[1].startswith("transformers"))
    assert unknown[3:6] == ("unknown", "unknown", "unknown")
