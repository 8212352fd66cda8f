"""``smtplib``: STARTTLS with a context, as mail libraries do it."""

import smtplib
import ssl


def prepare(job):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    mail = smtplib.SMTP("localhost", port, timeout=20)
    try:
        mail.starttls(context=context)
        assert mail.noop()[0] == 250
        return mail.sock.version()
    finally:
        mail.close()
