"""Contrastive training (Radford et al. 2021; Stevens et al. 2024): a picture's tower and a text's.

Legend: n samples of a batch, b of this process, c tokens of a text, d dimensions, h x w pixels,
m learnt numbers of a temperature.

Both towers are one module from (pictures, tokens) to vectors of length 2 d, the picture's and then
the text's. So the loop, its gradient caching and its processes know nothing of pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from syntype.configs import TrainConfig
from syntype.encoders.encoder import Encoder
from syntype.encoders.text_tower import TextTower
from syntype.errors import EncoderError, TrainingError
from syntype.provenance import bytes_hash, content_hash, named_seed
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import TextForm, caption
from syntype.training.contrast import (
    clip_loss,
    first_temperature,
    nearest_is_own,
    scale_of,
    siglip_loss,
)
from syntype.training.controls import species_labels
from syntype.training.feeding import Feed, Read
from syntype.training.loop import Evaluate, Order, Setting, Trained, train
from syntype.training.objective import Figures, Objective, clip
from syntype.training.parallel import SOLO, World
from syntype.training.row_adam import RowAdam
from syntype.training.tower import Inputs, example_of, tower_of, trainable
from syntype.training.tuning import merged, weight_groups

# The five forms that BioCLIP mixes.
_MIXED: tuple[TextForm, ...] = tuple(form for form in get_args(TextForm) if form != "as-is")


class Pair(nn.Module):
    """Both towers.

    Args:
        image: Pictures to vectors.
        text: Tokens to vectors.
    """

    def __init__(self, image: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.image, self.text = image, text

    def forward(
        self, images: Float[Tensor, "b 3 h w"], tokens: Int[Tensor, "b c"]
    ) -> Float[Tensor, "b d2"]:
        """Vectors of pictures and texts, side by side."""
        return torch.cat([self.image(images), self.text(tokens)], dim=1)


class Contrast(Objective):
    """CLIP's or SigLIP's loss over the whole batch, with its temperature.

    Args:
        species: Of each sample of the training set, on the CPU.
        config: `contrast`, `same_species`, and how the temperature learns.
        temperature: Where it starts, as `first_temperature` gives it.
        world: Who takes part: each process looks at its samples against all texts.
    """

    temperature: Tensor

    def __init__(
        self,
        species: Int[Tensor, "_"],
        config: TrainConfig,
        temperature: Float[Tensor, "m 1"],
        world: World = SOLO,
    ) -> None:
        super().__init__()
        self.species, self.config, self.world = species, config, world
        self.register_buffer("temperature", temperature.detach().clone())
        self.optimiser = RowAdam(self.temperature)

    def pull(
        self, vectors: Float[Tensor, "b d2"], rows: Int[np.ndarray, "n"], step: int
    ) -> Figures:
        """See `Objective.pull`."""
        del step
        mine = self.world.share(len(rows))
        species = self.species[torch.from_numpy(rows)].to(vectors.device)
        temperature = nn.Parameter(self.temperature)
        with torch.enable_grad(), torch.autocast(vectors.device.type, enabled=False):
            everyone = self.world.gather(vectors, len(rows)).requires_grad_()
            wide = everyone if everyone.dtype == torch.float64 else everyone.float()
            images, texts = wide.chunk(2, dim=1)
            loss = self._loss(images, texts, temperature, species, mine)
            torch.autograd.backward(loss)
        assert everyone.grad is not None, "the loss reaches the vectors"
        vectors.grad = self.world.total(everyone.grad)[mine].clone()
        assert temperature.grad is not None, "the loss reaches the temperature"
        self._gradient = self.world.total(temperature.grad)
        norm = self._gradient.norm()
        clip([self._gradient], norm, self.config.clip)
        places = torch.arange(len(rows), device=vectors.device)[mine]
        right = nearest_is_own(images[mine], texts, places, species).float().sum()
        others = (species[places][:, None] != species).float().sum()
        if self.config.same_species == "negatives":
            others = others.new_tensor(float(len(places) * (len(rows) - 1)))
        found = torch.stack([loss.detach().float(), right / len(rows), others / len(rows)])
        self.world.total(found)
        return Figures(found[0], found[1], found[2], norm.float())

    def _loss(
        self,
        images: Float[Tensor, "n d"],
        texts: Float[Tensor, "n d"],
        temperature: Float[Tensor, "m 1"],
        species: Int[Tensor, "n"],
        mine: slice,
    ) -> Float[Tensor, ""]:
        scale, same = scale_of(temperature), self.config.same_species
        if self.config.contrast == "clip":
            return clip_loss(images, texts, scale, species, same, mine)
        return siglip_loss(images, texts, scale, temperature[1, 0], species, same, mine)

    def move(self, factor: float) -> None:
        """See `Objective.move`."""
        self.optimiser.step(self.temperature, self._gradient, self.config.lr * factor)


def contrast(
    encoder: Encoder,
    read: Read,
    taxa: Sequence[Taxon],
    config: TrainConfig,
    *,
    labels: Int[np.ndarray, "n"] | None = None,
    workers: int = 0,
    order: Order | None = None,
    evaluate: Evaluate | None = None,
    setting: Setting | None = None,
) -> tuple[Trained, TextTower]:
    """Train copies of the encoder's two towers on pictures and the names of what they show.

    Args:
        encoder: Where to start; it is trained on its own device.
        read: Gives pictures by rows of the training set.
        taxa: Of each picture.
        config: How; `tune` and its kin speak of the image tower, the text tower is trained whole.
        labels: The class of each picture's species, where it is known; None looks at `taxa`.
        workers: Processes that read pictures ahead; 0 reads between the steps.
        order: The order of each epoch; None draws it.
        evaluate: Given the image tower and the epoch; what it gives joins the history.
        setting: Where and with whom; None keeps no checkpoints.

    Returns:
        The tuned image tower with its history, and the text tower with the learnt scale.

    Raises:
        EncoderError: The encoder has no text tower.
        TrainingError: All pictures show one species, or the loss became NaN.
        DataError: A picture has no species.
    """
    if encoder.text_tower is None:
        raise EncoderError(
            f"{encoder.name} has no text tower to train pictures against. Take an encoder that "
            "has one (open_clip:..., or untrained:... from scratch), or --objective clusters."
        )
    setting, text = setting or Setting(), encoder.text_tower()
    if labels is None:
        labels = species_labels([taxon.at("species") for taxon in taxa])[:, 0]
    if labels.max() == 0:
        raise TrainingError("All pictures show one species: there is nothing to tell apart.")
    image = trainable(encoder, config)
    text_module = text.module.float().to(encoder.device).requires_grad_(True)
    module = Pair(image, text_module)
    groups = weight_groups(image, example_of(encoder), config)
    groups += weight_groups(text_module, None, replace(config, layer_decay=1.0))
    tokens = text.tokenize(["a photo of Anas crecca.", "a photo of Parus major."])
    example = (example_of(encoder), tokens.to(encoder.device))
    start = first_temperature(config.contrast, text.logit_scale, text.logit_bias)
    objective = Contrast(torch.from_numpy(labels), config, start.to(encoder.device), setting.world)
    shown = None if evaluate is None else lambda pair, epoch: evaluate(pair.image, epoch)
    trained = train(
        tower_of(module, groups, example, config, setting.world),
        objective,
        _batches(encoder, Feed(read, config, config.seed, workers), text, taxa, config),
        labels,
        config,
        origin=content_hash([encoder.key, bytes_hash(labels.tobytes()), "contrast"]),
        order=order,
        evaluate=shown,
        setting=setting,
    )
    history = [{"round": 0, **line} for line in trained.history]
    scale = float(scale_of(objective.temperature))
    learnt = replace(text, module=text_module.eval(), logit_scale=scale)
    return Trained(merged(image).eval(), None, history), learnt


def captions(
    taxa: Sequence[Taxon], rows: Int[np.ndarray, "b"], config: TrainConfig, epoch: int
) -> list[str]:
    """The words for each sample in an epoch; mixed forms are drawn for each by itself."""
    found = []
    for row in rows.tolist():
        drawn = named_seed(config.seed, "caption", epoch, row)
        mixed = _MIXED[drawn % len(_MIXED)]
        found.append(caption(taxa[row], mixed if config.names == "mixed" else config.names))
    return found


def _batches(
    encoder: Encoder, feed: Feed, text: TextTower, taxa: Sequence[Taxon], config: TrainConfig
) -> Callable[[Sequence[Int[np.ndarray, "_"]], int], Iterator[Inputs]]:
    """Pictures and tokens, batch by batch."""

    def batches(rows: Sequence[Int[np.ndarray, "_"]], epoch: int) -> Iterator[Inputs]:
        images: UInt8[Tensor, "b 3 h w"]
        for chosen, images in zip(rows, feed.batches(rows, epoch), strict=True):
            tokens = text.tokenize(captions(taxa, chosen, config, epoch))
            yield encoder.normalise(images), tokens.to(encoder.device)

    return batches
