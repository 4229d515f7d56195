"""The contract as an OpenAPI document, at `/swagger.json`, and as a page, at `/docs`."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

import vulnfeeds

FILE: Final = "openapi.yaml"


@cache
def document(version: str = "v1") -> dict[str, Any]:
    """Return the contract as seen under a version of the path (`v1`, `v2`); do not change what is returned."""
    text = resources.files("vulnfeeds.api").joinpath(FILE).read_text("utf-8")
    # A copy undoes the file's anchors: several routes share one list there.
    contract: dict[str, Any] = _unshared(yaml.safe_load(text))
    contract["info"]["version"] = vulnfeeds.__version__
    contract["servers"] = [{"url": f"/{version}"}]
    for path in contract["paths"].values():
        path["head"] = _head(path["get"], contract["components"]["responses"])
    return contract


def _head(get: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the HEAD beside a GET: the same headers, no body."""
    head = deepcopy(get)
    head["operationId"] += "_head"
    head["summary"] += " (headers only)"
    for status, response in head["responses"].items():
        whole = shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        head["responses"][status] = {name: value for name, value in whole.items() if name != "content"}
    return head


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_unshared(each) for each in value]
    return value
