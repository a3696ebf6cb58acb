"""A server on the loopback that speaks the Hugging Face hub's API, as far as downloads need it.

It also serves torchvision's weights, under ``/models/``. Large files are answered as the hub does,
by a redirect to another place that holds the content. Faults are switched on by attributes.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["MOST_REQUESTS", "Hub"]

#: A client that asks in circles is cut off.
MOST_REQUESTS = 5_000
#: Seconds after which a connection that says nothing is closed.
IDLE = 30.0
#: What the hub keeps outside of git, and hands out by a redirect.
LARGE = (".parquet", ".safetensors", ".bin")

REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
INFO = re.compile(rf"/api/(?P<kind>models|datasets)/{REPO}(/revision/(?P<revision>[^/]+))?")
TREE = re.compile(rf"/api/(?P<kind>models|datasets)/{REPO}/tree/(?P<revision>[^/]+)/?(?P<path>.*)")
PATHS = re.compile(rf"/api/(?P<kind>models|datasets)/{REPO}/paths-info/(?P<revision>[^/]+)")
RESOLVE = re.compile(rf"(/(?P<kind>datasets))?/{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
STORE = re.compile(r"/store/(?P<sha>[0-9a-f]{64})")
TORCHVISION = re.compile(r"/models/(?P<path>[\w.-]+)")


class Hub:
    """A hub with repositories of one revision each; a context in which it answers.

    Parameters
    ----------
    repositories : dict of (str, str) to dict of str to bytes
        Files by path, by ``"models"`` or ``"datasets"`` and id.
    torchvision : dict of str to bytes
        Files under ``/models/``.

    Attributes
    ----------
    requests : list of (str, str, str or None)
        Method, path and ``Range`` of all requests so far.
    gated : dict of str to int
        Repositories that are refused, with which status: 401 to the unknown, 403 to the known.
    cut : dict of str to list of int
        By path of a file: after how many bytes the connection breaks, in the next and the following
        downloads of it.
    silent : bool
        Take every request and answer none.
    """

    def __init__(
        self, repositories: dict[tuple[str, str], dict[str, bytes]], torchvision: dict[str, bytes]
    ) -> None:
        self.repositories, self.torchvision = repositories, torchvision
        self.requests: list[tuple[str, str, str | None]] = []
        self.gated: dict[str, int] = {}
        self.cut: dict[str, list[int]] = {}
        self.silent = False
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """What ``HF_ENDPOINT`` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def store(self) -> str:
        """Where the content of large files is: another host, as with the hub."""
        return f"http://localhost:{self._server.server_port}/store"

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def forget(self) -> None:
        """No faults, no requests."""
        self.requests.clear()
        self.gated.clear()
        self.cut.clear()
        self.silent = False

    def stored(self) -> Counter[str]:
        """How often the content of each large file was asked for, by path."""
        paths = {
            f"/store/{hashlib.sha256(content).hexdigest()}": path
            for files in self.repositories.values()
            for path, content in files.items()
            if path.endswith(LARGE)
        }
        return Counter(paths[path] for _, path, _ in self.requests if path in paths)

    def ranges(self) -> list[str]:
        """The parts of files that were asked for."""
        return [part for _, _, part in self.requests if part is not None]


def revision(files: dict[str, bytes]) -> str:
    """Forty hexadecimal digits that say which files they are."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path, content in sorted(files.items()):
        digest.update(f"{path}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(urlsplit(self.path).path)

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).path)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        found = PATHS.fullmatch(unquote(urlsplit(self.path).path))
        self._note(self.path)
        if found is None:
            return self._error(404, "NotFound")
        if "json" in self.headers.get("Content-Type", ""):
            wanted = json.loads(body)["paths"]
        else:
            wanted = parse_qs(body).get("paths", [])
        files = self._files(found)
        if files is not None:
            self._json([_entry(path, files[path]) for path in wanted if path in files])

    def _note(self, path: str) -> None:
        self.hub.requests.append((self.command, path, self.headers.get("Range")))

    def _answer(self, path: str) -> None:
        path = unquote(path)
        self._note(path)
        hub = self.hub
        if hub.silent:
            hub.closing.wait(IDLE)
            self.close_connection = True
        elif len(hub.requests) > MOST_REQUESTS:
            self._error(503, "TooManyRequests")
        elif found := STORE.fullmatch(path):
            self._store(found["sha"])
        elif found := RESOLVE.fullmatch(path):
            self._resolve(found)
        elif found := TREE.fullmatch(path):
            self._tree(found)
        elif found := INFO.fullmatch(path):
            self._info(found)
        elif (found := TORCHVISION.fullmatch(path)) and found["path"] in hub.torchvision:
            self._content(found["path"], hub.torchvision[found["path"]], {})
        else:
            self._error(404, "NotFound")

    def _files(self, found: re.Match[str]) -> dict[str, bytes] | None:
        """The files of a repository; None if that is refused, which is said."""
        repo, kind = found["repo"], found["kind"] or "models"
        if repo in self.hub.gated:
            self._error(self.hub.gated[repo], "GatedRepo", f"Access to {repo} is restricted")
            return None
        files = self.hub.repositories.get((kind, repo))
        if files is None:  # to those whom it does not know, the hub says no more
            self._error(401, "RepoNotFound", "Repository not found")
        elif found["revision"] not in (None, "main", revision(files)):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {found['revision']}")
        else:
            return files
        return None

    def _info(self, found: re.Match[str]) -> None:
        files = self._files(found)
        if files is not None:
            names = [{"rfilename": path} for path in sorted(files)]
            facts = {"private": False, "gated": False, "disabled": False, "tags": []}
            self._json({"id": found["repo"], "sha": revision(files), "siblings": names, **facts})

    def _tree(self, found: re.Match[str]) -> None:
        files = self._files(found)
        if files is None:
            return
        folder = f"{found['path'].rstrip('/')}/" if found["path"] else ""
        query = parse_qs(urlsplit(self.path).query)
        recursive = query.get("recursive", ["false"])[0].lower() == "true"
        inside = {path: files[path] for path in sorted(files) if path.startswith(folder)}
        if not inside:
            return self._error(404, "EntryNotFound", f"{found['path']} does not exist")
        folders = {
            folder + path[len(folder) :].rpartition("/")[0]
            for path in inside
            if "/" in path[len(folder) :]
        }
        entries = [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(folders)]
        entries += [
            _entry(path, content)
            for path, content in inside.items()
            if recursive or "/" not in path[len(folder) :]
        ]
        self._json(entries)

    def _resolve(self, found: re.Match[str]) -> None:
        files = self._files(found)
        if files is None:
            return
        path = found["path"]
        commit = {"X-Repo-Commit": revision(files)}
        if path not in files:
            return self._error(404, "EntryNotFound", "Entry not found", commit)
        content = files[path]
        if not path.endswith(LARGE):
            return self._content(path, content, commit)
        sha = hashlib.sha256(content).hexdigest()
        linked = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
        self._send(302, b"", {**commit, **linked, "Location": f"{self.hub.store}/{sha}"})

    def _store(self, sha: str) -> None:
        for files in self.hub.repositories.values():
            for path, content in files.items():
                if path.endswith(LARGE) and hashlib.sha256(content).hexdigest() == sha:
                    return self._content(path, content, {})
        self._error(404, "NotFound")

    def _content(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        etag = hashlib.sha256(content).hexdigest()
        headers = {**headers, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        status, first = 200, 0
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
            if first >= len(content):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            status, content = 206, content[first : last + 1]
        cuts = self.hub.cut.get(path, [])
        broken = cuts.pop(0) if cuts and self.command == "GET" else None
        self._send(status, content, headers, broken)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(
        self, status: int, code: str, words: str = "", headers: dict[str, str] | None = None
    ) -> None:
        body = json.dumps({"error": words or code}).encode()
        said = {"X-Error-Code": code, "X-Error-Message": words, "Content-Type": "application/json"}
        self._send(status, body, {**(headers or {}), **said})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], broken: int | None = None
    ) -> None:
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if broken is None else body[:broken])
            if broken is not None:
                self.wfile.flush()
                time.sleep(0.05)  # what was sent arrives before the end does
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the client has left
            self.close_connection = True


def _entry(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": digest}
    if path.endswith(LARGE):
        sha = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 134}
    return entry
