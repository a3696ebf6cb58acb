"""The settings of a run in words, as its page and its card tell them."""

from __future__ import annotations

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.runs.settings import Settings

__all__ = ["setting_words"]


def setting_words(s: Settings) -> dict[str, str]:
    """The settings of a run.

    Parameters
    ----------
    s : Settings
        Of a registered network or of another.

    Returns
    -------
    dict of str to str
        What is said by name of the setting, in the order in which it is read; where a registered
        network is pruned is said too.

    Examples
    --------
    >>> from companion.runs.settings import settings
    >>> words = setting_words(settings("mlp", "cifar10", "small"))
    >>> words["network"], words["thresholds"]
    ('MLP', 'every 0.04 up to 1.6')
    """
    spec, network = DATASETS.get(s.dataset), NETWORKS.get(s.model)
    rows = {
        "network": network.title if network else s.model,
        "dataset": spec.title if spec else s.dataset,
        "profile": s.profile,
        "seed": str(s.seed),
    }
    if network:
        rows["pruned"] = f"{network.where} ({', '.join(network.layers)})"
    training = [
        f"at most {s.epochs} epoch{'' if s.epochs == 1 else 's'}",
        f"batch {s.batch_size}",
        f"Adam {s.learning_rate:g}",
        f"patience {s.patience}",
        "random crops and flips" if s.augment else "",
        f"learning rate falls along a {s.schedule}" if s.schedule != "constant" else "",
        f"from its own training on {DATASETS[s.transfer].title}" if s.transfer else "",
        f"precision {s.precision}" if s.precision != "32-true" else "",
    ]
    rows["training"] = ", ".join(filter(None, training))
    bounds = [
        f"{size:,} {part}"
        for size, part in zip(s.sizes, ("training", "validation", "test"), strict=True)
        if size is not None
    ]
    if bounds:
        rows["examples at most"] = ", ".join(bounds)
    if spec and spec.kind == "image":
        rows["split"] = s.split
    if s.tokenizer or s.max_length:
        texts = [f"tokenizer {s.tokenizer}" if s.tokenizer else "",
                 f"at most {s.max_length} tokens" if s.max_length else ""]  # fmt: skip
        rows["texts"] = ", ".join(filter(None, texts))
    if s.options:
        rows["options"] = ", ".join(f"{name}={value}" for name, value in s.options.items())
    if s.checkpoint:
        rows["checkpoint"] = s.checkpoint
    rows["thresholds"] = (
        "spaced to the activations"
        if s.tau_step is None or s.tau_max is None
        else f"every {s.tau_step:g} up to {s.tau_max:g}"
    )
    return rows
