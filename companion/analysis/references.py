"""What the words MODEL and DATA of ``thermo analyze`` refer to, without loading any of it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from thermo_utils.errors import ThermoError, nearest

__all__ = [
    "IMAGES", "Reference", "data_reference", "load_object", "model_reference", "object_reference",
]  # fmt: skip

Kind = Literal["object", "torchvision", "transformers", "images", "table", "saved", "datasets"]

#: How tables of texts end; what is in them is read by :mod:`companion.analysis.tables`.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
#: How images end, as torchvision's ``ImageFolder`` has it.
IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
#: Words that end so are files, also where there are none.
FILES = (".py", ".pt", ".pth", ".safetensors")
#: A name on the Hugging Face hub, with or without an owner.
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


class Reference(NamedTuple):
    """What a word refers to.

    Attributes
    ----------
    kind : str
        ``"object"`` for a Python object; ``"torchvision"`` and ``"transformers"`` for models; for
        data ``"images"`` (a folder of them), ``"table"`` (of texts), ``"saved"`` (a folder saved by
        the datasets library) and ``"datasets"`` (a name on the hub).
    name : str
        The word, without a prefix such as ``torchvision:``.
    """

    kind: Kind
    name: str

    @property
    def file(self) -> Path | None:
        """The file of a Python object, None where it is given by module or is none."""
        place = self.name.rpartition(":")[0]
        return Path(place) if self.kind == "object" and place.endswith(".py") else None


def model_reference(word: str) -> Reference:
    """What MODEL refers to.

    Parameters
    ----------
    word : str
        ``FILE.py:NAME``, ``MODULE:NAME``, ``torchvision:NAME``, a folder, or a name on its own,
        which is a network of torchvision, or else one on the Hugging Face hub.

    Returns
    -------
    Reference
        A name on its own comes back as ``"torchvision"`` if that library may know it.

    Raises
    ------
    ThermoError
        If it refers to nothing that is there.

    Examples
    --------
    >>> model_reference("torchvision:resnet18")
    Reference(kind='torchvision', name='resnet18')
    >>> model_reference("google-bert/bert-base-uncased").kind
    'transformers'
    """
    if not word.strip():
        raise ThermoError("there is no model without a name: give FILE.py:NAME")
    place, colon, name = word.rpartition(":")
    if colon and place == "torchvision":
        return Reference("torchvision", name)
    path = Path(word).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ThermoError(
                f"{word} is a folder without a config.json: give a folder that save_pretrained has "
                "written, or FILE.py:NAME"
            )
        return Reference("transformers", str(path))
    if path.is_file():
        how = "FILE.py:NAME of a function that loads it" if path.suffix != ".py" else f"{word}:NAME"
        raise ThermoError(f"{word} is a file and no model by itself: give {how}")
    if colon:
        return object_reference(word)
    if _is_path(word) or not HUB_ID.fullmatch(word):
        raise ThermoError(
            f"there is no {word}: give FILE.py:NAME, MODULE:NAME, a network of torchvision, or "
            "a folder or name of a Hugging Face model"
        )
    # Names of torchvision have neither an owner nor a hyphen.
    if re.fullmatch(r"[a-z0-9_]+", word):
        return Reference("torchvision", word)
    return Reference("transformers", word)


def data_reference(word: str) -> Reference:
    """What DATA refers to.

    Parameters
    ----------
    word : str
        ``FILE.py:NAME``, ``MODULE:NAME``, a file with a table, a folder with images or one that the
        datasets library has saved, or a name on the Hugging Face hub.

    Returns
    -------
    Reference

    Raises
    ------
    ThermoError
        If it refers to nothing that is there.

    Examples
    --------
    >>> data_reference("stanfordnlp/imdb").kind
    'datasets'
    """
    if not word.strip():
        raise ThermoError("there are no data without a name: give FILE.py:NAME")
    path = Path(word).expanduser()
    if path.is_dir():
        saved = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
        if saved or any(entry.suffix == ".parquet" for entry in path.rglob("*.parquet")):
            return Reference("saved", str(path))
        return Reference("images", str(path))
    if path.is_file():
        if path.suffix.lower() in TABLES:
            return Reference("table", str(path))
        how = f"{word}:NAME" if path.suffix == ".py" else f"a table ({', '.join(TABLES)})"
        raise ThermoError(f"{word} is a file of no kind that holds data: give {how}")
    if ":" in word:
        return object_reference(word)
    if _is_path(word) or path.suffix.lower() in TABLES or not HUB_ID.fullmatch(word):
        raise ThermoError(f"there is no file or folder {word}")
    return Reference("datasets", word)


def _is_path(word: str) -> bool:
    """Whether a word that is no file can be nothing else."""
    return word.startswith((".", "/", "~")) or word.endswith(("/", *FILES)) or word.count("/") > 1


def object_reference(word: str) -> Reference:
    """The Python object that a word refers to.

    Parameters
    ----------
    word : str
        ``FILE.py:NAME`` or ``MODULE:NAME``.

    Returns
    -------
    Reference
        Of kind ``"object"``.

    Raises
    ------
    ThermoError
        If it is neither, or there is no such file or module; whether it has the name is not looked
        at.

    Examples
    --------
    >>> object_reference("torch.nn:ReLU").kind
    'object'
    """
    place, _, name = word.rpartition(":")
    if not place or not name.isidentifier():
        raise ThermoError(f"{word!r} names no object: write FILE.py:NAME or MODULE:NAME")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ThermoError(f"there is no file {place}")
        return Reference("object", word)
    top = place.partition(".")[0]
    if not all(part.isidentifier() for part in place.split(".")):
        raise ThermoError(f"there is no file {place}, and no module can have this name")
    here = Path.cwd()
    known = (here / top).is_dir() or (here / f"{top}.py").is_file() or top in sys.modules
    if not known and importlib.util.find_spec(top) is None:
        raise ThermoError(
            f"could not import {place}: there is no module {top} in this folder or installed"
        )
    return Reference("object", word)


def load_object(reference: str) -> Any:
    """The object behind ``FILE.py:NAME`` or ``MODULE:NAME``.

    Parameters
    ----------
    reference : str
        Modules are also looked for in the current folder.

    Returns
    -------
    object

    Raises
    ------
    ThermoError
        If there is no such file, module or name, or it fails to import.

    Examples
    --------
    >>> load_object("torch.nn:ReLU")
    <class 'torch.nn.modules.activation.ReLU'>
    """
    place, _, name = reference.rpartition(":")
    try:
        if place.endswith(".py"):
            module = _run_file(Path(place).absolute())
        else:
            here = str(Path.cwd())
            if here not in sys.path:
                sys.path.insert(0, here)
            module = importlib.import_module(place)
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        raise ThermoError(f"could not import {place}: {type(error).__name__}: {said}") from error
    if not hasattr(module, name):
        close = nearest(name, [n for n in vars(module) if not n.startswith("_")])
        hint = f": did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ThermoError(f"there is no {name!r} in {place}{hint}")
    return getattr(module, name)


@lru_cache
def _run_file(path: Path) -> ModuleType:
    """A file as a module, run once: the model and the data may come from the same file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # its own imports
    sys.modules.setdefault(path.stem, module)  # where pickle looks up its classes
    spec.loader.exec_module(module)
    return module
