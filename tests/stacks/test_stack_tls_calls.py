"""Stacks that are refused where TLS begins: calls that work, calls that are refused, and why."""

from __future__ import annotations

import pytest

from programs import armed_environment, clean_environment, python
from parts import need

#: Programs without TLS, which must work at floor 1.3 as without a floor: the modules it needs,
#: and its code, which fails by an assertion.
LOCAL = {
    "polars": (
        ("polars",),
        """
import io, pickle, tempfile
import polars as pl
folder = tempfile.mkdtemp()
frame = pl.DataFrame({"a": [1, 2]})
frame.write_parquet(f"{folder}/a.parquet")
frame.lazy().sink_csv(f"{folder}/a.csv")
frame.write_ipc(f"{folder}/a.ipc")
assert pl.scan_parquet(f"{folder}/*.parquet").collect().equals(frame)
assert pl.read_csv(f"{folder}/a.csv").equals(frame)
assert pl.read_csv(io.BytesIO(b"a\\n1\\n2")).equals(frame)
assert pl.read_ipc(f"{folder}/a.ipc").equals(frame)
assert pl.SQLContext(t=frame).execute("SELECT 'https://x' AS u FROM t").collect().height == 2
assert pickle.loads(pickle.dumps(frame.lazy())).collect().equals(frame)
assert pl.LazyFrame.deserialize(io.BytesIO(frame.lazy().serialize())).collect().equals(frame)
""",
    ),
    "pyarrow": (
        ("pyarrow",),
        """
import copy, pickle, tempfile
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import flight, fs
folder = tempfile.mkdtemp()
table = pa.table({"a": [1]})
pq.write_table(table, f"{folder}/a.parquet")
assert pq.read_table(f"file://{folder}/a.parquet").equals(table)
assert ds.dataset(folder, format="parquet").to_table().equals(table)
local, path = fs.FileSystem.from_uri(f"file://{folder}")
assert isinstance(pickle.loads(pickle.dumps(local)), fs.LocalFileSystem)
fs.copy_files(f"{folder}/a.parquet", f"{folder}/b.parquet")
class Server(flight.FlightServerBase):
    def list_flights(self, context, criteria):
        return iter([])
with Server("grpc://localhost:0") as server:
    for client in (flight.connect(f"grpc://localhost:{server.port}"),
                   flight.FlightClient(("localhost", server.port)),
                   flight.FlightClient.connect(("localhost", server.port))):
        assert isinstance(client, flight.FlightClient)
        assert list(client.list_flights()) == []
""",
    ),
    "deltalake": (
        ("deltalake", "pyarrow"),
        """
import tempfile
import deltalake, pyarrow
folder = tempfile.mkdtemp()
deltalake.write_deltalake(folder, pyarrow.table({"a": [1]}))
table = deltalake.DeltaTable(folder)
assert deltalake.DeltaTable.is_deltatable(folder)
assert table.to_pyarrow_table().num_rows == 1
query = deltalake.QueryBuilder().register("t", table).execute("SELECT * FROM t")
assert query.read_all().num_rows == 1
""",
    ),
    "obstore": (
        ("obstore",),
        """
import tempfile
import obstore
from obstore.store import LocalStore, MemoryStore, from_url
for store in (LocalStore(tempfile.mkdtemp()), MemoryStore(), from_url("memory:///")):
    obstore.put(store, "a", b"x")
    assert bytes(obstore.get(store, "a").bytes()) == b"x"
""",
    ),
    "opendal": (
        ("opendal",),
        """
import tempfile
import opendal
operators = [opendal.Operator("memory"), opendal.Operator("fs", root=tempfile.mkdtemp())]
if hasattr(opendal.Operator, "from_uri"):
    operators.append(opendal.Operator(opendal.services.Scheme.MiniMoka))
    operators.append(opendal.Operator.from_uri("memory://x", scheme="s3"))
    operators.append(opendal.Operator.from_config({"scheme": "memory"}))
for operator in operators:
    operator.write("a", b"x")
    assert bytes(operator.read("a")) == b"x"
""",
    ),
    "grpc": (
        ("grpc",),
        """
import asyncio
from concurrent.futures import ThreadPoolExecutor
import grpc
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"hello")
server = grpc.server(ThreadPoolExecutor(1), handlers=(Handler(),))
insecure = server.add_insecure_port("localhost:0")
local = server.add_secure_port("localhost:0", grpc.local_server_credentials())
server.start()
credentials = grpc.local_channel_credentials()
for channel in (grpc.insecure_channel(f"localhost:{insecure}"),
                grpc.secure_channel(f"localhost:{local}", credentials)):
    with channel:
        assert channel.unary_unary("/a/b")(b"", timeout=20) == b"hello"
async def call():
    async with grpc.aio.insecure_channel(f"localhost:{insecure}") as channel:
        assert await channel.unary_unary("/a/b")(b"", timeout=20) == b"hello"
asyncio.run(call())
server.stop(None)
""",
    ),
    "pygit2": (
        ("pygit2",),
        """
import tempfile
import pygit2
folder, copy = tempfile.mkdtemp(), tempfile.mkdtemp()
repository = pygit2.init_repository(folder, bare=True)
someone = pygit2.Signature("x", "x@example.org")
tree = repository.TreeBuilder().write()
repository.create_commit("refs/heads/main", someone, someone, "first", tree, [])
clone = pygit2.clone_repository(folder, copy)
assert clone.remotes["origin"].url == folder
clone.remotes["origin"].fetch()
""",
    ),
    "temporalio": (
        ("temporalio",),
        """
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment
Runtime(telemetry=TelemetryConfig())
""",
    ),
    "pulsar": (("pulsar",), "import pulsar; pulsar.Client('pulsar://localhost:1').close()"),
    "adbc": (
        ("adbc_driver_flightsql",),
        """
import adbc_driver_flightsql.dbapi as flightsql
try:
    with flightsql.connect("grpc://localhost:1") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
except flightsql.OperationalError as error:
    assert "refused" in str(error), error
""",
    ),
    "tlslite": (("tlslite",), "import tlslite.api; tlslite.api.HandshakeSettings().validate()"),
}


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("floor", ["", "1.3"])
def test_calls_without_tls_work_at_floor_1_3(name: str, floor: str) -> None:
    needs, program = LOCAL[name]
    need(*needs)
    status = "\nimport tlsfloor; assert tlsfloor.status().held, tlsfloor.status()" if floor else ""
    env = armed_environment(floor) if floor else clean_environment()
    # At once: some runtimes in Rust abort now and then as Python ends, with a floor and without.
    done = python("-c", f"{program}{status}\nimport os; os._exit(0)", env=env)
    assert done.returncode == 0, done.stderr
    assert "tlsfloor" not in done.stderr


#: Calls that would begin TLS: the module that is needed, statements before the call, and the call.
REMOTE = [
    ("polars", "import polars as pl", call)
    for call in (
        "pl.scan_parquet('s3://b/x')",
        "pl.read_csv('https://localhost:1/x.csv')",
        "pl.scan_ndjson(['abfss://c@a.dfs.core.windows.net/x'])",
        "pl.scan_ipc('gs://b/x')",
        "pl.read_parquet('hf://datasets/a/b')",
        "pl.read_parquet_schema('s3://b/x')",
        "pl.DataFrame({'a': [1]}).write_parquet('s3://b/x')",
        "pl.DataFrame({'a': [1]}).lazy().sink_csv('s3://b/x')",
        "pl.DataFrame({'a': [1]}).write_parquet(pl.PartitionBy('s3://b/x', key=['a']))",
        """pl.SQLContext().execute("SELECT * FROM read_parquet('s3://b/x')")""",
        "pl.Catalog('https://localhost:1').list_catalogs()",
    )
]
REMOTE += [
    ("pyarrow", "from pyarrow import flight, fs; import pyarrow.parquet as pq", call)
    for call in (
        "fs.S3FileSystem()",
        "fs.FileSystem.from_uri('s3://b/x')",
        "fs.LocalFileSystem.from_uri('abfs://c@a/x')",
        "pq.read_table('s3://b/x')",
        "fs.GcsFileSystem(anonymous=True)",
        "fs.AzureFileSystem('a')",
        "fs.resolve_s3_region('b')",
        "flight.connect('grpc+tls://localhost:1')",
        "flight.FlightClient(('localhost', 1), tls_root_certs=b'x')",
        "flight.FlightClient(flight.Location.for_grpc_tls('localhost', 1))",
        "flight.FlightServerBase(('localhost', 0), tls_certificates=[(b'', b'')])",
    )
]
REMOTE += [
    ("deltalake", "import deltalake", call)
    for call in (
        "deltalake.DeltaTable('s3://b/t')",
        "deltalake.DeltaTable.is_deltatable('gs://b/t')",
        "deltalake.write_deltalake('abfss://c@a.dfs.core.windows.net/t', [])",
        "deltalake.convert_to_deltalake('https://localhost:1/t')",
    )
]
REMOTE += [
    (
        "obstore",
        "from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store, from_url",
        call,
    )
    for call in (
        "S3Store('b')",
        "HTTPStore('https://localhost:1')",
        "HTTPStore.from_url('https://localhost:1')",
        "GCSStore('b')",
        "AzureStore('b', account_name='a')",
        "from_url('s3://b')",
    )
]
REMOTE += [
    ("opendal", "import opendal", call)
    for call in (
        "opendal.Operator('s3', bucket='b', region='x')",
        "opendal.AsyncOperator('http', endpoint='https://localhost:1')",
        "opendal.Operator(scheme='s3', uri='memory://', bucket='b', region='x')",
        "opendal.Operator.from_uri('s3://b/?region=x', scheme='memory')",
        "opendal.Operator.from_uri(uri='s3://b/?region=x', scheme='memory')",
        "opendal.Operator.from_config(config={'scheme': 's3', 'bucket': 'b', 'region': 'x'})",
    )
]
REMOTE += [
    ("grpc", "import grpc", call)
    for call in (
        "grpc.ssl_channel_credentials()",
        "grpc.ssl_server_credentials([(b'', b'')])",
        "grpc.xds_channel_credentials()",
    )
]
REMOTE += [
    ("adbc_driver_flightsql", "import adbc_driver_flightsql.dbapi as f", call)
    for call in ("f.connect('grpc+tls://localhost:1')", "f.connect('localhost:1')")
]
REMOTE += [
    ("pymssql", "import pymssql", "pymssql.connect('localhost', 'x', 'x', port=1)"),
    ("primp", "import primp", "primp.get('https://localhost:1')"),
    ("impit", "import impit", "impit.get('https://localhost:1')"),
    ("pyqwest", "import pyqwest", "pyqwest.SyncClient().get('https://localhost:1')"),
    ("pulsar", "import pulsar", "pulsar.Client('pulsar+ssl://localhost:1')"),
    ("rnet", "import rnet", "rnet.BlockingClient().get('https://localhost:1')"),
    (
        "wreq",
        "import wreq, wreq.blocking",
        "wreq.blocking.Client(emulation=wreq.Profile.Safari16)",
    ),
]

ATTEMPT = """
{before}
try:
    {call}
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("module", "before", "call"), REMOTE)
def test_a_call_that_would_begin_tls_is_refused_with_the_reason(
    module: str, before: str, call: str
) -> None:
    need(module)
    program = ATTEMPT.format(before=before, call=call)
    done = python("-c", program, env=armed_environment("1.3"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ProtocolRefused [SSL: UNSUPPORTED_PROTOCOL] "), done.stdout
    assert ", and the floor is 1.3, set by TLSFLOOR=1.3, read by " in done.stdout
    assert "; hint: " in done.stdout


IMPORTS = (
    "polars",
    "pyarrow.fs",
    "pyarrow.flight",
    "deltalake",
    "obstore",
    "opendal",
    "grpc",
    "pygit2",
    "pymssql",
    "hf_transfer",
    "primp",
    "impit",
    "pyqwest",
    "temporalio.client",
    "pulsar",
    "adbc_driver_manager",
    "rnet",
    "wreq",
)


@pytest.mark.parametrize("name", IMPORTS)
def test_a_stack_is_imported_at_floor_1_3_and_held(name: str) -> None:
    need(name.split(".", maxsplit=1)[0])
    program = f"import importlib, tlsfloor; importlib.import_module({name!r}); import {name}"
    check = "; status = tlsfloor.status(); assert status.held, status.problems"
    done = python("-c", program + check, env=armed_environment("1.3"))
    assert (done.returncode, done.stderr) == (0, "")


#: A guard may refuse a module before it is executed.
TWICE = """
import sys
from tlsfloor.errors import GuardError
import tlsfloor.stacks.aioquic as guard
def before(name):
    raise GuardError(f"{name} can negotiate TLS 1.2")
guard.before_import = before
for _ in range(2):
    try:
        import aioquic.tls
    except ImportError as error:
        print(error)
    assert "aioquic.tls" not in sys.modules
"""


def test_a_module_that_its_guard_refuses_is_not_executed_however_often_it_is_imported() -> None:
    need("aioquic")
    done = python("-c", TWICE, env=armed_environment("1.3"))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert "aioquic.tls can negotiate TLS 1.2" in first


STORE = """
from obstore.store import HTTPStore
HTTPStore("https://localhost:1")
import tlsfloor
status = tlsfloor.status()
print(status.held, status.stacks["obstore._obstore"])
"""


@pytest.mark.parametrize(
    "more",
    [
        {"TLSFLOOR_UNCOVERED": "warn"},
        {"TLSFLOOR_STACKS": "obstore._obstore=warn"},
        {"TLSFLOOR_STACKS": "rustls in obstore=warn"},
        {"TLSFLOOR_ON_ERROR": "warn"},
    ],
    ids=str,
)
def test_the_policy_may_let_such_a_stack_pass_which_is_reported_once(more: dict[str, str]) -> None:
    need("obstore")
    done = python("-c", STORE, env=armed_environment("1.3", **more))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False uncovered: ")
    assert done.stderr.count("tlsfloor: error: obstore._obstore is uncovered: ") == 1


def test_a_stack_that_a_later_policy_lets_pass_is_reported_at_its_use() -> None:
    need("obstore")
    program = f"""
import tlsfloor
tlsfloor.enforce("1.3")
import obstore
tlsfloor.enforce("1.3", uncovered="warn")
{STORE}
HTTPStore("https://localhost:1")
"""
    done = python("-c", program, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False uncovered: ")
    assert done.stderr.count("tlsfloor: error: obstore._obstore") == 1


PLAIN = """
import tlsfloor
assert tlsfloor.status().held
{call}
{call}
print(tlsfloor.status().held, tlsfloor.status().problems)
"""

S3 = "endpoint='http://localhost:1', access_key_id='x', secret_access_key='x', region='x'"


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("obstore", f"import obstore.store; obstore.store.S3Store('b', {S3})"),
        (
            "pyarrow",
            "from pyarrow import fs; fs.S3FileSystem(scheme='http', anonymous=True, region='x')",
        ),
        (
            "polars",
            (
                "import polars as p; p.scan_parquet('s3://b/x', storage_options={'endpoint':"
                "'http://localhost:1', 'access_key_id': 'x', 'secret_access_key': 'x'})"
            ),
        ),
    ],
)
def test_plain_text_is_allowed_and_a_possible_redirect_is_reported(module: str, call: str) -> None:
    """Each of these follows a redirect to https."""
    need(module)
    done = python("-c", PLAIN.format(call=call), env=armed_environment("1.3"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False ")
    assert done.stderr.count("if the server redirects to https") == 1
    assert "if the server redirects to https" in done.stdout


@pytest.mark.parametrize(
    "more",
    [
        {"AWS_ENDPOINT_URL": "https://localhost:1"},
        {"HTTPS_PROXY": "https://localhost:1", "AWS_ENDPOINT_URL": "http://localhost:1"},
        {"AWS_ENDPOINT_URL": "http://localhost:1"},  # and credentials of which nothing is known
    ],
    ids=str,
)
def test_an_endpoint_in_plain_text_does_not_allow_tls_to_a_proxy_or_for_credentials(
    more: dict[str, str],
) -> None:
    need("polars")
    program = ATTEMPT.format(before="import polars", call="polars.scan_parquet('s3://b/x')")
    done = python("-c", program, env=armed_environment("1.3", **more))
    assert done.stdout.startswith("ProtocolRefused "), done.stderr


SENT = """
import http.server, threading
{before}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("localhost", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
assert {call}(f"http://localhost:{{server.server_port}}", content=b"https://x").status_code == 204
"""


@pytest.mark.parametrize("module", ["primp", "impit"])
def test_a_body_that_begins_with_a_url_is_not_taken_for_an_address(module: str) -> None:
    need(module)
    program = SENT.format(before=f"import {module}", call=f"{module}.post")
    done = python("-c", program, env=armed_environment("1.3"))
    assert done.returncode == 0, done.stderr


def test_headers_of_hf_transfer_are_not_taken_for_addresses() -> None:
    need("hf_transfer")
    call = "download('http://localhost:1', '/x/x', 1, 1, headers={'referer': 'https://x'})"
    program = ATTEMPT.format(before="from hf_transfer import download", call=call)
    done = python("-c", program, env=armed_environment("1.3"))
    assert "ProtocolRefused" not in done.stdout
    assert "if the server redirects to https" in done.stderr


#: A program's module may be named as a stack is, with more behind.
REBOUND = """
import sys, types
from pyarrow import _s3fs
app = sys.modules["pyarrow_app"] = types.ModuleType("pyarrow_app")
app.Files = _s3fs.S3FileSystem
import tlsfloor
tlsfloor.enforce("1.3")
assert app.Files is _s3fs.S3FileSystem
app.Files = None
assert tlsfloor.status().held, tlsfloor.status()
"""


def test_a_program_may_change_a_name_of_its_own_that_holds_a_gate() -> None:
    need("pyarrow")
    done = python("-c", REBOUND, env=clean_environment())
    assert done.returncode == 0, done.stderr


LATE = """
import tlsfloor
{before}
tlsfloor.enforce("1.3")
try:
    {call}
except OSError as error:
    print(type(error).__name__, *tlsfloor.status().below)
"""


@pytest.mark.parametrize(
    ("module", "before", "call"),
    [
        (
            "obstore",
            "import obstore; from obstore.store import HTTPStore; s = HTTPStore('https://x')",
            "obstore.get(s, 'x')",
        ),
        ("pyarrow", "from pyarrow.fs import S3FileSystem as S", "S()"),
        ("pyarrow", "from pyarrow.fs import S3FileSystem as S\nclass My(S): ...", "My()"),
        (
            "pyarrow",
            "from pyarrow.flight import FlightClient as C\nclass My(C): ...",
            "My('grpc+tls://localhost:1')",
        ),
        ("pyarrow", "from pyarrow.flight import connect", "connect('grpc+tls://localhost:1')"),
        (
            "pyarrow",
            (
                "import pickle; from pyarrow.fs import S3FileSystem as S;"
                " p = pickle.dumps(S(access_key='x', secret_key='x', region='x'))"
            ),
            "pickle.loads(p)",
        ),
        (
            "polars",
            "import io, polars as p; s = p.scan_csv('https://x', schema={'a': p.Int8}).serialize()",
            "p.LazyFrame.deserialize(io.BytesIO(s))",
        ),
        ("deltalake", "from deltalake import DeltaTable", "DeltaTable('s3://b/t')"),
        (
            "grpc",
            "import grpc; c = grpc.ssl_channel_credentials()",
            "grpc.secure_channel('localhost:1', c)",
        ),
        (
            "grpc",
            (
                "import grpc; from tlsfloor.peers.base import PEER_FILE as f;"
                " p = open(f, 'rb').read(); s = grpc.server(None);"
                " c = grpc.ssl_server_credentials([(p, p)])"
            ),
            "s.add_secure_port('localhost:0', c)",
        ),
        ("rnet", "import rnet; c = rnet.BlockingClient()", "c.get('https://localhost:1')"),
        (
            "wreq",
            "import wreq, wreq.blocking; c = wreq.blocking.Client()",
            "c.get('https://localhost:1')",
        ),
        (
            "wreq",
            "import wreq, wreq.blocking; o = wreq.TlsOptions()",
            "wreq.blocking.Client(tls_options=o)",
        ),
    ],
)
def test_a_late_floor_refuses_objects_and_copies_that_are_older(
    module: str, before: str, call: str
) -> None:
    need(module)
    done = python("-c", LATE.format(before=before, call=call), env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ProtocolRefused")


def test_wreq_emulates_browsers_that_are_at_the_floor() -> None:
    need("wreq")
    program = """
import wreq, wreq.blocking
from wreq import Emulation, Profile
for emulation in (Profile.Chrome137, Emulation(profile=Profile.Firefox135), Emulation.random()):
    assert isinstance(wreq.blocking.Client(emulation=emulation), wreq.blocking.Client)
wreq.blocking.Client(emulation=Profile.Safari16, tls_options=wreq.TlsOptions())
for emulation in (Profile.Safari16, Emulation(profile=Profile.Safari16)):
    try:
        wreq.blocking.Client(emulation=emulation)
    except OSError:
        continue
    raise SystemExit(emulation)
"""
    done = python("-c", program, env=armed_environment("1.2"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_peers_of_the_verifier_accept_tls_1_0_in_a_process_with_a_floor() -> None:
    """They use tlslite-ng, which is held to the floor in programs of the same process."""
    need("tlslite")
    program = """
from tlsfloor.peers import handshakes
from tlslite.api import HandshakeSettings
settings = HandshakeSettings()
settings.minVersion = (3, 1)
assert settings.validate().minVersion == (3, 4)
with handshakes.ServerPeer(0x301) as server:
    assert handshakes.call("127.0.0.1", server.port, 0x301).version == 0x301
"""
    done = python("-W", "ignore", "-c", program, env=armed_environment("1.3"))
    assert (done.returncode, done.stderr) == (0, "")


#: The names without which a guard does not fit: the guard, its row, and the names.
REQUIRED = [
    ("adbc", "adbc_driver_manager._lib", ["AdbcDatabase.__init__"]),
    ("arrow", "pyarrow._azurefs", ["AzureFileSystem.__init__"]),
    (
        "arrow",
        "pyarrow._flight",
        ["connect", "FlightClient.__init__", "FlightServerBase.__init__"],
    ),
    ("arrow", "pyarrow._fs", ["FileSystem.from_uri"]),
    ("arrow", "pyarrow._gcsfs", ["GcsFileSystem.__init__"]),
    ("arrow", "pyarrow._s3fs", ["S3FileSystem.__init__", "resolve_s3_region"]),
    ("arrow", "pyarrow._substrait", ["run_query"]),
    (
        "deltalake",
        "deltalake._internal",
        ["RawDeltaTable.is_deltatable", "PyQueryBuilder.execute"],
    ),
    (
        "grpcio",
        "grpc._cython.cygrpc",
        [
            "AioServer.add_secure_port",
            "Channel.__init__",
            "SSLChannelCredentials.__init__",
            "Server.add_http2_port",
            "ServerCredentials.__init__",
            "server_credentials_ssl",
        ],
    ),
    ("hf_transfer", "hf_transfer.hf_transfer", ["download", "multipart_upload"]),
    (
        "obstore",
        "obstore._obstore",
        [
            "get",
            "_store.from_url",
            *(
                f"_store.{name}Store.{method}"
                for name in ("Azure", "GCS", "HTTP", "S3")
                for method in ("__init__", "from_url")
            ),
        ],
    ),
    ("opendal", "opendal._opendal", ["Operator.__init__", "AsyncOperator.__init__"]),
    (
        "opendal",
        "opendal._opendal",
        ["operator.Operator.__init__", "operator.AsyncOperator.__init__"],
    ),
    (
        "polars",
        "_polars_runtime_32._polars_runtime",
        [
            "PyDataFrame.read_json",
            "PyLazyFrame.new_from_csv",
            "PyLazyFrame.new_from_ipc",
            "PyLazyFrame.new_from_parquet",
        ],
    ),
    ("pulsar", "_pulsar", ["Client.__init__"]),
    ("pymssql", "pymssql._mssql", ["MSSQLConnection.__init__", "connect"]),
    ("rust_http_clients", "impit.impit", ["delete"]),
    ("rust_http_clients", "primp.primp", ["delete"]),
    ("rust_http_clients", "pyqwest._pyqwest", ["Client.execute"]),
    (
        "snowflake",
        "snowflake.connector._core.sf_core_python",
        ["call_proto", "call_proto_async"],
    ),
    (
        "temporal",
        "temporalio.bridge.temporal_sdk_bridge",
        ["connect_client", "init_runtime", "start_dev_server", "start_test_server"],
    ),
]

#: Guards a stub of an extension, with all of the names and then without one of them. Some calls
#: that a guard may lack are there, so it always finds one that it knows.
LACKING = """
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
import tlsfloor
tlsfloor.enforce("1.3")
guard, row, *names = sys.argv[1:]
optional = ["_reconstruct_operator", "get", "Client.get", "SyncClient.get"]
def stub(missing):
    module = ModuleType(row)
    module.__spec__ = ModuleSpec(row, None)
    module.__spec__._initializing = True
    for name in [*optional, *names]:
        *owners, attribute = name.split(".")
        if missing.endswith("__init__") and name.startswith(missing[:-len("__init__")]):
            owners, attribute = missing.split(".")[:-2], "__init__"  # without the class
        owner = module
        for part in owners:
            if not hasattr(owner, part):
                setattr(owner, part, type(part, (), {}))
            owner = getattr(owner, part)
        if name != missing and attribute != "__init__":
            setattr(owner, attribute, lambda *args, **kwargs: None)
    return module
for missing in ["", *names]:
    try:
        state = import_module(f"tlsfloor.stacks.{guard}").guard(stub(missing))
    except (ImportError, AttributeError):  # the hook of imports takes any error as a misfit
        state = "refused"
    if state != ("refused" if missing else "guarded"):
        print(missing or "nothing is missing", state)
"""


@pytest.mark.parametrize(("guard", "row", "names"), REQUIRED)
def test_a_guard_refuses_a_version_without_a_call_that_it_needs(
    guard: str, row: str, names: list[str]
) -> None:
    done = python("-c", LACKING, guard, row, *names, env=clean_environment())
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
