"""A rater's page without a browser, for measuring and testing the server."""

from typing import Any

import httpx

FACTS = {
    "pixel_ratio": 1.0,
    "zoom": 100,
    "window_width": 1280,
    "window_height": 900,
    "screen_width": 1920,
    "screen_height": 1080,
}


class Visitor:
    """One rater; `state` is what the server said last."""

    def __init__(self, token: str, timeout: float = 30) -> None:
        """timeout: seconds to wait for the server."""
        self.token = token
        self.state: dict[str, Any] = {}
        # A client each, as every rater has a browser: a shared one would queue for its connections.
        # Connections are given up before uvicorn does so, after 5 s: a request in that instant would get no answer.
        self._client = httpx.AsyncClient(
            timeout=timeout,
            trust_env=False,
            verify=False,
            headers={"X-Study": "1"},
            limits=httpx.Limits(keepalive_expiry=2),
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
        """From the link to the first trial, of a study without questions."""
        for action, body in (("consent", {"language": "en"}), ("check", FACTS), ("calibrated", {})):
            (await self.post(base, action, body)).raise_for_status()

    async def look(self, base: str) -> None:
        self.state = (await self._client.get(f"{base}/s/{self.token}/state")).raise_for_status().json()

    async def rate(self, base: str, score: int) -> int:
        """Rates the current trial; the status of the answer. A refusal comes with the state as well."""
        body = {"trial": self.trial, "score": score, "visible_ms": 1000, "hidden_ms": 0, "client": FACTS}
        return (await self.post(base, "rate", body)).status_code

    async def picture(self, base: str) -> int:
        """Fetches the current trial's picture; the number of its bytes."""
        return len((await self._client.get(f"{base}/s/{self.token}/picture/{self.trial}")).raise_for_status().content)

    async def post(self, base: str, action: str, body: dict[str, Any]) -> httpx.Response:
        answer = await self._client.post(f"{base}/s/{self.token}/{action}", json=body)
        if answer.is_success:
            self.state = answer.json()
        elif answer.status_code == httpx.codes.CONFLICT:
            self.state = answer.json()["state"]
        return answer

    async def close(self) -> None:
        await self._client.aclose()
