"""What a notebook's kernel does before the first cell: it imports what every chapter needs."""

from __future__ import annotations

from companion.imports import uncollected

__all__: list[str] = []

with uncollected():
    import torch  # noqa: F401

    import companion.data.tensors
    import companion.pages.chapter  # noqa: F401
    import thermo_utils.evaluation  # noqa: F401
