"""What the tests of the built site share: its folder, and a browser that has no network.

Which site: ``THERMO_SITE``, a folder, is believed; without it ``_build/html``, which must have been
built from the sources as they are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from companion.pages.stamp import check_stamp
from thermo_utils.errors import ThermoError

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = "there is no chromium: apt-get install chromium"


@pytest.fixture(scope="session")
def site() -> Path:
    """Folder of the built site."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    named = os.environ.get("THERMO_SITE")
    folder = Path(named or ROOT / "_build" / "html").resolve()
    if not (folder / "index.html").exists():
        pytest.skip(f"no site in {folder}: make read, or make book")
    if named is None:
        try:
            check_stamp(folder, ROOT)
        except ThermoError as error:
            pytest.fail(str(error), pytrace=False)
    return folder


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """Debian's chromium instead of one that playwright downloads."""
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict) -> dict:
    """Pages have no network, at the size of a small laptop's window."""
    return {**browser_context_args, "offline": True, "viewport": {"width": 1440, "height": 900}}


@pytest.fixture(scope="session")
def pages(site: Path) -> list[Path]:
    """All pages of the site, with those that Sphinx adds."""
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    assert len(found) > 40  # the chapters and the prose are there
    return found
