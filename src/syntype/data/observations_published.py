"""The published sets of observations: iSatNat, iSoundNat, TaxaBench-8k and MultiNat.

What the sets' pages and public code say of the layout stands here, and what could not be confirmed
there stands with it (`unconfirmed`) and in docs/reference/observations.md. None of them could be
fetched where this was written; the readers are tested on miniatures in these layouts.
"""

from collections.abc import Mapping
from pathlib import Path

from syntype.configs import DataConfig
from syntype.data.folder import name_of_folder
from syntype.data.observation_records import ObservationRecords
from syntype.data.observation_sets.export import read_export
from syntype.data.observation_sets.isatnat import read_isatnat
from syntype.data.observation_sets.published_set import RASTER, PublishedSet

_CITATION = (
    "Sastry et al. (2025). TaxaBind: a unified embedding space for ecological applications. WACV."
)
_SOUND_FOLDERS = ("sounds_mp3", "sounds", "taxabench_sound")
_TILE_FOLDERS = ("sat_images/sentinel", "sat_images", "images/sentinel", "sentinel", "satellite")

SETS: Mapping[str, PublishedSet] = {
    one.name: one
    for one in (
        PublishedSet(
            name="isatnat",
            title="iSatNat (iNat21's pictures with satellite tiles)",
            source="https://huggingface.co/datasets/MVRL/iSatNat",
            license="Sentinel-2 cloudless 2020 by EOX: CC BY-NC-SA 4.0; pictures: iNat21's terms",
            citation=_CITATION,
            tables={"train_df.csv": "train", "test_df.csv": "test"},
            media={
                "satellite": ("images/sentinel", "sentinel", "sat_images/sentinel", "satellite")
            },
            layout=(
                "train_df.csv, test_df.csv, either or both",
                "images/sentinel/<key>.jpeg, as many as you have",
                "inat21/train.json, inat21/val.json, which have the labels",
                "inat21/train/<class>/<picture>.jpg, inat21/val/..., as many as you have",
                f"{RASTER} (optional)",
            ),
            unconfirmed=(
                "columns other than `key` and `sat_url`; the exact number of rows; the tiles' "
                "footprint; whether train_mini.json has the ids of train.json"
            ),
            read=read_isatnat,
        ),
        PublishedSet(
            name="isoundnat",
            title="iSoundNat (iNaturalist's observations with picture and sound)",
            source="https://huggingface.co/datasets/MVRL/iSoundNat",
            license="MIT (the tables); each medium has its observer's licence",
            citation=_CITATION,
            tables={"train_df.csv": "train", "val_df.csv": "val", "test_df.csv": "test"},
            rows={"train_df.csv": 74_910, "val_df.csv": 4_407, "test_df.csv": 8_813},
            media={
                "image": ("images",),
                "sound": _SOUND_FOLDERS,
                "satellite": _TILE_FOLDERS,
            },
            layout=(
                "train_df.csv, val_df.csv, test_df.csv, any of them",
                "images/<id>.jpg and sounds_mp3/<id>.mp3, fetched from image_url and sound_url",
                f"{RASTER} (optional)",
            ),
            read=read_export,
        ),
        PublishedSet(
            name="taxabench-8k",
            title="TaxaBench-8k (six paired senses; iSoundNat's test)",
            source="https://huggingface.co/datasets/MVRL/TaxaBench-8k",
            license="MIT by its page; tiles: CC BY-NC-SA 4.0 (EOX); media: their observers'",
            citation=_CITATION,
            tables={"test_df.csv": "test"},
            rows={"test_df.csv": 8_813},
            media={
                "image": ("taxabench_images", "images"),
                "sound": ("taxabench_sound", "sounds_mp3", "sounds"),
                "satellite": _TILE_FOLDERS,
            },
            layout=(
                "test_df.csv",
                "taxabench_images/<id>.jpg",
                "taxabench_sound/<id>.mp3, .wav or .m4a",
                "sat_images/sentinel/<id>..., RGB",
                RASTER,
            ),
            unconfirmed="the tiles' names: what stands before the first _ is taken for the id",
            read=read_export,
        ),
        PublishedSet(
            name="multinat",
            title="MultiNat (six senses; iSoundNat's train and val)",
            source="https://huggingface.co/datasets/MVRL/MultiNat",
            license="its page states none; tiles: CC BY-NC-SA 4.0 (EOX); media: their observers'",
            citation="Sastry et al. (2025). ProM3E: probabilistic masked multimodal embedding.",
            tables={"train.csv": "train", "val.csv": "val", "test.csv": "test"},
            media={
                "image": ("images", "taxabench_images"),
                "sound": _SOUND_FOLDERS,
                "satellite": _TILE_FOLDERS,
            },
            layout=(
                "train.csv, val.csv, test.csv, any of them",
                "images/<id>.jpg, sounds_mp3/<id>.mp3, sat_images/sentinel/<id>...",
                f"{RASTER} (optional)",
            ),
            unconfirmed=(
                "the columns, taken to be iSoundNat's, and where media lie: the set publishes "
                "vectors (Parquet), which are not read"
            ),
            read=read_export,
        ),
    )
}
"""The published sets by name."""


def read_published(kind: str, path: Path, config: DataConfig, *, name: str) -> ObservationRecords:
    """What a published set holds.

    Args:
        kind: Its name in `SETS`.
        path: Its folder.
        config: Its `unit` names the column of the independent unit.
        name: The set's name; the folder's where empty.

    Raises:
        DataNotFoundError: There is no such folder, or none of its tables.
        DataError: A table lacks a column that cannot be done without.
        UsageError: `config.unit` names a column that is not there.
    """
    one = SETS[kind]
    if not path.is_dir():
        raise one.absent(path, "there is no such folder")
    if not any((path / table).is_file() for table in one.tables):
        raise one.absent(path, f"it has none of {', '.join(one.tables)}")
    return one.read(one, path, config, name or name_of_folder(path))
