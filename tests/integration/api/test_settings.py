"""What holds in the whole cluster, by HTTP."""

from __future__ import annotations

from aiohttp.test_utils import TestClient

from tests.integration.api.conftest import problem
from tests.support.api_node import ApiNode


async def test_settings_are_replaced_whole(node: ApiNode, api: TestClient) -> None:
    async with api.get("/v1/settings") as response:
        assert await response.json() == {"env": {}, "updated_at": None, "updated_by": ""}
    async with api.put("/v1/settings", json={"env": {"A": "1", "B": ""}}) as response:
        made = await response.json()
        assert (response.status, made["env"], made["updated_by"]) == (200, {"A": "1", "B": ""}, "api")
    async with api.put("/v1/settings", json={"env": {"A": "1", "B": ""}}) as response:
        assert await response.json() == made, "nothing changed"
    assert node.mirror.settings is not None
    assert node.mirror.settings.value.env == {"A": "1", "B": ""}
    async with api.put("/v1/settings", json={"env": {"C": "3"}}) as response:
        assert (await response.json())["env"] == {"C": "3"}
    async with api.put("/v1/settings", json={}) as response:
        assert (await response.json())["env"] == {}


async def test_what_is_refused(api: TestClient) -> None:
    for env, field in (
        ([], "env"),
        ({"A": 1}, "env.A"),
        ({"A B": "1"}, "env.A B"),
        ({"A": "\0"}, "env.A"),
        ({f"V{number}": "" for number in range(101)}, "env"),
    ):
        await problem(await api.put("/v1/settings", json={"env": env}), 400, field)
    await problem(await api.put("/v1/settings", data="[]"), 400)
