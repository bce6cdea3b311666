"""The dashboard's files as they are sent: read once, compressed once, named by what they hold.

All files are served under one folder that is named by a hash of them all. So the modules find each other by relative
paths, browsers may keep them for ever, and a new version is a new folder; only the page that names the folder is asked
for each time.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by suffix; other files, such as licences, are not."""
_LATER: Final = ("vendor/uplot.js", "views/editor/", "views/later/", "charts/later/")
"""What the first page does without: fetched when a page needs it."""


@dataclass(frozen=True)
class File:
    """One file; `tag` is its entity tag."""

    media_type: str
    body: bytes
    packed: bytes
    tag: str


def _file(path: str, body: bytes) -> File:
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return File(_TYPES[PurePosixPath(path).suffix], body, gzip.compress(body, 9, mtime=0), tag)


class Files:
    """The files in `folder`, and the page that leads to them."""

    def __init__(self, folder: Path) -> None:
        bodies = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }
        page = bodies.pop("index.html")
        digest = hashlib.sha256(page)
        for path, body in bodies.items():
            digest.update(f"{path}\0{len(body)}\0".encode() + body)
        self.folder: Final = digest.hexdigest()[:16]
        self._files: Final = {path: _file(path, body) for path, body in bodies.items()}
        first = [path for path in bodies if path.endswith(".js") and not path.startswith(_LATER)]
        links = "\n".join(f'<link rel="modulepreload" href="{self.folder}/{path}">' for path in first)
        self.page: Final = _file(
            "index.html", page.replace(b"{{folder}}", self.folder.encode()).replace(b"{{modules}}", links.encode())
        )

    def get(self, path: str) -> File | None:
        """The file of that path within the folder."""
        return self._files.get(path)
