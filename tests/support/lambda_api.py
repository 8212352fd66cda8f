"""Lambda's Runtime API: a runtime fetches an event from it, and posts the response or the error."""

from __future__ import annotations

import http.server
import json
import subprocess
from typing import Any

from programs import clean_environment


class _RuntimeApi(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Send the event."""
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        """Keep the response, or the error."""
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.result = (self.path.rpartition("/")[2], posted)
        self._answer(202, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": "1",
            "Lambda-Runtime-Deadline-Ms": str(2**52),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def invoke(*command: str, **env: str) -> Any:
    """Start a runtime; return the kind of its result, "response" or "error", and the result."""
    with http.server.HTTPServer(("127.0.0.1", 0), _RuntimeApi) as api:
        api.result, api.timeout = None, 0.1
        address = f"127.0.0.1:{api.server_port}"
        env = clean_environment(AWS_LAMBDA_RUNTIME_API=address, **env)
        with subprocess.Popen(command, env=env) as process:
            while api.result is None and process.poll() is None:
                api.handle_request()
            process.kill()
        return api.result
