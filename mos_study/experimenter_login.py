"""The lock of the experimenter's page: a form that takes the secret, and a cookie for those who know it.

The secret travels in the body of one POST, or behind the # of a link, which browsers keep to themselves: no address, no
log and no history holds it.
"""

import base64
import hashlib
import hmac
import time
from string import Template
from urllib.parse import parse_qs

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from mos_study.security import BodyTooLargeError, Buckets, read_body, with_headers
from mos_study.store import Store
from sr.errors import SRError

COOKIE = "experimenter"
SESSION_SECONDS = 12 * 3600
MIN_SECRET = 16  # characters; shorter ones could be guessed in spite of the limit on attempts
ATTEMPTS = 5  # at once from one address, then one every SECONDS_PER_ATTEMPT
SECONDS_PER_ATTEMPT = 12

SCRIPT = """
const secret = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
if (secret) {
  document.querySelector("input").value = secret;
  document.querySelector("form").requestSubmit();
}
"""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto 0; max-width: 22rem; padding: 0 1rem; color: #1e293b; }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem .75rem; margin-top: .5rem; }
button { background: #4338ca; color: #fff; border: 0; border-radius: 6px; }
p[role=alert] { color: #b91c1c; }
"""
PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Experimenter's page</title>
<style>$style</style>
<h1>Experimenter's page</h1>
$message
<form method="post" autocomplete="off">
  <label>Secret <input type="password" name="secret" required autofocus></label>
  <button>Open</button>
</form>
<script>$script</script>
</html>
""")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


LOGIN_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Gradio's page brings scripts inside itself, so that a content policy would forbid nothing that matters.
PAGE_HEADERS = {name: LOGIN_HEADERS[name] for name in ("Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options")}


class Sessions:
    """Cookies that end by themselves, signed with the secret: every process accepts them, a new secret ends all."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def opens(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode(), self._secret)

    def begin(self) -> str:
        ends = str(int(time.time()) + SESSION_SECONDS)
        return f"{ends}.{self._sign(ends)}"

    def valid(self, cookie: str) -> bool:
        ends, _, signature = cookie.partition(".")
        # Compared as bytes: strings outside ASCII would raise.
        return hmac.compare_digest(signature.encode(), self._sign(ends).encode()) and int(ends) > time.time()

    def _sign(self, ends: str) -> str:
        return hmac.new(self._secret, f"session until {ends}".encode(), "sha256").hexdigest()


class Gate:
    """ASGI middleware: below `path`, only the login is there for those without a session."""

    def __init__(self, app: ASGIApp, path: str, sessions: Sessions) -> None:
        self.app, self.path, self.sessions = app, path, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        inside = scope["type"] in ("http", "websocket") and (path == self.path or path.startswith(f"{self.path}/"))
        if not inside or path == f"{self.path}/login":
            await self.app(scope, receive, send)
        elif self.sessions.valid(HTTPConnection(scope).cookies.get(COOKIE, "")):
            await self.app(scope, receive, with_headers(send, PAGE_HEADERS, "private, no-cache"))
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008)(scope, receive, send)
        elif scope["method"] == "GET" and path.rstrip("/") == self.path:
            await RedirectResponse(f"{self.path}/login", 303, LOGIN_HEADERS)(scope, receive, send)
        else:
            await Response("Log in first.", 401, LOGIN_HEADERS, "text/plain")(scope, receive, send)


def add_login(app: FastAPI, path: str, store: Store, secret: str) -> None:
    """Puts everything below `path` behind the secret. Raises SRError when it is too short."""
    if len(secret) < MIN_SECRET:
        raise SRError(f"The experimenter's secret has {len(secret)} characters: use {MIN_SECRET} or more")
    sessions = Sessions(secret)
    attempts = Buckets(capacity=ATTEMPTS, per_second=1 / SECONDS_PER_ATTEMPT)
    app.add_middleware(Gate, path=path, sessions=sessions)

    @app.get(f"{path}/login")
    async def show_login() -> Response:
        return _login_page()

    @app.post(f"{path}/login")
    async def login(request: Request) -> Response:
        # Counted before the secret is looked at; otherwise a right one would be let in among many wrong ones.
        if not attempts.take(request.client.host if request.client else ""):
            message = f"Too many attempts. Wait {SECONDS_PER_ATTEMPT} seconds."
            return _login_page(message, 429, {"Retry-After": str(SECONDS_PER_ATTEMPT)})
        try:
            body = await read_body(request)
        except (BodyTooLargeError, ClientDisconnect):
            return _login_page("That is not the secret.", 413)
        given = parse_qs(body.decode(errors="replace")).get("secret", [""])[0]
        if not sessions.opens(given.strip()):
            await anyio.to_thread.run_sync(lambda: store.log("refused", status=401, action="experimenter login"))
            return _login_page("That is not the secret.", 401)
        response = RedirectResponse(f"{path}/", 303, LOGIN_HEADERS)
        response.set_cookie(
            COOKIE,
            sessions.begin(),
            max_age=SESSION_SECONDS,
            path=path,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @app.get(f"{path}/logout")
    async def logout() -> Response:
        response = RedirectResponse(f"{path}/login", 303, LOGIN_HEADERS)
        response.delete_cookie(COOKIE, path=path)
        return response


def _login_page(message: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    shown = f'<p role="alert">{message}</p>' if message else ""
    content = PAGE.substitute(style=STYLE, script=SCRIPT, message=shown)
    return HTMLResponse(content, status, {**LOGIN_HEADERS, **(headers or {})})
