"""A rater's page without a browser, for measuring and testing the server."""

from http import HTTPStatus
from typing import Any

import aiohttp

FACTS = {
    "pixel_ratio": 1.0,
    "zoom": 100,
    "window_width": 1280,
    "window_height": 900,
    "screen_width": 1920,
    "screen_height": 1080,
}


class Visitor:
    """One rater; `state` is what the server said last. Made where an event loop runs."""

    def __init__(self, token: str, timeout: float = 30) -> None:
        """timeout: seconds to wait for the server."""
        self.token = token
        self.state: dict[str, Any] = {}
        # A session each, as every rater has a browser: a shared one would queue for its connections.
        # Connections are given up long before the server does so: a request in that instant would get no answer.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=5),
            headers={"X-Study": "1"},
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    @property
    def trial(self) -> str | None:
        """The token of the trial to be rated now; None when there is none."""
        return self.state.get("trial", {}).get("trial")

    @property
    def position(self) -> int:
        """Of that trial among the rater's trials, from 0."""
        return self.state["progress"]["done"]

    async def begin(self, base: str) -> None:
        """From the link to the first trial, of a study without questions. Raises aiohttp.ClientError."""
        for action, body in (("consent", {"language": "en"}), ("check", FACTS), ("calibrated", {})):
            await self._post(base, action, body, raise_for_status=True)

    async def look(self, base: str) -> None:
        async with self._session.get(f"{base}/s/{self.token}/state", raise_for_status=True) as answer:
            self.state = await answer.json()

    async def rate(self, base: str, score: int) -> int:
        """Rates the current trial; the status of the answer. A refusal comes with the state as well."""
        body = {"trial": self.trial, "score": score, "visible_ms": 1000, "hidden_ms": 0, "client": FACTS}
        return await self._post(base, "rate", body)

    async def picture(self, base: str) -> int:
        """Fetches the current trial's picture; the number of its bytes."""
        address = f"{base}/s/{self.token}/picture/{self.trial}"
        async with self._session.get(address, raise_for_status=True) as answer:
            return len(await answer.read())

    async def _post(self, base: str, action: str, body: dict[str, Any], raise_for_status: bool = False) -> int:
        address = f"{base}/s/{self.token}/{action}"
        async with self._session.post(address, json=body, raise_for_status=raise_for_status) as answer:
            if answer.ok:
                self.state = await answer.json()
            elif answer.status == HTTPStatus.CONFLICT:
                self.state = (await answer.json())["state"]
            return answer.status

    async def close(self) -> None:
        await self._session.close()
