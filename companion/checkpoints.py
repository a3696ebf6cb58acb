"""Pretrained checkpoints (Section 4.2), by hub id or from a local folder.

With ``THERMO_MODELS=<folder>`` they are read from a local mirror laid out by hub id
(``<folder>/google-bert/bert-base-uncased``, ...) and nothing is downloaded. A checkpoint given as
an existing path is used as it is. Downloads come from the Hugging Face hub and, of torchvision's
networks, from PyTorch's server, in whose place ``THERMO_TORCHVISION_URL`` names another.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from companion.hub import cause, hub
from companion.mirror import mirror
from thermo_utils.errors import ThermoError

__all__ = ["check_available", "load", "load_body", "locate", "quiet_transformers", "state_dict"]

T = TypeVar("T")

#: Where torchvision keeps its weights, unless ``THERMO_TORCHVISION_URL`` says otherwise.
TORCHVISION_URL = "https://download.pytorch.org/models/"
#: Names that begin so are of torchvision's weights and not of repositories of the hub.
TORCHVISION = "torchvision/"
#: The first digits of a file's SHA-256, which torchvision puts into its name.
DIGITS = re.compile(r"-([0-9a-f]{8,64})\.")
#: Parts of a network that fine-tuning starts from scratch, so a checkpoint may lack them.
HEADS = ("classifier.", "score.")
FIX = (
    "check the network, set THERMO_MODELS to a folder with local copies laid out by hub id, or use "
    "profile demo, which needs no checkpoint"
)
#: Variable by which ``transformers`` is kept from asking a public service to convert a checkpoint.
NO_CONVERSION = "DISABLE_SAFETENSORS_CONVERSION"


def locate(checkpoint: str) -> str:
    """Where a checkpoint is: a local folder, or the hub.

    Parameters
    ----------
    checkpoint : str
        Hub id, or path of an existing file or folder.

    Returns
    -------
    str
        A local path, or the hub id itself when ``THERMO_MODELS`` is not set.

    Raises
    ------
    ThermoError
        If ``THERMO_MODELS`` is no folder or does not hold the checkpoint.

    Examples
    --------
    >>> locate(".")
    '.'
    """
    if not checkpoint:
        raise ThermoError("the checkpoint has no name: give a hub id or an existing path")
    here = Path(checkpoint).expanduser()
    if here.exists():
        return str(here)
    folder = mirror("THERMO_MODELS", "google-bert/bert-base-uncased")
    if folder is None:
        return checkpoint
    if not (folder / checkpoint).exists():
        raise ThermoError(
            f"THERMO_MODELS has no folder {checkpoint}: put the checkpoint there, or unset "
            "THERMO_MODELS to download it"
        )
    return str(folder / checkpoint)


def check_available(checkpoint: str) -> None:
    """Refuse quickly if a checkpoint cannot be had: not in the mirror, not on the hub, or gated.

    Parameters
    ----------
    checkpoint : str
        See :func:`locate`. That torchvision's weights can be had is seen only when they are loaded.

    Raises
    ------
    ThermoError
        As :func:`locate`; if the hub does not give it out, or is out of reach and the checkpoint is
        not in the local cache.

    Examples
    --------
    >>> check_available(".")
    """
    place = locate(checkpoint)
    if Path(place).exists() or place.startswith(TORCHVISION) or "://" in place:
        return
    from huggingface_hub import hf_hub_download

    try:
        with hub():
            hf_hub_download(place, "config.json")
    except Exception as error:  # of a dozen kinds
        raise _failure(checkpoint, error) from error


def load(function: Callable[..., T], checkpoint: str, **kwargs: Any) -> T:
    """Call a ``from_pretrained`` function; every failure becomes one error.

    Parameters
    ----------
    function : callable
        Such as ``BertForSequenceClassification.from_pretrained``.
    checkpoint : str
        See :func:`locate`.
    **kwargs
        For `function`.

    Returns
    -------
    object
        What `function` returns. A model has all weights from the checkpoint except those of its
        classification head and pooler, which may be new.

    Raises
    ------
    ThermoError
        If the checkpoint is missing, gated, damaged, out of reach, or of another architecture.

    Notes
    -----
    Given the wrong checkpoint, ``from_pretrained`` only warns and returns random weights. Results
    obtained with them would be worthless, so here that is an error.
    """
    place = locate(checkpoint)
    owner = getattr(function, "__self__", None)
    is_model = isinstance(owner, type) and issubclass(owner, nn.Module)
    try:
        with hub(not Path(place).exists()), quiet_transformers():
            if not is_model:
                return function(place, **kwargs)
            _check_family(owner, place)
            # A head for other classes is replaced; any other mismatch is refused below.
            loaded: Any = function(
                place, ignore_mismatched_sizes=True, output_loading_info=True, **kwargs
            )
    except ThermoError as error:
        raise ThermoError(f"checkpoint {checkpoint}: {error}") from error
    except Exception as error:  # the hub client raises a dozen kinds; one message serves them all
        raise _failure(checkpoint, error) from error
    model, report = loaded
    _check_weights(checkpoint, report)
    return model


def state_dict(checkpoint: str, filename: str) -> dict[str, Tensor]:
    """Weights of a torchvision model.

    Parameters
    ----------
    checkpoint : str
        A folder holding a single ``*.pth`` or ``*.safetensors`` file, or such a file; otherwise
        a name under which ``THERMO_MODELS`` may hold that folder.
    filename : str
        What to download when ``THERMO_MODELS`` is not set: a complete URL, or the name of
        a file on PyTorch's server. A name such as ``resnet18-f37072fd.pth`` gives the first digits
        of the SHA-256 that the file must have.

    Returns
    -------
    dict of str to Tensor
        The weights, on the CPU.

    Raises
    ------
    ThermoError
        If the weights are missing, ambiguous, damaged or out of reach.
    """
    place = Path(locate(checkpoint))
    local = place.exists()
    file = _single_file(place) if local else place
    try:
        if not local:
            file = _downloaded(filename)
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except ThermoError as error:
        raise ThermoError(f"checkpoint {checkpoint}: {error}") from error
    except Exception as error:  # network, file format and pickle errors alike
        raise _failure(checkpoint, error) from error
    if not isinstance(found, Mapping) or not all(isinstance(w, Tensor) for w in found.values()):
        raise ThermoError(f"checkpoint {checkpoint}: {file} holds no mapping of names to tensors")
    return dict(found)


def load_body(network: nn.Module, checkpoint: str, filename: str, *, head: str) -> None:
    """Load all weights of a torchvision model but those of its head, which is to be replaced.

    Parameters
    ----------
    network : Module
        Gets the weights.
    checkpoint, filename : str
        See :func:`state_dict`.
    head : str
        What the names of the head's weights begin with; they may be of any size, or missing.

    Raises
    ------
    ThermoError
        If the weights cannot be loaded, or are not those of this network.
    """
    found = state_dict(checkpoint, filename)
    own = {name: w for name, w in network.state_dict().items() if name.startswith(head)}
    body = {name: w for name, w in found.items() if not name.startswith(head)}
    try:
        network.load_state_dict({**own, **body})
    except RuntimeError as error:  # lists every key; the first says enough
        first = str(error).split("\n\t")[1 if "\n\t" in str(error) else 0]
        raise ThermoError(
            f"checkpoint {checkpoint} is of another network or size: {first.strip()[:200]}"
        ) from error


def _downloaded(filename: str) -> Path:
    """A file of torchvision's in PyTorch's own cache; a download that broke off goes on."""
    from filelock import FileLock
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    base = os.environ.get("THERMO_TORCHVISION_URL") or TORCHVISION_URL
    url = filename if "://" in filename else f"{base.rstrip('/')}/{filename}"
    file = Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(urlsplit(url).path).name)
    known = DIGITS.search(file.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f"{file.name}.lock")):
        if file.exists() and _is_whole(file):
            return file
        part = file.with_name(f"{file.name}.part")
        # A file without digits in its name may have become another one in between.
        with part.open("ab" if known else "wb") as stream:
            try:
                http_get(url, stream, resume_size=stream.tell())
            except HfHubHTTPError:  # an answer, and not the rest of this part
                part.unlink()
                raise
        if not _is_whole(part):
            part.unlink()
            raise ThermoError(
                f"{url} holds something else: its SHA-256 does not begin with the digits in its "
                "name; try again, or ask another server (THERMO_TORCHVISION_URL)"
            )
        os.replace(part, file)
    return file


def _is_whole(file: Path) -> bool:
    """Whether a file has the hash that its name gives, if it gives one."""
    known = DIGITS.search(file.name)
    if known is None:
        return True
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest().startswith(known[1])


def _single_file(place: Path) -> Path:
    if place.is_file():
        return place
    files = sorted([*place.glob("*.pth"), *place.glob("*.safetensors")])
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ThermoError(
            f"{place} must hold exactly one *.pth or *.safetensors file, it holds {found}"
        )
    return files[0]


def _failure(checkpoint: str, error: Exception) -> ThermoError:
    return ThermoError(f"could not load checkpoint {checkpoint}: {cause(error)}. To fix it, {FIX}")


def _check_family(model: Any, place: str) -> None:
    from transformers import AutoConfig

    family = AutoConfig.from_pretrained(place).model_type
    wanted = model.config_class.model_type
    if family != wanted:
        raise ThermoError(f"it holds a {family} network, not {wanted}: choose one of that family")


def _check_weights(checkpoint: str, report: Mapping[str, Any]) -> None:
    mismatched = [item if isinstance(item, str) else item[0] for item in report["mismatched_keys"]]
    strange = [
        name
        for name in sorted({*report["missing_keys"], *mismatched})
        if not name.startswith(HEADS) and ".pooler." not in name
    ]
    if strange:
        raise ThermoError(
            f"checkpoint {checkpoint} lacks {len(strange)} weights, such as {strange[0]}, or has "
            "them in another shape: it was made for a different network"
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the report on new classification heads and the bar over weights, and the request
    to a public service to convert weights of an old format, which nobody here has asked for.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    conversion = os.environ.get(NO_CONVERSION)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    os.environ[NO_CONVERSION] = "1"
    try:
        yield
    finally:
        if conversion is None:
            del os.environ[NO_CONVERSION]
        else:
            os.environ[NO_CONVERSION] = conversion
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
