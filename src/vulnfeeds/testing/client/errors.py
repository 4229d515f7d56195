"""Every error that the strict client raises.

    ClientError
    ├── ConnectionFailedError   no answer after all attempts
    ├── AnswerError             a status that is not success; `status` and `body` hold it
    │   ├── CredentialsError    401
    │   ├── TierError           403
    │   └── MissingError        404
    └── ContractError           an answer that the real client would choke on or lose data by
        ├── LoopError           the real client would ask for ever
        ├── PageError           a page or listing of the wrong form
        └── RecordError         a record that fails its whole group in the real client

They are apart from the service's errors on purpose: the client shares no code with what it judges.
"""

from __future__ import annotations


class ClientError(Exception):
    """The root of all errors of the strict client."""


class ConnectionFailedError(ClientError):
    """No connection or no answer in time, at every attempt."""


class AnswerError(ClientError):
    """A status that is not success, at every attempt that it allows."""

    def __init__(self, target: str, status: int, body: str) -> None:
        super().__init__(f"{target}: HTTP status {status}: {body[:500]}")
        self.status = status
        self.body = body


class CredentialsError(AnswerError):
    """Status 401; not tried again."""


class TierError(AnswerError):
    """Status 403; not tried again."""


class MissingError(AnswerError):
    """Status 404; not tried again."""


class ContractError(ClientError):
    """The service broke the contract."""


class LoopError(ContractError):
    """The real client would go on asking for ever."""


class PageError(ContractError):
    """A page or a listing does not have the form that the real client needs."""


class RecordError(ContractError):
    """A record that the real client's code or database refuses; `place` says where in it."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
