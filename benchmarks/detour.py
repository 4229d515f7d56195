"""Brings a program that knows no mirrors to the stand-in: its HTTP requests go to a mirror instead.

`benchmarks.peer` copies this file as `sitecustomize.py` into a folder on the peer's PYTHONPATH, so it runs in the
peer's interpreter before the program does. It must not import anything of this project. Needs in the environment:

- `DETOUR_MIRROR`: where requests go, `http://127.0.0.1:PORT`
- `DETOUR_FIX_DATES`: `off` makes vunnel's store of first-seen fix dates know nothing and keep nothing
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit


def mirrored(url: str, mirror: str) -> str:
    """Return the address at the mirror: `https://HOST/PATH?QUERY` becomes `MIRROR/HOST/PATH?QUERY`.

    An address that leads to the mirror already is left alone: redirects of the mirror do.
    """
    if url == mirror or url.startswith(f"{mirror}/"):
        return url
    parts = urlsplit(url)
    there = urlsplit(mirror)
    path = f"{there.path}/{parts.hostname}{parts.path or '/'}"
    return urlunsplit((there.scheme, there.netloc, path, parts.query, ""))


def install(mirror: str) -> None:
    """Send every request of the library requests to the mirror."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def detoured(self, request, *args, **kwargs):  # type: ignore[no-untyped-def]
        request.url = mirrored(request.url, mirror)
        return send(self, request, *args, **kwargs)

    HTTPAdapter.send = detoured  # type: ignore[method-assign]


def without_fix_dates() -> None:
    """Make vunnel ask nobody for first-seen fix dates: what it finds in its documents stays."""
    from vunnel.tool import fixdate

    class Nothing(fixdate.finder.Strategy):  # type: ignore[misc]
        def download(self) -> None:
            pass

        def find(self, *args: object, **kwargs: object) -> list[object]:
            return []

        def get_changed_vuln_ids_since(self, since_date: object) -> set[str]:
            return set()

    fixdate.default_finder = lambda workspace: fixdate.Finder(strategies=[], first_observed=Nothing())


def main() -> None:
    """Prepare the interpreter, or end it: a program that is not detoured must not run."""
    try:
        install(os.environ["DETOUR_MIRROR"])
        if os.environ.get("DETOUR_FIX_DATES") == "off":
            without_fix_dates()
    except Exception as error:
        raise SystemExit(f"the detour to the mirror failed: {error!r}") from error


if __name__ == "sitecustomize":
    main()
