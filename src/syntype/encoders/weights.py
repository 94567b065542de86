"""Weights: their hash, how they are read, and the refusal of missing, partial or random ones.

Every library that loads weights has a way to give random ones without an error. Here, all
floating parameters are NaN (`poison`) before a checkpoint is poured in, or the report of every
`load_state_dict` is kept (`recorded_loading`), and `sealed_encoder`, the last step of every
source, refuses what is NaN, infinite or of the wrong form. Files are read without running code
(safetensors, or torch's `weights_only`).
"""

import hashlib
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from syntype.data.preprocess import Preprocess
from syntype.encoders.encoder import Encoder
from syntype.errors import EncoderError, WeightsError
from syntype.provenance import canonical_json

_NAMED = 6  # keys named in a message


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a state dict: of its sorted names, each with its type, shape and bytes.

    It is the hash of what is in memory, on any device: float16 weights loaded as float32 hash as
    float32, and the order of the names does not count.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        header = canonical_json([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(header.encode() + b"\n")
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def some_of(names: Iterable[str]) -> str:
    """The first few of `names`, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the many errors of a damaged or unsafe weights file into one that names the file.

    Raises:
        WeightsError: `path` could not be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {path}. Check the path.") from error
    except (SafetensorError, EOFError, OSError) as error:
        raise WeightsError(
            f"{path} is truncated or damaged ({_first_line(error)}). Delete it and fetch it again."
        ) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, and reading it could run code. Save its state dict "
            "alone, best as safetensors, and load that."
        ) from error
    except RuntimeError as error:
        text = str(error)
        if "TorchScript" in text or "torch.jit" in text:
            raise WeightsError(
                f"{path} is a TorchScript archive. Save the state dict of the loaded model "
                "instead, best as safetensors."
            ) from error
        if "PytorchStreamReader" in text or "central directory" in text:
            raise WeightsError(
                f"{path} is truncated or damaged ({_first_line(error)}). Delete it and fetch it "
                "again."
            ) from error
        raise


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].rstrip(".")


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a safetensors or torch file, on the CPU.

    A training checkpoint with a `state_dict` entry gives that entry.

    Raises:
        WeightsError: The file is absent, damaged, unsafe, or holds no state dict.
    """
    with readable(path):
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(part, Tensor) for part in state.values()):
        raise WeightsError(f"{path} holds no state dict (names with tensors).")
    return dict(state)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a weights file; safetensors are not read for it.

    Raises:
        WeightsError: As `read_state`.
    """
    if path.suffix != ".safetensors":
        return {name: tuple(tensor.shape) for name, tensor in read_state(path).items()}
    with readable(path), safe_open(path, framework="pt") as handle:
        return {name: tuple(handle.get_slice(name).get_shape()) for name in handle.keys()}  # noqa: SIM118


def pour(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Load `state` into `module`: all of it, into all of the module.

    Raises:
        WeightsError: A key is missing, unexpected or of another shape; the message names it.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    refuse_keys(
        origin,
        missing=wanted.keys() - given.keys(),
        unexpected=given.keys() - wanted.keys(),
        misshapen=[
            f"{name} {given[name]} for {wanted[name]}"
            for name in wanted.keys() & given.keys()
            if wanted[name] != given[name]
        ],
    )
    module.load_state_dict(state, strict=True)


def refuse_keys(
    origin: str,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    misshapen: Iterable[str] = (),
) -> None:
    """Refuse weights that do not fit.

    Raises:
        WeightsError: Any of the three is not empty; the message names the keys.
    """
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    parts = [f"{word}: {some_of(names)}" for word, names in faults.items() if list(names)]
    if parts:
        raise WeightsError(
            f"The weights of {origin} do not fit its architecture, so part of it would be random. "
            f"Keys {'; '.join(parts)}. Check that name and file belong together."
        )


@torch.no_grad()
def poison(module: nn.Module) -> None:
    """Make every floating parameter NaN, so that `check_finite` finds what was never loaded."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            parameter.fill_(torch.nan)


def check_finite(module: nn.Module, origin: str) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        WeightsError: The message names the keys.
    """
    broken = [
        name
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if broken:
        raise WeightsError(
            f"The weights of {origin} are NaN or infinite, or were not loaded at all: "
            f"{some_of(broken)}. Fetch the file again."
        )


@contextmanager
def recorded_loading() -> Iterator[list[Any]]:
    """Collect what every `load_state_dict` within reports: its missing and unexpected keys.

    timm tells nobody but its log when it loads loosely, and creates and loads in one call.
    """
    original = nn.Module.load_state_dict
    reports: list[Any] = []

    def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        report = original(self, *args, **kwargs)
        reports.append(report)
        return report

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    try:
        yield reports
    finally:
        nn.Module.load_state_dict = original  # type: ignore[method-assign]


def sealed_encoder(
    name: str,
    architecture: Mapping[str, Any],
    module: nn.Module,
    preprocess: Preprocess,
    device: torch.device,
    weights: str | None = None,
) -> Encoder:
    """The encoder of a module whose weights are in: checked, hashed, measured, on its device.

    Args:
        name: The canonical spec string.
        architecture: What builds the module again, as plain JSON types.
        module: The module with its weights, on the CPU.
        preprocess: Its preprocessing.
        device: Where it goes.
        weights: The weights' identity; None to hash them.

    Raises:
        WeightsError: Weights are NaN or infinite.
        EncoderError: The module does not turn n pictures into n vectors.
    """
    check_finite(module, name)
    module = module.float().eval()
    identity = weights_hash(module.state_dict()) if weights is None else weights
    dim = _measured_dim(name, module, preprocess.size)
    return Encoder(
        name=name,
        architecture=architecture,
        weights=identity,
        preprocess=preprocess,
        dim=dim,
        module=module.to(device),
        device=device,
    )


@torch.inference_mode()
def _measured_dim(name: str, module: nn.Module, size: int) -> int:
    """d, from one grey picture: what a library says of a model's width is not always so."""
    picture: Float[Tensor, "1 3 s s"] = torch.full((1, 3, size, size), 0.5)
    vectors = module(picture)
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != 1:
        form = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise EncoderError(f"{name} gives {form} for one picture, not one vector; choose another.")
    return int(vectors.shape[1])
