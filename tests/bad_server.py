"""An HTTP server on this machine that fails in the ways servers and networks do, and archives for it to serve."""

import io
import re
import tarfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Server(ThreadingHTTPServer):
    """files: path -> content. faults: path -> what to do instead at the next requests. requests: (path, Range)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def handle_error(self, request, client_address):
        pass  # clients hang up on purpose

    def paths(self):
        return [path for path, _ in self.requests]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path, asked = self.path.lstrip("/"), self.headers["Range"]
        self.server.requests.append((path, asked))
        fault = self.server.faults[path].pop(0) if self.server.faults[path] else None
        body = self.server.files.get(path)
        if isinstance(fault, int) or body is None:
            return self.answer(fault or 404, HTML, {"Retry-After": "0"} if fault == 429 else {})
        if isinstance(fault, bytes):
            return self.answer(200, fault)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and fault != "ignores Range" else 0
        if start >= len(body):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        place = start + 1 if fault == "goes on elsewhere" else start
        headers = {"Content-Range": f"bytes {place}-{len(body) - 1}/{len(body)}"} if start else {}
        rest, status = body[start:], 206 if start else 200
        if fault == "web page":
            return self.answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"})
        if fault == "says it is encoded":
            return self.answer(status, rest, headers | {"Content-Encoding": "x-gzip"})
        if fault == "asks to wait":
            return self.answer(429, HTML, {"Retry-After": "3600"})
        length = len(rest) + {"announces too much": 50, "announces too little": -50}.get(fault, 0)
        sent = rest[: len(rest) // 2] if fault in ("hangs up", "stalls") else rest[:length]
        self.answer(status, sent, headers, length)
        if fault == "stalls":
            self.server.released.wait(20)
        self.close_connection = fault is not None
        return None

    def answer(self, status, body, headers=None, length=None):
        self.send_response(status)
        for name, value in ({"Content-Length": str(length or len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def tgz(files, kind="gz", headers=None):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{kind}", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, None if isinstance(content, str) else io.BytesIO(content))
    return file.getvalue()


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def picture(seed, width, height, kind="PNG"):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()
