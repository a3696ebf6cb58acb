"""What a notebook's kernel does before the first cell, and what it does not do after the last one.

It imports what every chapter needs. And it ends at once: taking apart two million objects of
PyTorch and Lightning, one by one, took a sixth of the time of a demo chapter.
"""

from __future__ import annotations

import atexit
import os
import sys

from companion.imports import uncollected

__all__: list[str] = []


def _end() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(0)


# Before the imports: what they and the cells register is called earlier, the latest first.
atexit.register(_end)

with uncollected():
    import torch  # noqa: F401

    import companion.data.tensors
    import companion.pages.chapter  # noqa: F401
    import thermo_utils.evaluation  # noqa: F401
