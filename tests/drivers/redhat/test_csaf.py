"""CSAF documents: what product ids stand for, in the forms that Red Hat used over the years."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.redhat.csaf_documents import advisory, document, rpm, text
from vulnfeeds.drivers.formats import csaf
from vulnfeeds.errors import ParseError


def read(content: dict[str, Any]) -> csaf.Document:
    """Return the document read."""
    return csaf.read(text(content), "x.json")


def test_a_product_id_leads_to_platform_and_package() -> None:
    """The package as its purl names it, epoch 0 when that says none; no id is taken apart."""
    one = ("anything at all", "pkg:rpm/redhat/ruby@2.5-1.module%2Bel8?arch=src&epoch=3&rpmmod=ruby:2.5:8090:b46a")
    found = read(advisory("RHSA-2024:1", ["CVE-2024-1"], [("BaseOS-8.9.0.GA", one)]))
    assert found.product("BaseOS-8.9.0.GA:anything at all") == csaf.Product(
        "cpe:/o:redhat:enterprise_linux:8::baseos", csaf.Package("ruby", "3:2.5-1.module+el8", "src", "ruby:2.5")
    )
    assert found.product("BaseOS-8.9.0.GA") == csaf.Product("cpe:/o:redhat:enterprise_linux:8::baseos", None)


def test_a_package_may_be_part_of_a_module_of_a_platform() -> None:
    """The older form: the module is a product with a purl of type rpmmod, and itself part of the platform."""
    content = document(
        "RHSA-2024:1",
        "csaf_security_advisory",
        {"ruby-0:2.5-1.src": "pkg:rpm/redhat/ruby@2.5-1?arch=src", "mod": "pkg:rpmmod/redhat/ruby@2.5:8090:b46a"},
        [("BaseOS-8.9.0.GA", "mod")],
        [],
    )
    content["product_tree"]["relationships"].append(
        {
            "category": "default_component_of",
            "full_product_name": {"product_id": "both"},
            "product_reference": "ruby-0:2.5-1.src",
            "relates_to_product_reference": "BaseOS-8.9.0.GA:mod",
        }
    )
    found = read(content)
    assert found.product("both") == csaf.Product(
        "cpe:/o:redhat:enterprise_linux:8::baseos", csaf.Package("ruby", "0:2.5-1", "src", "ruby:2.5")
    )
    assert found.product("BaseOS-8.9.0.GA:mod") == csaf.Product("cpe:/o:redhat:enterprise_linux:8::baseos", None)


@pytest.mark.parametrize(
    ("component", "purl", "package"),
    [
        ("kernel", "", csaf.Package("kernel", "", "", "")),
        ("nodejs:18/nodejs", "", csaf.Package("nodejs", "", "", "nodejs:18")),
        ("nodejs:18/nodejs", "pkg:rpm/redhat/nodejs?arch=src", csaf.Package("nodejs", "", "src", "nodejs:18")),
        ("image", "pkg:oci/image@sha256:00", None),
    ],
)
def test_packages_in_all_their_versions(component: str, purl: str, package: csaf.Package | None) -> None:
    """VEX names packages without version, with their module or without, at times without a purl."""
    purls = {component: purl} if purl else {}
    found = read(document("CVE-2024-1", "csaf_vex", purls, [("red_hat_enterprise_linux_8", component)], []))
    product = found.product(f"red_hat_enterprise_linux_8:{component}")
    assert product is not None
    assert product.package == package


def test_ids_that_lead_nowhere() -> None:
    """An unknown id, a purl that is none, relationships in a circle or to nothing: None, and no loop."""
    good = rpm("moss", "1-1")
    content = advisory(
        "RHSA-2024:1", ["CVE-2024-1"], [("BaseOS-9.4.0.GA", good), ("BaseOS-9.4.0.GA", ("bad", "moss"))]
    )
    relation = {"category": "x", "product_reference": good[0]}
    content["product_tree"]["relationships"] += [
        {**relation, "full_product_name": {"product_id": "a"}, "relates_to_product_reference": "b"},
        {**relation, "full_product_name": {"product_id": "b"}, "relates_to_product_reference": "a"},
        {**relation, "full_product_name": {"product_id": "c"}, "relates_to_product_reference": "nowhere"},
    ]
    found = read(content)
    assert [found.product(name) for name in ("never heard of", "a", "c", "BaseOS-9.4.0.GA:bad")] == [None] * 4
    assert found.product(f"BaseOS-9.4.0.GA:{good[0]}") is not None


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", "x.json"),
        (b"[]", "x.json: Expected `object`"),
        (b'{"document": {}}', "`tracking` - at `$.document`"),
        (b'{"document": \xff}', "x.json"),
        (b'{"product_tree": {"branches": ' + b'[{"branches": ' * 5000, "x.json"),
    ],
)
def test_other_shapes_are_refused(data: bytes, names: str) -> None:
    """The error names the document and the place in it; depth is no way to bring the process down."""
    with pytest.raises(ParseError) as caught:
        csaf.read(data, "x.json")
    assert names in str(caught.value)
