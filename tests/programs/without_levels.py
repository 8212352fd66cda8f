"""An ``ssl`` without security levels: run at the start of a program, or as ``sitecustomize``."""

import ssl

suites = ssl.SSLContext.set_ciphers


def set_ciphers(self, text):
    if "@SECLEVEL" in text:  # as AWS-LC, BoringSSL and OpenSSL 1.0.2 do
        raise ssl.SSLError("No cipher can be selected.")
    return suites(self, text)


ssl.SSLContext.set_ciphers = set_ciphers
