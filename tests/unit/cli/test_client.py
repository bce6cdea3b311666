"""The HTTP client: what it sends, what it makes of answers, and what it does where none comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dkronpy.client import Client, Conflict, NotFound, Refused, Unavailable, Unreachable
from tests.support.fake_api import Answer, FakeServer, Request, make_execution, make_job, problem


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    client = Client(server.url, token="secret", timeout=5)
    yield client
    client.close()


def test_sends_the_token_and_escapes_names(server: FakeServer, client: Client) -> None:
    server.on("GET", "/v1/jobs/%C3%A4%2Fb", make_job("ä/b"))

    assert client.job("ä/b")["name"] == "ä/b"
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_a_path_in_the_url_comes_before_the_routes(server: FakeServer) -> None:
    server.on("GET", "/cron/v1/members", [])
    client = Client(f"{server.url}/cron/")

    assert client.members() == []
    client.close()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://x", "http://", "http://a:b@host", "http://host/?q", "http://host:port", ""]
)
def test_refuses_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        Client(url)


def test_refuses_a_token_that_would_split_the_header() -> None:
    with pytest.raises(ValueError, match="token"):
        Client("http://host", token="a\r\nX-Evil: 1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (404, NotFound), (409, Conflict), (412, Conflict), (502, Unavailable), (503, Unavailable)],
)
def test_refusals_have_their_kind_and_fields(
    server: FakeServer, client: Client, status: int, kind: type[Refused]
) -> None:
    server.on("DELETE", "/v1/jobs/a", problem(status, "no", schedule="is wrong"))

    with pytest.raises(kind) as caught:
        client.delete_job("a")
    assert str(caught.value) == "no"
    assert caught.value.status == status
    assert [(e.field, e.message) for e in caught.value.errors] == [("schedule", "is wrong")]


def test_a_proxys_page_is_not_shown_as_the_error(server: FakeServer, client: Client) -> None:
    server.on("GET", "/v1/members", Answer(b"<html>" + b"x" * 1000, 502))

    with pytest.raises(Unavailable, match=r"^502 Bad Gateway$"):
        client.members()


def test_what_is_no_json_is_not_our_server(server: FakeServer, client: Client) -> None:
    server.on("GET", "/v1/members", Answer(b"hello"))

    with pytest.raises(Unreachable, match="is it the address of a dkron server"):
        client.members()


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(Unreachable, match="Connection refused"):
            client.members()
    client.close()


def test_a_host_name_that_cannot_be_one() -> None:
    client = Client("http://a..b")
    with pytest.raises(Unreachable):
        client.members()


def test_silence_ends_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
            client.members()
    client.close()


def test_a_read_is_asked_again_where_the_kept_connection_was_closed(server: FakeServer, client: Client) -> None:
    closing = {"Connection": ""}  # the fake closes without saying so
    server.on("GET", "/v1/members", Answer([], headers=closing))
    server.on("POST", "/v1/jobs/a/toggle", make_job("a"))

    assert [client.members(), client.members()] == [[], []]
    with pytest.raises(Unreachable):
        client.toggle_job("a")  # a write may have been done, so it is not sent twice
    assert len(server.seen("POST")) == 0


def test_a_broken_answer_is_an_error(server: FakeServer, client: Client) -> None:
    path = "/v1/jobs/a/executions/1-1-n1/output"
    server.on("GET", path, Answer(b"half", cut=4))

    chunks = client.output("a", "1-1-n1")
    assert next(chunks).data == b"half"
    with pytest.raises(Unreachable, match="broke the answer off, 4 bytes"):
        next(chunks)


def test_executions_are_fetched_page_by_page(server: FakeServer, client: Client) -> None:
    def page(request: Request) -> Answer:
        start, limit = int(request.query.get("cursor", "0")), int(request.query["limit"])
        found = [make_execution("a", 1000 - number) for number in range(start, min(start + limit, 250))]
        end = start + len(found)
        return Answer(found, headers={"X-Next-Cursor": str(end)} if end < 250 else {})

    server.on("GET", "/v1/executions", page)

    assert [e["group"] for e in client.executions()] == list(range(1000, 750, -1))
    assert [request.query["limit"] for request in server.requests] == ["100", "100", "100"]
    server.requests.clear()
    assert len(list(client.executions(limit=120))) == 120
    assert [request.query["limit"] for request in server.requests] == ["100", "20"]
    server.requests.clear()
    assert len(list(client.executions(limit=100))) == 100
    assert len(server.requests) == 1


def test_output_knows_where_it_begins(server: FakeServer, client: Client) -> None:
    path = "/v1/jobs/a/executions/1-1-n1/output"
    server.on("GET", path, Answer(b"\xff\x00tail", headers={"X-Output-Start": "90"}))

    assert [(chunk.offset, chunk.data) for chunk in client.output("a", "1-1-n1", 10)] == [(90, b"\xff\x00tail")]
    assert server.requests[0].query == {"offset": "10"}


def sse(*events: tuple[str, str, str]) -> bytes:
    sent = "".join(f"id: {id}\nevent: {event}\ndata: {data}\n\n" for event, data, id in events)
    return f"retry: 2000\n\n: keep-alive\n\n{sent}".encode()


def test_following_ends_with_the_run(server: FakeServer, client: Client) -> None:
    path = "/v1/jobs/a/executions/1-1-n1/output"
    events = sse(
        ("output", '{"offset": 0, "data": "ä\\n"}', "3"),
        ("other", "{}", "3"),
        ("output", '{"offset": 3, "data": "b"}', "4"),
        ("end", "null", "4"),
    )
    server.on("GET", path, Answer(events))

    assert [(piece.offset, piece.end, piece.data) for piece in client.follow("a", "1-1-n1")] == [
        (0, 3, "ä\n"),
        (3, 4, "b"),
    ]


def test_following_without_an_end_is_an_error(server: FakeServer, client: Client) -> None:
    server.on("GET", "/v1/jobs/a/executions/1-1-n1/output", Answer(sse(("output", '{"offset": 0, "data": "x"}', "1"))))

    pieces = client.follow("a", "1-1-n1")
    assert next(pieces).end == 1
    with pytest.raises(Unreachable, match="while the run went on"):
        next(pieces)


def test_preconditions_of_a_write(server: FakeServer, client: Client) -> None:
    server.on("PUT", "/v1/jobs/a", make_job("a"))
    client.put_job(make_job("a"), etag='"7"')
    client.put_job(make_job("a"), create=True)
    client.put_job(make_job("a"))

    sent = [(request.headers.get("If-Match"), request.headers.get("If-None-Match")) for request in server.requests]
    assert sent == [('"7"', None), (None, "*"), (None, None)]


def test_health_tells_what_is_wrong(server: FakeServer, client: Client) -> None:
    server.on("GET", "/health", Answer({"status": "unhealthy", "issues": ["the disk is full"]}, 503))

    assert client.health() == (False, {"status": "unhealthy", "issues": ["the disk is full"]})
