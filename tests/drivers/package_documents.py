"""Dumps of the registry of Ruby gems, made by hand in their true form."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable

COLUMNS = (
    "id authors description number rubygem_id built_at updated_at summary platform created_at indexed prerelease "
    '"position" latest full_name licenses'
)


def version(gem: int, number: str, **more: str) -> str:
    """Return a row of a gem's version."""
    cells = {
        **dict.fromkeys(COLUMNS.split(), "\\N"),
        "id": f"{gem}00",
        "authors": "Ada Example",
        "description": "Text\\nin two lines\\twith a tab",
        "number": number,
        "rubygem_id": str(gem),
        "platform": "ruby",
        "created_at": "2024-08-01 00:00:00",
        "indexed": "t",
        "latest": "f",
        "licenses": "---\\n- MIT\\n",
        **more,
    }
    return "\t".join(cells.values())


def table(name: str, columns: str, rows: Iterable[str]) -> str:
    """Return a table of a dump."""
    lines = "".join(f"{row}\n" for row in rows)
    return f"COPY public.{name} ({', '.join(columns.split())}) FROM stdin;\n{lines}\\.\n\n"


def sql(gems: dict[int, str], versions: Iterable[str]) -> bytes:
    """Return a dump as SQL: gems by number, and the rows of their versions."""
    return (
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n\n"
        + table("dependencies", "id requirements", ["1\t>= 0", "2\t~> 1.0"])
        + table("rubygems", "id name created_at", (f"{number}\t{name}\t\\N" for number, name in gems.items()))
        + table("versions", COLUMNS, versions)
        + "--\n-- PostgreSQL database dump complete\n--\n\n"
    ).encode()


def dump(plain: bytes, name: str = "public_postgresql/databases/PostgreSQL.sql.gz") -> bytes:
    """Return the archive of a dump."""
    return archive({name: gzip.compress(plain, mtime=0)})


def archive(files: dict[str, bytes]) -> bytes:
    """Return a tar of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


def redumped(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Return a change of the SQL in the archive of a dump."""

    def repack(data: bytes) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            (member,) = packed.getmembers()
            content = packed.extractfile(member)
            assert content is not None
            return dump(change(gzip.decompress(content.read())), member.name)

    return repack


def sample_dump() -> bytes:
    """Return the dump of the sample: gems that a registry might have."""
    gems = {7: "rails-like", 21: "nativegem", 30: "only-previews", 31: "taken-back", 40: "two_licences"}
    versions = [
        version(21, "1.0.0", platform="java", latest="t", created_at="2024-08-03 00:00:00"),
        version(7, "1.10.0", latest="t", authors="Ada Example, Ben Example", created_at="2024-08-02 00:00:00"),
        version(21, "0.9.0", latest="t", created_at="2024-07-01 00:00:00"),
        version(7, "1.9.0"),
        version(7, "2.0.0.rc1", created_at="2024-08-05 00:00:00", prerelease="t"),
        version(7, "1.9.1", indexed="f"),
        version(30, "0.1.0.pre", licenses="--- []\\n", authors=""),
        version(31, "3.0", indexed="f", latest="t"),
        version(40, "0.0.1", latest="t", licenses='---\\n- Apache-2.0\\n- "GPL-3.0"\\n'),
    ]
    return dump(sql(gems, versions))
