"""`vulnfeeds driver test`: one driver by itself, without a store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.cli.conftest import Vulnfeeds
from vulnfeeds.cli.compose import sample_upstream

KEV = "www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"


def test_a_driver_is_tried_without_a_store(vulnfeeds: Vulnfeeds) -> None:
    """It counts what came by group, times each phase and the slowest downloads, and leaves no store behind."""
    found = vulnfeeds.json("driver", "test", "alpine", "--upstream", str(sample_upstream()))
    assert set(found["groups"]) == set(found["covered"]) == {"alpine:3.19", "alpine:3.20", "alpine:edge"}
    assert found["records"] == sum(found["groups"].values()) > 0
    assert (found["refused"], found["refusals"]) == (0, [])
    assert set(found["seconds"]) == {"fetch", "parse", "encode", "check"}
    assert found["downloads"] > len(found["slowest"]) == 5
    assert all(row["url"].startswith("https://") for row in found["slowest"])
    assert found["peak_mb"] > 1
    assert not list(vulnfeeds.home.rglob("*.sqlite"))


def test_what_is_odd_is_told(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """Records that clients would refuse are shown with the reason, and a folder for what is downloaded is kept."""
    folder = tmp_path / "upstream"
    shutil.copytree(sample_upstream() / KEV.partition("/")[0], folder / KEV.partition("/")[0])
    catalog = json.loads((folder / KEV).read_text())
    catalog["vulnerabilities"][0]["shortDescription"] = "a\0b"
    (folder / KEV).write_text(json.dumps(catalog))
    kept = tmp_path / "kept"
    found = vulnfeeds.json("driver", "test", "kev", "--upstream", str(folder), "--workspace", str(kept))
    assert (found["refused"], found["records"]) == (1, len(catalog["vulnerabilities"]) - 1)
    assert "U+0000" in found["refusals"][0]["reason"]
    assert (kept / "known_exploited_vulnerabilities.json").is_file()
    said = vulnfeeds.run("driver", "test", "kev", "--upstream", str(folder)).stdout
    assert "refused  kev:known-exploited" in said


def test_failures_have_their_codes(vulnfeeds: Vulnfeeds, tmp_path: Path) -> None:
    """An upstream without the document, a driver that makes its records of others', and no driver at all."""
    assert "HTTP status 404" in vulnfeeds.run("driver", "test", "kev", "--upstream", str(tmp_path), code=5).stderr
    sample = str(sample_upstream())
    assert "no record came" in vulnfeeds.run("driver", "test", "nvddb", "--upstream", sample, code=5).stderr
    assert "no driver 'nobody'" in vulnfeeds.run("driver", "test", "nobody", code=3).stderr
