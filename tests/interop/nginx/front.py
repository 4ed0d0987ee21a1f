"""Runs nginx with its configuration here, as an unprivileged user, with the broker's anchors and lists.

An API behind it tells the SPIFFE name that it was given. A task's certificate gets in until it is revoked and
nginx has read the lists again.
"""

import atexit
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from common import HTTP, IDENTITIES, WORK, check, fetch, figure, holder, revoke, wait_until
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

NOBODY = 65534
HERE = pathlib.Path(__file__).parent
HELD, FOLDER = holder("nginx")
OTHER, OTHER_FOLDER = holder("nginx-other")
PREFIX = pathlib.Path(tempfile.mkdtemp(prefix="nginx-"))


class Api(http.server.BaseHTTPRequestHandler):
    """Answers with the names in the certificate that the front passed on."""

    def do_GET(self):
        pem = urllib.parse.unquote(self.headers["X-Client-Certificate"])
        leaf = x509.load_pem_x509_certificate(pem.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        body = names.get_values_for_type(x509.UniformResourceIdentifier)[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_lists():
    """Every list that the broker names, and the root's. In place at once: nginx may be reading."""
    urls = [*json.loads(fetch(f"{HTTP}/crl")[0])["crls"], f"{HTTP}/crl/root.crl"]
    lists = [x509.load_der_x509_crl(fetch(url)[0]).public_bytes(Encoding.PEM) for url in dict.fromkeys(urls)]
    new = PREFIX / "crls.new"
    new.write_bytes(b"".join(lists))
    new.rename(PREFIX / "crls.pem")
    return len(lists)


def start():
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    port = free_port()
    text = (HERE / "nginx.conf").read_text()
    for name, value in {"FOLDER": PREFIX, "PORT": port, "UPSTREAM": api.server_port}.items():
        text = text.replace(f"@{name}@", str(value))
    (PREFIX / "nginx.conf").write_text(text)
    (PREFIX / "ca.pem").write_bytes(fetch(f"{HTTP}/ca.pem")[0])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", PREFIX / "server.key", "-out", PREFIX / "server.pem"],
        check=True,
        capture_output=True,
    )
    count = write_lists()
    own = {}
    if os.getuid() == 0:
        for path in [PREFIX, *PREFIX.iterdir()]:
            os.chown(path, NOBODY, NOBODY)
        own = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    errors = (WORK / "nginx.err").open("w")
    command = ["nginx", "-p", f"{PREFIX}/", "-c", f"{PREFIX}/nginx.conf", "-e", f"{PREFIX}/error.log"]
    server = subprocess.Popen(command, stderr=errors, stdin=subprocess.DEVNULL, **own)
    atexit.register(stop, server)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if server.poll() is not None:
            break
        time.sleep(0.05)
    running = server.poll() is None
    said = "" if running else (WORK / "nginx.err").read_text() + (PREFIX / "error.log").read_text()
    check(running, f"nginx runs, unprivileged, with {count} lists{said}")
    return server, port


def stop(server):
    server.terminate()
    server.wait(10)
    shutil.rmtree(PREFIX)


def ask(port, folder=None):
    """A new connection and one request: the status, the body, and what nginx says in its log meanwhile."""
    context = ssl.create_default_context(cafile=str(PREFIX / "server.pem"))
    if folder:
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    log = PREFIX / "error.log"
    before = log.stat().st_size
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("GET", "/")
        reply = connection.getresponse()
        status, body = reply.status, reply.read().decode()
    finally:
        connection.close()
    with log.open() as lines:
        lines.seek(before)
        why = [line for line in lines if "client SSL certificate" in line or "no required SSL" in line]
    return status, body, why[-1].split(" while ")[0].split(": ", 1)[1].split(" client ", 1)[-1] if why else ""


def main():
    server, port = start()
    name = lambda held: f"spiffe://dev.taskpass.test/agent/invoice-bot/task/{held['task']}"
    for certificate in ["client", "long", "svid"]:
        status, body, why = ask(port, FOLDER / certificate)
        check(status == 200 and body == name(HELD), f"nginx lets {certificate} in, and the API is told {body}{why}")
    for what, folder, reason in [
        ("nobody", None, "no required SSL certificate"),
        ("a sibling authority's", WORK / "forged/sibling", "certificate signature failure"),
        ("what the authority did not sign", WORK / "forged/signature", "certificate signature failure"),
        ("what a task's certificate signed", WORK / "forged/leaf-as-ca", "unable to verify the first certificate"),
        # nginx goes on after the first error, and logs the last: there is no list of its authority either.
        ("an agent's identity", IDENTITIES / "invoice-bot", "unable to get certificate CRL"),
    ]:
        status, _, why = ask(port, folder)
        check(status == 400 and reason in why, f"nginx refuses {what}: {status} {why}")

    _, since = revoke(HELD["task"])

    def refused():
        write_lists()
        server.send_signal(signal.SIGHUP)
        return ask(port, FOLDER / "client")[0] != 200

    took = wait_until(refused, since)
    check(took is not None, "nginx refuses a revoked certificate once it has read the lists again")
    figure("revocation acknowledged -> nginx refuses, lists fetched and read again each time", took)
    # Workers of before may still answer for a moment.
    took = wait_until(lambda: all(ask(port, FOLDER / c)[0] == 400 for c in ["client", "long", "svid"]), since)
    check(took is not None, "and every certificate of the task")

    def said():
        status, _, why = ask(port, FOLDER / "client")
        return status == 400 and "certificate revoked" in why

    check(wait_until(said, since) is not None, "nginx refuses the revoked one, and says why")
    status, body, _ = ask(port, OTHER_FOLDER / "client")
    check(status == 200 and body == name(OTHER), "another task's certificate still gets in")


main()
