"""What every store must do, as tests: subclass StoreSuite and give it a fixture that opens the database under test.

    class TestMine(StoreSuite):
        @pytest.fixture
        def factory(self, my_url):
            with contextlib.ExitStack() as stores:

                def factory(*, clock, owner=None):
                    return stores.enter_context(contextlib.closing(open_store(my_url, clock=clock, owner=owner)))

                yield factory

Each test gets an empty database; the factory may be called several times, always for the same one. pytest finds the
tests through the subclass, whose name must begin with Test.
"""

from __future__ import annotations

from vulnfeeds.testing.storing.comparing import ComparingSuite
from vulnfeeds.testing.storing.finding import FindingSuite
from vulnfeeds.testing.storing.publishing import PublishingSuite
from vulnfeeds.testing.storing.reading import ReadingSuite
from vulnfeeds.testing.storing.scene import Clock, Factory, Scene
from vulnfeeds.testing.storing.tasks import TasksSuite
from vulnfeeds.testing.storing.upkeep import UpkeepSuite

__all__ = ["Clock", "Factory", "Scene", "StoreSuite"]


class StoreSuite(PublishingSuite, ReadingSuite, FindingSuite, ComparingSuite, TasksSuite, UpkeepSuite):
    """All that `vulnfeeds.store.interface.Store` promises."""
