"""GET /v1/openapi.yaml: what this API is, for programs and people."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

_PLACES: Final = (Path(__file__).with_name("openapi.yaml"), Path(__file__).parents[2] / "openapi.yaml")
"""In an installed package; in a checkout."""


def document() -> Path:
    """The file. Raises FileNotFoundError when the installation lacks it."""
    for place in _PLACES:
        if place.is_file():
            return place
    raise FileNotFoundError("openapi.yaml is not part of this installation")


class DocumentRoutes:
    def __init__(self) -> None:
        self._body = document().read_bytes()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/openapi.yaml", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        return web.Response(body=self._body, headers={"Content-Type": "application/yaml; charset=utf-8"})
