"""The report split of a binding, and what each of its spaces makes of it.

Legend: n observations of the report split, c classes, d dimensions, k rows that have a sense.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from syntype.binding.space import Space
from syntype.configs import EvaluateConfig
from syntype.data.observations import Observations
from syntype.errors import DataError
from syntype.evaluation.classification import Classes
from syntype.evaluation.combined import Answers
from syntype.evaluation.statistics import Difference, Interval, Resampled, resample
from syntype.progress import Progress
from syntype.sweep.binding import Made
from syntype.taxonomy.taxon import RANKS, Taxon
from syntype.taxonomy.text import taxa_at

SPLIT = "test"
"""What is reported: nothing was chosen on it."""


@dataclass(frozen=True)
class Exam:
    """Who is asked, and what can be answered.

    Attributes:
        observations: Of the report split, with a species, in the order of their ids.
        training: Of the training split.
        chosen_on: Of the selection split.
        taxa: Each species of the whole set, in the order of the alphabet.
        config: Depths, and the number, seed and confidence of the resamples.
    """

    observations: Observations
    training: Observations
    chosen_on: Observations
    taxa: Mapping[str, Taxon]
    config: EvaluateConfig

    @classmethod
    def of(cls, observations: Observations, config: EvaluateConfig) -> "Exam":
        """Take the report split of a set.

        Raises:
            DataError: It has no observation with a species.
        """
        named = observations.select(
            np.array([taxon.at("species") != "" for taxon in observations.taxa()], dtype=bool)
        )
        asked = named.where(split=SPLIT)
        if not len(asked):
            raise DataError(
                f"No observation of the {SPLIT} split has a species, so there is nothing to "
                "report. Split anew: --split made."
            )
        order = np.argsort(np.array(asked.ids, dtype=object), kind="stable")
        return cls(
            asked.select(order),
            named.where(split="train"),
            named.where(split="val"),
            taxa_at(named.taxa()),
            config,
        )

    def __len__(self) -> int:
        return len(self.observations)

    @cached_property
    def units(self) -> list[str]:
        """The independent unit of each row."""
        pairs = zip(self.observations.column("unit"), self.observations.ids, strict=True)
        return [unit or f"id:{id_}" for unit, id_ in pairs]

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """The names of each row at each rank."""
        return {rank: self.observations.column(rank).tolist() for rank in RANKS}

    @cached_property
    def classes(self) -> Classes:
        """The species that can be answered: all of the set."""
        return Classes(list(self.taxa), [taxon.lineage for taxon in self.taxa.values()])

    @cached_property
    def truth(self) -> Int[np.ndarray, "n"]:
        """The class of each row."""
        return self.classes.codes(self.labels["species"])

    def hits(self, answers: Answers) -> Float[np.ndarray, "n"]:
        """1 where the first answer is the species, 0 where not, NaN where nothing was asked."""
        found = np.full(len(self), np.nan)
        found[answers.rows] = answers.first[:, 0] == self.truth[answers.rows]
        return found

    def interval(self, values: Float[np.ndarray, "n"]) -> Interval:
        """The mean of a score of the rows."""
        return self.drawn(values[None]).interval(0)

    def difference(
        self, values: Float[np.ndarray, "n"], other: Float[np.ndarray, "n"]
    ) -> Difference:
        """What the first scores have more, on the rows that both are known of."""
        both = np.stack([values, other])
        both[:, np.isnan(both).any(axis=0)] = np.nan
        return self.drawn(both).difference(0, 1)

    def drawn(
        self, values: Float[np.ndarray, "m n"], units: Sequence[str] | None = None
    ) -> Resampled:
        """Resamples of several scores, over the rows' units or others."""
        config = self.config
        return resample(
            values,
            self.units if units is None else units,
            resamples=config.resamples,
            confidence=config.confidence,
            seed=config.seed,
        )


@dataclass(frozen=True)
class Seen:
    """What one space makes of the report split.

    Attributes:
        made: Which space.
        rows: Of each sense, the rows that have a vector, ascending.
        vectors: Of each sense, their vectors.
        names: Of the classes; None where the binder reads none.
    """

    made: Made
    rows: Mapping[str, Int[np.ndarray, "k"]]
    vectors: Mapping[str, Float32[np.ndarray, "k d"]]
    names: Float32[np.ndarray, "c d"] | None

    @property
    def senses(self) -> list[str]:
        """All that can be asked with: everything but names."""
        return [name for name in self.rows if name != "text"]

    def together(
        self, senses: Sequence[str]
    ) -> tuple[Int[np.ndarray, "k"], dict[str, Float32[np.ndarray, "k d"]]]:
        """The rows that have all of some senses, and their vectors of each."""
        common = self.rows[senses[0]]
        for name in senses[1:]:
            common = np.intersect1d(common, self.rows[name], assume_unique=True)
        return common, {
            name: self.vectors[name][np.searchsorted(self.rows[name], common)] for name in senses
        }

    def spread(self, senses: Sequence[str], n: int) -> dict[str, Float32[np.ndarray, "n d"]]:
        """The vectors of some senses on all rows, NaN where there is none."""
        found = {}
        for name in senses:
            found[name] = np.full((n, self.vectors[name].shape[1]), np.nan, dtype=np.float32)
            found[name][self.rows[name]] = self.vectors[name]
        return found


def see(exam: Exam, made: Made, space: Space) -> Seen:
    """The vectors of the report split by a space; senses that no row has are left out."""
    row_of = {name: row for row, name in enumerate(exam.observations.ids)}
    rows, vectors = {}, {}
    for modality in space.modalities:
        if modality in ("text", "image") and not exam.observations.has(modality).any():
            continue
        try:
            ids, found = space.vectors(exam.observations, modality)
        except DataError:  # no row of the split has it
            continue
        at = np.array([row_of[name] for name in ids], dtype=np.int64)
        order = np.argsort(at)
        rows[modality], vectors[modality] = at[order], found[order]
    names = None
    if "text" in space.modalities:
        names = space.text_vectors(space.words(list(exam.taxa.values())))
    return Seen(made, rows, vectors, names)


def open_space(folder: Path, made: Made, workspace: Path, device: str, progress: Progress) -> Space:
    """A space of a binding, with its vectors kept in the workspace."""
    return Space.open(folder / made.folder, workspace=workspace, device=device, progress=progress)
