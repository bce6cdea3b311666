"""Real servers of DynamoDB's API on loopback: DynamoDB Local."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dkronpy.store.dynamodb import DynamoDbStore
from tests.support.processes import HOST
from tests.support.servers import CALM, StoreServer

TABLE = "dkron"
USER, PASSWORD = "key", "secret"
"""An access key and its secret: it takes any, but the key must be letters and digits."""


class DynamoDb(StoreServer):
    """DynamoDB Local. Its tables are in a file in memory where the system has a place for that, for it syncs that file
    several times for each transaction; it outlives the process."""

    backend = "dynamodb"
    quick = 2.0

    def __init__(self, folder: Path, *options: str, host: str = HOST) -> None:
        super().__init__(folder, *options, host=host)
        self._data = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        atexit.register(shutil.rmtree, self._data)

    def command(self) -> Sequence[str]:
        host, _, port = self.address.rpartition(":")
        return ["dynamodb-local", host, port, self._data]

    def healthy(self) -> bool:
        try:
            self.call("ListTables")
        except OSError:
            return False
        return True

    def store(self, address: str | None = None, *, timeout: float = CALM, patience: float = 60.0) -> DynamoDbStore:
        return DynamoDbStore(
            [address or self.address], user=USER, password=PASSWORD, timeout=timeout, patience=patience
        )

    @property
    def options(self) -> list[str]:
        return [*super().options, f"--backend-username={USER}", f"--backend-password={PASSWORD}"]

    def call(self, operation: str, **body: Any) -> Any:
        """Call `operation` of its API, as JSON. It checks no signatures."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={USER}/20000101/us-east-1/dynamodb/aws4_request, "
            "SignedHeaders=host, Signature=none",
        }
        request = urllib.request.Request(f"http://{self.address}/", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def keys(self) -> list[Any]:
        """The keys of the items that hold a value."""
        found: list[Any] = []
        following: dict[str, Any] = {}
        while True:
            answer = self.call(
                "Query",
                TableName=TABLE,
                KeyConditionExpression="p = :p",
                ExpressionAttributeValues={":p": {"S": "keys"}},
                ProjectionExpression="p, k",
                ConsistentRead=True,
                **following,
            )
            found += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return found
            following = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def clear(self) -> None:
        try:
            keys = self.keys()
        except urllib.error.HTTPError:  # no store has made its table yet
            return
        for batch in (keys[start : start + 25] for start in range(0, len(keys), 25)):
            self.call("BatchWriteItem", RequestItems={TABLE: [{"DeleteRequest": {"Key": key}} for key in batch]})
