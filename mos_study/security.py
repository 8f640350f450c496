"""What guards the routes of the raters: headers, sizes of bodies, and the pace of refused requests."""

import time
from collections import OrderedDict
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 16 * 1024

# A request with this header is no plain form or link of another site: browsers send it across origins only after
# asking the server, which never agrees.
SAME_ORIGIN_HEADER = "x-study"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class BodyTooLargeError(Exception):
    """The body of a request has more than MAX_BODY_BYTES."""


class RaterHeaders:
    """ASGI middleware: HEADERS for every answer but those below `elsewhere`, whose page brings its own."""

    def __init__(self, app: ASGIApp, elsewhere: str) -> None:
        self.app = app
        self.elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self.elsewhere):
            await self.app(scope, receive, send)
            return

        await self.app(scope, receive, with_headers(send, HEADERS, "no-store"))


def with_headers(send: Send, headers: Mapping[str, str], cache_control: str) -> Send:
    """Adds `headers` to an answer, and `cache_control` where it says nothing about caching."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = MutableHeaders(scope=message)
            sent.update(headers)
            sent.setdefault("Cache-Control", cache_control)
        await send(message)

    return send_with_headers


async def read_body(request: Request) -> bytes:
    """The body of a request; raises BodyTooLargeError before more than MAX_BODY_BYTES are kept in memory."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise BodyTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError
    return bytes(body)


class Buckets:
    """Token buckets, one per address, that bound how many refused requests an address may send.

    Only refused requests take from them, and one who is entitled is never refused because of them: raters often share
    an address. A bucket belongs to one process; several processes allow so many times more, which does no harm.
    """

    def __init__(self, capacity: int = 30, per_second: float = 0.5, addresses: int = 10_000) -> None:
        """addresses: as many are remembered; the longest silent is forgotten first."""
        self.capacity, self.per_second, self.addresses = capacity, per_second, addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> (tokens, at)

    def take(self, address: str) -> bool:
        """Takes one token; False where none is left."""
        now = time.monotonic()
        tokens, at = self._buckets.pop(address, (float(self.capacity), now))
        tokens = min(self.capacity, tokens + (now - at) * self.per_second)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        if len(self._buckets) > self.addresses:
            self._buckets.popitem(last=False)
        return allowed
