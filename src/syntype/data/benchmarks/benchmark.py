"""What a published benchmark is, and what the reader of one finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syntype.data.records import Column
from syntype.errors import DataNotFoundError


@dataclass(frozen=True)
class Size:
    """How large a benchmark is, as published; None where no source says.

    Attributes:
        images: Rows of its tables, or files where there is no table.
        classes: Classes that its labels tell apart: species, families, answers ...
    """

    images: int | None = None
    classes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a reader found, labels not cleaned yet; rows are pictures.

    Attributes:
        root: The folder that `image` is relative to.
        image: Locator of each picture as its table gives it, with / between folders.
        label: The class of each picture, None where there is none.
        columns: Further columns of `syntype.data.dataset.SCHEMA`.
        plain: Row by row, whether the label is no scientific name (English, an answer, a mixture)
            and must be left as delivered: cleaning would take `Black footed Albatross` for a
            species of the genus Black. Empty where all labels are scientific.
        left_out: File and reason of what was not read.
    """

    root: Path
    image: Sequence[str]
    label: Column
    columns: Mapping[str, Column] = field(default_factory=dict)
    plain: Sequence[bool] = ()
    left_out: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A published benchmark.

    Attributes:
        name: Its kind: what stands before the colon in `--data NAME:FOLDER`.
        title: Its name in print, and what it shows.
        source: The page that leads to it.
        license: The terms, as its page states them.
        citation: How to cite it.
        get: How to have it, in one clause.
        layout: What must lie in the folder, a line each, as the archives unpack.
        needs: For each file that must be there the paths that it may have.
        parts: What `#PART` can choose, with its published size; the first is the default, and ""
            the whole.
        part_name: What other parts are called that only the data know, "" where there are none.
        unit: What the rows of one unit share, "" where each picture stands for itself.
        checksums: Archive to its published MD5.
        unconfirmed: What of this could not be checked against a published page.
        read: The reader: of the folder that has `needs`, and the part. It raises
            DataNotFoundError, DataError or UsageError, as `read.read_benchmark` says.
    """

    name: str
    title: str
    source: str
    license: str
    citation: str
    get: str
    layout: Sequence[str]
    needs: Sequence[Sequence[str]] = ()
    parts: Mapping[str, Size]
    part_name: str = ""
    unit: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)
    unconfirmed: str = ""
    read: Callable[[Path, str], Found]

    @property
    def usage(self) -> str:
        """How `--data` names it, for example `inat21:FOLDER[#mini|full|val]`."""
        words = [part for part in self.parts if part] + [self.part_name] * bool(self.part_name)
        return f"{self.name}:FOLDER" + (f"[#{'|'.join(words)}]" if words else "")

    def absent(self, path: Path, what: str) -> DataNotFoundError:
        """The error for a folder that is not laid out as published.

        Args:
            path: The folder that the user named.
            what: What is wrong with it, a clause.
        """
        layout = "\n".join(f"    {line}" for line in self.layout)
        return DataNotFoundError(
            f"{path} cannot be read as {self.title}: {what}. Get it from {self.source} "
            f"({self.get}; terms: {self.license}), lay it out as below and name the folder with "
            f"--data {self.usage}.\n{layout}"
        )
