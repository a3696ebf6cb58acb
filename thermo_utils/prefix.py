"""What a network computes before its first pruned activation: once, for all thresholds.

Up to there, a pass is the same at every threshold. In the unpruned pass the outputs of the modules
that are done by then are kept, batch by batch; in the passes after it these modules give them back
instead of computing them. The rest runs as it is: what lies outside of modules, and whatever cannot
be shown to be the same again.
"""

from __future__ import annotations

import dataclasses
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from thermo_utils.batches import unpack
from thermo_utils.devices import device_of, room
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import LayerSpec
from thermo_utils.running import forward
from thermo_utils.structures import copies, each, equal, fresh, same, taken_apart, tensors_in

__all__ = ["Prefix"]

#: Batches on which it is tried out whether the kept outputs give what the network gives.
TRIED = 2
#: Batches computed in all passes, below which trying it out costs more than it can gain.
FEWEST = 32


@dataclasses.dataclass(eq=False)
class _Call:
    """A call of a module that began before the first activation was shown."""

    module: nn.Module
    before: list[tuple[Tensor, int]] | None
    inner: list[_Call] = dataclasses.field(default_factory=list)
    value: Any = None
    kept: list[tuple[Tensor, int]] | None = None


#: Modules in the order in which they are called, with what they return; None: they compute it.
_Step = tuple[nn.Module, Any]


@dataclasses.dataclass
class _Batch:
    """What is known of a batch: its numbers, the calls, and (of the first) the network's output."""

    given: Any
    steps: list[_Step]
    kept: list[tuple[Tensor, int]]
    answer: list[Tensor] | None


class Prefix:
    """The outputs of what runs before the first pruned activation, for several passes.

    Parameters
    ----------
    model : Module
        In ``eval`` mode whenever it runs, without gradients. It must not change between passes.
    layers : str, type or iterable of these
        Where activations are pruned.
    budget : int, optional
        Bytes that may be kept. By default a quarter of the memory that is free on the network's
        device.

    Attributes
    ----------
    why_not : str or None
        Why nothing is kept; None as long as nothing speaks against it.

    Notes
    -----
    Kept are outputs that are tensors (also several, in tuples, lists or mappings) of modules that
    nobody hooked, that were given nothing but tensors and plain values and changed none of them in
    place, and whose output nobody changed either. They are not copied. A batch is answered from
    them only if it equals the one of the first pass number by number, so data that come in another
    order are computed. Networks that draw random numbers, and those that on their first two batches
    do not give the same again, computed or with the kept outputs, to the last bit, are left alone.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    >>> data, prefix = [torch.randn(2, 4)], Prefix(net, "1")
    >>> with torch.no_grad(), prefix.recording(lambda: 0):
    ...     first = [net(x) for x in prefix.of(data)]
    >>> with torch.no_grad(), prefix.replaying():
    ...     again = [net(x) for x in prefix.of(data)]
    >>> torch.equal(first[0], again[0]), prefix.nbytes > 0
    (True, True)
    """

    def __init__(self, model: nn.Module, layers: LayerSpec, budget: int | None = None) -> None:
        self._model, self._layers = model, layers
        device = device_of(model)
        self._device = torch.device("cpu") if device is None else device
        self._left = room(self._device) if budget is None else budget
        self._modules = _eligible(model)
        self._batches: list[_Batch | None] = []
        self._blocks: dict[int, int] = {}  # of memory: where they begin, and their bytes
        self._watch: _Recorder | None = None
        self._play: _Player | None = None
        self.why_not: str | None = None if self._modules else "no module runs unobserved"

    @property
    def nbytes(self) -> int:
        """Bytes that what is kept takes up, batches and outputs."""
        return sum(self._blocks.values())

    @property
    def share(self) -> float:
        """Share of the batches that need not be computed from their beginning."""
        ready = sum(batch is not None for batch in self._batches)
        return ready / len(self._batches) if self._batches else 0.0

    @property
    def account(self) -> dict[str, Any]:
        """What there is to say of it: ``share``, ``bytes`` and ``why_not``."""
        return {"share": self.share, "bytes": self.nbytes, "why_not": self.why_not}

    @contextmanager
    def recording(self, shown: Callable[[], int]) -> Iterator[None]:
        """Keep what the network computes in this block, one pass over :meth:`of` data.

        Parameters
        ----------
        shown : callable
            How many activations to be pruned have been shown so far.
        """
        if self.why_not is not None:
            yield
            return
        with _Recorder(self._model, self._modules, shown) as self._watch:
            try:
                yield
            finally:
                self._watch = None

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Give back what was kept, where a batch of :meth:`of` is one that is known."""
        modules = {
            module
            for batch in self._batches
            if batch is not None
            for module, value in batch.steps
            if value is not None
        }
        if self.why_not is not None or not modules:
            yield
            return
        with _Player(modules) as self._play:
            try:
                yield
            finally:
                self._play = None

    def of(self, data: Iterable[Any]) -> Iterator[Any]:
        """The batches as they come, each followed until the next one is asked for.

        Parameters
        ----------
        data : iterable of batches

        Yields
        ------
        object

        Raises
        ------
        ThermoError
            If the network, on a known batch, calls its modules in another order than before.
        """
        for number, batch in enumerate(data):
            if self._watch is not None and self.why_not is None:
                given = each(batch, Tensor.clone)
                chance = _random_state(self._device)
                self._watch.begin()
                yield batch
                self._record(given, chance)
            elif self._play is not None:
                known = self._batches[number] if number < len(self._batches) else None
                if known is not None and _changed(known.kept):
                    known = self._batches[number] = None
                if known is not None and not same(known.given, batch):
                    known = None  # the next pass may bring it again
                self._play.begin([] if known is None else known.steps)
                yield batch
                self._play.end()
            else:
                yield batch

    def _record(self, given: Any, chance: list[Any]) -> None:
        assert self._watch is not None
        if chance != _random_state(self._device):
            self._forget("the network draws random numbers")
            return
        steps, kept = self._watch.steps()
        parts = taken_apart(given)
        if parts is None or not kept:
            self._batches.append(None)
            return
        memory = [tensor.untyped_storage() for tensor in (*parts[0], *(t for t, _ in kept))]
        new = {block.data_ptr(): block.nbytes() for block in memory}
        size = sum(count for start, count in new.items() if start not in self._blocks)
        if size > self._left:
            self._batches.append(None)
            return
        self._left -= size
        self._blocks |= new
        answer = self._watch.answer if len(self._batches) < TRIED else None
        self._batches.append(_Batch(given, steps, kept, answer))

    def _forget(self, why: str) -> None:
        self.why_not = why
        self._batches, self._blocks = [], {}

    def prove(self, passes: int) -> None:
        """Try the kept outputs out; forget all of them if they do not give what the network gives.

        Parameters
        ----------
        passes : int
            How many are still to come. For few batches it is not worth the trial: the network runs
            on the first of them twice more, in the mode and with the gradients the caller set.
        """
        if self.why_not is None and passes * len(self._batches) < FEWEST:
            self.why_not = "so few batches that trying it out would cost more than it could save"
        tried = [b for b in self._batches[:TRIED] if b is not None and not _changed(b.kept)]
        if self.why_not is None and not tried:
            self.why_not = "no module's output before the first activation can be kept"
        if self.why_not is not None:
            self._forget(self.why_not)
            return
        seen: list[None] = []
        hooks = ActivationHooks(
            self._model, self._layers, lambda *_: seen.append(None), check=False
        )
        with hooks:
            with _Recorder(self._model, self._modules, lambda: len(seen)) as watch:
                for batch in tried:
                    watch.begin()
                    forward(self._model, *unpack(each(batch.given, Tensor.clone)))
                    same_steps = _alike(batch.steps, watch.steps()[0])
                    if not (same_steps and equal(batch.answer, watch.answer)):
                        self._forget("the network does not compute the same twice")
                        return
            answers: list[list[Tensor]] = []
            note = self._model.register_forward_hook(lambda *a: answers.append(copies(a[2])))
            try:
                with self.replaying():
                    play = self._play
                    assert play is not None
                    for batch in tried:
                        play.begin(batch.steps)
                        forward(self._model, *unpack(each(batch.given, Tensor.clone)))
                        play.end()
            except OtherOrderError:
                answers = []
            finally:
                note.remove()
        if not all(map(equal, answers, [b.answer for b in tried])) or len(answers) < len(tried):
            self._forget("modules have effects beside what they return")


class _Recorder:
    """Hooks that note which modules return what, until the first activation is shown."""

    def __init__(self, model: nn.Module, modules: set[nn.Module], shown: Callable[[], int]) -> None:
        self._model, self._modules, self._shown = model, modules, shown
        self._undo = ExitStack()
        self.begin()

    def begin(self) -> None:
        self._before = self._shown()
        self._root: list[_Call] = []
        self._running: list[_Call] = []
        self.answer: list[Tensor] | None = None

    def __enter__(self) -> _Recorder:
        with ExitStack() as undo:
            for module in self._modules:
                began = module.register_forward_pre_hook(self._began, with_kwargs=True)
                undo.callback(began.remove)
                # Before other hooks see what a module returns, which may show an activation.
                ended = module.register_forward_hook(self._ended, with_kwargs=True, prepend=True)
                undo.callback(ended.remove)
            undo.callback(self._model.register_forward_hook(self._answered).remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()

    def _began(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._shown() > self._before:
            return
        tensors = tensors_in((args, tuple(kwargs.values())), given=True)
        versions = None if tensors is None else _versions(tensors)
        call = _Call(module, versions)
        (self._running[-1].inner if self._running else self._root).append(call)
        self._running.append(call)

    def _ended(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._shown() > self._before:
            return
        call = self._running.pop()
        tensors = tensors_in(output)
        if call.before is None or not tensors or _changed(call.before):
            return
        given = {tensor.untyped_storage().data_ptr() for tensor, _ in call.before}
        if any(tensor.untyped_storage().data_ptr() in given for tensor in tensors):
            return  # what it was given, or a part of that
        call.value, call.kept = output, _versions(tensors)

    def _answered(self, module: nn.Module, args: Any, output: Any) -> None:
        self.answer = copies(output)

    def steps(self) -> tuple[list[_Step], list[tuple[Tensor, int]]]:
        """The outermost calls whose output is still what it was, and the tensors in them."""
        steps: list[_Step] = []
        kept: list[tuple[Tensor, int]] = []

        def take(calls: list[_Call]) -> None:
            for call in calls:
                if call.kept is not None and not _changed(call.kept):
                    steps.append((call.module, call.value))
                    kept.extend(call.kept)
                else:
                    steps.append((call.module, None))
                    take(call.inner)

        take(self._root)
        return steps, kept


class _Player:
    """Modules that return what was kept, in the order in which it was."""

    def __init__(self, modules: set[nn.Module]) -> None:
        self._modules = modules
        self._undo = ExitStack()
        self.begin([])

    def begin(self, steps: list[_Step]) -> None:
        self._steps = [step for step in steps if step[0] in self._modules]
        self._at = 0

    def end(self) -> None:
        if self._at < len(self._steps):
            raise OtherOrderError

    def __enter__(self) -> _Player:
        with ExitStack() as undo:
            for module in self._modules:
                undo.callback(_put_back, module, module.__dict__.get("forward"))
                module.__dict__["forward"] = self._instead(module, module.forward)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()

    def _instead(self, module: nn.Module, real: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._at == len(self._steps):
                return real(*args, **kwargs)
            expected, value = self._steps[self._at]
            if expected is not module:
                raise OtherOrderError
            self._at += 1
            return real(*args, **kwargs) if value is None else fresh(value)

        return forward


def _put_back(module: nn.Module, own: Any) -> None:
    if own is None:
        del module.__dict__["forward"]
    else:
        module.__dict__["forward"] = own


class OtherOrderError(ThermoError):
    """A network calls its modules in another order than in the pass before."""

    def __init__(self) -> None:
        super().__init__(
            "the network calls its layers in another order from pass to pass: compute every pass "
            "as a whole (reuse=False)"
        )


def _eligible(model: nn.Module) -> set[nn.Module]:
    """Modules inside a network that may be left out: nobody looks at them or what is in them."""
    modules = list(model.modules())
    replicas = any(isinstance(module, nn.DataParallel) for module in modules)
    if replicas or torch.is_inference_mode_enabled() or _has_any_global_hook():
        return set()
    seen = {
        module
        for module in modules
        if module._forward_hooks or module._forward_pre_hooks
        # Code of another kind than Python's, and what stands around it.
        or isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")
    }  # fmt: skip
    found = {module for module in modules if seen.isdisjoint(module.modules())}
    return found - {model}


def _random_state(device: torch.device) -> list[Any]:
    """Where the generators of random numbers stand, in a form that can be compared."""
    states = [random.getstate(), torch.get_rng_state().numpy().tobytes()]
    states.append(pickle.dumps(np.random.get_state(legacy=False)))  # noqa: NPY002
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device).numpy().tobytes())
    return states


def _alike(steps: list[_Step], others: list[_Step]) -> bool:
    """Whether the same modules were called, and returned the same."""
    return len(steps) == len(others) and all(
        module is again
        and (value is None) == (new is None)
        and (value is None or equal(tensors_in(value), tensors_in(new)))
        for (module, value), (again, new) in zip(steps, others, strict=True)
    )


def _versions(tensors: list[Tensor]) -> list[tuple[Tensor, int]]:
    return [(tensor, tensor._version) for tensor in tensors]


def _changed(tensors: list[tuple[Tensor, int]]) -> bool:
    """Whether one of the tensors was written to since."""
    return any(tensor._version != version for tensor, version in tensors)
