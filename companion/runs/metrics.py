"""Torchmetrics without its metrics of images and texts, for Lightning.

Training asks Lightning for no metric, but Lightning imports all of torchmetrics, which imports
transformers, torchvision and scipy's signals for metrics of images and texts: half of the time that
Lightning takes to load, for every chapter anew.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

__all__ = ["LEFT_OUT", "load_torchmetrics"]

#: What torchmetrics does without where it is not installed.
LEFT_OUT: Final = ("scipy", "torchvision", "transformers")


def load_torchmetrics() -> None:
    """Import torchmetrics as if `LEFT_OUT` were not installed.

    In this process its metrics that need one of them are missing from then on; those of
    classification, regression and clustering are all there. Nothing is done where torchmetrics has
    been imported before.
    """
    if "torchmetrics" in sys.modules:
        return
    imports: Any = import_module("lightning_utilities.core.imports")  # whom torchmetrics asks
    found, met = imports.package_available, imports.RequirementCache.__bool__

    def left_in(name: str) -> Any:
        return name not in LEFT_OUT and found(name)

    def met_without(cache: Any) -> Any:
        if (cache.requirement or "").startswith(LEFT_OUT):
            cache.available = False
            cache.message = f"{cache.requirement}: import torchmetrics before training starts"
        return met(cache)

    imports.package_available, imports.RequirementCache.__bool__ = left_in, met_without
    try:
        import torchmetrics  # noqa: F401
    finally:
        imports.package_available, imports.RequirementCache.__bool__ = found, met
