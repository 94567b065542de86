"""Where a page of an answer ended: an opaque text that is checked when it comes back.

Legend: d dimensions.

A cursor does not count records, since they come and go between two pages. It names the last hit by
its similarity and its id, behind which the next page begins; or, where pages are not in the order
of similarity (groups, diversity), what was shown, four bytes each.

It holds a mark of the question as well, so that it cannot be used for another one: a hash of the
conditions, and the vector's shadow on eight fixed directions, which is compared with a tolerance,
as the same picture may get a vector that differs in its last bits. It is no secret and not signed;
whoever forges one gets an answer like any other.
"""

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from syntype.errors import UsageError
from syntype.provenance import bytes_hash, named_seed
from syntype.search.where import Where

_DIRECTIONS, _TOLERANCE = 8, 2e-3
_LONGEST = 16_384  # letters
_CHECK, _MARK = 6, 4  # bytes


@dataclass(frozen=True)
class Mark:
    """What question a cursor belongs to.

    Attributes:
        conditions: Hash of conditions, group and diversity.
        shadow: Of the vector; () where records are browsed.
    """

    conditions: str
    shadow: tuple[float, ...]

    @classmethod
    def of(
        cls, vector: Float32[np.ndarray, "d"] | None, where: Where, *rest: str | float
    ) -> "Mark":
        """The mark of a question."""
        conditions = bytes_hash(repr((where.key, rest)).encode(errors="surrogatepass"))[:12]
        if vector is None:
            return cls(conditions, ())
        source = np.random.default_rng(named_seed(0, "directions of a cursor", len(vector)))
        shadow = source.standard_normal((_DIRECTIONS, len(vector))) @ vector.astype(np.float64)
        return cls(conditions, tuple(round(float(one), 4) for one in shadow))

    def same(self, other: "Mark") -> bool:
        """Whether two marks are of one question."""
        return (
            self.conditions == other.conditions
            and len(self.shadow) == len(other.shadow)
            and bool(np.allclose(self.shadow, other.shadow, rtol=0, atol=_TOLERANCE))
        )


@dataclass(frozen=True)
class Cursor:
    """Where a page ended.

    Attributes:
        mark: Of the question.
        id: The last record; "" where `shown` says what there was.
        similarity: Its similarity; 0 where records are browsed.
        n_before: Records on this page and those before, as a hint how deep to search.
        shown: Marks of what was shown, where the order is not that of similarity.
    """

    mark: Mark
    id: str = ""
    similarity: float = 0.0
    n_before: int = 0
    shown: frozenset[bytes] = frozenset()

    def __str__(self) -> str:
        """The opaque text: letters, digits, - and _."""
        content: dict[str, Any] = {"q": self.mark.conditions, "v": self.mark.shadow}
        if self.shown:
            content["x"] = base64.b85encode(b"".join(sorted(self.shown))).decode()
        else:
            content |= {"i": self.id, "s": self.similarity, "n": self.n_before}
        packed = json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode()
        check = bytes.fromhex(bytes_hash(packed))[:_CHECK]
        return base64.urlsafe_b64encode(check + packed).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, mark: Mark) -> "Cursor":
        """The cursor that a text stands for.

        Args:
            text: As `str` gave it.
            mark: Of the question that is asked now.

        Raises:
            UsageError: It is broken, or of another question.
        """
        cursor = cls._read(text)
        if cursor is None:
            raise UsageError(
                "The page that is asked for (after) cannot be read: it was cut or changed on its "
                "way. Begin with the first page."
            )
        if not cursor.mark.same(mark):
            raise UsageError(
                "The page that is asked for (after) is of another question or other filters. Begin "
                "with the first page."
            )
        return cursor

    @classmethod
    def _read(cls, text: str) -> "Cursor | None":
        if len(text) > _LONGEST or not text.isascii():
            return None
        try:
            held = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        check, packed = held[:_CHECK], held[_CHECK:]
        if check != bytes.fromhex(bytes_hash(packed))[:_CHECK]:
            return None
        try:
            content = json.loads(packed)
            shown = base64.b85decode(content["x"]) if "x" in content else b""
            cursor = cls(
                Mark(str(content["q"]), tuple(float(one) for one in content["v"])),
                str(content.get("i", "")),
                float(content.get("s", 0.0)),
                int(content.get("n", 0)),
                frozenset(shown[at : at + _MARK] for at in range(0, len(shown), _MARK)),
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError):
            return None
        return cursor if abs(cursor.similarity) < 10 and 0 <= cursor.n_before < 10**9 else None


def marked(name: str) -> bytes:
    """What stands for an id or a name among what was shown."""
    return bytes.fromhex(bytes_hash(name.encode(errors="surrogatepass")))[:_MARK]


def with_shown(cursor: Cursor | None, mark: Mark, names: Collection[str]) -> Cursor:
    """A cursor that has shown these names beside those of the one before."""
    before = cursor.shown if cursor is not None else frozenset()
    return Cursor(mark, shown=before | {marked(name) for name in names})
