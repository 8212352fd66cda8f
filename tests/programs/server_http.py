"""``http.server`` over a listening socket that was wrapped before a late floor is armed."""

import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.connection.version(), flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


def prepare(job):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(job["peer"])
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def main(job, server):
    print(server.server_address[1], flush=True)
    server.serve_forever()
