from collections.abc import Callable, Sequence
from struct import Struct
from typing import Protocol

from kazoo.protocol.states import WatchedEvent
from kazoo.security import ACL

class Request(Protocol):
    @property
    def type(self) -> int: ...
    def serialize(self) -> bytes | bytearray: ...

class _Request:
    type: int
    def serialize(self) -> bytearray: ...

class Create(_Request):
    def __init__(self, path: str, data: bytes, acl: Sequence[ACL], flags: int) -> None: ...

class Delete(_Request):
    def __init__(self, path: str, version: int) -> None: ...

class Exists(_Request):
    def __init__(self, path: str, watcher: Callable[[WatchedEvent], None] | None) -> None: ...

class GetData(_Request):
    def __init__(self, path: str, watcher: None) -> None: ...

class SetData(_Request):
    def __init__(self, path: str, data: bytes, version: int) -> None: ...

class GetChildren(_Request):
    def __init__(self, path: str, watcher: None) -> None: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> list[str]: ...

class Sync(_Request):
    def __init__(self, path: str) -> None: ...

class CheckVersion(_Request):
    def __init__(self, path: str, version: int) -> None: ...

class Transaction(_Request):
    def __init__(self, operations: Sequence[_Request]) -> None: ...

class MultiHeader:
    type: int
    done: bool
    def __init__(self, type: int, done: bool, err: int) -> None: ...
    def serialize(self) -> bytearray: ...
    @classmethod
    def deserialize(cls, bytes: bytes, offset: int) -> tuple[MultiHeader, int]: ...

def read_buffer(bytes: bytes, offset: int) -> tuple[bytes | None, int]: ...

int_struct: Struct
multiheader_struct: Struct
stat_struct: Struct
