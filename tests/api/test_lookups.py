"""The routes that cross groups, over real HTTP on a store with distributions, GitHub, the NVD and KEV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.api.filling import Clock, publish
from vulnfeeds.api.app import create_app
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import Store, open_store
from vulnfeeds.sync.indexing import catch_up
from vulnfeeds.testing.live import live_service

HEARTBLEED, OTHER = "CVE-2014-0160", "CVE-2014-0224"
GHSA, SIBLING = "GHSA-aaaa-bbbb-cccc", "GHSA-dddd-eeee-ffff"
MANY = 250


def os_record(group: str, key: str, *fixes: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """Return a record of feed `vulnerabilities`."""
    return {
        "Vulnerability": {
            "Name": key,
            "NamespaceName": group,
            "Severity": "High",
            "Link": f"https://example.org/{key}",
            "Description": "",
            "Metadata": metadata,
            "FixedIn": list(fixes),
        }
    }


def fix(name: str, version: str, format_: str = "dpkg", *advisories: str) -> dict[str, Any]:
    """Return a fix that cites advisories."""
    cited = {"AdvisorySummary": [{"ID": word, "Link": f"https://example.org/{word}"} for word in advisories]}
    more = {"VendorAdvisory": cited} if advisories else {}
    return {"Name": name, "NamespaceName": "g", "Version": version, "VersionFormat": format_, **more}


def advisory(key: str, cves: list[str], name: str, range_: str) -> dict[str, Any]:
    """Return a record of feed `github`."""
    found = {"name": name, "namespace": "github:python", "identifier": "2.0", "range": range_}
    return {
        "Advisory": {
            "ghsaId": key,
            "namespace": "github:python",
            "Summary": "",
            "url": f"https://github.com/advisories/{key}",
            "CVE": cves,
            "Metadata": {"CVE": cves},
            "withdrawn": None,
            "Severity": "Medium",
            "FixedIn": [found],
        }
    }


def nvd(key: str, *matches: dict[str, Any], names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a record of feed `nvdv2`."""
    weakness = {"problemtype_data": [{"description": [{"lang": "en", "value": "CWE-125"}]}]}
    return {
        "cve": {
            "CVE_data_meta": {"ID": key, "ASSIGNER": "a"},
            "problemtype": weakness,
            "description": {"description_data": [{"lang": "en", "value": "t"}]},
        },
        "severity": "High",
        "cvss_v2": None,
        "cvss_v3": {
            "base_metrics": {"base_score": 7.5, "base_severity": "HIGH"},
            "vector_string": "CVSS:3.1/AV:N",
            "version": "3.1",
        },
        "configurations": {"nodes": [{"operator": "OR", "cpe_match": list(matches)}]},
        "vulnerable_cpes": list(names),
    }


def cpe(version: str, part: str = "a") -> str:
    """Return a CPE name of openssl."""
    return f"cpe:2.3:{part}:openssl:openssl:{version}:*:*:*:*:*:*:*"


def fill(store: Store) -> None:
    """Publish what the tests look for, and index it."""
    debian = {
        HEARTBLEED: os_record(
            "debian:12", HEARTBLEED, fix("openssl", "1.0.1g-1", "dpkg", "DSA-2896-1"), fix("other", "0")
        ),
        OTHER: os_record(
            "debian:12",
            OTHER,
            fix("openssl", "1.0.1h-1", "dpkg", "DSA-2896-1"),
            fix("gnutls", "3"),
        ),
    }
    debian |= {f"CVE-2020-{number:04}": os_record("debian:12", "x", fix("linux", "None")) for number in range(MANY)}
    publish(store, "vulnerabilities", "debian:12", debian)
    publish(
        store,
        "vulnerabilities",
        "debian:11",
        {HEARTBLEED: os_record("debian:11", HEARTBLEED, fix("OpenSSL", "None"))},
    )
    errata = os_record(
        "amzn:2", "ALAS-2014-320", fix("openssl", "1:1.0.1e-37", "rpm"), CVE=[HEARTBLEED, "CVE-2014-9999"]
    )
    publish(store, "vulnerabilities", "amzn:2", {"ALAS-2014-320": errata}, driver="amzn")
    publish(
        store,
        "github",
        "github:python",
        {
            GHSA: advisory(GHSA, [HEARTBLEED], "Open_SSL", ">= 1.0 < 2.0"),
            SIBLING: advisory(SIBLING, [HEARTBLEED, OTHER], "both", "< 2.0"),
        },
        driver="github",
    )
    within = {"cpe23Uri": cpe("*"), "vulnerable": True, "versionEndExcluding": "1.0.1g"}
    hardware = {"cpe23Uri": cpe("9", "h"), "vulnerable": True}
    publish(
        store,
        "nvdv2",
        "nvdv2:cves",
        {HEARTBLEED: nvd(HEARTBLEED, within, names=(cpe("1.0.1f"),)), OTHER: nvd(OTHER, hardware)},
        driver="nvdv2",
    )
    publish(store, "kev", "kev:known-exploited", {HEARTBLEED: {"cveID": HEARTBLEED}}, driver="kev")
    score = {"cve": HEARTBLEED, "epss": 0.97, "percentile": 0.999}
    publish(store, "epss", "epss:scores", {HEARTBLEED: score}, driver="epss")
    catch_up(store)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of a live service over the filled store, for tests that only read."""
    folder, clock = tmp_path_factory.mktemp("lookups"), Clock()
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}", clock=clock)
    fill(store)
    app = create_app(store, PageFolder(folder / "pages", store), clock=clock)
    with live_service(app) as base, httpx2.Client(base_url=base, timeout=60) as opened:
        yield opened
    store.close()


def found(client: httpx2.Client, path: str, **asked: Any) -> dict[str, Any]:
    """Return an answer that must be one."""
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def relations(body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return group, key and relation of each record of an answer."""
    return [(record["group"], record["key"], record["relation"]) for record in body["records"]]


ABOUT_HEARTBLEED = [
    ("epss:scores", HEARTBLEED, "is"),
    ("github:python", GHSA, "alias"),
    ("github:python", SIBLING, "covers"),
    ("kev:known-exploited", HEARTBLEED, "is"),
    ("nvdv2:cves", HEARTBLEED, "is"),
    ("amzn:2", "ALAS-2014-320", "covers"),
    ("debian:11", HEARTBLEED, "is"),
    ("debian:12", HEARTBLEED, "is"),
]


def test_everything_that_speaks_of_a_vulnerability(served: httpx2.Client) -> None:
    """Every group's record, by feed, group and key: its own, its other names', and advisories that cover it."""
    body = found(served, f"/v1/vulnerabilities/{HEARTBLEED}")
    assert relations(body) == ABOUT_HEARTBLEED
    assert (body["id"], body["aliases"], body["aliases_cut"]) == (HEARTBLEED, [GHSA], False)
    assert body["index"] == {"complete": True, "behind": []}
    assert body["next_token"] == ""
    assert found(served, "/v1/vulnerabilities/cve-2014-0160") == body


def test_another_name_leads_to_the_same_records(served: httpx2.Client) -> None:
    """Asked for by its GHSA id, the vulnerability has the same records; CVEs that share an advisory stay apart."""
    body = found(served, f"/v1/vulnerabilities/{GHSA.lower()}")
    assert body["aliases"] == [HEARTBLEED]
    swapped = {"is": "alias", "alias": "is", "covers": "covers"}
    assert relations(body) == [(group, key, swapped[how]) for group, key, how in ABOUT_HEARTBLEED]
    both = found(served, f"/v1/vulnerabilities/{SIBLING}")
    assert relations(both) == [("github:python", SIBLING, "is")]
    assert (both["aliases"], both["records"][0]["covers"]) == ([], [HEARTBLEED, OTHER])


def test_an_advisory_lists_what_cites_it(served: httpx2.Client) -> None:
    """A DSA's records are those of the CVEs that it fixes, with the fixes that cite it and no others."""
    body = found(served, "/v1/vulnerabilities/DSA-2896-1")
    assert relations(body) == [("debian:12", HEARTBLEED, "cites"), ("debian:12", OTHER, "cites")]
    assert [[each["package"] for each in record["fixes"]] for record in body["records"]] == [["openssl"], ["openssl"]]
    assert body["aliases"] == []


def test_a_record_tells_its_fixes(served: httpx2.Client) -> None:
    """Status, version, format and advisory of each package, where people read more, and where the record is."""
    (record,) = [
        each for each in found(served, f"/v1/vulnerabilities/{HEARTBLEED}")["records"] if each["group"] == "debian:12"
    ]
    assert record["fixes"] == [
        {
            "package": "openssl",
            "status": "fixed",
            "version": "1.0.1g-1",
            "format": "dpkg",
            "advisories": [{"id": "DSA-2896-1", "link": "https://example.org/DSA-2896-1"}],
        },
        {"package": "other", "status": "not_affected", "format": "dpkg"},
    ]
    assert (record["severity"], record["withdrawn"], record["sequence"]) == ("High", False, 1)
    assert found(served, record["record"])["record"]["Vulnerability"]["Name"] == HEARTBLEED


def test_other_feeds_are_joined_on_request(served: httpx2.Client) -> None:
    """KEV, CVSS and CWE come by CVE, for the CVEs of the answer that have them; without the wish they do not."""
    asked = f"/v1/vulnerabilities/{GHSA}"
    assert "joined" not in found(served, asked)
    joined = found(served, asked, **{"with": "kev,epss,cvss,cwe"})["joined"]
    assert set(joined) == {HEARTBLEED}
    assert joined[HEARTBLEED]["kev"]["cveID"] == HEARTBLEED
    assert joined[HEARTBLEED]["epss"] == {"epss": 0.97, "percentile": 0.999}
    assert joined[HEARTBLEED]["cwe"] == ["CWE-125"]
    assert joined[HEARTBLEED]["cvss"] == [
        {"version": "3.1", "vector": "CVSS:3.1/AV:N", "score": 7.5, "severity": "HIGH"}
    ]
    assert set(found(served, "/v1/search", package="gnutls", **{"with": "cwe"})["joined"]) == {OTHER}


def keys(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return group and key of each record of an answer."""
    return [(record["group"], record["key"]) for record in body["records"]]


def test_a_package_is_found_in_all_groups(served: httpx2.Client) -> None:
    """In letters of any case, with its own fixes only; patterns narrow the groups."""
    body = found(served, "/v1/search", package="OPENSSL")
    assert keys(body) == [
        ("amzn:2", "ALAS-2014-320"),
        ("debian:11", HEARTBLEED),
        ("debian:12", HEARTBLEED),
        ("debian:12", OTHER),
    ]
    assert {each["package"].lower() for record in body["records"] for each in record["fixes"]} == {"openssl"}
    assert len(keys(found(served, "/v1/search", package="openssl", group="debian:*"))) == 3
    assert keys(found(served, "/v1/search", package="nothing")) == []


def test_a_python_package_has_many_spellings(served: httpx2.Client) -> None:
    """Hyphen, underscore and dot are the same to Python, and to nobody else."""
    for name in ("open-ssl", "Open.SSL", "open_ssl"):
        assert keys(found(served, "/v1/search", package=name)) == [("github:python", GHSA)]


def test_a_version_is_judged(served: httpx2.Client) -> None:
    """Each fix says whether the version that was asked for is affected, by its own order."""
    body = found(served, "/v1/search", purl="pkg:deb/debian/openssl@1.0.1g-1?distro=debian-12")
    assert [record["fixes"][0]["affected"] for record in body["records"]] == [False, True]
    body = found(served, "/v1/search", purl="pkg:pypi/open-ssl@1.5")
    assert [record["fixes"][0]["affected"] for record in body["records"]] == [True]
    assert "affected" not in found(served, "/v1/search", package="gnutls")["records"][0]["fixes"][0]


def test_a_product_is_found_by_cpe(served: httpx2.Client) -> None:
    """Vendor, product and part must fit; a version, one that the record names or was expanded to."""

    def products(name: str) -> list[str]:
        return [key for _, key in keys(found(served, "/v1/search", cpe=name))]

    assert products("cpe:2.3:*:openssl:openssl") == [HEARTBLEED, OTHER]
    assert products(cpe("*")) == [HEARTBLEED]
    assert products(cpe("*", "h")) == [OTHER]
    assert (products(cpe("1.0.1f")), products(cpe("1.0.1g"))) == ([HEARTBLEED], [])
    assert products("cpe:2.3:a:openssl:other") == []
    (record,) = found(served, "/v1/search", cpe=cpe("*"))["records"]
    assert record["products"] == [{"cpe": cpe("*"), "end_excluding": "1.0.1g"}]


@pytest.mark.parametrize(("path", "asked"), [("/v1/search", {"package": "linux"}), ("/v1/vulnerabilities/x", {})])
def test_pages_lead_through_everything(served: httpx2.Client, path: str, asked: dict[str, str]) -> None:
    """Each record comes once, in order, however long the pages are; a token is good for its own question only."""
    if "package" not in asked:
        path, whole = f"/v1/vulnerabilities/{HEARTBLEED}", [key[:2] for key in ABOUT_HEARTBLEED]
    else:
        whole = [("debian:12", f"CVE-2020-{number:04}") for number in range(MANY)]
    for limit in (3, 100, 1000):
        seen, token = [], ""
        while True:
            body = found(served, path, **asked, limit=limit, **({"next_token": token} if token else {}))
            assert len(body["records"]) <= limit
            seen += keys(body)
            token = body["next_token"]
            if not token:
                break
            elsewhere = served.get("/v1/search", params={"package": "openssl", "next_token": token})
            assert (elsewhere.status_code, "another question" in elsewhere.text) == (400, True)
        assert seen == whole


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/vulnerabilities/CVE-1999-0000", 404, "CVE-1999-0000"),
        ("/v1/vulnerabilities/%00", 404, "no record"),
        (f"/v1/vulnerabilities/{'x' * 500}", 404, "no record"),
        (f"/v1/vulnerabilities/{HEARTBLEED}?with=weather", 400, "with"),
        (f"/v1/vulnerabilities/{HEARTBLEED}?limit=0", 400, "limit"),
        (f"/v1/vulnerabilities/{HEARTBLEED}?next_token=abc", 400, "next_token"),
        ("/v1/search", 400, "exactly one"),
        ("/v1/search?package=a&cpe=b", 400, "package and cpe"),
        ("/v1/search?purl=openssl", 400, "purl"),
        ("/v1/search?package=a&group=debina:*", 404, "debina"),
    ],
)
def test_what_cannot_be_answered_says_why(served: httpx2.Client, path: str, status: int, said: str) -> None:
    """Problems name what was not found or not understood."""
    answer = served.get(path)
    assert (answer.status_code, said in answer.json()["message"]) == (status, True)


@pytest.mark.parametrize("path", [f"/v1/vulnerabilities/{HEARTBLEED}", "/v1/search?package=openssl"])
def test_answers_are_as_those_of_other_routes(served: httpx2.Client, path: str) -> None:
    """HEAD has the headers of GET, an ETag gives 304, and codings are the client's."""
    whole = served.get(path, headers={"Accept-Encoding": "gzip"})
    assert whole.headers["content-encoding"] == "gzip"
    assert whole.headers["content-type"] == "application/json"
    head = served.head(path, headers={"Accept-Encoding": "gzip"})
    assert (head.content, head.headers["etag"]) == (b"", whole.headers["etag"])
    again = served.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": whole.headers["etag"]})
    assert again.status_code == 304


def test_an_index_that_lags_says_so(filled: Store, client: httpx2.Client) -> None:
    """Before a group is indexed it is named, and its records are found by key only; afterwards by every word."""
    body = found(client, "/v1/search", package="p0")
    assert (body["records"], body["index"]["complete"]) == ([], False)
    assert {"feed": "vulnerabilities", "group": "debian:12", "indexed": 0, "sequence": 2345} in body["index"][
        "behind"
    ]
    assert relations(found(client, "/v1/vulnerabilities/CVE-2024-0001"))[-1] == ("debian:12", "CVE-2024-0001", "is")
    # It may be known under a word that is not there yet.
    assert found(client, "/v1/vulnerabilities/CVE-1999-0000")["records"] == []
    assert catch_up(filled, driver="alpine") is True
    body = found(client, "/v1/search", package="p0")
    assert {record["group"] for record in body["records"]} == {"alpine:3.10", "alpine:3.2"}
    assert {each["group"] for each in body["index"]["behind"]} == {"debian:12", "kev:known-exploited"}
    assert catch_up(filled, stopped=lambda: True) is False
    assert catch_up(filled) is True
    body = found(client, "/v1/search", package="p0", group="debian:12")
    assert (len(body["records"]), body["index"]["complete"]) == (100, True)
    assert client.get("/v1/vulnerabilities/CVE-1999-0000").status_code == 404
