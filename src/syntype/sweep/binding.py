"""From observations to spaces: the binder's vectors, locked and unlocked tuning, patches.

    <workspace>/bind/<hash>/
        asked.json            what was asked, so that `syntype patch` can ask it anew
        spaces/<name>/        a space for each step, see docs/reference/binding.md
        curves.json           every patching curve, and what was chosen
        fusion.json           weights and scales for fusing senses, and where a sense hurts
        left-out.json         observations that were not used, by name and reason
        record.json           the spaces in order, with their roles

Every costly part is a run of its own (`binding.stages`), so a killed binding goes on where it
stopped, and another patch costs no training that is there already. Trainings may run in several
processes (`sweep.bindery`); patching and scoring know of one. Rows to compare with come from
the same harness: `image only`, `locked` (ImageBind's recipe: the binder is never touched and
nothing is patched), and other encoders of a sense, bound the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from syntype import files
from syntype.binding.bind import Bound
from syntype.binding.experts import fit_experts
from syntype.binding.fusion import combinations_of, fuse, hurts, learn_weights
from syntype.binding.patches import Patched, patch, patched_binder
from syntype.binding.space import Space, with_tower
from syntype.binding.stages import Bindery
from syntype.configs import DataConfig, Workplace, rebuild
from syntype.configs.bind import BindConfig, PatchConfig, by_sense
from syntype.errors import DataNotFoundError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.runs import Run
from syntype.senses.sense import Sense
from syntype.sweep.bindery import loaded, open_bindery
from syntype.sweep.orders import BindOrder

_ASKED = "asked.json"


@dataclass(frozen=True)
class Made:
    """A space among those of a binding.

    Attributes:
        name: What a reader sees.
        role: image only, locked, unlocked, patched, or compared.
        folder: Where it lies, relative to the run.
    """

    name: str
    role: str
    folder: str


def bind_space(
    data: str,
    encoder: str,
    senses: Mapping[str, str],
    config: BindConfig,
    place: Workplace,
    progress: Progress = SILENT,
    *,
    patching: PatchConfig | None = None,
    compare: Sequence[str] = (),
    samples: DataConfig | None = None,
) -> Path:
    """Bind senses to pictures, patch, and save a space for each step.

    Args:
        data: Observations, as `read_observations` takes them.
        encoder: The binder, a spec of an encoder.
        senses: Spec of each sense.
        config: How to bind.
        place: Where to work.
        progress: Where to say how far it is.
        patching: How patches are chosen; None takes the defaults.
        compare: Further senses to be bound in the place of one, as SENSE=SPEC.
        samples: How observations are split and chosen; None takes the defaults.

    Returns:
        The folder of the run.

    Raises:
        UsageError: No sense is given, or options contradict each other.
        DataError: The observations cannot be used.
        EncoderError: The binder or a sense cannot be loaded.
        TrainingError: A training diverged, or one of its processes failed.
        Paused: A signal asked for a pause, and a checkpoint was written.
    """
    patching = patching or PatchConfig()
    if not senses:
        raise UsageError("Name at least one sense to bind, for example --place untrained:...")
    pairs = _pairs(compare)
    if unbound := sorted({name for name, _ in pairs} - senses.keys()):
        raise UsageError(
            f"--compare names {unbound[0]}, and none is bound that it could be compared with: give "
            f"--{unbound[0]} too."
        )
    others = [loaded(name, spec, config, place) for name, spec in pairs]
    order = BindOrder(data, encoder, config, place, senses, samples)
    bindery = open_bindery(order, progress)
    asked = {
        "data": data,
        "encoder": encoder,
        "senses": dict(senses),
        "config": plain(config),
        "patching": plain(patching),
        "compare": list(compare),
        "samples": None if samples is None else plain(samples),
    }
    run = _run(bindery, patching, others)
    with run.working():
        if not run.finished:
            files.write_json(run.path(_ASKED), asked)
            _bind(run, bindery, patching, others)
    return run.folder


def repatch(
    folder: Path, patching: PatchConfig, place: Workplace, progress: Progress = SILENT
) -> Path:
    """Patch a binding anew, under another budget or by another method; trainings are reused.

    Args:
        folder: Of a run of `bind_space`.
        patching: How.
        place: Where to work; the workspace is that of the folder.
        progress: Where to say how far it is.

    Raises:
        DataNotFoundError: There is no such run.
    """
    path = folder / _ASKED
    if not path.is_file():
        raise DataNotFoundError(
            f"{folder} holds no binding: {_ASKED} is missing. Name a folder that `syntype bind` "
            "named at its end."
        )
    asked = files.as_mapping(files.read_json(path), path)
    samples = asked["samples"]
    return bind_space(
        asked["data"],
        asked["encoder"],
        asked["senses"],
        rebuild(BindConfig, asked["config"]),
        replace(place, workspace=folder.resolve().parents[1]),
        progress,
        patching=patching,
        compare=asked["compare"],
        samples=None if samples is None else rebuild(DataConfig, samples),
    )


def spaces_of(folder: Path) -> list[Made]:
    """The spaces of a finished binding, in order.

    Raises:
        ResourceError: It is not finished.
    """
    record = Run("bind", {}, folder).record
    return [Made(**one) for one in record["spaces"]]


def _pairs(compare: Sequence[str]) -> list[tuple[str, str]]:
    """SENSE=SPEC texts, where a sense may come several times."""
    return [pair for one in compare for pair in by_sense((one,), "--compare").items()]


def _run(bindery: Bindery, patching: PatchConfig, others: Sequence[Sense]) -> Run:
    return bindery.run(
        "bind",
        {
            "observations": bindery.observations.revision,
            "binder": bindery.binder.key,
            "senses": {name: sense.key for name, sense in bindery.senses.items()},
            "config": plain(bindery.config),
            "patching": plain(patching),
            "compare": [sense.key for sense in others],
        },
    )


def _bind(run: Run, bindery: Bindery, patching: PatchConfig, others: Sequence[Sense]) -> None:
    """All steps, in the order in which one needs the other; finishes the run."""
    locked = {name: bindery.locked(name, sense) for name, sense in bindery.projected.items()}
    made = [
        _saved(run, bindery, "image only", "image only", {}),
        _saved(run, bindery, "locked", "locked", locked),
    ]
    for sense in others:
        other = bindery.locked(sense.modality, bindery.in_dimensions(sense))
        name = f"locked, {sense.modality} by {sense.name}"
        made.append(_saved(run, bindery, name, "compared", {**locked, sense.modality: other}))
    outcome: dict[str, Any] = {}
    if bindery.config.unlocked_epochs:
        patched = patch(bindery, locked, patching)
        for name, bound in patched.unlocked.items():
            title = "unlocked" if name == "all" else f"unlocked, {name}"
            parts = {**locked, **dict.fromkeys(bound.senses, bound)}
            made.append(_saved(run, bindery, title, "unlocked", parts, bound.tower))
        space = _space(run, bindery, patched.senses, patched.temperatures, _steps(bindery, patched))
        space = replace(space, binder=patched_binder(bindery.binder, patched))
        space.save(run.path("spaces/patched"))
        made.append(Made("patched", "patched", "spaces/patched"))
        outcome = patched.as_json()
        files.write_json(run.path("curves.json"), outcome)
    else:
        space = _space(run, bindery, *_parts(locked), _steps(bindery, None))
    fusion = _fusion(bindery, space)
    files.write_json(run.path("fusion.json"), fusion)
    files.write_json(run.path("left-out.json"), bindery.left_out)
    for warning in fusion["warnings"]:
        if " hurts: " in warning:  # the others are in the file
            bindery.progress.say(f"warning: {warning}")
    run.finish(
        spaces=[plain(one) for one in made],
        alpha=outcome.get("alpha", {}),
        beta=outcome.get("beta", {}),
        warnings=fusion["warnings"],
    )


def _parts(bound: Mapping[str, Bound]) -> tuple[dict[str, Sense], dict[str, Any]]:
    return (
        {name: one.senses[name] for name, one in bound.items()},
        {name: one.temperatures[name] for name, one in bound.items()},
    )


def _space(
    run: Run,
    bindery: Bindery,
    senses: Mapping[str, Sense],
    temperatures: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
) -> Space:
    del run
    return Space(
        binder=bindery.binder,
        senses=senses,
        temperatures=temperatures,
        steps=steps,
        workspace=bindery.place.workspace,
        base=bindery.binder,
        prompt=bindery.config.prompt,
        progress=bindery.progress,
    )


def _saved(
    run: Run,
    bindery: Bindery,
    name: str,
    role: str,
    bound: Mapping[str, Bound],
    tower: Mapping[str, Any] | None = None,
) -> Made:
    """Write the space of a step."""
    folder = "".join(c if c.isalnum() else "-" for c in name.lower())
    steps = [{"step": role, "senses": sorted(bound), "config": plain(bindery.config)}]
    space = _space(run, bindery, *_parts(bound), steps)
    replace(space, binder=with_tower(bindery.binder, tower)).save(run.path(f"spaces/{folder}"))
    return Made(name, role, f"spaces/{folder}")


def _steps(bindery: Bindery, patched: Patched | None) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"step": "locked", "config": plain(bindery.config)}]
    if patched is not None:
        steps.append({"step": "patched", "alpha": patched.shares, "beta": patched.betas})
    return steps


def _fusion(bindery: Bindery, space: Space) -> dict[str, Any]:
    """Weights, experts and warnings, from the selection split."""
    selection = bindery.selection()
    empty: dict[str, Any] = {"weights": None, "experts": None, "warnings": [], "combinations": []}
    if selection.names is None:
        return empty
    observations, n = selection.observations, len(selection.observations)
    vectors: dict[str, np.ndarray] = {}
    for name in ("image", *space.senses):
        if name != "image" and not observations.has(name).any():
            continue
        ids, found = space.vectors(observations, name)
        vectors[name] = np.full((n, found.shape[1]), np.nan, dtype=np.float32)
        vectors[name][selection.rows_of(ids)] = found
    learned = learn_weights(vectors, selection.names, selection.labels)
    experts = fit_experts(vectors, selection.names, selection.labels)
    scores = {}
    for combination in combinations_of(list(vectors)):
        if "image" not in combination:
            continue
        chosen = {name: vectors[name] for name in combination}
        there = np.logical_and.reduce([np.isfinite(one).all(1) for one in chosen.values()])
        scores[combination] = np.full(n, np.nan)
        if there.any():
            fused = fuse({name: one[there] for name, one in chosen.items()})
            right = (fused @ selection.names.T).argmax(1) == selection.labels[there]
            scores[combination][there] = right
    units = observations.column("unit").tolist()
    known = {name: row for name, row in scores.items() if not np.isnan(row).all()}
    return {
        "weights": plain(learned),
        "experts": plain(experts),
        "warnings": [str(one) for one in hurts(known, units)],
        "combinations": [
            {"senses": list(name), "accuracy": float(np.nanmean(row)), "n": int((row == row).sum())}
            for name, row in known.items()
        ],
    }
