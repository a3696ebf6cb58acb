"""The Hugging Face hub: whether it answers, and what to say when something of it cannot be had.

Two variables of ``huggingface_hub`` matter here: ``HF_ENDPOINT`` names another hub, and with
``HF_HUB_OFFLINE=1`` everything is taken from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cause", "hub"]

#: Seconds to wait for an answer.
TIMEOUT = 10.0
#: From here on, a status says that the server is at fault.
SERVER_ERROR = 500
LONGEST_CAUSE = 400


@contextmanager
def hub(needed: bool = True) -> Iterator[None]:
    """Talk to the hub if it answers; otherwise make do with the cache.

    The clients of the hub would try again for minutes, and tell of it.

    Parameters
    ----------
    needed : bool, default True
        Without need, nothing is asked and nothing changed.

    Examples
    --------
    >>> with hub(needed=False):
    ...     pass
    """
    if not needed:
        yield
        return
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    offline = constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def cause(error: Exception) -> str:
    """An error of the hub's clients, which go on for paragraphs, as one short sentence.

    Parameters
    ----------
    error : Exception
        Of any kind.

    Returns
    -------
    str
        Its kind and its words, without a full stop at the end.

    Examples
    --------
    >>> cause(OSError("no such\\nfile."))
    'OSError: no such file'
    """
    words = " ".join(str(error).split())[:LONGEST_CAUSE].rstrip(". ")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _answers(address: str) -> bool:
    from huggingface_hub.utils import get_session, httpx

    try:
        answer = get_session().head(address, timeout=TIMEOUT)
    except (httpx.HTTPError, OSError):
        return False
    return bool(answer.status_code < SERVER_ERROR)
