"""Training as in Section 4.3: Adam, cross-entropy, early stopping on validation accuracy.

Runs on Lightning. An interrupted training goes on with the next epoch and ends with the same
weights as one that was never interrupted: order and dropout of an epoch are drawn from the seed
and the number of the epoch alone.
"""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from companion.data.tensors import EVALUATION_FACTOR, Splits, batches
from thermo_utils.batches import forward
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import IGNORE_INDEX, scores

__all__ = ["train"]

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
        Seed of order and dropout.
    precision : str, default "32-true"
        Lightning's name; ``"16-mixed"`` or ``"bf16-mixed"`` for mixed precision.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame
        One row per epoch: ``epoch`` (from 1), ``train_loss`` (mean cross-entropy, nats),
        ``validation_loss``, ``validation_accuracy`` (a share), ``best`` (whether its weights were
        restored).

    Raises
    ------
    ThermoError
        If there are no epochs or no examples, the precision does not exist, or the loss is not
        finite.
    KeyboardInterrupt
        On Ctrl-C; the next call goes on with the epoch that was interrupted.
    """
    if epochs < 1:
        raise ThermoError(f"epochs must be 1 or more, got {epochs}")
    for name, part in (("training", data.train), ("validation", data.validation)):
        if len(part) == 0:
            raise ThermoError(f"there are no {name} examples")
    folder = Path(folder)
    module = _Classifier(network, data, batch_size, learning_rate, seed)
    best = ModelCheckpoint(
        dirpath=folder,
        filename=BEST,
        monitor="validation_accuracy",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    stop = EarlyStopping("validation_accuracy", mode="max", patience=patience)
    with _quiet():
        try:
            trainer = lightning.Trainer(
                max_epochs=epochs,
                accelerator="auto",
                devices=1,
                precision=precision,  # type: ignore[arg-type]
                callbacks=[stop, best, *([_Bar()] if progress else [])],
                reload_dataloaders_every_n_epochs=1,
                num_sanity_val_steps=0,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        except ValueError as error:
            raise ThermoError(f"precision {precision!r} is not to be had: {error}") from error
        state = folder / f"{LAST}.ckpt"
        if state.exists():
            module.history = _load(state)["history"]
        if not _ended(module.history, epochs, patience):
            with _interruptible(trainer):
                trainer.fit(module, ckpt_path=state if state.exists() else None, weights_only=False)
    saved = _load(folder / f"{BEST}.ckpt")
    module.load_state_dict(saved["state_dict"])
    network.cpu().eval()
    history = pd.DataFrame(module.history)
    history["best"] = history["epoch"] == saved["epoch"] + 1
    return history


def _load(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=False)


def _ended(history: list[dict[str, float]], epochs: int, patience: int) -> bool:
    """Whether a training with this history is over; Lightning would add an epoch on resuming."""
    accuracy = [row["validation_accuracy"] for row in history]
    if not accuracy:
        return False
    return len(accuracy) >= epochs or len(accuracy) - 1 - accuracy.index(max(accuracy)) >= patience


@contextmanager
def _interruptible(trainer: lightning.Trainer) -> Iterator[None]:
    """Ctrl-C stays what it is: Lightning ends the process instead, and ignores further ones."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


class _Classifier(lightning.LightningModule):
    """Cross-entropy on the class scores of a network, and the history of it."""

    def __init__(
        self, network: nn.Module, data: Splits, batch_size: int, learning_rate: float, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.history: list[dict[str, float]] = []
        self._data = data
        self._batch_size = batch_size
        self._learning_rate = learning_rate
        self._seed = seed
        self._sums: dict[str, Tensor] = {}

    def train_dataloader(self) -> DataLoader[Any]:
        return batches(self._data.train, self._batch_size, shuffle=True, seed=self._epoch_seed())

    def val_dataloader(self) -> DataLoader[Any]:
        return batches(self._data.validation, EVALUATION_FACTOR * self._batch_size)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trainable = [p for p in self.network.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=self._learning_rate)

    def on_train_epoch_start(self) -> None:
        self._sums = {}

    def training_step(self, batch: Any, index: int) -> Tensor:
        if index == 0:  # not earlier: making the iterator draws from the generator, too
            torch.manual_seed(self._epoch_seed())
        loss, _, count = self._loss(batch)
        if not torch.isfinite(loss):
            raise ThermoError(
                f"the loss became {float(loss.detach())} in epoch {self.current_epoch + 1}: "
                "lower learning_rate, or take precision 32-true"
            )
        self._add("train_loss", loss.detach() * count, "trained", count)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        loss, hits, count = self._loss(batch)
        self._add("validation_loss", loss * count, "validated", count)
        self._add("validation_accuracy", hits)

    def on_validation_epoch_end(self) -> None:
        trained, validated = self._sums.pop("trained"), self._sums.pop("validated")
        mean = {
            name: float(total / (trained if name == "train_loss" else validated))
            for name, total in self._sums.items()
        }
        self.history.append({"epoch": self.current_epoch + 1, **mean})
        self.log("validation_accuracy", mean["validation_accuracy"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]

    def _epoch_seed(self) -> int:
        return self._seed * 100_003 + self.current_epoch

    def _loss(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        inputs, targets = batch
        logits = scores(forward(self.network, inputs))
        loss = nn.functional.cross_entropy(logits, targets, ignore_index=IGNORE_INDEX)
        hits = (logits.argmax(-1) == targets).sum()
        return loss, hits, (targets != IGNORE_INDEX).sum()

    def _add(self, *pairs: Any) -> None:
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            self._sums[name] = self._sums.get(name, 0) + value


class _Bar(Callback):
    """Progress over all steps of an epoch, on standard error, with the accuracy so far."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._bar = tqdm(
            total=int(trainer.num_training_batches),
            desc=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            unit="batch",
        )
        best = max((row["validation_accuracy"] for row in pl_module.history), default=None)
        if best is not None:
            self._bar.set_postfix_str(f"best accuracy {best:.3f}")

    def on_train_batch_end(self, *args: Any) -> None:
        self._bar.update()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._bar.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._bar.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice is for its own users; ours get a progress bar."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
