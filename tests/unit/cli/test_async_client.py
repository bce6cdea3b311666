"""The asynchronous client: against the fake server, and against the synchronous one that it is written from."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

import dkronpy.client
from dkronpy.client import AsyncClient, Client, Conflict, NotFound, Unavailable, Unreachable
from dkronpy.client.shapes import Chunk, Piece
from tests.support.fake_api import Answer, FakeServer, Request, make_execution, make_job, problem

ROOT = Path(__file__).parents[3]


def test_it_is_written_from_the_synchronous_one() -> None:
    written = run_path(str(ROOT / ".ci" / "async_client.py"))["generated"]()
    assert written == (ROOT / "dkronpy" / "client" / "aio.py").read_text(), "run python .ci/async_client.py"
    methods = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) > 40
    for name in methods:
        found = getattr(AsyncClient, name)
        assert inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found), name


def test_aiohttp_is_imported_only_for_who_asks() -> None:
    program = """
import sys, dkronpy.client
assert "aiohttp" not in sys.modules
dkronpy.client.AsyncClient
assert "aiohttp" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        dkronpy.client.Nothing  # noqa: B018


async def test_jobs(server: FakeServer) -> None:
    server.on("GET", "/v1/jobs/a", Answer(make_job("a"), headers={"ETag": '"7"'}))
    server.on("PUT", "/v1/jobs/a", problem(412, "it has changed"))
    server.on("POST", "/v1/jobs/a/run", {"run": {"group": 5}})
    async with AsyncClient(server.url + "/", token="secret") as client:
        job, etag = await client.read_job("a")
        assert (await client.job("a"), etag) == (job, '"7"')
        with pytest.raises(Conflict, match="it has changed"):
            await client.put_job(job, etag=etag)
        assert await client.run_job("a", {"K": "V"}) == 5
        with pytest.raises(NotFound):
            await client.job("b c/d")
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert server.seen("PUT")[0].headers["If-Match"] == '"7"'
    assert server.seen("POST")[0].body == {"env": {"K": "V"}}
    assert server.requests[-1].path == "/v1/jobs/b%20c%2Fd"


async def test_pages(server: FakeServer) -> None:
    def page(request: Request) -> Answer:
        start = int(request.query.get("cursor", 0))
        found = [make_execution("a", number) for number in range(start, start + int(request.query["limit"]))]
        return Answer(found, headers={"X-Next-Cursor": str(start + len(found))} if start < 20 else {})

    server.on("GET", "/v1/jobs/a/executions", page)
    async with AsyncClient(server.url) as client:
        assert [run["group"] async for run in client.executions("a", limit=25, page=10)] == [*range(25)]
        assert len([run async for run in client.executions("a", page=10)]) == 30
    assert [request.query["limit"] for request in server.requests] == ["10", "10", "5", "10", "10", "10"]


async def test_output_and_follow(server: FakeServer) -> None:
    path = "/v1/jobs/a/executions/5-1-n1/output"
    events = [
        ("output", 4, {"offset": 0, "data": "one\n"}),
        ("output", 8, {"offset": 4, "data": "two\n"}),
        ("end", 8, {}),
    ]
    text = "".join(f": ping\n\nevent: {name}\nid: {id}\ndata: {json.dumps(data)}\n\n" for name, id, data in events)

    def answer(request: Request) -> Answer:
        if "follow" in request.query:
            return Answer(text.encode() if request.query["offset"] == "0" else text.partition("event: end")[0].encode())
        return Answer(b"two\n", headers={"X-Output-Start": "4"})

    server.on("GET", path, answer)
    async with AsyncClient(server.url) as client:
        assert [chunk async for chunk in client.output("a", "5-1-n1", 2)] == [Chunk(4, b"two\n")]
        assert [piece async for piece in client.follow("a", "5-1-n1")] == [Piece(0, 4, "one\n"), Piece(4, 8, "two\n")]
        with pytest.raises(Unreachable, match="broke the connection off"):
            [piece async for piece in client.follow("a", "5-1-n1", 1)]
        with pytest.raises(NotFound):
            [piece async for piece in client.follow("b", "5-1-n1")]


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (problem(503, "there is no leader"), Unavailable, "there is no leader"),
        (Answer(b"<html>"), Unreachable, "did not answer with JSON"),
        (Answer([], cut=5), Unreachable, "cannot reach"),
    ],
)
async def test_what_goes_wrong(server: FakeServer, answer: Answer, error: type[Exception], said: str) -> None:
    server.on("GET", "/v1/jobs", answer)
    async with AsyncClient(server.url) as client:
        with pytest.raises(error, match=said):
            await client.jobs()


async def test_no_server_and_a_slow_one() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(Unreachable, match="cannot reach"):
            await client.jobs()

    asked, closed = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            asked.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        closed.set()

    slow = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with slow:
        port = slow.sockets[0].getsockname()[1]
        async with AsyncClient(f"http://127.0.0.1:{port}", timeout=0.05) as client:
            while not asked.is_set():  # a machine that stands still may not even have asked within the time
                with pytest.raises(Unreachable, match=r"did not answer within 0\.05 s"):
                    await client.jobs()
        await closed.wait()


@pytest.mark.parametrize("url", ["cron.example.com", "http://a:b@c", "http://a?b"])
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        AsyncClient(url)


def test_both_close_at_the_end_of_a_block(server: FakeServer) -> None:
    server.on("GET", "/v1/members", [])
    with Client(server.url) as client:
        found: Any = client.members()
    assert found == []
