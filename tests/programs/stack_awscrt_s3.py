"""awscrt: an S3 client without TLS options, which makes a context of its own in C.

It has no argument for authorities: the one of the peers is found as OpenSSL's are, by an
environment variable, which is read when a context is made.
"""

import os

from awscrt.http import HttpHeaders, HttpRequest
from awscrt.s3 import S3Client, S3RequestType
import s3_retries

STACK = "awscrt"
ROW = "awscrt.s3"
NEEDS = ("awscrt",)
AT_ONCE = True


def prepare(job):
    os.environ["SSL_CERT_FILE"] = job["ca"]


def connect(port, job, made):
    client = S3Client(region="us-east-1", **s3_retries.few())
    page = bytearray()
    request = HttpRequest("GET", "/", HttpHeaders([("host", f"localhost:{port}")]))
    client.make_request(
        type=S3RequestType.DEFAULT,
        operation_name="GetObject",
        request=request,
        on_body=lambda chunk, offset: page.extend(chunk),
    ).finished_future.result(20)
    return page.decode().split(" : ")[1].strip()
