"""What the CPU's kernels do with whole vector registers. Imports numba."""

from __future__ import annotations

import functools

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

__all__ = ["LANES", "can_squeeze", "fetch", "squeeze"]

#: Patterns of 32 bits in a register of AVX-512.
LANES = 16
#: The instruction, which LLVM would imitate, slowly, on a processor without it.
COMPRESS = f"llvm.experimental.vector.compress.v{LANES}i32"


@functools.cache
def can_squeeze() -> bool:
    """Whether the processor that numba compiles for can close the gaps in a register."""
    others = (getattr(config, name) for name in ("CPU_NAME", "CPU_FEATURES"))
    if any(other is not None for other in others):
        return False  # someone wants another one
    try:
        return bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
    except RuntimeError:  # it cannot be known
        return False


@intrinsic
def squeeze(context, source, target):  # type: ignore
    """Copy the magnitudes of `LANES` float32 patterns that are not zero; returns how many.

    Both are addresses. All `LANES` places at `target` are written to, the last ones with anything.
    """

    def made(context, builder, signature, values):  # type: ignore
        word, bit = ir.IntType(32), ir.IntType(1)
        vector, mask = ir.VectorType(word, LANES), ir.VectorType(bit, LANES)
        source, target = (builder.inttoptr(value, vector.as_pointer()) for value in values)
        patterns = builder.load(source, align=4)
        magnitudes = builder.and_(patterns, ir.Constant(vector, [0x7FFFFFFF] * LANES))
        kept = builder.icmp_unsigned("!=", magnitudes, ir.Constant(vector, [0] * LANES))
        kind = ir.FunctionType(vector, [vector, mask, vector])
        compress = cgutils.get_or_insert_function(builder.module, kind, COMPRESS)
        close = builder.call(compress, [magnitudes, kept, ir.Constant(vector, ir.Undefined)])
        builder.store(close, target, align=4)
        count = builder.ctpop(builder.bitcast(kept, ir.IntType(LANES)))
        return builder.zext(count, ir.IntType(64))

    return types.int64(types.int64, types.int64), made


@intrinsic
def fetch(context, address):  # type: ignore
    """Have the memory at an address brought near; nothing happens if there is none."""

    def made(context, builder, signature, values):  # type: ignore
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        name = "llvm.prefetch.p0"
        call = cgutils.get_or_insert_function(builder.module, kind, name)
        pointer = builder.inttoptr(values[0], cgutils.voidptr_t)
        # To be read, and soon; a line of data.
        builder.call(call, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), made
