"""The report of a binding: what each of its spaces is worth on the report split.

    <binding>/report/
        index.html          the page, which needs no other file
        report.json         all of its numbers
        scores.json         matrix, combinations, steps, audit and maps, as evaluated
        hits.parquet        a row per observation: what each combination answered rightly
        maps/               GeoTIFFs of the maps shown

It is a run of its own: one that is finished is not made again, one under other options or by
another version replaces it, and vectors, which cost most, are kept in the workspace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from syntype import files
from syntype.configs import DataConfig, EvaluateConfig, Workplace, rebuild
from syntype.configs.bind import PatchConfig
from syntype.data.observations import Observations, read_observations
from syntype.errors import DataNotFoundError
from syntype.evaluation.combined import Answers, Combined, combine
from syntype.evaluation.cross_matrix import Matrix, cross_matrix
from syntype.evaluation.geography import Audit, TrainingPoints, audit
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.report import formats, space_from
from syntype.report.space_data import SpaceReport
from syntype.report.space_page import write_space_page
from syntype.runs import Run
from syntype.sweep.binding import Made, spaces_of
from syntype.sweep.spaces_exam import SPLIT, Exam, Seen, open_space, see
from syntype.sweep.spaces_examples import examples
from syntype.sweep.spaces_maps import Atlas, all_maps, ground_of, map_notes, map_views
from syntype.sweep.spaces_parts import (
    cautions,
    combination_parts,
    command,
    few_queries,
    patch_curves,
    step_notes,
    step_rows,
    sureness_note,
)
from syntype.sweep.spaces_scores import STEPS, Task, answers_of, sureness, tasks_of, views_of
from syntype.version import __version__

_FOLDER, _SCORES, _HITS = "report", "scores.json", "hits.parquet"


def report_spaces(
    folder: Path,
    place: Workplace,
    config: EvaluateConfig | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Score every space of a finished binding on the report split, and write the page.

    Args:
        folder: Of a run of `bind_space`.
        place: Where to work; the workspace is that of the folder.
        config: Depths, and the number, seed and confidence of the resamples.
        progress: Where to say how far it is.

    Returns:
        The path of the page.

    Raises:
        DataNotFoundError: There is no such run, or its data are gone.
        DataError: The report split has no species.
        ResourceError: The binding is not finished, or the disk is full.
        EncoderError: A space cannot be opened any more.
    """
    config = config or EvaluateConfig()
    asked = _asked(folder)
    made = spaces_of(folder)
    described = plain({"version": __version__, "binding": folder.name, "evaluate": plain(config)})
    run = Run("bind-report", described, folder / _FOLDER)
    page = run.path("index.html")
    with run.working():
        if run.finished and page.is_file() and run.record["described"] == described:
            return page
        workspace = folder.resolve().parents[1]
        samples = asked["samples"]
        observations = read_observations(
            asked["data"],
            workspace=workspace,
            config=None if samples is None else rebuild(DataConfig, samples),
            progress=progress,
            workers=place.workers,
        )
        here = replace(place, workspace=workspace)
        work = _Work(folder, run, asked, observations, config, here, progress)
        report = work.report(made)
        write_space_page(report, run.folder)
        run.finish(described=described, n=report.n)
    return page


def _asked(folder: Path) -> Mapping[str, Any]:
    path = folder / "asked.json"
    if not path.is_file():
        raise DataNotFoundError(
            f"{folder} holds no binding: {path.name} is missing. Name a folder that `syntype bind` "
            "named at its end."
        )
    return files.as_mapping(files.read_json(path), path)


class _Work:
    """A report in the middle of its making.

    Args:
        folder: Of the binding.
        run: Of the report.
        asked: What the binding was asked.
        observations: All splits.
        config: How to score.
        place: Where to work.
        progress: Where to say how far it is.
    """

    def __init__(
        self,
        folder: Path,
        run: Run,
        asked: Mapping[str, Any],
        observations: Observations,
        config: EvaluateConfig,
        place: Workplace,
        progress: Progress,
    ) -> None:
        self.folder, self.run, self.asked = folder, run, asked
        self.observations, self.place, self.progress = observations, place, progress
        self.exam = Exam.of(observations, config)
        self.fusion = self._read("fusion.json")
        self.curves = self._read("curves.json")
        self.patching = rebuild(PatchConfig, asked["patching"])
        self.left_out: list[str] = []
        self.scores: dict[str, Any] = {}

    def _read(self, name: str) -> Mapping[str, Any]:
        path = self.folder / name
        return files.as_mapping(files.read_json(path), path) if path.is_file() else {}

    def report(self, made: Sequence[Made]) -> SpaceReport:
        """Score everything and put it together."""
        exam = self.exam
        seen = self._seen(made)
        last = next(one for one in reversed(seen) if one.made.role in ("patched", "locked"))
        self.progress.say(f"report: the matrix of {', '.join(last.rows)}")
        matrix = cross_matrix(views_of(exam, last), exam.config)
        self.scores["matrix"] = [cell.as_json() for cell in matrix.cells]
        parts = self._named(last, seen) | self._steps(seen) | self._maps(last)
        warnings = cautions(exam, self._read("record.json"), self.curves, last.names is not None)
        warnings += parts.pop("warnings", [])
        files.write_json(self.run.path(_SCORES), self.scores)
        return SpaceReport(
            title=f"One space of {len(last.rows)} senses: {self._dataset()}",
            dataset=self._dataset(),
            binder=self._binder(),
            modalities=matrix.modalities,
            n=len(exam),
            n_units=len(set(exam.units)),
            n_species=len(set(exam.labels["species"])),
            split=SPLIT,
            matrices=space_from.level_matrices(matrix),
            metric=f"Recall@{exam.config.recall_at[0]}",
            curves=patch_curves(self.curves, self.patching),
            curves_metric="on the selection split: shares named rightly, or mean reciprocal ranks",
            examples=examples(exam, last, matrix),
            presence=space_from.presences(matrix, self._reasons(matrix)),
            warnings=warnings,
            left_out=[*self._unused(), *self.left_out],
            commands=[command(self.asked)],
            settings={
                "binding": {name: self.asked[name] for name in ("senses", "config", "patching")},
                "evaluate": plain(exam.config),
            },
            provenance=self._provenance(),
            confidence=exam.config.confidence,
            **parts,
        )

    def _provenance(self) -> Mapping[str, Any]:
        """Who made the binding, when and with what."""
        return Run("bind", {}, self.folder).provenance

    def _binder(self) -> str:
        passes = self.asked["config"]["warm_epochs"]
        plural = "" if passes == 1 else "es"
        words = f", trained on pictures and names for {passes} pass{plural}" if passes else ""
        return str(self.asked["encoder"]) + words

    def _dataset(self) -> str:
        return ", ".join(card.name for card in self.observations.cards) or str(self.asked["data"])

    def _seen(self, made: Sequence[Made]) -> list[Seen]:
        """Every space's vectors of the report split; spaces are opened one after the other."""
        found = []
        for one in made:
            self.progress.say(f"report: {one.name}")
            space = open_space(
                self.folder, one, self.place.workspace, self.place.device, self.progress
            )
            found.append(see(self.exam, one, space))
        return found

    def _named(self, last: Seen, seen: Sequence[Seen]) -> dict[str, Any]:
        """Naming species, and where on Earth that is good."""
        if last.names is None:
            self.left_out.append("Naming species: the binder reads no names.")
            return {}
        exam = self.exam
        self.progress.say("report: naming species from every combination of senses")
        answers = answers_of(exam, last, seen, self.fusion)
        combined = combine(exam.labels, exam.units, exam.classes, answers, exam.config)
        self.scores["combinations"] = combined.as_json()
        self._keep_hits(answers)
        rows, gains, hurting = combination_parts(combined, last.senses)
        found: dict[str, Any] = {
            "combinations": rows,
            "gains": gains,
            "n_classes": len(exam.classes),
            "warnings": hurting + few_queries(combined),
            "zero_shot_notes": [*_about_combinations(combined), *self._sureness(last)],
        }
        return found | self._audit(answers)

    def _sureness(self, last: Seen) -> list[str]:
        """Whether it knows when it is right, in a sentence."""
        found = sureness(self.exam, last, self.fusion)
        if found is None:
            return []
        halves = [self.exam.interval(one) for one in (found.surer, found.less_sure)]
        self.scores["sureness"] = {
            "surer": halves[0].as_json(),
            "lessSure": halves[1].as_json(),
        }
        surer, less_sure = (formats.with_interval(space_from.value(one)) for one in halves)
        return [sureness_note(surer, less_sure)]

    def _keep_hits(self, answers: Sequence[Answers]) -> None:
        columns: dict[str, Any] = {"id": self.exam.observations.ids, "unit": self.exam.units}
        columns["species"] = self.exam.labels["species"]
        columns |= {one.name: self.exam.hits(one).astype(np.float32) for one in answers}
        with files.atomic_path(self.run.path(_HITS)) as temporary:
            pq.write_table(pa.table(columns), temporary)

    def _audit(self, answers: Sequence[Answers]) -> dict[str, Any]:
        """The geographic audit of the picture with the place, or of what there is."""
        exam = self.exam
        plain_ones = {one.modalities: one for one in answers if not one.baseline}
        wanted = (("image", "place"), ("image",), ("place",))
        chosen = next((plain_ones[one] for one in wanted if one in plain_ones), None)
        placed = exam.observations.has("place")
        if chosen is None or not placed[chosen.rows].any():
            self.left_out.append("The geographic audit: no row has both an answer and a place.")
            return {}
        training = TrainingPoints.of(
            latitude=exam.training.latitude, longitude=exam.training.longitude
        )
        found: Audit = audit(
            exam.hits(chosen),
            exam.units,
            latitude=exam.observations.latitude,
            longitude=exam.observations.longitude,
            training=training,
            config=exam.config,
        )
        self.scores["audit"] = found.as_table().to_pylist()
        return {
            "audit": space_from.audit_views(found),
            "audit_metric": f"top-1 of species by {chosen.name}",
            "audit_notes": space_from.audit_notes(found),
        }

    def _steps(self, seen: Sequence[Seen]) -> dict[str, Any]:
        """What each step did."""
        self.progress.say("report: what each step did")
        tasks: list[Task] = tasks_of(self.exam, seen)
        rows = step_rows(self.exam, tasks)
        self.scores["steps"] = [plain(row) for row in rows]
        steps = [step for step in STEPS if any(step in row.scores for row in rows)]
        notes = step_notes(self.exam, tasks, rows)
        self.scores["stepNotes"] = notes
        if not self.curves:
            notes.append("Nothing was unlocked or patched: this is ImageBind's recipe.")
        elif not any(self.curves["alpha"].values()):
            notes.append(
                "Every alpha is 0: on the selection split no unlocked image tower was better, so "
                "the tower stayed as it was and only the senses were patched."
            )
        return {"steps": steps, "step_rows": rows, "step_notes": notes}

    def _maps(self, last: Seen) -> dict[str, Any]:
        """Range maps by the last space."""
        if "place" not in last.senses or not self.exam.training.has("place").any():
            self.left_out.append("Range maps: the space has no places.")
            return {}
        self.progress.say("report: range maps")
        space = open_space(
            self.folder, last.made, self.place.workspace, self.place.device, self.progress
        )
        ground = ground_of(self.observations, self.asked["data"])
        atlas = Atlas.of(self.exam, last, space, ground)
        views = map_views(atlas, self.run.folder)
        if not views:
            self.left_out.append("Range maps: no species has enough training records.")
        rows = all_maps(atlas) if ground.ranges else []
        self.scores["maps"] = rows
        if not ground.ranges:
            self.left_out.append("How right the range maps are: no true range is known.")
        return {"maps": views, "map_notes": map_notes(rows, self.exam)}

    def _reasons(self, matrix: Matrix) -> dict[str, dict[str, int]]:
        """Why rows lack a sense."""
        found = {}
        for modality, items in matrix.views.items.items():
            has = int(self.exam.observations.has(modality).sum())
            lacking = {"not in the data": len(self.exam) - has, "unreadable": has - len(items.ids)}
            found[modality] = {reason: n for reason, n in lacking.items() if n > 0}
        return found

    def _unused(self) -> list[str]:
        """What the binding could not use, counted by reason."""
        found = []
        for what, entries in self._read("left-out.json").items():
            reasons: dict[str, int] = {}
            for one in entries:
                reasons[one["reason"]] = reasons.get(one["reason"], 0) + 1
            found += [
                f"The binding left out {n} observations ({what}): {reason}."
                for reason, n in sorted(reasons.items())
            ]
        return found


def _about_combinations(combined: Combined) -> list[str]:
    """How combinations are made, and how many rows cannot be answered."""
    told = (
        "Senses are fused by the published rule, the normalised sum, unless a name says otherwise: "
        "learned weights and the product of experts were fitted on the selection split."
    )
    found = [told]
    if combined.n_unanswerable:
        found.append(f"{combined.n_unanswerable} rows have no species that could be answered.")
    return found
