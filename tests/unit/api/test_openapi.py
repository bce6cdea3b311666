"""The document and the node tell of the same routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from openapi_spec_validator import validate

from dkronpy.api.document import document
from dkronpy.model.execution import Reason, State, Trigger
from dkronpy.model.job import CatchupPolicy, Concurrency, JobStatus, RetryTarget
from dkronpy.model.spec import JobSpec
from tests.support.api_node import api_node

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return yaml.safe_load(document().read_bytes())


def test_is_valid(spec: dict[str, Any]) -> None:
    validate(spec)


async def test_every_route_is_documented_and_every_documented_route_exists(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    async with api_node(tmp_path) as node:
        served = {
            (route.method.lower(), route.resource.canonical)
            for route in node.app.router.routes()
            if isinstance(route, web.ResourceRoute) and route.resource is not None and route.method != "HEAD"
            if not route.resource.canonical.startswith(("/ui", "/dashboard"))  # for people, and not part of the API
        }
    documented = {(method, path) for path, item in spec["paths"].items() for method in item if method in METHODS}
    assert documented == served


def test_every_operation_is_named_and_tells_its_errors(spec: dict[str, Any]) -> None:
    names: set[str] = set()
    for path, item in spec["paths"].items():
        for method in METHODS & set(item):
            operation = item[method]
            assert operation["operationId"] not in names
            names.add(operation["operationId"])
            assert operation["summary"]
            expected = {"405", "421", "403"} | ({"401"} if operation.get("security") != [{}] else set())
            expected |= {"404"} if "{job}" in path and method != "put" else set()
            expected |= {"413", "400"} if "requestBody" in operation else set()
            assert expected <= set(operation["responses"]), (method, path)


def test_fields_and_values_are_those_of_the_models(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    fields = schemas["JobDefinition"]["properties"]
    assert set(fields) == set(JobSpec.model_fields)
    assert set(schemas["Job"]["properties"]) >= set(fields)
    for enum, values in (
        (State, schemas["State"]["enum"]),
        (Reason, schemas["ExecutionRecord"]["properties"]["reason"]["enum"][1:]),
        (Trigger, schemas["ExecutionRecord"]["properties"]["trigger"]["enum"]),
        (Concurrency, schemas["Job"]["properties"]["concurrency"]["enum"]),
        (JobStatus, schemas["Job"]["properties"]["status"]["enum"]),
        (CatchupPolicy, schemas["Job"]["properties"]["catchup"]["properties"]["policy"]["enum"]),
        (RetryTarget, schemas["Job"]["properties"]["retry"]["properties"]["on"]["enum"]),
    ):
        assert set(enum) == set(values)
