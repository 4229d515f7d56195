"""The application: an explicit list of routes over a store and a page folder.

Every route answers under `/v1`, under `/v2` and without a version, to GET and HEAD, with `application/json` and no
parameter behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from vulnfeeds.api.databases import DatabaseRoutes
from vulnfeeds.api.feeds import FeedRoutes
from vulnfeeds.api.finding import Finder, SendReady
from vulnfeeds.api.heads import Heads
from vulnfeeds.api.health import HealthRoutes
from vulnfeeds.api.lookups import LookupRoutes
from vulnfeeds.api.paths import TidyPaths
from vulnfeeds.api.people import PeopleRoutes
from vulnfeeds.api.problems import HANDLERS
from vulnfeeds.api.ready import MEMORY, ReadyAnswers
from vulnfeeds.api.tasks import TaskRoutes
from vulnfeeds.publish.grypedb.archives import ArchiveFolder
from vulnfeeds.publish.pages import PageFolder
from vulnfeeds.store.interface import Store


def create_app(
    store: Store,
    pages: PageFolder,
    *,
    clock: Callable[[], datetime],
    since_margin: timedelta = timedelta(hours=2),
    ready: Callable[[], bool] = lambda: True,
    memory: int = MEMORY,
    databases: ArchiveFolder | None = None,
    external_url: str = "",
) -> Starlette:
    """Return the ASGI application.

    `clock` gives the time in UTC; `since_margin` is how much earlier a client's `since` is taken to be; `ready` says
    whether `/health` answers "ok"; `memory` is how many bytes of answers are kept in memory;
    `databases` is where Grype databases are built into, `external_url` the address under which clients reach the
    service, "" for the one that they name themselves.
    """
    answers, heads = ReadyAnswers(memory), Heads(store)
    finder = Finder(answers, heads)
    feeds = FeedRoutes(store, pages, answers, heads, clock=clock, since_margin=since_margin)
    tasks = TaskRoutes(store)
    health = HealthRoutes(store, ready)
    people = PeopleRoutes(store, clock)
    lookups = LookupRoutes(store)
    grypedb = DatabaseRoutes(databases, external_url)
    routes = [
        Route("/", health.ping),
        Route("/health", health.health),
        Route("/version", health.version),
        Route("/feeds", feeds.feeds),
        Route("/feeds/{feed}", feeds.groups),
        Route("/feeds/{feed}/{group}", feeds.page),
        Route("/feeds/{feed}/{group}/records/{key:path}", feeds.record),
        Route("/vulnerabilities/{id}", lookups.vulnerability),
        Route("/search", lookups.search),
        Route("/tasks", tasks.tasks),
        Route("/tasks/{task_id}", tasks.task),
        Route("/databases/grypedb", grypedb.listing),
        Route("/databases/grypedb/{name}", grypedb.archive),
        Route("/databases/v6/latest.json", grypedb.latest),
        Route("/databases/v6/{name}", grypedb.archive),
        Route("/swagger.json", people.swagger),
        Route("/docs", people.docs),
        Route("/status", people.status),
    ]
    middleware = [Middleware(SendReady, finder), Middleware(TidyPaths)]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    # For the server's connections, which answer what they can before this application is asked.
    app.state.finder = finder
    return app
