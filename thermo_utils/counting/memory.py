"""Tensors as the kernels want them: flat, in the order of their memory."""

from __future__ import annotations

import contextlib
import mmap
import sys

import torch

__all__ = ["empty_like", "flatten"]

#: From this size on, malloc gives a block back to the system as soon as it is freed. Memory then
#: comes fresh each time, in pages of 4 KB whose first touch takes longer than pruning what is in
#: them. A huge page (2 MB) is touched for the first time only once in 512.
HUGE = 1 << 25


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """Uninitialised tensor of the same shape, strides, type and device.

    Parameters
    ----------
    tensor : Tensor
        Dense: no gaps between its elements and no overlaps.

    Returns
    -------
    Tensor
        Large ones on a Linux CPU lie in huge pages, if the system has them.

    Examples
    --------
    >>> empty_like(torch.zeros(2, 3).T).stride()
    (1, 3)
    """
    if sys.platform == "linux" and tensor.device.type == "cpu" and tensor.nbytes >= HUGE:
        memory = mmap.mmap(-1, tensor.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
        flat = torch.frombuffer(memory, dtype=tensor.dtype)  # keeps the memory alive
        return flat.as_strided(tensor.shape, tensor.stride())
    return torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )


def flatten(tensor: torch.Tensor) -> torch.Tensor | None:
    """One-dimensional view of a dense tensor in the order of its memory, None if it has gaps.

    Examples
    --------
    >>> flatten(torch.tensor([[1, 2], [3, 4]]).T)
    tensor([1, 2, 3, 4])
    """
    if not tensor.is_contiguous():
        tensor = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return tensor.view(-1) if tensor.is_contiguous() else None
