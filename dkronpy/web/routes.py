"""The routes of the dashboard. It is the same for everybody, so none of them asks for a token."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from dkronpy.web.files import File, Files

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
"""Nothing is loaded from elsewhere, no text becomes a script, and no page of others may frame this one."""
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK: Final = "no-cache"
_PLACES: Final = frozenset({"/ui", "/ui/", "/dashboard", "/dashboard/"})


def is_dashboard(request: web.Request) -> bool:
    """Whether a request is for the dashboard itself, which holds nothing secret."""
    path = request.path
    return path in _PLACES or path.startswith("/ui/") or (path == "/" and wants_page(request))


def wants_page(request: web.Request) -> bool:
    """Whether somebody with a browser asks, rather than a program."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def lead(request: web.Request) -> web.Response:
    """Leads to the dashboard, by a relative path: a proxy may serve this node under a prefix."""
    place = "../ui/" if len(request.path) > 1 and request.path.endswith("/") else "ui/"
    return web.Response(status=302, headers={"Location": place, "Cache-Control": _ASK, "Vary": "Accept"})


class DashboardRoutes:
    """`/ui/`, and the ways that lead there."""

    def __init__(self) -> None:
        self._files = Files(Path(__file__).with_name("static"))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/", self.page),
            web.get("/ui", self.lead),
            web.get("/dashboard", self.lead),
            web.get("/dashboard/", self.lead),
            web.get("/ui/{folder}/{path:.+}", self.file),
        ]

    async def lead(self, request: web.Request) -> web.Response:
        return lead(request)

    async def page(self, request: web.Request) -> web.Response:
        return _sent(request, self._files.page, _ASK)

    async def file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["path"])
        if file is None or request.match_info["folder"] != self._files.folder:
            raise web.HTTPNotFound  # also a file of another version: its page loads itself again
        return _sent(request, file, _FOR_EVER)


def _sent(request: web.Request, file: File, keep: str) -> web.Response:
    headers = {**_HEADERS, "Cache-Control": keep, "ETag": file.tag}
    if file.tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = file.media_type
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=file.body, headers=headers)
    return web.Response(body=file.packed, headers={**headers, "Content-Encoding": "gzip"})
