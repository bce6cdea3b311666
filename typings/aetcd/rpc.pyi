"""The part of aetcd's messages and calls of etcd's API that is used; it ships no types."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from enum import Enum
from typing import Final

from grpc import ChannelConnectivity, ChannelCredentials

Metadata = Sequence[tuple[str, str]]
Options = Sequence[tuple[str, int]]

class StatusCode(Enum):
    OK = ...
    INVALID_ARGUMENT = ...
    DEADLINE_EXCEEDED = ...
    NOT_FOUND = ...
    PERMISSION_DENIED = ...
    UNAUTHENTICATED = ...
    RESOURCE_EXHAUSTED = ...
    FAILED_PRECONDITION = ...
    OUT_OF_RANGE = ...
    UNIMPLEMENTED = ...
    UNAVAILABLE = ...

class AioRpcError(Exception):
    def code(self) -> StatusCode: ...
    def details(self) -> str | None: ...

class Channel:
    def get_state(self, try_to_connect: bool = False) -> ChannelConnectivity: ...
    async def close(self, grace: float | None = None) -> None: ...

def insecure_channel(target: str, options: Options | None = None) -> Channel: ...
def secure_channel(target: str, credentials: ChannelCredentials, options: Options | None = None) -> Channel: ...

class ResponseHeader:
    revision: int

class KeyValue:
    key: bytes
    value: bytes
    mod_revision: int

class RangeRequest:
    def __init__(
        self, *, key: bytes, range_end: bytes = b"", limit: int = 0, keys_only: bool = False, revision: int = 0
    ) -> None: ...

class RangeResponse:
    header: ResponseHeader
    kvs: Sequence[KeyValue]
    more: bool

class PutRequest:
    def __init__(self, *, key: bytes, value: bytes) -> None: ...

class DeleteRangeRequest:
    def __init__(self, *, key: bytes, range_end: bytes = b"") -> None: ...

class DeleteRangeResponse:
    deleted: int

class RequestOp:
    def __init__(
        self,
        *,
        request_range: RangeRequest | None = None,
        request_put: PutRequest | None = None,
        request_delete_range: DeleteRangeRequest | None = None,
    ) -> None: ...

class ResponseOp:
    response_range: RangeResponse
    response_delete_range: DeleteRangeResponse

class Compare:
    EQUAL: Final[int]
    MOD: Final[int]
    def __init__(self, *, result: int, target: int, key: bytes, mod_revision: int) -> None: ...

class TxnRequest:
    def __init__(
        self,
        *,
        compare: Sequence[Compare] = (),
        success: Sequence[RequestOp] = (),
        failure: Sequence[RequestOp] = (),
    ) -> None: ...

class TxnResponse:
    header: ResponseHeader
    succeeded: bool
    responses: Sequence[ResponseOp]

class Event:
    PUT: Final[int]
    DELETE: Final[int]
    type: int
    kv: KeyValue

class WatchCreateRequest:
    def __init__(
        self, *, key: bytes, range_end: bytes = b"", start_revision: int = 0, progress_notify: bool = False
    ) -> None: ...

class WatchRequest:
    def __init__(self, *, create_request: WatchCreateRequest) -> None: ...

class WatchResponse:
    header: ResponseHeader
    created: bool
    canceled: bool
    compact_revision: int
    cancel_reason: str
    events: Sequence[Event]

class WatchCall(AsyncIterator[WatchResponse]):
    async def __anext__(self) -> WatchResponse: ...
    async def write(self, request: WatchRequest) -> None: ...
    def cancel(self) -> bool: ...

class AuthenticateRequest:
    def __init__(self, *, name: str, password: str) -> None: ...

class AuthenticateResponse:
    token: str

class KVStub:
    def __init__(self, channel: Channel) -> None: ...
    def Range(self, request: RangeRequest, *, timeout: float, metadata: Metadata) -> Awaitable[RangeResponse]: ...
    def Txn(self, request: TxnRequest, *, timeout: float, metadata: Metadata) -> Awaitable[TxnResponse]: ...

class StatusRequest: ...

class StatusResponse:
    version: str

class MaintenanceStub:
    def __init__(self, channel: Channel) -> None: ...
    def Status(self, request: StatusRequest, *, timeout: float, metadata: Metadata) -> Awaitable[StatusResponse]: ...

class WatchStub:
    def __init__(self, channel: Channel) -> None: ...
    def Watch(self, *, metadata: Metadata) -> WatchCall: ...

class AuthStub:
    def __init__(self, channel: Channel) -> None: ...
    def Authenticate(
        self, request: AuthenticateRequest, *, timeout: float, metadata: Metadata
    ) -> Awaitable[AuthenticateResponse]: ...
