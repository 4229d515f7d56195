"""A program that behaves as `vunnel -c FILE run NAME` does, or as the variable BEHAVIOUR says.

It is run in a process of its own, like the real one, and writes the workspace of NAME below the root that FILE names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.drivers.vunnel_workspaces import make, seal, vulnerability


def main(arguments: list[str]) -> None:
    """Do what was asked."""
    flag, file, command, name = arguments
    assert (flag, command) == ("-c", "run")
    behaviour = os.environ.get("BEHAVIOUR", "good")
    settings = yaml.safe_load(Path(file).read_text())
    workspace = Path(settings["root"]) / name
    if behaviour == "fails":
        sys.exit(f"\x1b[31mERROR\x1b[0m no answer with token {os.environ['GITHUB_TOKEN']}")
    if behaviour == "hangs":
        child = subprocess.Popen(["/bin/sleep", "600"])
        print(f"waiting for {child.pid}", flush=True)
        Path("pids").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    if behaviour == "nothing" or (behaviour == "once" and workspace.exists()):
        return
    variables = " ".join(sorted(os.environ))
    issue = vulnerability("CVE-2024-0001", f"{name}:rolling", Description=f"{variables} {settings.get('log')}")
    subprocess.run(["rm", "-rf", str(workspace)], check=True)
    make(workspace, name, [issue], timestamp=datetime.now(UTC).isoformat())
    if behaviour == "garbage":
        os.write(1, bytes(range(256)) * 4096)
        (workspace / "metadata.json").write_bytes(b"\x00\xff garbage")
    if behaviour == "half":
        seal(workspace, name, listing=None)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1:])
