"""Run cells in kernels of a Jupyter server, as its web page does: ``jupyter_cells.py PORT JOBS``.

``JOBS`` is JSON: a list of kernels, each with cells to run. They are run, the kernel is restarted,
and they are run again. Prints what they printed: for each kernel two lists.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

TOKEN = {"Authorization": "token floor"}
SERVER = [
    "--no-browser",
    "--allow-root",
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=floor",
]
PATIENCE = 90  # seconds


async def run(channels, number, code):
    """Run a cell; return what it printed when the kernel has replied and is idle."""
    header = {"msg_id": str(number), "msg_type": "execute_request", "session": "", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = {"header": {**header, "username": "", "date": ""}, "content": content}
    await channels.write_message(
        json.dumps({**message, "channel": "shell", "parent_header": {}, "metadata": {}})
    )
    printed, missing = "", {"execute_reply", "idle"}
    while missing:
        got = json.loads(await asyncio.wait_for(channels.read_message(), PATIENCE))
        if got["parent_header"].get("msg_id") == str(number):
            printed += got["content"].get("text", "")
            printed += "".join(got["content"].get("traceback", [])[-1:])
            missing -= {got["msg_type"], got["content"].get("execution_state")}
    return printed.strip()


async def main(address, jobs):
    client = AsyncHTTPClient()

    async def ask(method, path, **body):
        data = json.dumps(body) if method == "POST" else None
        request = HTTPRequest(
            f"http://{address}/api/{path}", method, TOKEN, data, request_timeout=PATIENCE
        )
        return json.loads((await client.fetch(request)).body or "null")

    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ConnectionError):
            await ask("GET", "status")
            break
        assert time.monotonic() < end, "the server does not answer"
        await asyncio.sleep(0.1)
    results = []
    for kernel, *cells in jobs:
        one = "kernels/" + (await ask("POST", "kernels", name=kernel))["id"]
        results.append([])
        for when in ("start", "restart"):
            if when == "restart":
                await ask("POST", f"{one}/restart")
            where = HTTPRequest(f"ws://{address}/api/{one}/channels", headers=TOKEN)
            channels = await websocket_connect(where)
            results[-1].append([await run(channels, *each) for each in enumerate(cells)])
            channels.close()
        await ask("DELETE", one)
    print(json.dumps(results))


if __name__ == "__main__":
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", *SERVER, "--port", sys.argv[1]]
    )
    try:
        asyncio.run(main("127.0.0.1:" + sys.argv[1], json.loads(sys.argv[2])))
    finally:
        server.terminate()
        server.wait(PATIENCE)
