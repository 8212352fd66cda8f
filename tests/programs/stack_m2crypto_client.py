"""M2Crypto: a context for every version, made before a late floor."""

from M2Crypto import SSL

STACK = "m2crypto"
NEEDS = ("M2Crypto",)


def prepare(job):
    context = SSL.Context("tls", weak_crypto=1)
    context.set_cipher_list("ALL:@SECLEVEL=0")
    return context


def connect(port, job, context):
    connection = SSL.Connection(context)
    connection.set_post_connection_check_callback(None)
    connection.connect(("127.0.0.1", port))
    try:
        return connection.get_version()
    finally:
        connection.close()
