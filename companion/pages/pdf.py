"""The whole book as one PDF: a browser prints the pages of the site, one after the other.

``make pdf`` does it. It needs the site and chromium, and no network.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NullObject
from tqdm import tqdm

from companion.runs.provenance import ROOT
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["Part", "book_pdf", "contents", "merged", "printed"]

SITE: Final = ROOT / "_build" / "html"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
#: Seconds that one page may take; the longest takes a few.
PATIENCE: Final = 180
#: Milliseconds of the page's own clock, for its scripts to draw the formulas.
DRAWING: Final = 20_000


class Part(NamedTuple):
    """Pages that stand together in the table of contents.

    Attributes
    ----------
    caption : str
        Empty for the first page.
    pages : tuple of (str, str)
        Title of each, and its file relative to the site.
    """

    caption: str
    pages: tuple[tuple[str, str], ...]


def contents(site: Path) -> list[Part]:
    """The pages of a site, in the order of its table of contents.

    Parameters
    ----------
    site : Path
        Folder of the built site.

    Returns
    -------
    list of Part

    Raises
    ------
    ThermoError
        If there is no site, or a page of its contents is missing.
    """
    first = site / "index.html"
    if not first.exists():
        raise ThermoError(f"no site in {site}: build it with make read, or make book")
    soup = BeautifulSoup(first.read_text(encoding="utf-8"), "html.parser")
    parts = [Part("", ((_title(soup), first.name),))]
    navigation = soup.select_one("nav.bd-docs-nav")
    for caption in navigation.select("p.caption") if navigation else ():
        links = caption.find_next_sibling("ul")
        pages = tuple(
            (link.get_text(" ", strip=True), unquote(urlsplit(str(link["href"])).path))
            for link in (links.select("a.reference.internal") if links else ())
        )
        parts.append(Part(caption.get_text(" ", strip=True), pages))
    missing = [name for part in parts for _, name in part.pages if not (site / name).exists()]
    if missing or len(parts) == 1:
        what = ", ".join(missing) or "any page beside the first"
        raise ThermoError(f"{site} lacks {what}: build it anew with make read")
    return parts


def _title(soup: BeautifulSoup) -> str:
    return soup.title.get_text(strip=True) if soup.title else ""


def printed(page: Path, chromium: str, folder: Path) -> bytes:
    """A page on paper.

    Parameters
    ----------
    page : Path
        File of the page.
    chromium : str
        The command.
    folder : Path
        Where the browser may keep its own files.

    Returns
    -------
    bytes
        A PDF.

    Raises
    ------
    ThermoError
        If the browser fails, or takes too long.
    """
    target = folder / "page.pdf"
    target.unlink(missing_ok=True)
    command = [
        chromium, "--headless", "--disable-gpu", "--no-pdf-header-footer",
        f"--user-data-dir={folder / 'profile'}", f"--virtual-time-budget={DRAWING}",
        f"--print-to-pdf={target}", page.as_uri(),
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # chromium has none for root
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ThermoError(f"chromium did not print {page}: {error}") from error
    if done.returncode != 0 or not target.exists():
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise ThermoError(f"chromium did not print {page}: {last[0]}")
    return target.read_bytes()


def merged(site: Path, parts: list[Part], papers: Mapping[str, bytes]) -> bytes:
    """One book of all pages, with its contents beside it.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    parts : list of Part
        As from :func:`contents`.
    papers : mapping of str to bytes
        The printed pages by file.

    Returns
    -------
    bytes
        A PDF. Links from page to page lead to the page in the book; those to other files of the
        site are taken out, since they name places on this machine.
    """
    writer = PdfWriter()
    starts: dict[str, int] = {}
    for part in parts:
        above = None
        for title, name in part.pages:
            starts[name] = len(writer.pages)
            writer.append(PdfReader(io.BytesIO(papers[name])), import_outline=False)
            if part.caption and above is None:
                above = writer.add_outline_item(title=part.caption, page_number=starts[name])
            writer.add_outline_item(title=title, page_number=starts[name], parent=above)
    for page in writer.pages:
        _relink(page, writer, site.resolve().as_uri(), starts)
    writer.add_metadata({"/Title": parts[0].pages[0][0]})
    writer.compress_identical_objects()
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def _relink(page: PageObject, writer: PdfWriter, address: str, starts: Mapping[str, int]) -> None:
    """Turn links into the site's folder to links within the book."""
    kept = ArrayObject()
    for reference in page.get("/Annots") or ():
        link = reference.get_object()
        uri = str(link.get("/A", {}).get("/URI", ""))
        if uri.startswith(f"{address}/"):
            start = starts.get(
                unquote(urlsplit(uri).path.removeprefix(urlsplit(address).path + "/"))
            )
            if start is None:
                continue
            top = [NameObject("/XYZ"), NullObject(), NullObject(), NullObject()]
            place = ArrayObject([writer.pages[start].indirect_reference, *top])
            link[NameObject("/A")] = DictionaryObject(
                {NameObject("/S"): NameObject("/GoTo"), NameObject("/D"): place}
            )
        kept.append(reference)
    if "/Annots" in page:
        page[NameObject("/Annots")] = kept


def book_pdf(site: Path, target: Path) -> int:
    """Print a site into one PDF.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    target : Path
        The PDF; it is there whole or not at all.

    Returns
    -------
    int
        Number of its pages.

    Raises
    ------
    ThermoError
        If there is no site or no chromium, or a page cannot be printed.
    """
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise ThermoError("there is no chromium to print with: apt-get install chromium")
    parts = contents(site)
    names = [name for part in parts for _, name in part.pages]
    papers: dict[str, bytes] = {}
    with TemporaryDirectory(prefix="pdf-") as folder:
        for name in tqdm(names, desc="printing", unit="page", leave=False):
            papers[name] = printed(site.resolve() / name, chromium, Path(folder))
    content = merged(site, parts, papers)
    write_atomically(target, content)
    return len(PdfReader(io.BytesIO(content)).pages)


def main(arguments: list[str]) -> Iterator[str]:
    """Print the site that lies in the build folder, or another: what to say about it."""
    site = Path(arguments[0]) if arguments else SITE
    target = site.parent / "book.pdf"
    pages = book_pdf(site, target)
    yield f"{target}: {pages} pages, {target.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    try:
        for line in main(sys.argv[1:]):
            print(line)
    except ThermoError as error:
        sys.exit(str(error))
