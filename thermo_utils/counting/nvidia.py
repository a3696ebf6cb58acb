"""Kernels in CUDA C++ on NVIDIA GPUs: compiled by NVRTC, which comes with torch, and launched."""

from __future__ import annotations

import ctypes
import functools
from importlib import resources
from typing import Any, NamedTuple

import torch
from cuda.bindings import driver, nvrtc

from thermo_utils.errors import ThermoError

__all__ = ["Gpu", "Limits", "Macros", "compiled"]

#: Names and values that a kernel is compiled with.
Macros = tuple[tuple[str, int], ...]


class Limits(NamedTuple):
    """What a GPU has."""

    multiprocessors: int
    threads: int  # of a multiprocessor, at a time
    shared: int  # bytes of shared memory of a multiprocessor
    block: int  # and of a block, at most


class Gpu:
    """One NVIDIA GPU, as kernels need it.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def limits(self) -> Limits:
        """What it has."""
        has = _properties(self.device)
        return Limits(
            has.multi_processor_count,
            has.max_threads_per_multi_processor,
            has.shared_memory_per_multiprocessor,
            has.shared_memory_per_block_optin,
        )

    def kernel(self, source: str, name: str, macros: Macros) -> Any:
        """A kernel of a source file of this package, compiled on first use.

        Parameters
        ----------
        source : str
            Such as ``"shared.cu"``.
        name : str
            Of its function.
        macros : tuple of (str, int)

        Raises
        ------
        ThermoError
            If it cannot be compiled or loaded here; says why.
        """
        with torch.cuda.device(self.device):
            return _loaded(source, name, macros, torch.cuda.current_device())

    def launch(
        self, kernel: Any, blocks: int, threads: int, shared: int, argument: ctypes.Structure
    ) -> None:
        """Put a kernel into torch's current stream, without waiting for it.

        Parameters
        ----------
        kernel
            See :meth:`kernel`.
        blocks, threads : int
            How many, and of how many threads.
        shared : int
            Bytes of shared memory of each block.
        argument : ctypes.Structure
            The kernel's only argument; it is copied.
        """
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        with torch.cuda.device(self.device):
            stream = torch.cuda.current_stream().cuda_stream
            _checked(
                driver.cuLaunchKernel(
                    kernel, blocks, 1, 1, threads, 1, 1, shared, stream,
                    ctypes.addressof(arguments), 0,
                )
            )  # fmt: skip


def _properties(device: torch.device | int) -> Any:
    """What a GPU has; torch's stubs do not know all of it."""
    return torch.cuda.get_device_properties(device)


@functools.lru_cache(maxsize=256)
def _loaded(source: str, name: str, macros: Macros, index: int) -> Any:
    """A kernel on the GPU of this number, which is the current one."""
    capability = "".join(map(str, torch.cuda.get_device_capability(index)))
    module = _checked(driver.cuModuleLoadData(compiled(source, macros, capability)))
    kernel = _checked(driver.cuModuleGetFunction(module, name.encode()))
    most = _properties(index).shared_memory_per_block_optin
    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _checked(driver.cuFuncSetAttribute(kernel, attribute, most))
    return kernel


def compiled(source: str, macros: Macros, capability: str) -> bytes:
    """Machine code of a source file of this package; needs no GPU.

    Parameters
    ----------
    source, macros
        As for :meth:`Gpu.kernel`.
    capability : str
        Of the GPUs it is for, such as ``"90"``.

    Raises
    ------
    ThermoError
        With what the compiler says.
    """
    text = resources.files(__package__).joinpath(source).read_bytes()
    program = _checked(nvrtc.nvrtcCreateProgram(text, source.encode(), 0, [], []))
    flags = [f"--gpu-architecture=sm_{capability}", *(f"-D{name}={at}" for name, at in macros)]
    try:
        error, *_ = nvrtc.nvrtcCompileProgram(program, len(flags), [f.encode() for f in flags])
        if int(error):
            log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
            nvrtc.nvrtcGetProgramLog(program, log)
            said = " ".join(log.rstrip(b"\0").decode(errors="replace").split())
            raise ThermoError(f"{source} does not compile for sm_{capability}: {said}")
        code = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return code


def _checked(result: Any) -> Any:
    """What a call of the driver or the compiler returned, if it succeeded."""
    error, *rest = result
    if int(error):
        raise ThermoError(f"CUDA reports {error!r}")
    return rest[0] if rest else None
