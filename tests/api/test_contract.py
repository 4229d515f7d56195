"""The served contract is valid, and the live service keeps it on every route."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV30SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.api import openapi
from vulnfeeds.api.app import create_app
from vulnfeeds.api.filters import STATUSES, TASK_TYPES
from vulnfeeds.api.joining import JOINS
from vulnfeeds.api.tokens import DeltaToken, WalkToken, encode, encode_place
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store import open_store
from vulnfeeds.store.interface import Place
from vulnfeeds.sync.indexing import catch_up
from vulnfeeds.testing.live import live_service

FEED, GROUP = "vulnerabilities", "debian:12"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
ROUTES = sorted(openapi.document()["paths"])

schemathesis.openapi.format("since", st.datetimes().map(lambda moment: moment.isoformat()))
schemathesis.openapi.format(
    "token",
    st.builds(WalkToken, st.integers(0, 9), st.text("CVE-0123", max_size=9)).map(lambda t: encode(FEED, GROUP, t))
    | st.builds(DeltaToken, st.integers(0, 90), st.integers(0, 90)).map(lambda t: encode(FEED, GROUP, t)),
)
schemathesis.openapi.format(
    "task-filter",
    st.lists(
        st.sampled_from(["driver_id=debian", "feed_id=nix", "task_id>0", "task_id<9", "task_id=1"])
        | st.sampled_from(TASK_TYPES).map("task_type={}".format)
        | st.sampled_from(STATUSES).map("status={}".format),
        max_size=4,
    ).map(",".join),
)
schemathesis.openapi.format("joins", st.lists(st.sampled_from(sorted(JOINS)), max_size=3).map(",".join))
schemathesis.openapi.format("package-name", st.sampled_from(["p0", "P0", "openssl"]))
schemathesis.openapi.format("purl", st.sampled_from(["pkg:deb/debian/p0@1.0?distro=debian-12", "pkg:deb/debian/p0"]))
schemathesis.openapi.format("cpe", st.sampled_from(["cpe:2.3:a:v:p:*:*:*:*:*:*:*:*", "cpe:2.3:*:v:p:1.0"]))
schemathesis.openapi.format("group-patterns", st.sampled_from([GROUP, "debian:*", "*", "debian:1?,debian:12"]))
schemathesis.openapi.format("package-version", st.sampled_from(["0.9", "1.0", "2:1.0-1", "x"]))
schemathesis.openapi.format(
    "place-token",
    st.text("CVE-0123", max_size=9).map(lambda key: encode_place("/search", "", Place(FEED, GROUP, key))),
)
schemathesis.openapi.format("accept-encoding", st.sampled_from(["gzip", "identity", "gzip, deflate", "*", "br"]))
schemathesis.openapi.format("etags", st.sampled_from(['"x"', 'W/"x", "y"', "*"]))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The live service over a small store, for all examples of this module."""
    folder: Path = tmp_path_factory.mktemp("contract")
    clock = Clock()
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}", clock=clock)
    publish(store, FEED, GROUP, {f"CVE-{number}": os_record(GROUP, f"CVE-{number}") for number in range(30)})
    clock.move(hours=1)
    publish(store, FEED, GROUP, {"CVE-1": os_record(GROUP, "CVE-1", "changed")})
    catch_up(store)
    cycle = store.open_task("FeedSyncTask")
    store.progress(store.open_task("DriverExecutionTask", driver="kev", feed="kev", parent=cycle), {"phase": "fetch"})
    app = create_app(store, PageFolder(folder / "pages", store), clock=clock, since_margin=timedelta(hours=2))
    with live_service(app) as base:
        yield base
    store.close()


schema = schemathesis.openapi.from_dict(openapi.document())


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_live_service_keeps_the_contract(case: schemathesis.Case, service: str) -> None:
    """Statuses, types, headers and bodies of good and bad requests are as documented; bad ones are refused."""
    checks = [*CHECKS]
    # The contract cannot say that a token is good for its own group only, nor which parameters go together.
    if "next_token" not in (case.query or {}) and case.path != "/search":
        checks.append(positive_data_acceptance)
    case.call_and_validate(base_url=f"{service}/v1", checks=checks)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_served_contract_is_valid(service: str, version: str) -> None:
    """A strict validator finds nothing; the server is the version that was asked."""
    document = httpx2.get(f"{service}/{version}/swagger.json").json()
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []
    assert document["servers"] == [{"url": f"/{version}"}]
    assert document == openapi.document(version)


def test_every_route_is_in_the_contract(service: str) -> None:
    """What the application answers and what the contract says are the same list."""
    app = create_app(None, None, clock=Clock())  # type: ignore[arg-type]
    routes = {route.path.replace(":path", "") for route in app.routes}  # type: ignore[attr-defined]
    assert routes == set(ROUTES)


@pytest.mark.parametrize("page", ["/docs", "/v1/docs", "/v2/status", "/status/"])
def test_pages_for_people_stand_alone(service: str, page: str) -> None:
    """HTML without script or address outside, sent so that it may load nothing."""
    answer = httpx2.get(f"{service}{page}", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert httpx2.get(f"{service}{page}", headers={"Accept": "application/json"}).status_code == 406


def test_the_page_shows_every_route(service: str) -> None:
    """Each path, parameter and schema of the contract stands on it."""
    text = httpx2.get(f"{service}/docs").text
    document = openapi.document()
    for path in ROUTES:
        assert f"/v1{path}" in text
    for name in [
        *document["components"]["schemas"],
        *[p["name"] for p in document["components"]["parameters"].values()],
    ]:
        assert name in text


def test_the_status_page_shows_what_is_served(service: str) -> None:
    """Groups with their counts and the newest tasks."""
    text = httpx2.get(f"{service}/status").text
    for said in (GROUP, "30", "kev", "running", "1 updated in 1 group"):
        assert said in text
