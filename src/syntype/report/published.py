"""Numbers that others published, for columns of their own beside measured ones.

They are read from `published.toml`, which names source and doubts of each table. Nothing that is
computed takes them: `versus.contrast`, which makes ranks, means and tests, has no way to see them;
only what is written afterwards shows them.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from syntype.report.versus_data import Versus


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        table: Name of the table it stands in; tables of one benchmark may contradict each other.
        model: The model as the table calls it.
        specs: Specs of the encoders that it certainly is.
        benchmark: The set, by its first name in `published.toml`.
        task: The task, by our name where we have it.
        metric: What was measured, by our name where we have it.
        value: Per cent.
        source: Where it was published.
        recalled: Whether it is from memory and only partly checked, rather than read there.
        remark: What to know before it is believed or compared.
    """

    table: str
    model: str
    specs: tuple[str, ...]
    benchmark: str
    task: str
    metric: str
    value: float
    source: str
    recalled: bool
    remark: str


def published(model_spec: str, benchmark: str, task: str) -> tuple[Published, ...]:
    """What was published about a model on a benchmark, from every source, in the file's order.

    Args:
        model_spec: The spec of the encoder, or the name that a table has for it.
        benchmark: One of the benchmark's names; capitals, spaces and dashes do not matter.
        task: retrieval, knn, few-shot, linear-probe, zero-shot, or a name in `published.toml`.

    Returns:
        One number per source and metric; nothing where nothing is known.
    """
    return tuple(one for one in _about(benchmark, task) if _is(one, model_spec))


def _about(benchmark: str, task: str) -> list[Published]:
    wanted = aliases().get(_folded(benchmark))
    return [one for one in all_published() if (one.benchmark, one.task) == (wanted, task)]


def _is(one: Published, model: str) -> bool:
    return model in one.specs or _folded(model) == _folded(one.model)


@dataclass(frozen=True)
class PublishedColumn:
    """One column of published numbers: one metric on one benchmark, from one table.

    Attributes:
        key: "published/table/benchmark/metric", its identity.
        set: What the comparison calls the benchmark.
        benchmark, task, metric, source, recalled, remark: See `Published`.
        values: Per cent, by what the comparison calls the model.
    """

    key: str
    set: str
    benchmark: str
    task: str
    metric: str
    source: str
    recalled: bool
    remark: str
    values: Mapping[str, float]


def columns_beside(versus: Versus) -> tuple[PublishedColumn, ...]:
    """What was published about any model of a comparison on any of its sets and tasks."""
    columns: dict[str, PublishedColumn] = {}
    for set_, task in versus.places:
        for one in _about(set_, task):
            key = f"published/{one.table}/{one.benchmark}/{one.metric}"
            own = {model: one.value for model in versus.models if _is(one, model)}
            before = columns[key].values if key in columns else {}
            if own:
                columns[key] = PublishedColumn(
                    key=key,
                    set=set_,
                    benchmark=one.benchmark,
                    task=task,
                    metric=one.metric,
                    source=one.source,
                    recalled=one.recalled,
                    remark=one.remark,
                    values={**before, **own},
                )
    return tuple(columns.values())


@cache
def all_published() -> tuple[Published, ...]:
    """Every number in `published.toml`, in its order."""
    content = _content()
    return tuple(
        Published(
            table=table["name"],
            model=model,
            specs=tuple(content["models"][model]),
            benchmark=benchmark,
            task=table["task"],
            metric=table["metric"],
            value=value,
            source=table["source"],
            recalled=table["evidence"] == "recalled",
            remark=table["remark"],
        )
        for table in content["table"]
        for model, values in table["rows"].items()
        for benchmark, value in zip(table["benchmarks"], values, strict=True)
    )


@cache
def aliases() -> Mapping[str, str]:
    """Every name of a benchmark, folded, to its first name."""
    benchmarks: Mapping[str, Sequence[str]] = _content()["benchmarks"]
    return {
        _folded(name): first for first, others in benchmarks.items() for name in (first, *others)
    }


@cache
def _content() -> Mapping[str, Any]:
    text = resources.files("syntype.report").joinpath("published.toml").read_text("utf-8")
    return tomllib.loads(text)


def _folded(name: str) -> str:
    """A name without what writers differ in: capitals, spaces, dashes."""
    return "".join(character for character in name.casefold() if character.isalnum())
