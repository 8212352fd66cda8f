"""A server on loopback in place of S3, for ``aws s3 cp`` of a single object."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import Iterator


@contextlib.contextmanager
def serve(objects: dict[str, bytes]) -> Iterator[str]:
    """Serve objects, and take new ones: path -> content. Yields the URL."""

    class S3(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = objects.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Last-Modified", "Mon, 03 Mar 2025 08:00:00 GMT")
            self.send_header("ETag", '"of no file"')
            self.end_headers()
            if content and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            self.send_response_only(100)  # the CLI waits for it
            self.end_headers()
            objects[self.path] = self._body()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _body(self) -> bytes:
            if self.headers.get("Content-Length") and not self.headers.get("X-Amz-Trailer"):
                return self.rfile.read(int(self.headers["Content-Length"]))
            body = b""  # in chunks of Amazon's encoding, within those of HTTP if it has no length
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # the checksum
                pass
            return body

        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), S3)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
