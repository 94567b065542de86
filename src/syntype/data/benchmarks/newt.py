"""NeWT, the natural world tasks: 164 questions with two answers (Van Horn et al. 2021).

    FOLDER/newt2021_labels.csv      id, task_cluster, task_subcluster, task, label, text_label,
                                    split, height, width
    FOLDER/newt2021_images/<id>.jpg

`newt:FOLDER#TASK` is one task, its classes the two `text_label`s. Without a task all are read, each
task a taxon group of its own; the answers are then called `task/text_label`, since the words alone
come again in other tasks. Answers are no taxa, so no rank but the species is filled.
"""

from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Found, Size
from syntype.data.benchmarks.files import table_with
from syntype.errors import UsageError

_TABLE, _IMAGES = "newt2021_labels.csv", "newt2021_images"
_SHOWN = 10


def read(home: Path, part: str) -> Found:
    """Read one task, or all."""
    table = table_with(home / _TABLE, ["id", "task", "text_label", "split"])
    tasks = [task or "" for task in table["task"]]
    if part and part not in tasks:
        known = sorted(set(tasks))
        raise UsageError(
            f"NeWT has no task {part!r}. Name one of its {len(known)} tasks, for example "
            f"{', '.join(known[:_SHOWN])}."
        )
    rows = [row for row, task in enumerate(tasks) if part in {"", task}]
    answers = [table["text_label"][row] for row in rows]
    of_task = [tasks[row] for row in rows]
    pairs = zip(of_task, answers, strict=True)
    return Found(
        root=home,
        image=[f"{_IMAGES}/{id_}.jpg" if (id_ := table["id"][row]) else "" for row in rows],
        label=answers if part else [f"{task}/{text}" if text else None for task, text in pairs],
        columns={
            "verbatimIdentification": answers,
            "taxonGroup": of_task,
            "split": [table["split"][row] for row in rows],
        },
        plain=[True] * len(rows),
    )


BENCHMARK = Benchmark(
    name="newt",
    title="NeWT (164 natural world tasks of two classes)",
    source="https://github.com/visipedia/newt",
    license="not stated on its page",
    citation=(
        "Van Horn et al. (2021). Benchmarking representation learning for natural world image "
        "collections. CVPR."
    ),
    get="unpack newt2021_images.tar.gz (4 GB) and newt2021_labels.csv.tar.gz",
    layout=(_TABLE, f"{_IMAGES}/<id>.jpg"),
    needs=((_TABLE,), (_IMAGES,)),
    parts={"": Size(36_032, 328)},
    part_name="TASK",
    checksums={
        "newt2021_images.tar.gz": "b04a56a5b1ffda87f16e6d4f81f9d38e",
        "newt2021_labels.csv.tar.gz": "4cb26d0ee085904887b1ca14dcb893e7",
    },
    unconfirmed="the licence, and the number of pictures",
    read=read,
)
