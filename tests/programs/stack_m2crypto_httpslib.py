"""M2Crypto's own HTTPS, over a context that was made before a late floor."""

from M2Crypto import SSL, httpslib

STACK = "m2crypto"
NEEDS = ("M2Crypto",)


def prepare(job):
    context = SSL.Context("tls", weak_crypto=1)
    context.set_cipher_list("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    connection = httpslib.HTTPSConnection("localhost", port, ssl_context=context)
    connection.request("GET", "/")
    return connection.getresponse().read().decode().split(" : ")[1].strip()
