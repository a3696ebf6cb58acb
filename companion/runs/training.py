"""Training as in Section 4.3: Adam, cross-entropy, early stopping on validation accuracy.

Runs on Lightning. An interrupted training goes on with the next epoch and ends with the same
weights as one that was never interrupted: order and dropout of an epoch are drawn from the seed
and the number of the epoch alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import nn

from companion.imports import uncollected
from companion.runs.kept import DamagedError, set_aside
from companion.runs.metrics import load_torchmetrics
from companion.runs.overrides import SCHEDULES
from companion.runs.provenance import made_with
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    from companion.data.tensors import Splits
    from companion.runs.weights import Body

__all__ = ["ended", "train"]

BEST, LAST = "best", "last"


def train(
    network: nn.Module,
    data: Splits,
    *,
    epochs: int,
    batch_size: int,
    folder: str | Path,
    learning_rate: float = 0.001,
    patience: int = 3,
    seed: int = 0,
    precision: str = "32-true",
    augment: bool = False,
    schedule: str = "constant",
    start: Body | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a classifier and restore the weights of its best epoch.

    Parameters
    ----------
    network : Module
        Returns class scores; changed in place, and left on the CPU in eval mode.
    data : Splits
        Training and validation examples.
    epochs : int
        At most this many.
    batch_size : int
        Examples per step.
    folder : path
        Where the state of the last and the best epoch is kept. If it holds a state, training goes
        on from there.
    learning_rate : float, default 0.001
        Of Adam.
    patience : int, default 3
        Training ends after this many epochs without a better validation accuracy.
    seed : int, default 0
        Seed of order, dropout, crops and flips.
    precision : str, default "32-true"
        Lightning's name; ``"16-mixed"`` or ``"bf16-mixed"`` for mixed precision.
    augment : bool, default False
        Crop and flip the training images at random, see
        :func:`companion.data.augmentation.cropped_and_flipped`.
    schedule : {"constant", "cosine"}, default "constant"
        With ``"cosine"`` the learning rate falls to zero along half a cosine over all steps of
        `epochs`, however early training ends.
    start : Body, optional
        Weights to start from, all but the head's, which stays as it is in `network`.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame
        One row per epoch: ``epoch`` (from 1), ``train_loss`` (mean cross-entropy, nats),
        ``validation_loss``, ``validation_accuracy`` (a share), ``best`` (whether its weights were
        restored). Its ``attrs`` hold the ``seconds`` that its epochs took, those before an
        interruption too (``resumed`` says that these are not known), and the fingerprint of the
        weights it ``started_from``, if any.

    Raises
    ------
    ThermoError
        If there are no epochs or no examples, the precision or the schedule does not exist, the
        examples to augment are no images, `start` is of another network, or the loss is not
        finite.
    KeyboardInterrupt
        On Ctrl-C; the next call goes on with the epoch that was interrupted.
    """
    if epochs < 1:
        raise ThermoError(f"epochs must be 1 or more, got {epochs}")
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    for name, part in (("training", data.train), ("validation", data.validation)):
        if len(part) == 0:
            raise ThermoError(f"there are no {name} examples")
    # Lightning takes seconds to load, which a recalled training does not need.
    with uncollected():
        load_torchmetrics()
        import lightning
        from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer

        from companion.runs.classifier import (
            Bar,
            Classifier,
            SealedIO,
            interruptible,
            load_state,
            quiet,
        )

    folder = Path(folder)
    module = Classifier(
        network, data, batch_size, learning_rate, seed,
        augment=augment, falling_over=epochs if schedule == "cosine" else None,
    )  # fmt: skip
    best = ModelCheckpoint(
        dirpath=folder,
        filename=BEST,
        monitor="validation_accuracy",
        mode="max",
        enable_version_counter=False,
    )
    # One of its own: Lightning's save_last leaves out the epochs that are not the best.
    last = ModelCheckpoint(dirpath=folder, filename=LAST, enable_version_counter=False)
    stop = EarlyStopping("validation_accuracy", mode="max", patience=patience)
    timer = Timer()  # which the checkpoints keep, so that an interrupted training has one time
    with quiet():
        try:
            trainer = lightning.Trainer(
                max_epochs=epochs,
                accelerator="auto",
                devices=1,
                precision=precision,  # type: ignore[arg-type]
                plugins=[SealedIO()],
                callbacks=[stop, best, last, timer, *([Bar()] if progress else [])],
                reload_dataloaders_every_n_epochs=1,
                num_sanity_val_steps=0,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        except ValueError as error:
            raise ThermoError(f"precision {precision!r} is not to be had: {error}") from error
        state = folder / f"{LAST}.ckpt"
        begun = _begun(folder)
        if begun is not None:
            module.history = begun["history"]
        elif start is not None:
            start.into(network)
        if not ended(module.history, epochs, patience):
            with interruptible(trainer):
                trainer.fit(module, ckpt_path=None if begun is None else state)
        elif begun is not None:
            timer.load_state_dict(begun["callbacks"].get(timer.state_key, {}))
    saved = load_state(folder / f"{BEST}.ckpt")
    module.load_state_dict(saved["state_dict"])
    network.cpu().eval()
    history = pd.DataFrame(module.history)
    history["best"] = history["epoch"] == saved["epoch"] + 1
    history.attrs["seconds"] = float(timer.time_elapsed())
    if begun is not None and timer.state_key not in begun["callbacks"]:
        history.attrs["resumed"] = True  # from a state that does not know its time
    if start is not None:
        history.attrs["started_from"] = start.fingerprint
    return history


def _begun(folder: Path) -> dict[str, Any] | None:
    """The state of an interrupted training, if there is one to go on from."""
    from companion.runs.classifier import load_state

    states = [folder / f"{name}.ckpt" for name in (BEST, LAST)]
    if not states[-1].exists():
        return None
    try:
        _, last = map(load_state, states)
    except (DamagedError, FileNotFoundError) as error:
        for state in filter(Path.exists, states):
            set_aside(state, error)
        return None
    now = made_with()
    if last["made_with"] != now:
        changed = [f"{k}: {v}, now {now[k]}" for k, v in last["made_with"].items() if v != now[k]]
        raise ThermoError(
            f"the training in {folder} was begun on other ground ({'; '.join(changed)}), where it "
            "ends with other digits: go on with what it was begun with, or delete the folder"
        )
    return last


def ended(history: list[dict[str, float]], epochs: int, patience: int) -> bool:
    """Whether a training with this history is over; Lightning would add an epoch on resuming.

    Parameters
    ----------
    history : list of dict
        An item per epoch, with ``validation_accuracy``.
    epochs, patience : int
        As for :func:`train`.

    Returns
    -------
    bool

    Examples
    --------
    >>> history = [{"validation_accuracy": 0.6}, {"validation_accuracy": 0.5}]
    >>> ended(history, epochs=9, patience=1), ended(history, epochs=9, patience=2)
    (True, False)
    """
    accuracy = [row["validation_accuracy"] for row in history]
    if not accuracy:
        return False
    return len(accuracy) >= epochs or len(accuracy) - 1 - accuracy.index(max(accuracy)) >= patience
