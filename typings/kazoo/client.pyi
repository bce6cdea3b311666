"""The part of kazoo that is used; it ships no types."""

import logging
from collections.abc import Callable, Sequence
from threading import Event
from typing import Protocol

from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.serialization import Request
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry

class Answer(Protocol):
    def set(self, value: object = None) -> None: ...
    def set_exception(self, exception: Exception) -> None: ...

class KazooClient:
    def __init__(
        self,
        hosts: str = ...,
        timeout: float = ...,
        handler: SequentialThreadingHandler | None = None,
        auth_data: Sequence[tuple[str, str]] | None = None,
        connection_retry: KazooRetry | None = None,
        logger: logging.Logger | None = None,
    ) -> None: ...
    def add_listener(self, listener: Callable[[KazooState], bool | None]) -> None: ...
    def start_async(self) -> Event: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def _call(self, request: Request, async_object: Answer) -> bool | None: ...
