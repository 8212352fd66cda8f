"""The servers of ``parity``: how each is started, and what it accepts by its configuration.

A word such as ``$port`` in a command or a file is replaced: ``$port``, ``$folder`` (of its files),
``$python``, and the file of a certificate with its key (``$rsa`` and the other names of ``KEYS``).
"""

from __future__ import annotations

from typing import NamedTuple

#: Certificate -> how ``openssl genpkey`` makes its key. One file has the key and the certificate.
KEYS = {
    "rsa": "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    "ecdsa": "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "pss": "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
    "ed448": "-algorithm ED448",
}


class Server(NamedTuple):
    """A server: its command, its files, and the versions that its configuration permits.

    ``also`` is what ``openssl s_client`` needs in addition to complete a handshake with it.
    ``starttls`` is a protocol that begins in plain text. The tests know how to start such a server:
    ``command`` is the name and the level there (``tests/support/starttls_servers.py``).
    """

    name: str
    accepts: str
    command: str
    files: tuple[tuple[str, str], ...] = ()
    also: str = ""
    starttls: str = ""


_S_SERVER = "openssl s_server -accept 127.0.0.1:$port -www "
_LEGACY = "-min_protocol TLSv1 -cipher"

_TLSLITE = [
    Server(
        f"tlslite-ng, {version} {key_exchange}",
        version,
        f"$python -m tlsfloor serve --version {version} --kx {key_exchange} "
        "--port $port --cert $rsa",
    )
    for version, key_exchange in (
        ("SSLv3", "rsa"),
        ("1.0", "rsa"),
        ("1.0", "ecdhe"),
        ("1.1", "ecdhe"),
        ("1.2", "rsa"),
        ("1.3", "ecdhe"),
    )
]

# Name -> versions, options of s_server, options of s_client.
_OPENSSL = [
    Server(f"OpenSSL, {name}", accepts, _S_SERVER + options, also=also)
    for name, accepts, options, also in (
        ("its defaults", "1.2 1.3", "-cert $rsa", ""),
        ("security level 0", "1.0 1.1 1.2 1.3", f"-cert $rsa {_LEGACY} DEFAULT:@SECLEVEL=0", ""),
        # The default security level of OpenSSL 3.0, 2 in Debian, permits TLS 1.2 and above.
        ("minimum 1.0, security level 2", "1.2 1.3", "-cert $rsa -min_protocol TLSv1", ""),
        ("client certificate, 1.2", "1.2", "-cert $rsa -tls1_2 -Verify 1", "-cert $rsa"),
        ("client certificate, 1.3", "1.3", "-cert $rsa -tls1_3 -Verify 1", "-cert $rsa"),
        (
            "ECDSA certificate",
            "1.0 1.1 1.2",
            f"-cert $ecdsa -no_tls1_3 {_LEGACY} DEFAULT:@SECLEVEL=0",
            "",
        ),
        ("RSA-PSS certificate", "1.2 1.3", "-cert $pss", ""),
        ("Ed448 certificate", "1.2 1.3", "-cert $ed448", ""),
        ("DHE only", "1.0 1.1 1.2", f"-cert $rsa -no_tls1_3 {_LEGACY} DHE:@SECLEVEL=0", ""),
        ("anonymous only", "1.0 1.1 1.2", f"-nocert -no_tls1_3 {_LEGACY} aNULL:@SECLEVEL=0", ""),
        (
            "no encryption below 1.3",
            "1.0 1.1 1.2 1.3",
            f"-cert $rsa {_LEGACY} NULL-SHA:@SECLEVEL=0",
            "",
        ),
        ("pre-shared key", "1.2", "-nocert -tls1_2 -cipher PSK -psk 1a2b", "-psk 1a2b"),
        ("AES128-CCM8 only", "1.2", "-cert $rsa -tls1_2 -cipher AES128-CCM8:@SECLEVEL=0", ""),
        (
            "brainpool curve only",
            "1.2",
            "-cert $rsa -tls1_2 -cipher ECDHE -curves brainpoolP384r1",
            "-curves brainpoolP384r1",
        ),
        ("group ffdhe8192 only", "1.3", "-cert $rsa -tls1_3 -groups ffdhe8192", ""),
        (
            "1.3 with CCM_8 only",
            "1.3",
            "-cert $rsa -tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256",
            "",
        ),
    )
]

_PYTHON = """
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", $port), http.server.BaseHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("$rsa")
"""
_LOWERED = """
context.minimum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("DEFAULT:@SECLEVEL=0")
"""
_SERVE = """
class Server(http.server.ThreadingHTTPServer):
    def finish_request(self, request, address):
        with context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, address)
server.__class__ = Server
server.serve_forever()
"""
_APP = "def app(environ, start):\n    start('200 OK', [])\n    return [b'']\n"
_GRPC = """
import grpc
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor())
pem = open("$rsa", "rb").read()
server.add_secure_port("127.0.0.1:$port", grpc.ssl_server_credentials([(pem, pem)]))
server.start()
server.wait_for_termination()
"""
_HAPROXY = """
global
    ssl-default-bind-options ssl-min-ver TLSv1.0
    ssl-default-bind-ciphers DEFAULT:@SECLEVEL=0
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout client 9s
    timeout server 9s
    timeout connect 9s
"""
_STRICT = """
frontend one
    bind 127.0.0.1:$port ssl crt $rsa ssl-max-ver TLSv1.2 strict-sni
"""
_CLOSES = """
frontend one
    mode tcp
    bind 127.0.0.1:$port
    tcp-request inspect-delay 5s
    tcp-request content reject if { req.ssl_ver lt 3.3 }
    tcp-request content accept if { req.ssl_hello_type 1 }
    default_backend tls
backend tls
    mode tcp
    server one unix@$folder/tls
frontend two
    bind unix@$folder/tls ssl crt $rsa
"""
_NGINX = """
daemon off; pid $folder/pid; error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path $folder/a; proxy_temp_path $folder/b; fastcgi_temp_path $folder/c;
    uwsgi_temp_path $folder/d; scgi_temp_path $folder/e;
    server {
        listen 127.0.0.1:$port ssl;
        ssl_certificate $rsa; ssl_certificate_key $rsa;
        ssl_protocols TLSv1.1 TLSv1.2;
        ssl_ciphers DEFAULT:@SECLEVEL=0;
    }
}
"""
_APACHE = """
ServerRoot $folder
ServerName localhost
PidFile $folder/pid
Listen 127.0.0.1:$port
ErrorLog $folder/log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Mutex file:$folder default
SSLEngine on
SSLCertificateFile $rsa
SSLCertificateKeyFile $rsa
SSLProtocol -all +TLSv1.2
"""
_JAVA = """
import java.io.*; import java.security.*; import javax.net.ssl.*; import java.net.*;
public class Server {
    public static void main(String[] versions) throws Exception {
        Security.setProperty("jdk.tls.disabledAlgorithms", "");
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream("$rsa.p12"), "secret".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(store, "secret".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket($port, 50, InetAddress.getByName("127.0.0.1"));
        server.setEnabledProtocols(versions);
        while (true) {
            SSLSocket one = (SSLSocket) server.accept();
            new Thread(() -> {
                try (one) { one.setSoTimeout(5000); one.getInputStream().read(); }
                catch (IOException error) { }
            }).start();
        }
    }
}
"""
_NODE = """
const https = require('https'), fs = require('fs');
const pem = fs.readFileSync('$rsa');
https.createServer({key: pem, cert: pem, minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0'},
    (request, answer) => answer.end()).listen($port, '127.0.0.1');
"""
_CADDY = """
{
    admin off
    auto_https off
    storage file_system $folder
}
https://localhost:$port {
    tls $rsa $rsa
    respond ok
}
"""

_OTHERS = [
    Server(
        "Python ssl, its defaults",
        "1.2 1.3",
        "$python $folder/server.py",
        (("server.py", _PYTHON + _SERVE),),
    ),
    Server(
        "Python ssl, lowered",
        "1.0 1.1 1.2 1.3",
        "$python $folder/server.py",
        (("server.py", _PYTHON + _LOWERED + _SERVE),),
    ),
    Server(
        "gunicorn",
        "1.2 1.3",
        "$python -m gunicorn --chdir $folder --threads 4 --bind 127.0.0.1:$port "
        "--certfile $rsa --keyfile $rsa app:app",
        (("app.py", _APP),),
    ),
    Server(
        "granian (rustls)",
        "1.2 1.3",
        "$python -m granian --interface wsgi --working-dir $folder --port $port "
        "--ssl-certificate $rsa --ssl-keyfile $rsa --ssl-protocol-min tls1.2 app:app",
        (("app.py", _APP),),
    ),
    Server("grpcio (BoringSSL)", "1.2 1.3", "$python $folder/server.py", (("server.py", _GRPC),)),
    Server(
        "haproxy, 1.0 to 1.2, strict-sni",
        "1.0 1.1 1.2",
        "haproxy -db -q -f $folder/haproxy.cfg",
        (("haproxy.cfg", _HAPROXY + _STRICT),),
    ),
    Server(
        # It reads the highest version of the hello, and closes without an alert.
        "haproxy, closes below 1.2",
        "1.2 1.3",
        "haproxy -db -q -f $folder/haproxy.cfg",
        (("haproxy.cfg", _HAPROXY + _CLOSES),),
    ),
    Server(
        "nginx, 1.1 and 1.2",
        "1.1 1.2",
        "nginx -c $folder/nginx.conf -p $folder",
        (("nginx.conf", _NGINX),),
    ),
    Server(
        "apache2, 1.2",
        "1.2",
        "apache2 -DFOREGROUND -f $folder/apache.conf",
        (("apache.conf", _APACHE),),
    ),
    Server(
        "redis-server, 1.2",
        "1.2",
        "redis-server --port 0 --tls-port $port --bind 127.0.0.1 --tls-protocols TLSv1.2 "
        "--tls-cert-file $rsa --tls-key-file $rsa --tls-ca-cert-file $rsa --tls-auth-clients no "
        "--dir $folder --save ''",
    ),
    *(
        Server(
            f"GnuTLS, {name}",
            accepts,
            f"gnutls-serv --port $port --http --x509keyfile $rsa --x509certfile $rsa "
            f"--priority {priority}",
        )
        for name, accepts, priority in (
            ("1.2 and 1.3", "1.2 1.3", "NORMAL:-VERS-TLS1.1:-VERS-TLS1.0"),
            ("1.0 and 1.1", "1.0 1.1", "NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1"),
            ("1.0 to 1.3", "1.0 1.1 1.2 1.3", "NORMAL:+VERS-ALL"),
        )
    ),
    Server(
        "Java, SSLv3 to 1.2",
        "SSLv3 1.0 1.1 1.2",
        "java $folder/Server.java SSLv3 TLSv1 TLSv1.1 TLSv1.2",
        (("Server.java", _JAVA),),
    ),
    Server("Java, 1.3", "1.3", "java $folder/Server.java TLSv1.3", (("Server.java", _JAVA),)),
    Server(
        "Node.js, lowered", "1.0 1.1 1.2 1.3", "node $folder/server.js", (("server.js", _NODE),)
    ),
    Server(
        "caddy (Go)",
        "1.2 1.3",
        "caddy run --adapter caddyfile --config $folder/Caddyfile",
        (("Caddyfile", _CADDY),),
    ),
]

_STARTTLS = [
    Server(f"{program} ({protocol}), {level}", accepts, f"{program} {level}", starttls=protocol)
    for program, protocol, level, accepts in (
        ("postfix", "smtp", "legacy", "1.0 1.1 1.2 1.3"),
        ("postfix", "smtp", "modern", "1.2 1.3"),
        ("dovecot", "imap", "legacy", "1.0 1.1 1.2 1.3"),
        ("vsftpd", "ftp", "legacy", "1.0 1.1 1.2 1.3"),
        ("slapd", "ldap", "legacy", "1.0 1.1 1.2 1.3"),
        ("slapd", "ldap", "modern", "1.2 1.3"),
        ("postgres", "postgres", "legacy", "1.0 1.1 1.2 1.3"),
        ("mariadbd", "mysql", "legacy", "1.0 1.1 1.2 1.3"),
        ("prosody", "xmpp", "legacy", "1.0 1.1 1.2 1.3"),
    )
]

SERVERS = {server.name: server for server in (*_TLSLITE, *_OPENSSL, *_OTHERS, *_STARTTLS)}
