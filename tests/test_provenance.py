import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype import provenance

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain_values, max_size=5))
def test_the_hash_ignores_the_order_of_keys(content: dict[str, object]) -> None:
    shuffled = dict(reversed(list(content.items())))
    assert provenance.content_hash(content) == provenance.content_hash(shuffled)


@given(plain_values, plain_values)
def test_different_content_has_a_different_hash(a: object, b: object) -> None:
    same = provenance.canonical_json(a) == provenance.canonical_json(b)
    assert same == (provenance.content_hash(a, 64) == provenance.content_hash(b, 64))


def test_dataclasses_tuples_and_paths_become_plain() -> None:
    @dataclass
    class Point:
        where: Path
        xs: tuple[int, ...]

    assert provenance.plain(Point(Path("a/b"), (1, 2))) == {"where": "a/b", "xs": [1, 2]}


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        provenance.plain({"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        provenance.canonical_json(float("nan"))


@given(st.integers(0, 2**40), st.text(), st.text())
def test_seeds_of_different_draws_differ(seed: int, a: str, b: str) -> None:
    assert 0 <= provenance.named_seed(seed, a) < 2**63
    assert (provenance.named_seed(seed, a) == provenance.named_seed(seed, b)) == (a == b)


def test_seeds_are_the_same_in_another_process() -> None:
    code = "from syntype.provenance import named_seed; print(named_seed(7, 'order', 3))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) == provenance.named_seed(7, "order", 3)


def test_a_file_has_the_hash_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert provenance.file_hash(tmp_path / "x") == provenance.bytes_hash(b"abc")
    assert provenance.bytes_hash(b"abc").startswith("ba7816bf")


def test_the_environment_names_what_a_reader_needs() -> None:
    environment = provenance.environment()
    assert {"syntype", "commit", "command", "time", "host", "python", "versions"} <= set(
        environment
    )
    assert "torch" in environment["versions"]
