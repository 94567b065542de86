"""ImageBind's pictures and texts, from the file that Meta released.

    imagebind:/weights/imagebind_huge.pth?licence=accepted

The weights are licensed CC BY-NC-SA 4.0, and are loaded only where that is accepted in the spec.
Sounds are `imagebind-audio` among the senses, of the same file.

The image tower is the binder that all of ImageBind's senses were trained against; it and the text
tower are OpenCLIP's ViT-H/14, which stayed locked. Pictures are resized (bicubic) to 224 on the
shorter side, cut to the centre and normalised as CLIP's. Texts are cut into CLIP's tokens, at most
77 with the first and the last; the published tokenizer and open_clip's differ only in the words
that stand for those two. The text tower is read when the first text is asked for, but its keys are
checked at once. A file without any of them gives an encoder of pictures alone.

Legend: n pictures, t texts, c tokens of a text, d dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.encoders.imagebind_file import (
    PUBLISHED,
    file_of,
    has_branch,
    read_file,
    tower_of,
    weights_of,
)
from syntype.encoders.imagebind_towers import empty
from syntype.encoders.spec import EncoderPlan, Spec
from syntype.encoders.text_tower import Texts, TextTower
from syntype.encoders.weights import check_finite, sealed_encoder

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def empty_text(architecture: Mapping[str, Any]) -> TextTower:
    """The text tower of an architecture, freshly initialised, with its tokenizer."""
    return _text_tower(empty(architecture), architecture, None)


def _text_tower(
    module: nn.Module, architecture: Mapping[str, Any], scale: float | None
) -> TextTower:
    context = int(architecture["context"])
    return TextTower(
        module=module,
        tokenize=partial(_tokens, context=context),
        architecture=architecture,
        identity=architecture,
        logit_scale=scale,
    )


def _tokens(texts: Sequence[str], context: int) -> Int[Tensor, "t c"]:
    import open_clip

    found: Tensor = open_clip.tokenize(list(texts), context_length=context)
    return found


def _read_text(name: str, path: Path) -> TextTower:
    weights = weights_of(read_file(path), "text", name)
    module = tower_of(weights, name)
    check_finite(module, name)
    return _text_tower(module, weights.architecture, weights.scale)


def load(spec: Spec, device: torch.device) -> Encoder:
    """ImageBind's image tower, with its texts.

    Raises:
        UsageError: The licence is not accepted, or there is another option.
        WeightsError: The file is absent, damaged, or fits only in part.
    """
    path, name = file_of(spec), str(spec)
    state = read_file(path)
    weights = weights_of(state, "vision", name)
    preprocess = Preprocess(size=weights.architecture["size"], mean=_MEAN, std=_STD)
    module = tower_of(weights, name)
    encoder = sealed_encoder(name, weights.architecture, module, preprocess, device)
    if not has_branch(state, "text"):
        return encoder
    read = partial(_read_text, name, path)
    texts = Texts(name, read, device)
    return replace(
        encoder,
        encode_texts=texts,
        logit_scale=weights_of(state, "text", name).scale,
        text_identity=texts.identity,
        text_tower=read,
    )


def plan(spec: Spec) -> EncoderPlan:
    """What `load` would do."""
    path = file_of(spec)
    here = path.is_file()
    known = PUBLISHED["vision"]
    if here:
        known = weights_of(read_file(path), "vision", str(spec)).architecture
    return EncoderPlan(
        name=str(spec),
        source=spec.source,
        weights="local" if here else "missing",
        where=str(path),
        size=known["size"],
        dim=known["dim"],
    )
