"""``imaplib``: STARTTLS with a context."""

import imaplib
import ssl


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    mail = imaplib.IMAP4("localhost", port)
    try:
        mail.starttls(ssl_context=context)
        assert mail.noop()[0] == "OK"
        return mail.sock.version()
    finally:
        mail.shutdown()
