"""Tensors on disk as safetensors: written whole or not at all, hashed, and read only if unchanged.

safetensors holds names, shapes and bytes and nothing that could run code when it is read.
"""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from syntype import files
from syntype.provenance import file_hash


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write `tensors` to `path` atomically, from any device.

    Tensors that share memory (tied weights) are written once each.

    Returns:
        The SHA-256 of the file; equal tensors give equal files.

    Raises:
        ResourceError: The disk is full or the folder may not be written.
    """
    apart = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    with files.atomic_path(path) as temporary:
        try:
            save_file(apart, temporary)
        except SafetensorError as error:
            raise _as_os_error(error) from error
        return file_hash(temporary)


def _as_os_error(error: SafetensorError) -> Exception:
    """The operating system's error that safetensors quotes, if it quotes one."""
    quoted = re.search(r"os error (\d+)", str(error))
    number = int(quoted.group(1)) if quoted else errno.EIO
    return OSError(number, os.strerror(number))
