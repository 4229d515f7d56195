"""Every error that Vulnfeeds raises on purpose.

    VulnfeedsError
    ├── SettingsError            settings cannot be read or make no sense
    ├── RecordError              a record that a client would refuse
    ├── UpstreamError            an upstream did not give what it should
    │   ├── UnreachableError     no connection, no answer in time, TLS refused
    │   ├── StatusError          an HTTP status that is not success
    │   ├── LimitError           over a ceiling of size, time or decompression
    │   ├── DownloadError        the bytes are not what was announced
    │   └── HostRefusedError     the settings do not lead to that host
    ├── ParseError               a download does not have the expected shape
    │   └── DanglingError        what a document speaks of leads nowhere
    ├── RunError                 a run cannot go on
    │   ├── GuardError           counts or change rates beyond the thresholds
    │   ├── DeadlineError        a run took longer than its driver may
    │   ├── MemoryCeilingError   a run needed more memory than its driver may
    │   └── CrashError           a run's process ended without an answer
    ├── StoreError               the store cannot be used
    │   ├── StoreVersionError    the store was made by a newer version
    │   ├── StoreUnavailableError
    │   ├── ConflictError        someone else published, or the task is closed
    │   └── DriverBusyError      another run of the same driver is under way
    ├── AddressError             the service cannot listen on its address
    ├── SyncFailedError          a driver of a cycle that somebody asked for failed
    └── RequestError             a request that cannot be answered
        ├── BadRequestError      400
        ├── NotFoundError        404
        └── NotAcceptableError   406

The text of an error says what, where and why; facts that code needs are attributes.
"""

from __future__ import annotations


class VulnfeedsError(Exception):
    """The root of all errors raised on purpose."""


class SettingsError(VulnfeedsError):
    """Settings cannot be read, or hold a name or value that means nothing."""


class RecordError(VulnfeedsError):
    """A record breaks the client contract; it goes to quarantine, never to the store."""


class UpstreamError(VulnfeedsError):
    """An upstream did not give what it should; `url` is the address before the upstream map."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = reason


class UnreachableError(UpstreamError):
    """No connection, no answer in time, or TLS refused."""


class StatusError(UpstreamError):
    """An HTTP status that is not success; `status` holds it."""

    def __init__(self, url: str, status: int, detail: str = "") -> None:
        super().__init__(url, f"HTTP status {status}" + (f" ({detail})" if detail else ""))
        self.status = status


class LimitError(UpstreamError):
    """More bytes, seconds or decompressed bytes than the ceilings allow."""


class DownloadError(UpstreamError):
    """The bytes are not what was announced: cut short, another type, a wrong digest."""


class HostRefusedError(UpstreamError):
    """No setting and no driver leads to that host, so no request is sent."""


class ParseError(VulnfeedsError):
    """A download does not have the expected shape; `place` says where (file, line or key)."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class DanglingError(ParseError):
    """A document has the expected shape, but what it speaks of is not in it; one such document ends no run."""


class RunError(VulnfeedsError):
    """A run cannot go on."""


class GuardError(RunError):
    """The staged result changes a group more than the thresholds allow."""


class DeadlineError(RunError):
    """A run took longer than its driver may."""


class MemoryCeilingError(RunError):
    """A run needed more memory than its driver may."""


class CrashError(RunError):
    """The process of a run ended without an answer."""


class StoreError(VulnfeedsError):
    """The store cannot be used as asked."""


class StoreVersionError(StoreError):
    """The store was made by a newer version of Vulnfeeds."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached or opened."""


class ConflictError(StoreError):
    """Someone else published to the group meanwhile, or the task is no longer running."""


class DriverBusyError(StoreError):
    """Another run of the same driver is under way."""


class AddressError(VulnfeedsError):
    """The service cannot listen on its address."""


class SyncFailedError(VulnfeedsError):
    """A driver of a cycle that somebody asked for failed, or could not run."""


class RequestError(VulnfeedsError):
    """A request that cannot be answered; the API turns it into a problem body."""

    status = 500


class BadRequestError(RequestError):
    """A parameter that cannot be understood (400)."""

    status = 400


class NotFoundError(RequestError):
    """A feed, group, record, task or path that does not exist (404)."""

    status = 404


class NotAcceptableError(RequestError):
    """The client accepts no form that we can give (406)."""

    status = 406
