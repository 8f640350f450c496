"""The routes of the raters: page, state, answers and pictures. What may be done is decided in `mos_study.desk`."""

from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.requests import ClientDisconnect

from mos_study.desk import Desk, RefusalError
from mos_study.security import SAME_ORIGIN_HEADER, BodyTooLargeError, Buckets, RaterHeaders, read_body
from mos_study.store import Store
from mos_study.texts import PAGES, load_texts, message_page, preferred_language

EXPERIMENTER = "/experimenter"
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# For one rater and one link, on the rater's machine alone. No ETag and no date: equal ones would tell two raters
# that they see the same picture.
PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600"}

in_thread = anyio.to_thread.run_sync


def create_app(store: Store, refusals: Buckets | None = None) -> FastAPI:
    """The raters' side of the study in `store`. Raises SRError when it holds none.

    refusals: how many refused requests an address may send.
    """
    app = FastAPI(openapi_url=None)
    app.add_middleware(RaterHeaders, elsewhere=EXPERIMENTER)
    _add_files(app)
    _add_study(app, Desk(store), store, refusals or Buckets())
    return app


def _add_files(app: FastAPI) -> None:
    files = {
        file.name: (file.read_bytes(), MEDIA_TYPES[file.suffix])
        for file in PAGES.iterdir()
        if file.suffix in MEDIA_TYPES
    }

    @app.get("/pages/texts/{language}.json")
    async def texts(language: str) -> Response:
        words = load_texts().get(language)
        return Response(status_code=404) if words is None else JSONResponse(words)

    @app.get("/pages/{name}")
    async def file(name: str) -> Response:
        if name not in files:
            return Response(status_code=404)
        content, media_type = files[name]
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})


def _add_study(app: FastAPI, desk: Desk, store: Store, refusals: Buckets) -> None:
    page = (PAGES / "rater.html").read_text(encoding="utf-8")

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, refusal: RefusalError) -> Response:
        """Every refused request is logged; who sends many gets 429 and no more lines in the log."""
        if not refusals.take(request.client.host if request.client else ""):
            return JSONResponse({"error": "too many refused requests"}, 429, headers={"Retry-After": "5"})
        rater = refusal.rater
        action = request.scope["path"].split("/")[3:4]  # no token: it opens the study
        facts = {"status": refusal.status, "reason": refusal.reason, "action": "".join(action)[:20]}
        await in_thread(lambda: store.log("refused", rater.id if rater else None, **facts))
        answer: dict[str, Any] = {"error": refusal.reason}
        if rater and request.method == "POST":
            answer["state"] = await in_thread(lambda: desk.state(desk.rater(request.path_params["token"])))
        return JSONResponse(answer, refusal.status)

    @app.get("/join")
    async def show_join() -> Response:
        """Takes no place yet: links are also opened by previews, and by those who only look."""
        if await in_thread(desk.places) == 0:
            return HTMLResponse(message_page("full"), 410)
        return HTMLResponse(message_page("join"))

    @app.post("/join")
    async def join() -> Response:
        token = await in_thread(desk.join)
        if token is None:
            return HTMLResponse(message_page("full"), 410)
        return RedirectResponse(f"s/{token}", 303)

    @app.get("/s/{token}")
    async def show_page(token: str, request: Request) -> Response:
        try:
            rater = await in_thread(desk.rater, token)
        except RefusalError as refusal:
            answer = await refuse(request, refusal)
            return HTMLResponse(message_page("unknown"), answer.status_code)
        language = rater.language or desk.language(preferred_language(request.headers.get("accept-language", "")))
        return HTMLResponse(page.replace('<html lang="en">', f'<html lang="{language}">'))

    @app.get("/s/{token}/state")
    async def state(token: str) -> Response:
        return JSONResponse(await in_thread(lambda: desk.state(desk.rater(token), examples=True)))

    @app.get("/s/{token}/picture/{trial}")
    async def picture(token: str, trial: str) -> Response:
        return _png(await in_thread(desk.picture, token, trial))

    @app.get("/s/{token}/example/{number:int}")
    async def example(token: str, number: int) -> Response:
        return _png(await in_thread(desk.example, token, number))

    @app.post("/s/{token}/{action}")
    async def act(token: str, action: str, request: Request) -> Response:
        if SAME_ORIGIN_HEADER not in request.headers:
            raise RefusalError(403, "no X-Study header")
        try:
            body = await read_body(request)
        except BodyTooLargeError as error:
            raise RefusalError(413, "body too large") from error
        except ClientDisconnect:
            return Response(status_code=400)
        agent = request.headers.get("user-agent", "")
        return JSONResponse(await in_thread(desk.act, token, action, body, agent))


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png", headers=PICTURE_HEADERS)
