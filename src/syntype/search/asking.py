"""From a question to one unit vector in the space of an index.

Legend: d dimensions.

    q = normalise(sum of w_i u_i - sum of w_j v_j)

u_i are the unit vectors of what is wanted, v_j those of what is not. The first sum is the
published rule for several senses, normalise(e_image + normalise(e_mod)) of TaxaBind (Sastry et
al., WACV 2025), for any number of them. The second makes it Rocchio's relevance feedback (in
Salton, The SMART Retrieval System, 1971, chapter 14),

    q' = alpha q + beta / |R| sum of R - gamma / |N| sum of N,

with the weights as they are given in place of alpha, beta / |R| and gamma / |N|. He gave less
weight to what is not wanted than to what is, and here too it is 0.5 unless another is given:
pictures of organisms share most of their direction, and with 1 little of it would be left. A
question of one part has that part's own vector, bit for bit. What cancels is refused: below a
thousandth of the sum of weights the direction is noise.

Texts are read twice, as they are and in the prompt "a photo of {}.", and the mean of the two unit
vectors is taken, at length 1 (prompt ensembling: Radford et al., Learning Transferable Visual
Models From Natural Language Supervision, 2021, section 3.1.4). Encoders that learned from captions
of names, as BioCLIP did, know a name best in the prompt; a free phrase may be a caption by itself.
Nobody says which of the two a text is, and the mean does not have to know. A text that begins as
the prompt does is only read as it is.

The bytes of a question come from anyone. So pictures must be of a few formats, and pictures and
sounds are refused by what their header says of their size, before they are decoded.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from syntype.errors import MediaError, UsageError, VectorError
from syntype.provenance import canonical_json
from syntype.search.index import Card, Index
from syntype.search.question import At, Question, Variables
from syntype.taxonomy.text import PROMPT

MODALITIES = ("image", "text", "sound", "place", "climate")
"""What a space may be asked by, beside its own records."""
MOST_PIXELS = 64_000_000
"""Of a picture: 192 MB once it is decoded."""
MOST_SECONDS = 300.0
"""Of a sound."""
MOST_SAMPLES = 2**26
"""Of a sound, of all channels: 256 MB once it is decoded."""
FORMATS = "JPEG, PNG, WebP, TIFF, GIF, BMP"
"""Of pictures that may be asked by; of animations and pages the first counts."""

_SIGNS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM")
_KEPT_TEXTS = 512  # vectors of texts that are remembered
_CANCELLED = 1e-3  # of the sum of weights
_NOTE = "asker"
_SPACE = "space.json"


@dataclass(frozen=True)
class Senses:
    """What encodes questions: an encoder, or a bound space.

    Attributes:
        name: What loaded it.
        binder: Its pictures' encoder.
        texts: Its texts' encoder: the binder, or what it was before it was trained.
        senses: What was bound to it, by modality.
        prompt: What names are put into.
        identities: What an index of its vectors may have as `Card.encoder`.
    """

    name: str
    binder: Any
    texts: Any
    senses: Mapping[str, Any] = field(default_factory=dict)
    prompt: str = PROMPT
    identities: tuple[Mapping[str, Any], ...] = ()

    @property
    def can(self) -> tuple[str, ...]:
        """What it can be asked by, of `MODALITIES`."""
        own = {"image", *self.senses, *(["text"] if self.texts.encode_texts is not None else [])}
        return tuple(name for name in MODALITIES if name in own)


OpenSenses = Callable[[str, str], Senses]


def open_senses(spec: str, device: str = "auto") -> Senses:
    """Load what a card's `spec` names: an encoder, or the folder of a space.

    Raises:
        EncoderError: It cannot be loaded.
        UsageError: An option or the device is wrong.
    """
    if is_space(spec):
        from syntype.binding.space import Space

        space = Space.open(Path(spec), device=device)
        identities = (space.binder.identity, {"space": space.key})
        return Senses(spec, space.binder, space.base, space.senses, space.prompt, identities)
    from syntype.encoders.load import load_encoder

    encoder = load_encoder(spec, device)
    return Senses(spec, encoder, encoder, identities=(encoder.identity,))


def is_space(spec: str) -> bool:
    """Whether a card's `spec` is the folder of a bound space."""
    return bool(spec) and (Path(spec) / _SPACE).is_file()


def describe_asker(
    spec: str, device: str = "auto", open_senses: OpenSenses = open_senses
) -> dict[str, Any]:
    """Notes for an index's card that say what it can be asked by; see `Asker.can`.

    Args:
        spec: The card's.
        device: Where to load it.
        open_senses: Loads it.

    Returns:
        `{"asker": {"spec", "can"}}`, plain JSON types.

    Raises:
        EncoderError: It cannot be loaded.
        UsageError: An option or the device is wrong.
    """
    can = open_senses(spec, device).can if spec else ()
    return {_NOTE: {"spec": spec, "can": list(can)}}


class Asker:
    """Makes vectors of questions, for one index; loads its encoder when it is first needed.

    Threads may share it: the encoder is loaded once, and encodes for one of them at a time.

    Args:
        card: Of the index.
        device: Where to compute.
        open_senses: Loads what the card names.
        max_pixels: Refuse pictures of more pixels.
    """

    def __init__(
        self,
        card: Card,
        device: str = "auto",
        open_senses: OpenSenses = open_senses,
        *,
        max_pixels: int = MOST_PIXELS,
    ) -> None:
        self._card, self._device, self._open = card, device, open_senses
        self._max_pixels = max_pixels
        self._loading, self._encoding = threading.Lock(), threading.Lock()
        self._senses: Senses | None = None
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()

    @property
    def can(self) -> tuple[str, ...]:
        """What the index can be asked by, of `MODALITIES`, beside its own records.

        Nothing is loaded where the card's notes say it (`describe_asker`), or where the card names
        no encoder.

        Raises:
            EncoderError: The encoder cannot be loaded.
            VectorError: It is not the one that the index was made with.
        """
        note = self._card.notes.get(_NOTE)
        if isinstance(note, Mapping) and note.get("spec") == self._card.spec:
            return tuple(name for name in MODALITIES if name in note.get("can", ()))
        return self.senses.can if self._card.spec else ()

    @property
    def senses(self) -> Senses:
        """What encodes, loaded.

        Raises:
            UsageError: The card names none.
            EncoderError: It cannot be loaded.
            VectorError: It is not the one that the index was made with.
        """
        with self._loading:
            if self._senses is None:
                self._senses = self._opened()
            return self._senses

    def _opened(self) -> Senses:
        spec = self._card.spec
        if not spec:
            raise UsageError(
                "This index does not say which encoder made its vectors, so it can only be asked "
                "by its own records (like). Make it anew with `syntype index` and an encoder."
            )
        found = self._open(spec, self._device)
        ours = canonical_json(self._card.encoder)
        if ours not in map(canonical_json, found.identities):
            raise VectorError(
                f"{spec} is not what the vectors of this index were made with: its weights or its "
                "preparation of pictures are others. Restore the files it is loaded from, or make "
                "the index anew with `syntype index`."
            )
        return found

    def prepare(self, question: Question) -> Question:
        """A question with its pictures and sounds decoded, so that `vector` need not; threads can.

        Raises:
            MediaError: One cannot be read, is of another format, or too large.
            UsageError: The space cannot be asked so.
        """
        for name, there in (("image", question.pictures), ("sound", question.sounds)):
            if there:
                self._check(name)
        return replace(
            question,
            pictures=_each("picture", self._picture, question.pictures),
            sounds=_each("sound", _sound, question.sounds),
        )

    def vector(self, question: Question, index: Index) -> Float32[np.ndarray, "d"]:
        """The unit vector of a question.

        Args:
            question: Prepared or not; not empty.
            index: Where the records lie that it names.

        Raises:
            DataError: There is no record that it names.
            MediaError: A picture or sound cannot be read.
            UsageError: The space cannot be asked so, or what is asked cancels itself.
            EncoderError: The encoder cannot be loaded.
            VectorError: It is not the one of the index, or gave a broken vector.
        """
        assert not question.empty, "without anything to be like, records are browsed"
        ready = self.prepare(question)
        wanted = [(self._image(one), weight) for one, weight in ready.pictures]
        wanted += [(self._sense("sound", [one]), weight) for one, weight in ready.sounds]
        wanted += [(self._text(one), weight) for one, weight in ready.texts]
        wanted += [(index.vectors([id_])[0], weight) for id_, weight in ready.likes]
        wanted += [(self._place("place", at), at.weight) for at in ready.places]
        wanted += [(self._climate(one), one.weight) for one in ready.climates]
        unwanted = [(index.vectors([id_])[0], weight) for id_, weight in ready.unlikes]
        unwanted += [(self._text(one), weight) for one, weight in ready.unlike_texts]
        return combine(wanted, unwanted)

    def _check(self, name: str) -> None:
        if name not in self.can:
            known = ", ".join((*self.can, "record"))
            raise UsageError(
                f"This index cannot be asked by {name}: what made its vectors knows none. It can "
                f"be asked by {known}."
            )

    def _picture(self, content: Any) -> Any:
        """The encoder's input (3, s, s) of a file; what is one already stays."""
        if not isinstance(content, bytes):
            return content
        check_format(content)
        from syntype.data.media import prepare

        return prepare(content, self.senses.binder.preprocess, max_pixels=self._max_pixels)

    def _image(self, prepared: Any) -> Float32[np.ndarray, "d"]:
        import torch

        senses = self.senses
        with self._encoding:  # one at a time, so that a vector has no company in its batch
            return np.asarray(senses.binder.encode(torch.from_numpy(prepared[None])))[0]

    def _text(self, text: str) -> Float32[np.ndarray, "d"]:
        self._check("text")
        senses = self.senses
        with self._encoding:
            if text in self._texts:
                self._texts.move_to_end(text)
                return self._texts[text]
            forms = in_forms(text, senses.prompt)
            vectors = np.asarray(senses.texts.encode_texts(forms), np.float64)
            found = combine([(vector.astype(np.float32), 1.0) for vector in vectors])
            self._texts[text] = found
            while len(self._texts) > _KEPT_TEXTS:
                self._texts.popitem(last=False)
            return found

    def _sense(self, name: str, *given: Any, **named: Any) -> Float32[np.ndarray, "d"]:
        self._check(name)
        sense = self.senses.senses[name]
        with self._encoding:
            return np.asarray(sense.encode(*given, **named))[0]

    def _place(self, name: str, at: At) -> Float32[np.ndarray, "d"]:
        return self._sense(name, latitude=[at.latitude], longitude=[at.longitude])

    def _climate(self, one: At | Variables) -> Float32[np.ndarray, "d"]:
        self._check("climate")
        from syntype.binding.material import looks_up

        sense = self.senses.senses["climate"]
        if isinstance(one, At):
            if not looks_up(sense):
                raise UsageError(
                    "This space has no raster to look the climate of a place up in. Give the "
                    "climate as its 20 variables."
                )
            return self._place("climate", one)
        import torch

        from syntype.binding.vectors import encoded

        with self._encoding:
            return encoded(sense, (torch.tensor([one.values], dtype=torch.float32),))[0]


def in_forms(text: str, prompt: str = PROMPT) -> list[str]:
    """A text in the forms that it is read in.

    Args:
        text: A name or a phrase.
        prompt: With {} where it goes.
    """
    text = " ".join(text.split())
    if text.casefold().startswith(prompt.partition("{}")[0].strip().casefold() or "\0"):
        return [text]
    return [text, prompt.replace("{}", text.rstrip("."))]


def combine(
    wanted: list[tuple[Float32[np.ndarray, "d"], float]],
    unwanted: list[tuple[Float32[np.ndarray, "d"], float]] | None = None,
) -> Float32[np.ndarray, "d"]:
    """The unit vector of weighted parts; the formula stands above.

    Args:
        wanted: Unit vectors and their weights, one at least.
        unwanted: Likewise, or none.

    Raises:
        UsageError: The parts cancel each other.
    """
    parts = [*wanted, *((vector, -weight) for vector, weight in unwanted or ())]
    if len(parts) == 1:
        return wanted[0][0]
    total: Float64[np.ndarray, "d"] = np.sum(
        [weight * vector.astype(np.float64) for vector, weight in parts], axis=0
    )
    length = float(np.linalg.norm(total))
    if not length > _CANCELLED * sum(abs(weight) for _, weight in parts):
        raise UsageError(
            "What is wanted and what is not wanted cancel each other: nothing is left to search "
            "by. Give other examples, or less weight to what is not wanted."
        )
    return (total / length).astype(np.float32)


def check_format(content: bytes) -> None:
    """Refuse bytes that are no picture of `FORMATS`, by how they begin.

    Raises:
        MediaError: They are not.
    """
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not webp and not content.startswith(_SIGNS):
        raise MediaError(
            f"not a picture of the formats {FORMATS}" if content else "the file is empty"
        )


def _each(
    what: str, decode: Callable[[Any], Any], parts: Sequence[tuple[Any, float]]
) -> tuple[tuple[Any, float], ...]:
    """Each part decoded.

    Raises:
        MediaError: One cannot be; the message says which.
    """
    found = []
    for number, (one, weight) in enumerate(parts, start=1):
        try:
            found.append((decode(one), weight))
        except MediaError as error:
            raise MediaError(f"{what} {number} of {len(parts)}: {error}") from error
    return tuple(found)


def _sound(content: Any) -> Any:
    """The wave of a file; what is one already stays."""
    if not isinstance(content, bytes):
        return content
    import io

    import soundfile

    from syntype.senses.waves import read_wave

    try:
        header = soundfile.info(io.BytesIO(content))
    except soundfile.LibsndfileError:
        header = None  # the reader knows what to call it
    if header is not None and header.frames * header.channels > MOST_SAMPLES:
        raise MediaError(f"more than {MOST_SAMPLES} samples: give a part of the sound")
    return read_wave(content, most_seconds=MOST_SECONDS)
