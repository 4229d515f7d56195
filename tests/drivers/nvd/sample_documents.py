"""Makes the sample's NVD documents: hand-made CVEs of products that do not exist, in the NVD's true form.

    python tests/drivers/nvd/sample_documents.py

writes them into the package, the same bytes every time. A test holds the package to them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

FOLDER = Path(__file__).parents[3] / "src/vulnfeeds/sample/upstream/nvd.nist.gov/feeds/json/cve/2.0"
NVD, CNA = "nvd@nist.gov", "security@example.com"

V2 = {
    10.0: ("AV:N/AC:L/Au:N/C:C/I:C/A:C", "HIGH", 10.0, 10.0),
    7.5: ("AV:N/AC:L/Au:N/C:P/I:P/A:P", "HIGH", 10.0, 6.4),
    7.2: ("AV:L/AC:L/Au:N/C:C/I:C/A:C", "HIGH", 3.9, 10.0),
    5.0: ("AV:N/AC:L/Au:N/C:N/I:N/A:P", "MEDIUM", 10.0, 2.9),
    4.3: ("AV:N/AC:M/Au:N/C:N/I:P/A:N", "MEDIUM", 8.6, 2.9),
    2.1: ("AV:L/AC:L/Au:N/C:P/I:N/A:N", "LOW", 3.9, 2.9),
}
V3 = {
    9.8: ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CRITICAL", 3.9, 5.9),
    7.8: ("AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "HIGH", 1.8, 5.9),
    7.5: ("AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "HIGH", 3.9, 3.6),
    6.1: ("AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "MEDIUM", 2.8, 2.7),
    5.9: ("AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", "MEDIUM", 2.2, 3.6),
    5.5: ("AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H", "MEDIUM", 1.8, 3.6),
    3.3: ("AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N", "LOW", 1.8, 1.4),
}
V4 = {
    9.3: ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "CRITICAL"),
    8.5: ("AV:L/AC:L/AT:N/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "HIGH"),
    6.9: ("AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:L/SC:N/SI:N/SA:N", "MEDIUM"),
}
WORDS = {"N": "NONE", "L": "LOW", "H": "HIGH", "P": "PARTIAL", "C": "COMPLETE"}
PARTS = {
    "AV": ("Vector", {"N": "NETWORK", "L": "LOCAL"}),
    "AC": ("Complexity", {"L": "LOW", "M": "MEDIUM", "H": "HIGH"}),
    "Au": ("authentication", {"N": "NONE"}),
    "PR": ("privilegesRequired", WORDS),
    "UI": ("userInteraction", {"N": "NONE", "R": "REQUIRED"}),
    "S": ("scope", {"U": "UNCHANGED", "C": "CHANGED"}),
    "C": ("confidentialityImpact", WORDS),
    "I": ("integrityImpact", WORDS),
    "A": ("availabilityImpact", WORDS),
}


def cpe(product: str, version: str = "*", target: str = "*") -> str:
    """Return a CPE 2.3 name; `product` is `part:vendor:product`."""
    return f"cpe:2.3:{product}:{version}:*:*:*:*:{target}:*:*"


def match(criteria: str, vulnerable: bool = True, **bounds: str) -> dict[str, Any]:
    """Return a match, with the id that an equal match always has."""
    name = f"{criteria} {sorted(bounds.items())}"
    return {
        "vulnerable": vulnerable,
        "criteria": criteria,
        **bounds,
        "matchCriteriaId": str(uuid5(NAMESPACE_URL, name)).upper(),
    }


def below(product: str, fixed: str, begin: str = "") -> dict[str, Any]:
    """Return the range up to a fixed version."""
    start = {"versionStartIncluding": begin} if begin else {}
    return match(cpe(product), **start, versionEndExcluding=fixed)


def upto(product: str, last: str) -> dict[str, Any]:
    """Return the range up to and including a version."""
    return match(cpe(product), versionEndIncluding=last)


def exact(product: str, *versions: str) -> list[dict[str, Any]]:
    """Return matches of single versions."""
    return [match(cpe(product, version)) for version in versions]


def node(*matches: dict[str, Any]) -> dict[str, Any]:
    """Return a node that any of the matches makes true."""
    return {"operator": "OR", "negate": False, "cpeMatch": list(matches)}


def anyone(*matches: dict[str, Any]) -> list[dict[str, Any]]:
    """Return configurations of one node."""
    return [{"nodes": [node(*matches)]}]


def both(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Return configurations in which two nodes must hold."""
    return [{"operator": "AND", "nodes": [first, second]}]


def metric2(score: float) -> dict[str, Any]:
    """Return a CVSS 2 metric of the NVD."""
    vector, word, exploitability, impact = V2[score]
    return {
        "source": NVD,
        "type": "Primary",
        "cvssData": {"version": "2.0", "vectorString": vector, "baseScore": score, **spelled(vector, "access")},
        "baseSeverity": word,
        "exploitabilityScore": exploitability,
        "impactScore": impact,
        "acInsufInfo": False,
        "obtainAllPrivilege": score == 10.0,
        "obtainUserPrivilege": False,
        "obtainOtherPrivilege": False,
        "userInteractionRequired": score == 4.3,
    }


def metric3(score: float, source: str = NVD) -> dict[str, Any]:
    """Return a CVSS 3.1 metric of a source; the NVD's is the primary one."""
    vector, word, exploitability, impact = V3[score]
    return {
        "source": source,
        "type": "Primary" if source == NVD else "Secondary",
        "cvssData": {
            "version": "3.1",
            "vectorString": f"CVSS:3.1/{vector}",
            "baseScore": score,
            "baseSeverity": word,
            **spelled(vector, "attack"),
        },
        "exploitabilityScore": exploitability,
        "impactScore": impact,
    }


def metric4(score: float) -> dict[str, Any]:
    """Return a CVSS 4 metric of the CNA."""
    vector, word = V4[score]
    data = {"version": "4.0", "vectorString": f"CVSS:4.0/{vector}", "baseScore": score, "baseSeverity": word}
    return {"source": CNA, "type": "Secondary", "cvssData": data}


def spelled(vector: str, prefix: str) -> dict[str, str]:
    """Return a vector's metrics under their long names."""
    pairs = (part.split(":") for part in vector.split("/"))
    named = ((*PARTS[key], value) for key, value in pairs)
    return {prefix + name if name[0].isupper() else name: words[value] for name, words, value in named}


def metrics(two: float | None, three: float | None, four: float | None, cna: float | None) -> dict[str, Any]:
    """Return an item's metrics."""
    found: dict[str, Any] = {}
    if four:
        found["cvssMetricV40"] = [metric4(four)]
    if three or cna:
        found["cvssMetricV31"] = [*([metric3(three)] if three else []), *([metric3(cna, CNA)] if cna else [])]
    if two:
        found["cvssMetricV2"] = [metric2(two)]
    return found


def item(
    number: int,
    text: str,
    configurations: list[dict[str, Any]] | None = None,
    *,
    two: float | None = None,
    three: float | None = None,
    four: float | None = None,
    cna: float | None = None,
    cwe: str = "",
    status: str = "Analyzed",
    modified: str = "",
    spanish: str = "",
) -> dict[str, Any]:
    """Return an element of `vulnerabilities`."""
    day = 1 + number % 28
    languages = [("en", text), *([("es", spanish)] if spanish else [])]
    cve: dict[str, Any] = {
        "id": f"CVE-2024-{number:04}",
        "sourceIdentifier": CNA,
        "published": f"2024-{1 + number // 8:02}-{day:02}T10:15:08.{number:03}",
        "lastModified": modified or f"2024-{2 + number // 8:02}-{day:02}T16:40:11.{number:03}",
        "vulnStatus": status,
        "cveTags": [],
        "descriptions": [{"lang": lang, "value": value} for lang, value in languages],
        "metrics": metrics(two, three, four, cna),
    }
    if cwe:
        cve["weaknesses"] = [{"source": NVD, "type": "Primary", "description": [{"lang": "en", "value": cwe}]}]
    if configurations:
        cve["configurations"] = configurations
    cve["references"] = []
    if status not in ("Rejected", "Received"):
        url = f"https://security.example.com/advisories/{number:04}"
        cve["references"] = [
            {"url": url, "source": CNA, "tags": ["Vendor Advisory"]},
            {"url": url, "source": "af854a3a-2127-422b-91ae-364da2661108", "tags": ["Patch"]},
        ]
    return {"cve": cve}


BROOK, LANTERN, QUILL = "a:brook:brookssl", "a:lantern_project:lanternd", "a:quill:quillfs"
MOSS, PEBBLE, TINY = "a:moss:mossdb", "a:pebble:pebble-mail", "a:tiny_kits:tinyxmlkit"
HARBOR, RIVER, LINUX = "a:harbor:harbor-proxy", "a:river:riverbus", "o:linux:linux_kernel"
WINDOWS = node(match(cpe("o:microsoft:windows", "-"), vulnerable=False))

YEAR = [
    item(1, "A crafted certificate chain makes the chain builder of brookssl read past the end of a buffer.",
         anyone(below(BROOK, "3.0.13", "3.0.0"), below(BROOK, "3.1.5", "3.1.0"), *exact(BROOK, "3.2.0")),
         two=5.0, three=7.5, cwe="CWE-125",
         spanish="Una cadena de certificados manipulada hace que brookssl lea más allá del final de un búfer."),
    item(2, "brookssl keeps a freed session when a renegotiation is cut short (use after free).",
         anyone(*exact(BROOK, "3.0.11", "3.0.12", "3.1.3", "3.1.4")), two=7.5, three=9.8, cwe="CWE-416"),
    item(3, "tinyxmlkit and the copy of it in brookssl accept entity references in attribute names without a limit.",
         [*anyone(below(TINY, "4.0.2")), *anyone(upto(BROOK, "3.1.4"))], three=7.5, cna=5.5, cwe="CWE-776"),
    item(4, "Timing of the brookssl RSA decryption tells padding errors apart.",
         anyone(below(BROOK, "3.2.0", "3.0.0")), two=4.3, three=5.9, cwe="CWE-208"),
    item(5, "brookssl with engine support loads engines from the working directory.",
         both(node(below(BROOK, "3.2.0")), WINDOWS), two=7.2, three=7.8, cwe="CWE-427"),
    item(6, "brookssl FIPS provider returns success from a failed self test.",
         anyone(match("cpe:2.3:a:brook:brookssl:3.0.8:*:*:*:fips:*:*:*")), three=3.3, cwe="CWE-703"),
    item(7, "lanternd allows local users to follow symlinks in its spool folder as root.",
         anyone(upto(LANTERN, "2.8.0")), two=7.2, three=7.8, cwe="CWE-59"),
    item(8, "A long host name overflows a stack buffer in lanternd.",
         anyone(*exact(LANTERN, "2.7.9", "2.8.0", "2.8.0_1")), two=10.0, three=9.8, cwe="CWE-121"),
    item(9, "lanternd writes the shared secret to its debug log.",
         anyone(below(LANTERN, "2.8.3")), cna=3.3, status="Awaiting Analysis"),
    item(10, "quillfs does not check the journal size of an image when it is mounted.",
         anyone(upto(QUILL, "1.10")), two=7.2, three=7.8, cwe="CWE-787"),
    item(11, "quillfs reads uninitialised memory when an image ends within a superblock.",
         anyone(*exact(QUILL, "1.9", "1.10-rc1", "1.10")), two=2.1, three=3.3, cwe="CWE-908"),
    item(12, "mossdb runs the trigger of a temporary table with the rights of the session's owner.",
         anyone(below(MOSS, "13.13", "13.0"), below(MOSS, "14.10", "14.0"), below(MOSS, "15.5", "15.0")),
         three=7.8, four=8.5, cwe="CWE-269"),
    item(13, "mossdb planner reveals rows of other users through statistics.",
         anyone(below(MOSS, "13.13"), *exact(MOSS, "15.3", "15.4")), three=5.9, cwe="CWE-200"),
    item(14, 'The mossdb "remote rows" extension does not verify the server\'s certificate.',
         anyone(match(cpe("a:moss:remote_rows", target="mossdb"), versionEndExcluding="1.4")),
         three=5.9, cwe="CWE-295"),
    item(15, "mossdb on Windows unpacks archives outside of the data folder.",
         both(node(below(MOSS, "15.5", "15.0")), WINDOWS), three=7.8, cwe="CWE-22"),
    item(16, "pebble-mail shows a sender's display name without escaping it.",
         anyone(below("a:pebble:pebble-mail", "0.9.2")), two=4.3, three=6.1, cwe="CWE-79"),
    item(17, "tinyxmlkit recurses without limit on nested comments.",
         anyone(below(TINY, "4.0.1")), two=5.0, three=7.5, cwe="CWE-674"),
    item(18, "tinyxmlkit integer overflow in the size of a text node.",
         anyone(*exact(TINY, "3.9.8", "4.0.0")), two=7.5, three=9.8, cwe="CWE-190"),
    item(19, "tinyxmlkit off-by-one in the reader of numeric character references.",
         anyone(match(cpe(TINY), versionStartExcluding="3.9.8", versionEndExcluding="4.0.2")),
         two=5.0, three=7.5, four=6.9, cwe="CWE-193"),
    item(20, "harbor-proxy takes a request apart differently from the server behind it (request smuggling).",
         anyone(below(HARBOR, "1.26.2")), three=9.8, cwe="CWE-444"),
    item(21, "harbor-proxy ends on an empty header name.",
         anyone(*exact(HARBOR, "1.26.0", "1.26.1", "1.26.2")), three=7.5, cwe="CWE-476"),
    item(22, "riverbus accepts an empty password when its user list cannot be read.",
         anyone(below(RIVER, "7.2.4")), three=9.8, cna=7.5, cwe="CWE-287"),
    item(23, "riverbus lists channels to clients that have not logged in.",
         anyone(*exact(RIVER, "7.2.2", "7.2.3")), three=5.9, cwe="CWE-862"),
    item(24, "lanternd sends an old address to a peer that asks for a new one.",
         anyone(below(LANTERN, "2.9.0")), three=5.9, cwe="CWE-672"),
    item(25, "riverbus cluster members trust any node that knows the cluster's name.",
         anyone(below(RIVER, "7.4.0", "7.0.0")), four=9.3, status="Undergoing Analysis"),
    item(26, "riverbus writes snapshots that everyone can read.",
         anyone(below(RIVER, "7.4.0")), three=3.3, cwe="CWE-732"),
    item(27, "brookssl ends when it is given a certificate with an empty name.",
         anyone(*exact(BROOK, "3.3.0", "3.3.1")), three=7.5, cwe="CWE-476"),
    item(28, "harbor-proxy serves files outside of its document folder.",
         anyone(below(HARBOR, "1.27.1", "1.27.0")), three=7.5, four=9.3, cwe="CWE-22"),
    item(29, "harbor-proxy writes credentials of a redirect to its log.", status="Awaiting Analysis", four=6.9),
    item(30, "The update tool of harbor-proxy does not check signatures.",
         anyone(match(cpe("a:harbor:update_tool"))), three=7.8, cwe="CWE-347"),
    item(31, "pebble-mail opens attachments of a quarantined message.", status="Received"),
    item(32, "Rejected reason: This CVE ID was assigned by mistake.", status="Rejected"),
    item(33, "In the Linux kernel, a sample driver frees its queue twice when it is removed.",
         anyone(below(LINUX, "5.15.148"), below(LINUX, "6.1.75", "5.16"), *exact(LINUX, "6.8")),
         three=7.8, cwe="CWE-415"),
    item(34, "In the Linux kernel, a sample file system does not check the length of a directory entry.",
         anyone(below(LINUX, "6.1.80", "5.10"), *exact(LINUX, "6.1.74", "5.15.140")), three=5.5, cwe="CWE-125"),
    item(35, "The web page of a harbor gateway (h-100) can be read without a password.",
         both(node(*exact("o:harbor:h-100_firmware", "12.2\\(33\\)sxi")),
              node(match(cpe("h:harbor:h-100", "-"), vulnerable=False))),
         two=5.0, three=7.5, cwe="CWE-306"),
    item(36, "All versions of the retired pebble-mail gateway for quill pass on hidden recipients.",
         anyone(match("cpe:2.3:a:pebble:gateway:*:*:*:*:*:quill:*:*")), two=5.0, cwe="CWE-200"),
    item(37, "pebble-mail keeps drafts after they were deleted.",
         anyone(match("cpe:2.3:a:pebble:pebble-mail:0.9.2:rc1:*:*:*:*:*:*")), three=3.3, status="Modified"),
    item(38, "quillfs tools name temporary files in a way that can be guessed.",
         anyone(upto(QUILL, "1.8")), two=2.1, status="Deferred"),
    item(39, "** DISPUTED ** tinyxmlkit accepts a document type with 10,000 attributes.",
         anyone(below(TINY, "4.1.0")), three=5.5, cwe="NVD-CWE-noinfo"),
]  # fmt: skip

MODIFIED = [
    item(9, "lanternd writes the shared secret to its debug log.",
         anyone(below(LANTERN, "2.8.3"), *exact(LANTERN, "2.8.2")), two=2.1, three=5.5, cna=3.3, cwe="CWE-532",
         modified="2024-08-27T12:02:51.310"),
    item(29, "harbor-proxy writes credentials of a redirect to its log.",
         anyone(below(HARBOR, "1.27.1")), three=5.9, four=6.9, cwe="CWE-532",
         modified="2024-08-28T09:17:03.007"),
    item(40, "lanternd answers a broadcast to every interface.", status="Received",
         modified="2024-08-29T08:15:02.223"),
]  # fmt: skip


def feed(items: list[dict[str, Any]], timestamp: str) -> bytes:
    """Return a feed file's document, laid out as the NVD does."""
    document = {
        "resultsPerPage": len(items),
        "startIndex": 0,
        "totalResults": len(items),
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": timestamp,
        "vulnerabilities": items,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def meta(document: bytes, packed: bytes, made_at: str) -> bytes:
    """Return the `.meta` of a feed file."""
    digest = hashlib.sha256(document).hexdigest().upper()
    sizes = f"size:{len(document)}\r\nzipSize:{len(packed) + 138}\r\ngzSize:{len(packed)}"
    return f"lastModifiedDate:{made_at}\r\n{sizes}\r\nsha256:{digest}\r\n".encode()


def packed(document: bytes) -> bytes:
    """Return the document as gzip, without the time of packing."""
    return gzip.compress(document, 9, mtime=0)


def documents() -> dict[str, bytes]:
    """Return each file of the sample by name."""
    found: dict[str, bytes] = {}
    for name, items, moment in (
        ("2024", YEAR, "2024-08-26T03:00:01"),
        ("modified", MODIFIED, "2024-08-29T06:00:02"),
    ):
        document = feed(items, f"{moment}.4821730")
        found[f"nvdcve-2.0-{name}.json.gz"] = packed(document)
        found[f"nvdcve-2.0-{name}.meta"] = meta(document, packed(document), f"{moment}-04:00")
    return found


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in documents().items():
        (FOLDER / name).write_bytes(data)
    sys.exit(0)
