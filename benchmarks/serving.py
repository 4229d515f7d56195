"""Serves generated documents over HTTP, in the forms that a peer asks for: secdb as YAML, the NVD's API.

What the generator does not make is made here of what it makes, before anything is measured: the same values in the
other form. Everything else is sent as it lies in the folder.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from isal import igzip

from benchmarks.generator import alpine, debian, nvd
from vulnfeeds.drivers.nvd import items

API: Final = "/services.nvd.nist.gov/rest/json/cves/2.0"
PAGE: Final = 2000
_PLAIN: Final = re.compile(r"[A-Za-z_][\w.+/-]*|\d[\w+-]*\.[\w.+-]*-r\d+")
"""What stands in YAML without quotes: names, ids and versions of packages."""
_ELSEWHERE: Final = {f"/{debian.ADVISORIES.replace('/-/raw/', '/raw/')}": f"/{debian.ADVISORIES}"}
"""Older addresses that upstream still answers."""


def secdb_yaml(document: dict[str, Any]) -> bytes:
    """Return a secdb document in upstream's other form."""
    lines = ["---", f"distroversion: {_scalar(document['distroversion'])}", f"reponame: {document['reponame']}"]
    lines += ["archs:", *(f"  - {name}" for name in document["archs"])]
    lines += [f"{key}: {json.dumps(document[key])}" for key in ("urlprefix", "apkurl")]
    lines.append("packages:" if document["packages"] else "packages: []")
    for entry in document["packages"]:
        lines += ["  - pkg:", f"      name: {_scalar(entry['pkg']['name'])}", "      secfixes:"]
        for version, ids in entry["pkg"]["secfixes"].items():
            lines += [f"        {_scalar(version)}:", *(f"          - {_scalar(name)}" for name in ids)]
    return ("\n".join(lines) + "\n").encode()


def _scalar(text: str) -> str:
    unsure = text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return text if _PLAIN.fullmatch(text) and not unsure else json.dumps(text)


def page(found: Iterable[bytes], start: int, total: int) -> bytes:
    """Return an answer of the NVD's API."""
    chosen = list(found)
    head = {
        "resultsPerPage": len(chosen),
        "startIndex": start,
        "totalResults": total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds"),
    }
    return msgspec.json.encode(head)[:-1] + b',"vulnerabilities":[' + b",".join(chosen) + b"]}"


def _write_yaml(documents: Path, root: Path) -> None:
    for path in (documents / alpine.HOST).glob("*/*.json"):
        target = (root / path.relative_to(documents)).with_suffix(".yaml")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(secdb_yaml(msgspec.json.decode(path.read_bytes())))


def _write_pages(documents: Path, folder: Path) -> int:
    """Write packed pages of all CVEs; return how many CVEs there are."""
    folder.mkdir()
    years = [documents / nvd.HOST_PATH / f"nvdcve-2.0-{year}.json.gz" for year in nvd.YEARS]
    total = sum(map(_announced, years))
    every = (msgspec.json.format(item, indent=-1) for item in chain.from_iterable(map(items.read_items, years)))
    for number, start in enumerate(range(0, total, PAGE)):
        packed = igzip.compress(page(islice(every, PAGE), start, total), compresslevel=1)
        (folder / f"{number:05}.json.gz").write_bytes(packed)
    return total


def _announced(path: Path) -> int:
    """Return how many CVEs a feed file says that it holds."""
    with gzip.open(path) as file:
        found = re.search(rb'"totalResults" : (\d+)', file.read(1000))
    if found is None:
        raise ValueError(f"{path} is no feed file")
    return int(found[1])


class Server(ThreadingHTTPServer):
    """Holds what its requests need."""

    daemon_threads = True

    def __init__(self, documents: Path, made: Path, total: int) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.documents = documents
        self.made = made
        self.total = total
        """CVEs in the pages of the API."""


class Request(SimpleHTTPRequestHandler):
    """Answers with a file of what was made, else of the documents, or with a page of the API."""

    protocol_version = "HTTP/1.1"
    server: Server

    def translate_path(self, path: str) -> str:
        """Find the file of an address."""
        plain = urlsplit(path).path
        plain = _ELSEWHERE.get(plain, plain)
        for root in (self.server.made, self.server.documents):
            self.directory = str(root)
            found = super().translate_path(plain)
            # A folder counts where its index is.
            if Path(found).is_file() or (Path(found) / "index.html").is_file():
                return found
        return found

    def do_GET(self) -> None:
        """Send a page of the API, or a file."""
        parts = urlsplit(self.path)
        if parts.path != API:
            super().do_GET()
            return
        query = parse_qs(parts.query)
        start = int(query.get("startIndex", ["0"])[0])
        path = self.server.made / "pages" / f"{start // PAGE:05}.json.gz"
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        if "lastModStartDate" in query:
            # Nothing changes while it is measured.
            body, packed = page([], 0, 0), False
        elif path.is_file():
            body = path.read_bytes() if packed else gzip.decompress(path.read_bytes())
        else:
            body, packed = page([], start, self.server.total), False
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet: the figures are on the same screen."""


@contextlib.contextmanager
def serving(documents: Path, folder: Path, drivers: Iterable[str]) -> Iterator[str]:
    """Serve generated documents; gives the address. `folder` takes the other forms of what these drivers read."""
    made = folder / "made"
    made.mkdir()
    if "alpine" in drivers:
        _write_yaml(documents, made)
    server = Server(documents, made, _write_pages(documents, made / "pages") if "nvdv2" in drivers else 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
