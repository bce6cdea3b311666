"""Who may ask: the checks of a request's Host, Origin and token.

A page of another site that a user's browser shows could otherwise post shell jobs to a node on that user's machine: it
can send requests without asking, and can reach a loopback address under a name of its own. So a request that a browser
marks as another site's is refused, and so is one for a host that is not this node.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from dkronpy.api.errors import Problem
from dkronpy.api.links import is_use
from dkronpy.api.requests import BY, MAY_WRITE
from dkronpy.config import Scope, Settings, Token
from dkronpy.web.routes import is_dashboard

_SAFE: Final = frozenset({"GET", "HEAD"})
_READS: Final = frozenset({"/v1/schedule/preview"})
"""POST routes that change nothing."""
_SECRETS: Final = frozenset({"/v1/keyring"})
"""Routes that are more than a reader may see."""
_OPEN: Final = "/health"
_ALLOWED: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "ETag, Location, X-Next-Cursor, X-Output-Size, X-Output-Start, X-Total-Count, X-Whom"


class Gate:
    """Lets requests in or not, by the settings of the moment."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._known: Settings | None = None
        self._hosts: dict[str, bool] = {}

    def refusal(self, request: web.Request) -> Problem | None:
        """Why the request is refused; None when it is let in. Notes whose token it is."""
        settings = self._settings()
        if settings is not self._known:
            self._known = settings
            self._hosts = {}
        headers = request.headers
        host = headers.get("Host", "")  # browsers always send one
        if host and not (settings.tokens or self._is_ours(host, settings)):
            return Problem(421, f"this node does not serve the host {host[:100]!r}: use its address or its node name")
        origin = headers.get("Origin")
        if origin is not None:
            if not (same_origin(origin, host) or self.shared(origin)):
                return Problem(403, f"pages of {origin[:100]!r} may not use this API: allow them with --cors-origin")
        elif headers.get("Sec-Fetch-Site") == "cross-site" and not _follows_link(request):
            return Problem(403, "pages of other sites may not use this API: allow them with --cors-origin")
        open_to_all = request.path == _OPEN or request.method == "OPTIONS" or is_dashboard(request) or is_use(request)
        return _unauthorised(request, settings.tokens) if settings.tokens and not open_to_all else None

    def shared(self, origin: str | None) -> bool:
        """Whether pages of this origin may use the API, because `--cors-origin` says so."""
        allowed = self._settings().cors_origin
        return origin is not None and bool(allowed) and ("*" in allowed or origin.lower() in allowed)

    def sharing_headers(self, request: web.Request) -> Mapping[str, str]:
        """The CORS headers of an answer; none unless they were asked for and are allowed."""
        if not self._settings().cors_origin:
            return {}
        origin = request.headers.get("Origin")
        if origin is None or not self.shared(origin):
            return {"Vary": "Origin"}
        return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a browser that asks whether a page may send a request."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        return web.Response(status=204, headers=_ALLOWED) if self.shared(request.headers.get("Origin")) else None

    def _is_ours(self, host: str, settings: Settings) -> bool:
        known = self._hosts.get(host)
        if known is None:
            known = names_node(host, settings)
            if len(self._hosts) < 1000:
                self._hosts[host] = known
        return known


def names_node(host: str, settings: Settings) -> bool:
    """Whether a Host header means this node: any IP address (another site's page comes by that site's name),
    localhost, the node's name, or a name in its addresses or its allowed origins."""
    name = host_name(host)
    if name is None:
        return False
    try:
        ip_address(name)
    except ValueError:
        origins = {urlsplit(origin).hostname or "" for origin in settings.cors_origin}
        ours = {settings.node_name, settings.http_addr.host, settings.advertise_addr.host, "localhost"}
        return name in {ours_name.lower().rstrip(".") for ours_name in ours | origins} - {""}
    return True


def host_name(host: str) -> str | None:
    """The name in a Host header, lower-case, without port or brackets; None where it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or parts.username is not None or parts.hostname is None:
        return None
    return parts.hostname.rstrip(".")


def same_origin(origin: str, host: str) -> bool:
    """Whether a page's origin is this host itself. Behind a proxy that ends TLS the scheme may differ."""
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and authority.lower() == host.lower() != ""


def _follows_link(request: web.Request) -> bool:
    """Whether somebody opens the dashboard, or what a signed link shows, by a link on another site's page, which learns
    nothing by it."""
    shows = is_dashboard(request) or (is_use(request) and request.method in _SAFE)
    return shows and request.headers.get("Sec-Fetch-Mode") == "navigate"


def _unauthorised(request: web.Request, tokens: tuple[Token, ...]) -> Problem | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).digest()
    found: Token | None = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    if scheme.lower() != "bearer" or found is None:
        return Problem(
            401,
            "a token is needed: send it as 'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": 'Bearer realm="dkron"'},
        )
    reads = (request.method in _SAFE and request.path not in _SECRETS) or request.path in _READS
    if found.scope is not Scope.WRITE and not reads:
        return Problem(
            403,
            "this token may only read: use one with the scope write",
            headers={"WWW-Authenticate": 'Bearer realm="dkron", error="insufficient_scope"'},
        )
    request[BY] = found.name
    request[MAY_WRITE] = found.scope is Scope.WRITE
    return None
