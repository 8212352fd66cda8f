"""The table of TLS stacks.

Adding a stack is one file in this folder and one row in ``TABLE``; CONTRIBUTING.md describes the
steps, and ``docs/explanation/design.md#rules`` what a guard has to keep true. The file has a
function:

* ``guard(module)``: hold ``floor.held`` on everything that the module creates. It is called after
  the module was executed, and again when the floor is raised, so it is idempotent. It returns one
  of ``COVERED``, or a text that begins with ``"uncovered"``, or raises GuardError if it should hold
  the floor and cannot,

and may have functions that few guards need:

* ``before_import(name)``: called before the module of that name is executed; a GuardError refuses
  it;
* ``observe(module)``: report what ``floor.observed`` would change, and change nothing;
* ``catch_up()``: do what is needed in addition if the stack was in use before the floor was armed;
* ``undone(module)``: return what of the guard is no longer in place, as text; empty if all of it
  is. Without this function, the ``_gates`` of the module are asked;
* ``below()``: return a list of texts: what exists below the floor and cannot be changed any more.

A guard reads the floor in ``tlsfloor.floor`` and stores none of its own. It imports what it needs
at its top, and nothing in these functions: they run under the lock of ``arm``, and another thread
may hold the lock of the module that would be imported.

Every process with TLS loads this module: it imports nothing.
"""

#: A module that brings TLS into the process -> the module here that guards it.
TABLE = {
    "_awscrt": "tlsfloor.stacks.awscrt",
    "_cffi_ssl._stdssl": "tlsfloor.stacks.stdlib",  # the _ssl of PyPy
    "_interpreters": "tlsfloor.stacks.subinterpreters",
    "_ldap": "tlsfloor.stacks.ldap",
    "_mysql_connector": "tlsfloor.stacks.mysql_connector",
    "_polars_runtime_32._polars_runtime": "tlsfloor.stacks.polars",
    "_polars_runtime_64._polars_runtime": "tlsfloor.stacks.polars",
    "_polars_runtime_compat._polars_runtime": "tlsfloor.stacks.polars",
    "_pulsar": "tlsfloor.stacks.pulsar",
    "_ssl": "tlsfloor.stacks.stdlib",
    "_xxsubinterpreters": "tlsfloor.stacks.subinterpreters",
    "adbc_driver_manager._lib": "tlsfloor.stacks.adbc",
    "aioquic.tls": "tlsfloor.stacks.aioquic",
    "awscrt.s3": "tlsfloor.stacks.awscrt",
    "bonsai._bonsai": "tlsfloor.stacks.ldap",
    "botocore.httpsession": "tlsfloor.stacks.urllib3",
    "confluent_kafka.cimpl": "tlsfloor.stacks.kafka",
    "cproton": "tlsfloor.stacks.proton",
    "cryptography.hazmat.bindings.openssl.binding": "tlsfloor.stacks.pyopenssl",
    "curl_cffi": "tlsfloor.stacks.curl_cffi",
    "deltalake._internal": "tlsfloor.stacks.deltalake",
    "granian.server": "tlsfloor.stacks.granian",
    "granian.server.common": "tlsfloor.stacks.granian",
    "grpc._cython.cygrpc": "tlsfloor.stacks.grpcio",
    "hf_transfer.hf_transfer": "tlsfloor.stacks.hf_transfer",
    "impit.impit": "tlsfloor.stacks.rust_http_clients",
    "M2Crypto.m2": "tlsfloor.stacks.m2crypto",
    "mariadb._mariadb": "tlsfloor.stacks.libmariadb",
    "MySQLdb._mysql": "tlsfloor.stacks.libmariadb",
    "obstore._obstore": "tlsfloor.stacks.obstore",
    "opendal._opendal": "tlsfloor.stacks.opendal",
    "OpenSSL.SSL": "tlsfloor.stacks.pyopenssl",
    "polars.polars": "tlsfloor.stacks.polars",
    "primp.primp": "tlsfloor.stacks.rust_http_clients",
    "psycopg": "tlsfloor.stacks.psycopg",
    "psycopg2": "tlsfloor.stacks.psycopg2",
    "pyarrow._azurefs": "tlsfloor.stacks.arrow",
    "pyarrow._flight": "tlsfloor.stacks.arrow",
    "pyarrow._fs": "tlsfloor.stacks.arrow",
    "pyarrow._gcsfs": "tlsfloor.stacks.arrow",
    "pyarrow._s3fs": "tlsfloor.stacks.arrow",
    "pyarrow._substrait": "tlsfloor.stacks.arrow",
    "pycurl": "tlsfloor.stacks.pycurl",
    "pycurl._pycurl": "tlsfloor.stacks.pycurl",
    "pygit2.ffi": "tlsfloor.stacks.pygit2",
    "pymssql._mssql": "tlsfloor.stacks.pymssql",
    "pyqwest._pyqwest": "tlsfloor.stacks.rust_http_clients",
    "rnet.rnet": "tlsfloor.stacks.wreq",
    "snowflake.connector._core.sf_core_python": "tlsfloor.stacks.snowflake",
    "ssl": "tlsfloor.stacks.stdlib",
    "temporalio.bridge.temporal_sdk_bridge": "tlsfloor.stacks.temporal",
    "tlslite.handshakesettings": "tlsfloor.stacks.tlslite",
    "urllib3.util.ssl_": "tlsfloor.stacks.urllib3",
    "wreq.wreq": "tlsfloor.stacks.wreq",
}

#: What ``guard()`` may return: it holds the floor on every object of the stack; it has set what the
#: stack reads process-wide; the stack itself cannot go below the floor, even when asked.
COVERED = ("guarded", "configured", "inherent")
