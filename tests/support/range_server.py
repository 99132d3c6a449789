"""Local HTTP server for the files of a folder. It supports byte ranges, counts sent bytes and can simulate errors.

The server is a separate process, because rasterio holds the interpreter lock while it opens a file, so a server in a
thread could not answer.
"""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import ClassVar

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")
_CONTROL = "/_control"


class RangeServer:
    """Client of the server, for tests.

    Attributes:
        url: Address of the server, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def behave(self, **behaviour: object) -> None:
        """Reset the counts and set the behaviour.

        Args:
            behaviour: `status`: status of all answers. `after`: number of requests before this status applies. `delay`:
                seconds before each answer. `names`: True, the default, to send ETag and modification time.
        """
        self._ask(behaviour)

    @property
    def sent(self) -> int:
        """Number of content bytes sent."""
        return int(self._ask()["sent"])

    @property
    def requests(self) -> list[str]:
        """Method and path of each request, such as "GET /scene.tif"."""
        return list(self._ask()["requests"])

    def _ask(self, behaviour: dict[str, object] | None = None) -> dict[str, object]:
        content = None if behaviour is None else json.dumps(behaviour).encode()
        with urllib.request.urlopen(self.url + _CONTROL, content, timeout=10) as answer:
            return json.loads(answer.read())


@contextmanager
def range_server(folder: Path) -> Iterator[RangeServer]:
    """Serve a folder on a free local port while a `with` block runs."""
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RangeServer(process.stdout.readline().strip())
        finally:
            process.kill()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()
    lock = Lock()
    behaviour: ClassVar[dict[str, object]] = {}
    counted: ClassVar[dict[str, object]] = {"sent": 0, "requests": []}

    def do_GET(self) -> None:
        if self.path == _CONTROL:
            with self.lock:
                self._send(HTTPStatus.OK, json.dumps(self.counted).encode())
            return
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        with self.lock:
            self.behaviour.clear()
            self.behaviour.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.counted.update(sent=0, requests=[])
            self._send(HTTPStatus.OK, b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Print no log messages."""

    def _serve(self) -> None:
        with self.lock:
            number = len(self.counted["requests"])
            self.counted["requests"].append(f"{self.command} {self.path}")
        time.sleep(float(self.behaviour.get("delay", 0)))
        path = self.folder / self.path.lstrip("/").partition("?")[0]
        wrong = self.behaviour.get("status") if number >= self.behaviour.get("after", 0) else None
        if wrong or not path.is_file():
            self._send(HTTPStatus(wrong or HTTPStatus.NOT_FOUND))
            return
        content, wanted = path.read_bytes(), _RANGE.match(self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]), len(content) - 1) if wanted and wanted[2] else len(content) - 1
        headers = {"Accept-Ranges": "bytes"}
        if self.behaviour.get("names", True):
            headers |= {"ETag": f'"{path.stat().st_mtime_ns:x}"'}
            headers |= {"Last-Modified": self.date_time_string(int(path.stat().st_mtime))}
        if wanted:
            headers |= {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        part = content[first : last + 1]
        with self.lock:
            self.counted["sent"] += len(part) if self.command == "GET" else 0
        self._send(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, part, headers)

    def _send(self, status: HTTPStatus, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _main() -> None:
    _Handler.folder = Path(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _main()
