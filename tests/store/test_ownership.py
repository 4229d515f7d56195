"""Who is alive."""

from __future__ import annotations

import os
import socket

from vulnfeeds.store.ownership import is_gone, this_process


def test_this_process_is_alive() -> None:
    """The owner string names host and process id, stays the same, and does not count as gone."""
    owner = this_process()
    assert owner == this_process()
    assert owner.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert not is_gone(owner)


def test_a_reused_process_id_is_another_process() -> None:
    """The same id with another start is gone."""
    assert is_gone(f"{socket.gethostname()}:{os.getpid()}:other-start")


def test_nothing_is_known_of_other_hosts_and_other_words() -> None:
    """Only owners of this host can be called gone here."""
    assert not is_gone("elsewhere:1:x")
    assert not is_gone("")
    assert not is_gone("a:b:c:d")
    assert not is_gone(f"{socket.gethostname()}:word:x")
