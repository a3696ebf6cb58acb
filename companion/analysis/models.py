"""The network of ``thermo analyze``, and what is known about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from companion.analysis.failures import called
from companion.analysis.references import Reference, load_object
from companion.checkpoints import locate, quiet_transformers
from companion.hub import cause, hub
from thermo_utils.errors import ThermoError, nearest

__all__ = ["Loaded", "load_model"]

#: What a network answers, by how the name of its class ends.
Task = Literal["classes", "values", "next token", "tokens", "pixels", "other"]
TASKS: dict[str, Task] = {
    "ForSequenceClassification": "classes",
    "ForImageClassification": "classes",
    "ForImageClassificationWithTeacher": "classes",
    "ForAudioClassification": "classes",
    "ForVideoClassification": "classes",
    "ForCausalLM": "next token",
    "LMHeadModel": "next token",
    "ForTokenClassification": "tokens",
    "ForSemanticSegmentation": "pixels",
}
#: What a file with weights may have around them, and training on several devices before names.
WRAPPERS, PREFIX = ("state_dict", "model_state_dict", "model"), "module."
UNTRAINED = (
    "The weights are random: nobody has trained them, so the score means nothing, and thresholds "
    "are those of a network at its start."
)


@dataclass
class Loaded:
    """A network and what is known about it.

    Attributes
    ----------
    network : Module
    title : str
        What it is and where its weights come from, in words.
    classes : mapping of int to str, optional
        Names of its classes.
    outputs : int, optional
        Number of its classes.
    task : str, optional
        What it answers, where its class says so.
    place : str, optional
        Folder or name under which Hugging Face's libraries find what belongs to it.
    transform : object, optional
        torchvision's own preparation of images for it.
    untrained : bool
        Whether its weights are random.
    notes : list of str
        Warnings for the report.
    """

    network: nn.Module
    title: str
    classes: Mapping[int, str] | None = None
    outputs: int | None = None
    task: Task | None = None
    place: str | None = None
    transform: Any = None
    untrained: bool = False
    notes: list[str] = field(default_factory=list)


def load_model(
    reference: Reference,
    *,
    weights: str | None = None,
    classes: int | None = None,
    device: str | None = None,
) -> Loaded:
    """The network that a reference means.

    Parameters
    ----------
    reference : Reference
        Of a Python object, a network of torchvision or one of Hugging Face's.
    weights : str, optional
        File with a state dict, or name of weights, for a network of torchvision; else they are
        random.
    classes : int, optional
        How many classes the data have, for a network of torchvision with random weights.
    device : str, optional
        Where to move it. By default a Python object stays where it is, and others go to a GPU if
        there is one.

    Returns
    -------
    Loaded

    Raises
    ------
    ThermoError
        If it cannot be loaded, or is no network.
    """
    if reference.kind == "object":
        loaded = _from_python(reference.name)
    elif reference.kind == "torchvision":
        loaded = _from_torchvision(reference.name, weights, classes)
    else:
        loaded = _from_transformers(reference.name)
    if device is None and reference.kind != "object" and torch.cuda.is_available():
        device = "cuda"
    if device is not None:
        try:
            loaded.network.to(device)
        except (RuntimeError, AssertionError) as error:
            raise ThermoError(f"--device {device}: {cause(error)}; leave it out") from error
    return loaded


def _from_python(name: str) -> Loaded:
    network = load_object(name)
    if not isinstance(network, nn.Module) and callable(network):
        network = called(network, name)
    if not isinstance(network, nn.Module):
        raise ThermoError(f"{name} is of type {type(network).__name__}, not a torch.nn.Module")
    loaded = Loaded(network, f"{type(network).__name__} of {name}")
    config = getattr(network, "config", None)
    if type(network).__module__.startswith("transformers."):
        _read_config(loaded, config)
    return loaded


def _from_torchvision(name: str, weights: str | None, classes: int | None) -> Loaded:
    try:
        from torchvision import models
    except ModuleNotFoundError:
        raise _needs("torchvision", name) from None
    known = models.list_models(module=models)
    if name not in known:
        if name in models.list_models():
            raise ThermoError(
                f"torchvision's {name} is no classifier of images: load it in a function of yours "
                "and give FILE.py:NAME"
            )
        return _unless_transformers(name, known)
    choices = models.get_model_weights(name)
    best = choices.DEFAULT if len(choices) else None
    transform = best.transforms() if best is not None else None
    if weights is None:
        network = models.get_model(name, weights=None, num_classes=classes or 1000)
        return Loaded(
            network, f"{name} of torchvision, weights random",
            outputs=classes or 1000, transform=transform, untrained=True, notes=[UNTRAINED],
        )  # fmt: skip
    if Path(weights).is_file():
        found = _state_dict(Path(weights))
        with torch.device("meta"):
            *_, head = models.get_model(name, weights=None).state_dict()
        # The head comes last, and in a file, which may be sorted, under the same name.
        outputs = len(found[head]) if head in found else 1000
        network = models.get_model(name, weights=None, num_classes=outputs)
        _fill(network, found, name, weights)
        return Loaded(
            network, f"{name} of torchvision, weights from {weights}",
            outputs=outputs, transform=transform,
        )  # fmt: skip
    if weights not in choices.__members__:
        listed = ", ".join(choices.__members__) or "none"
        raise ThermoError(f"{name} has no weights {weights!r} in torchvision: it has {listed}")
    chosen = choices[weights]
    try:
        network = models.get_model(name, weights=chosen)
    except Exception as error:  # of the network, or a damaged file
        cached = Path(torch.hub.get_dir(), "checkpoints", Path(chosen.url).name)
        raise ThermoError(
            f"could not load {weights} of {name} ({cause(error)}): put {chosen.url} at {cached}, "
            "or give a state dict with --weights"
        ) from error
    names = dict(enumerate(chosen.meta["categories"]))
    return Loaded(
        network, f"{name} of torchvision, weights {weights}",
        classes=names, outputs=len(names), transform=chosen.transforms(),
    )  # fmt: skip


def _unless_transformers(name: str, known: list[str]) -> Loaded:
    """A name that is none of torchvision's may be one of the hub."""
    try:
        return _from_transformers(name)
    except ThermoError as error:
        close = nearest(name, known)
        hint = f", did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ThermoError(f"{name} is no classifier of torchvision{hint}; and {error}") from error


def _state_dict(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # formats fail in many ways
        raise ThermoError(
            f"{file} holds no state dict ({type(error).__name__}): write it with "
            "torch.save(network.state_dict(), ...)"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found:
        raise ThermoError(f"{file} holds no state dict but {type(found).__name__}")
    strange = [key for key, value in found.items() if not isinstance(value, Tensor)]
    if strange:
        raise ThermoError(f"{file} holds no state dict: {strange[0]!r} is no tensor")
    bare = all(key.startswith(PREFIX) for key in found)
    return {key.removeprefix(PREFIX) if bare else key: value for key, value in found.items()}


def _fill(network: nn.Module, found: dict[str, Tensor], name: str, file: str) -> None:
    try:
        network.load_state_dict(found)
    except RuntimeError as error:  # lists every key; the first says enough
        first = str(error).split("\n\t")[1 if "\n\t" in str(error) else 0]
        raise ThermoError(
            f"{file} holds the weights of another network than {name}: {first.strip()[:200]}"
        ) from error


def _from_transformers(name: str) -> Loaded:
    try:
        import transformers
    except ModuleNotFoundError:
        raise _needs("transformers", name) from None
    place = locate(name)
    local = Path(place).exists()
    try:
        with hub(not local), quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(place)
            architecture = (config.architectures or [""])[0]
            known = getattr(transformers, architecture or "none", None)
            if known is None:
                raise ThermoError(
                    f"{name} does not say which class of transformers it is (architectures: "
                    f"{architecture or 'missing'}): load it in a function of yours and give "
                    "FILE.py:NAME"
                )
            network, report = known.from_pretrained(place, output_loading_info=True)
    except ThermoError:
        raise
    except Exception as error:  # the clients of the hub raise a dozen kinds
        fix = (
            "write the folder anew with save_pretrained"
            if local
            else "check the name and the network, or give a local folder"
            + (" (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else "")
        )
        where = "the folder" if local else "Hugging Face"
        why = cause(error).partition(" Check your")[0].rstrip(".")
        raise ThermoError(f"could not load {name} from {where} ({why}): {fix}") from error
    loaded = Loaded(network, f"{architecture} of {name}", place=place)
    _read_config(loaded, config)
    missing = sorted(report["missing_keys"])
    if missing:
        loaded.notes.append(
            f"{len(missing)} of the network's weights, such as {missing[0]}, are not in {name} and "
            "are random: the score may mean nothing."
        )
    return loaded


def _read_config(loaded: Loaded, config: Any) -> None:
    """What a network of transformers says of itself."""
    kind = type(loaded.network).__name__
    loaded.task = next((task for end, task in TASKS.items() if kind.endswith(end)), "other")
    loaded.place = loaded.place or getattr(config, "name_or_path", None) or None
    if loaded.task in ("classes", "tokens", "pixels"):
        loaded.outputs = config.num_labels
        loaded.classes = {int(number): str(word) for number, word in config.id2label.items()}
    if loaded.task == "classes":
        if config.num_labels == 1 or config.problem_type == "regression":
            loaded.task, loaded.outputs, loaded.classes = "values", 1, None
        elif config.problem_type == "multi_label_classification":
            loaded.notes.append(
                "The network gives several labels to one example; accuracy takes the highest alone."
            )


def _needs(package: str, name: str) -> ThermoError:
    return ThermoError(
        f"{name} needs {package}: pip install {package}, or give FILE.py:NAME of a network"
    )
