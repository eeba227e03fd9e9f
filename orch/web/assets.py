"""The page's files: styles, scripts, fonts and pictures, all of them from this package.

Owns: ``/static``. Rule: read once and served from memory, because a file that is streamed stays open when the client goes at the
wrong moment; the table below is all there is, so that no name can lead out of the folder.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from quart import Response, request

from orch.web.problems import ProblemError
from orch.web.routes import Route, read

STATIC = Path(__file__).with_name("static")
FOLDERS = ("", "vendor/", "fonts/")
ASSET_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served. *tag* changes with the bytes."""

    data: bytes
    kind: str
    tag: str


def load_assets(folder: Path = STATIC) -> Mapping[str, Asset]:
    """Read every file that may be served, by its name below ``/static/``."""
    found: dict[str, Asset] = {}
    for inner in FOLDERS:
        for path in sorted((folder / inner).iterdir()):
            if path.suffix in ASSET_TYPES and path.is_file():
                data = path.read_bytes()
                tag = hashlib.sha256(data).hexdigest()[:20]
                found[inner + path.name] = Asset(data=data, kind=ASSET_TYPES[path.suffix], tag=tag)
    return found


@final
class AssetViews:
    """Handlers of the files' addresses."""

    def __init__(self) -> None:
        self._assets = load_assets()

    def routes(self) -> list[Route]:
        return [
            read("/static/{name}", self.own, "A style, script or picture of the page", content="*/*"),
            read("/static/vendor/{name}", self.vendor, "A library that the page uses", content="*/*"),
            read("/static/fonts/{name}", self.font, "A font of the page", content="*/*"),
        ]

    async def own(self, name: str) -> Response:
        return self._serve(name)

    async def vendor(self, name: str) -> Response:
        return self._serve(f"vendor/{name}")

    async def font(self, name: str) -> Response:
        return self._serve(f"fonts/{name}")

    def _serve(self, name: str) -> Response:
        asset = self._assets.get(name)
        if asset is None:
            raise ProblemError(404, f"There is no {name[:80]!r} here.")
        response = Response(asset.data, content_type=asset.kind, headers={"Cache-Control": "no-cache"})
        response.set_etag(asset.tag)
        if asset.tag in request.if_none_match:
            response.status_code = 304
            response.set_data(b"")
        return response
