"""Use a context that speaks TLS 1.0 only; the result is the error, or None."""

import ssl


def main(job, made):
    context = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    except ssl.SSLError as error:
        return {"reason": error.reason, "text": str(error)}
