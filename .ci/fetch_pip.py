"""Fetches the wheel of pip that a lock file names, for a Python that has no pip: `fetch_pip.py LOCK_FILE DIRECTORY`."""

from __future__ import annotations

import hashlib
import html
import os
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path


def fetch_pip(lock: str, directory: Path, index: str) -> Path:
    """Put the locked pip wheel, found on the package index `index`, into `directory`; its path is returned.

    Exits with a message if the index does not offer it or what it sends has none of the locked hashes.
    """
    pinned = re.search(r"^pip==(\S+) \\\n((?:\s+--hash=sha256:\w+(?: \\)?\n)+)", lock, re.MULTILINE)
    if pinned is None:
        sys.exit("the lock file does not name pip; write it anew with .ci/lock")
    wheel = f"pip-{pinned[1]}-py3-none-any.whl"
    page_url = f"{index.rstrip('/')}/pip/"
    with urllib.request.urlopen(page_url) as response:
        page = response.read().decode()
        page_url = response.url
    link = re.search(rf'href="([^"]*{re.escape(wheel)})["#]', page)
    if link is None:
        sys.exit(f"the package index does not offer {wheel}")
    with urllib.request.urlopen(urllib.parse.urljoin(page_url, html.unescape(link[1]))) as response:
        content = response.read()
    if hashlib.sha256(content).hexdigest() not in re.findall(r"sha256:(\w+)", pinned[2]):
        sys.exit(f"{wheel} from the package index has none of the locked hashes; it is not used")
    path = directory / wheel
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
    sys.stdout.write(f"{fetch_pip(Path(sys.argv[1]).read_text(), Path(sys.argv[2]), index)}\n")
