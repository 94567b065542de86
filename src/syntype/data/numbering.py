"""Names as numbers, so that millions of rows are arrays and not lists of texts."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int, UInt64


class Codes:
    """Distinct names of a column as numbers, in the order in which they were first seen."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names: list[str] = list(names)
        self._number = {name: number for number, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        """The number of a name; -1 where it was not seen."""
        return self._number.get(name, -1)

    def of(self, column: pa.ChunkedArray) -> Int[np.ndarray, "n"]:
        """The number of each value of a column of text, or of a dictionary of texts."""
        if not column.length():
            return np.empty(0, np.int32)
        values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(values, pa.ChunkedArray):  # chunks of a dictionary may stay apart
            return np.concatenate([self.of(pa.chunked_array([part])) for part in values.chunks])
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        numbers = np.empty(len(values.dictionary), np.int32)
        for place, name in enumerate(values.dictionary.to_pylist()):
            number = self._number.setdefault(name, len(self.names))
            if number == len(self.names):
                self.names.append(name)
            numbers[place] = number
        found: np.ndarray = numbers[values.indices.to_numpy(zero_copy_only=False)]
        return found


def row_hashes(names: Sequence[str], key: bytes = b"") -> UInt64[np.ndarray, "n"]:
    """A number for each name that puts it at a random place, the same on every machine."""
    digests = b"".join(
        hashlib.blake2b(name.encode(), key=key, digest_size=8).digest() for name in names
    )
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)
