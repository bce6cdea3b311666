"""The dashboard's files: how they are sent, to whom, and what leads to them."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from dkronpy.config import Scope, Token
from tests.support.api_node import ApiNode, api_node

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[ApiNode]:
    async with api_node(tmp_path) as node:
        yield node


@pytest.fixture
async def web(node: ApiNode) -> AsyncGenerator[TestClient]:
    async with TestClient(TestServer(node.app)) as client:
        yield client


async def test_ways_lead_there_by_relative_paths(web: TestClient) -> None:
    for path, place, headers in (
        ("/", "ui/", HTML), ("/ui", "ui/", {}), ("/dashboard", "ui/", {}), ("/dashboard/", "../ui/", {}),
    ):  # fmt: skip
        answer = await web.get(path, headers=headers, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, place), path
    assert (await (await web.get("/")).json())["agent"]["name"] == "node1", "programs get what they always got"


async def test_page_and_files_are_kept_as_long_as_they_are_true(web: TestClient) -> None:
    page = await web.get("/ui/")
    assert page.headers["Cache-Control"] == "no-cache"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = await page.text()
    assert "{{" not in text
    again = await web.get("/ui/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    paths = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert len(paths) > 20
    for path in paths:
        assert not path.startswith(("/", "http")), "a proxy may serve it under a prefix"
        file = await web.get(f"/ui/{path}")
        assert file.status == 200, path
        assert "immutable" in file.headers["Cache-Control"]
        assert file.headers["X-Content-Type-Options"] == "nosniff"


async def test_files_are_compressed_for_those_who_can_read_it(web: TestClient) -> None:
    path = re.findall(r'src="([^"]+main.js)"', await (await web.get("/ui/")).text())[0]
    async with ClientSession(auto_decompress=False) as plain:
        url = web.make_url(f"/ui/{path}")
        packed = await (await plain.get(url, headers={"Accept-Encoding": "gzip"})).read()
        whole = await (await plain.get(url, headers={"Accept-Encoding": "identity"})).read()
    assert gzip.decompress(packed) == whole
    assert b"Shell" in whole


async def test_what_is_no_file_is_not_found(web: TestClient) -> None:
    folder = re.findall(r'src="([^/"]+)/main.js"', await (await web.get("/ui/")).text())[0]
    for path in ("nothing.js", f"{folder}/nothing.js", f"{folder}/vendor/VERSIONS", f"{folder}/..%2froutes.py",
                 "0000000000000000/main.js", f"{folder}/index.html"):  # fmt: skip
        assert (await web.get(f"/ui/{path}")).status == 404, path
    assert (await web.post("/ui/")).status == 405


async def test_anybody_may_load_it_but_not_use_it_without_a_token(node: ApiNode, web: TestClient) -> None:
    token = Token(name="a", digest=hashlib.sha256(b"secret").digest(), scope=Scope.READ)
    node.settings = node.settings.model_copy(update={"tokens": (token,)})
    for path in ("/ui/", "/ui", "/dashboard/"):
        assert (await web.get(path)).status == 200, path
    assert (await web.get("/", headers=HTML)).status == 200
    assert (await web.get("/")).status == 401
    assert (await web.get("/v1/whoami")).status == 401
    mine = await web.get("/v1/whoami", headers={"Authorization": "Bearer secret"})
    assert (await mine.json()) | {"version": ""} == {"name": "a", "write": False, "tokens": True, "version": ""}


async def test_links_of_other_sites_lead_to_the_dashboard_only(web: TestClient) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", **HTML}
    assert (await web.get("/ui/", headers=link)).status == 200
    assert (await web.get("/", headers=link)).status == 200
    assert (await web.get("/v1/jobs", headers=link)).status == 403
    assert (await web.get("/ui/", headers={**link, "Sec-Fetch-Mode": "no-cors"})).status == 403
    assert (await web.get("/ui/", headers={"Host": "evil.example"})).status == 421


async def test_what_an_answer_varies_by_is_told_beside_the_sharing_of_origins(node: ApiNode, web: TestClient) -> None:
    node.settings = node.settings.model_copy(update={"cors_origin": ("https://cron.example",)})
    page = await web.get("/ui/", headers={"Origin": "https://cron.example"})
    assert page.headers.getall("Vary") == ["Accept-Encoding", "Origin"]
    assert page.headers.getall("Access-Control-Allow-Origin") == ["https://cron.example"]
