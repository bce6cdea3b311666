from contextlib import AbstractAsyncContextManager
from typing import Any

from aiobotocore.config import AioConfig

class AioSession:
    def create_client(
        self,
        service_name: str,
        *,
        region_name: str | None = None,
        verify: bool | str | None = None,
        endpoint_url: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        config: AioConfig | None = None,
    ) -> AbstractAsyncContextManager[Any]: ...
    def get_config_variable(self, logical_name: str) -> str | None: ...
