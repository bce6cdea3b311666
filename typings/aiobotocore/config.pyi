from collections.abc import Mapping
from typing import Any

class AioConfig:
    def __init__(
        self,
        *,
        client_cert: tuple[str, str] | None = None,
        connect_timeout: float = 60,
        max_pool_connections: int = 10,
        parameter_validation: bool = True,
        read_timeout: float = 60,
        retries: Mapping[str, Any] | None = None,
    ) -> None: ...
