"""The other end of a TLS connection, for ``verify``, ``check``, ``serve`` and the tests."""
