"""Training on Lightning: loss and history of a classifier, a progress bar, interrupts."""

from __future__ import annotations

import io
import logging
import math
import pickle
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import CheckpointIO
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from companion.data.augmentation import Augmented
from companion.data.tensors import EVALUATION_FACTOR, Splits, batches
from companion.runs.kept import DamagedError, read_sealed, write_sealed
from companion.runs.provenance import made_with
from thermo_utils.errors import ThermoError
from thermo_utils.running import forward
from thermo_utils.targets import IGNORE_INDEX, scores

__all__ = ["Bar", "Classifier", "SealedIO", "interruptible", "load_state", "quiet"]


class Classifier(lightning.LightningModule):
    """Cross-entropy on the class scores of a network, and the history of it.

    Parameters
    ----------
    network, data, batch_size, learning_rate, seed, augment
        As for :func:`companion.runs.training.train`.
    falling_over : int, optional
        Epochs over which the learning rate falls along half a cosine; by default it stays.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Splits,
        batch_size: int,
        learning_rate: float,
        seed: int,
        *,
        augment: bool = False,
        falling_over: int | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.history: list[dict[str, float]] = []
        self._data = data
        self._batch_size = batch_size
        self._learning_rate = learning_rate
        self._seed = seed
        self._augment = augment
        self._falling_over = falling_over
        self._sums: dict[str, Tensor] = {}

    def train_dataloader(self) -> DataLoader[Any]:
        seed = self._epoch_seed()
        examples = Augmented(self._data.train, seed) if self._augment else self._data.train
        return batches(examples, self._batch_size, shuffle=True, seed=seed)

    def val_dataloader(self) -> DataLoader[Any]:
        return batches(self._data.validation, EVALUATION_FACTOR * self._batch_size)

    def configure_optimizers(self) -> Any:
        trainable = [p for p in self.network.parameters() if p.requires_grad]
        adam = torch.optim.Adam(trainable, lr=self._learning_rate)
        if self._falling_over is None:
            return adam
        steps = self._falling_over * len(self.train_dataloader())
        # From the number of the step alone, so that it does not matter where training was resumed.
        falling = torch.optim.lr_scheduler.LambdaLR(
            adam, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
        )
        return {
            "optimizer": adam,
            "lr_scheduler": {"scheduler": falling, "interval": "step"},
        }

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
        checkpoint["made_with"] = made_with()

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


class Bar(Callback):
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


class SealedIO(CheckpointIO):
    """Checkpoints that are whole or absent, and hold tensors and plain values only."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_sealed(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def load_state(path: Path) -> dict[str, Any]:
    """The state of a training.

    Parameters
    ----------
    path : Path
        Written by :class:`SealedIO`.

    Returns
    -------
    dict

    Raises
    ------
    DamagedError
        If the file is not as it was written, or holds anything that would be run.
    """
    content = io.BytesIO(read_sealed(path))
    try:
        state: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # it would run code
        raise DamagedError(f"{path.name} holds more than tensors and plain values") from error
    return state


@contextmanager
def quiet() -> Iterator[None]:
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


@contextmanager
def interruptible(trainer: lightning.Trainer) -> Iterator[None]:
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
