"""Free energies of neural activations, and where they say a network breaks under pruning.

The companion package to "Modeling Pruning as a Phase Transition: A Thermodynamic Analysis of
Neural Activations" (CMC 2026, 86(3), 99). It works with any ``torch.nn.Module`` and any iterable
of batches.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermo_utils.accuracy import accuracy_threshold, score_threshold
    from thermo_utils.allotment import Allotment, allot
    from thermo_utils.by_class import ClassCosts, cost_by_class
    from thermo_utils.compared import compare_allotments
    from thermo_utils.counting import ActivationSpectrum
    from thermo_utils.curves import Threshold
    from thermo_utils.errors import ThermoError
    from thermo_utils.evaluation import evaluate, full_evaluation, renormalized
    from thermo_utils.greedy import allot_greedily
    from thermo_utils.hooks import ActivationPruner
    from thermo_utils.kept import prune, unprune
    from thermo_utils.layers import resolve_layers
    from thermo_utils.layerwise import LayerSpectra, layer_spectra
    from thermo_utils.sampling import sampled_renormalized
    from thermo_utils.saving import load_curve, load_safe, save_curve, save_safe
    from thermo_utils.search import SafeThreshold, find_safe_threshold
    from thermo_utils.skipping import SkippingLinear, break_even, skipping_speed
    from thermo_utils.thermodynamics import (
        density,
        entropy,
        free_energy,
        internal_energy,
        temperature,
        thermodynamic_curve,
    )
    from thermo_utils.timing import benchmark
    from thermo_utils.transitions import (
        critical_threshold,
        find_transitions,
        transitions_match,
    )

__version__ = "0.1.0"

__all__ = [
    "ActivationPruner",
    "ActivationSpectrum",
    "Allotment",
    "ClassCosts",
    "LayerSpectra",
    "SafeThreshold",
    "SkippingLinear",
    "ThermoError",
    "Threshold",
    "accuracy_threshold",
    "allot",
    "allot_greedily",
    "benchmark",
    "break_even",
    "compare_allotments",
    "cost_by_class",
    "critical_threshold",
    "density",
    "entropy",
    "evaluate",
    "find_safe_threshold",
    "find_transitions",
    "free_energy",
    "full_evaluation",
    "internal_energy",
    "layer_spectra",
    "load_curve",
    "load_safe",
    "prune",
    "renormalized",
    "resolve_layers",
    "sampled_renormalized",
    "save_curve",
    "save_safe",
    "score_threshold",
    "skipping_speed",
    "temperature",
    "thermodynamic_curve",
    "transitions_match",
    "unprune",
]

#: Modules by the public names they hold. They are imported on first use: importing PyTorch takes
#: seconds, which the formulas, the curves and the command line's error messages do not need.
_HOMES = {
    "accuracy": ("accuracy_threshold", "score_threshold"),
    "allotment": ("Allotment", "allot"),
    "by_class": ("ClassCosts", "cost_by_class"),
    "compared": ("compare_allotments",),
    "greedy": ("allot_greedily",),
    "curves": ("Threshold",),
    "errors": ("ThermoError",),
    "evaluation": ("evaluate", "full_evaluation", "renormalized"),
    "hooks": ("ActivationPruner",),
    "kept": ("prune", "unprune"),
    "layers": ("resolve_layers",),
    "layerwise": ("LayerSpectra", "layer_spectra"),
    "sampling": ("sampled_renormalized",),
    "saving": ("load_curve", "load_safe", "save_curve", "save_safe"),
    "search": ("SafeThreshold", "find_safe_threshold"),
    "counting": ("ActivationSpectrum",),
    "skipping": ("SkippingLinear", "break_even", "skipping_speed"),
    "thermodynamics": (
        "density",
        "entropy",
        "free_energy",
        "internal_energy",
        "temperature",
        "thermodynamic_curve",
    ),
    "timing": ("benchmark",),
    "transitions": (
        "critical_threshold",
        "find_transitions",
        "transitions_match",
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
