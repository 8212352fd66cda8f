"""awscrt: an S3 client without TLS options, which makes a context of its own in C.

It has no argument for authorities: that of the peers is found as OpenSSL's are, by an environment
variable, which is read when a context is made.
"""

import os

from awscrt.http import HttpHeaders, HttpRequest
from awscrt import s3

STACK = "awscrt"
NEEDS = ("awscrt",)
AT_ONCE = True


def prepare(job):
    os.environ["SSL_CERT_FILE"] = job["ca"]


def connect(port, job, made):
    more = {}
    if hasattr(s3, "S3RetryConfig"):
        more["retry_config"] = s3.S3RetryConfig(retry_mode=s3.S3RetryMode.NONE)
    client = s3.S3Client(region="us-east-1", **more)
    page = bytearray()
    request = HttpRequest("GET", "/", HttpHeaders([("host", f"localhost:{port}")]))
    client.make_request(
        type=s3.S3RequestType.DEFAULT,
        operation_name="GetObject",
        request=request,
        on_body=lambda chunk, offset: page.extend(chunk),
    ).finished_future.result(20)
    return page.decode().split(" : ")[1].strip()
