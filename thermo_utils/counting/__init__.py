"""Exact counts and sums of activations above thresholds, in one pass: the room's one door.

What is outside of this folder imports from here alone. Inside, from the bottom up: the integers
(:mod:`~thermo_utils.counting.layouts`), where they are kept and the kernels that fill them
(:mod:`~thermo_utils.counting.bins`, :mod:`~thermo_utils.counting.cpu`,
:mod:`~thermo_utils.counting.gpu`), what is counted and by which kernel
(:mod:`~thermo_utils.counting.settings`), and who counts: a spectrum at all thresholds of a grid, or
pruning at one.
"""

from thermo_utils.counting.prune import PruneCounts, Summed
from thermo_utils.counting.settings import check_taus
from thermo_utils.counting.spectrum import ActivationSpectrum

__all__ = ["ActivationSpectrum", "PruneCounts", "Summed", "check_taus"]
