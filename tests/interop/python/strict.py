"""What is signed well and says something wrong, judged by `taskpass verify`.

No broker signs such tokens. So another issuer is set up here, with keys of its own, and `taskpass verify`
is pointed at it: what a compromised or careless issuer can sign must still be refused, each for its own reason.
The forgeries of the real broker's tokens follow, against the real broker.
"""

import hashlib
import http.server
import json
import secrets
import threading
import time

from common import ARCHIVE, HTTP, LEDGER, TASKPASS, WORK, check, fetch, holder, run
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from forge import decode, encode

HELD, _ = holder("python")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TEXT = WORK / "strict.jwt"


class Key:
    """A signing key, and its public half as in a JWKS."""

    def __init__(self, alg):
        self.alg = alg
        if alg == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            public = {"crv": "P-256", "kty": "EC", "x": encode(point[1:33]), "y": encode(point[33:])}
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            public = {"crv": "Ed25519", "kty": "OKP", "x": encode(raw)}
        canonical = json.dumps(public, separators=(",", ":"), sort_keys=True)
        self.kid = encode(hashlib.sha256(canonical.encode()).digest())
        self.jwk = {**public, "use": "sig", "alg": alg, "kid": self.kid}

    def signature(self, text):
        if self.alg == "EdDSA":
            return self.private.sign(text)
        r, s = decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, payload, **header):
        """`payload` may be claims, or the bytes themselves. A header member of None is left out."""
        header = {"alg": self.alg, "typ": "at+jwt", "kid": self.kid, **header}
        text = f"{encode({k: v for k, v in header.items() if v is not None})}.{encode(payload)}"
        return f"{text}.{encode(self.signature(text.encode()))}"


ES256, EDDSA = Key("ES256"), Key("EdDSA")


class Issuer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = f"http://127.0.0.1:{self.server.server_port}"
        bodies = {
            "/.well-known/openid-configuration": METADATA | {"issuer": url, "jwks_uri": f"{url}/.well-known/jwks.json"},
            "/.well-known/jwks.json": {"keys": [ES256.jwk, EDDSA.jwk]},
        }
        bodies["/.well-known/oauth-authorization-server"] = bodies["/.well-known/openid-configuration"]
        body = ANCHORS if self.path == "/ca.pem" else json.dumps(bodies.get(self.path, {})).encode()
        self.send_response(200 if self.path == "/ca.pem" or self.path in bodies else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


METADATA = json.loads(fetch(f"{HTTP}/.well-known/openid-configuration")[0])
ANCHORS = fetch(f"{HTTP}/ca.pem")[0]
SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{SERVER.server_port}"


def identifier(ends):
    """An id whose first 48 bits are the end, as the broker makes them."""
    number = (int(ends) * 1000 << 80) | secrets.randbits(80)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def claims(alg="es256", lifetime=300, since=0, **change):
    """Those of a good token, made now."""
    now = int(time.time()) + since
    good = json.loads(decode(HELD[alg].split(".")[1]))
    good |= {"iss": URL, "iat": now, "nbf": now, "exp": now + lifetime, "jti": identifier(now + lifetime)}
    good |= change
    return {k: v for k, v in good.items() if v is not ...}


def verify(token, audience=LEDGER, url=URL, feed=False):
    TEXT.write_text(token)
    more = [] if feed else ["--no-feed"]
    code, said = run(TASKPASS, "--http-url", url, "verify", *more, "--token-file", TEXT, "--audience", audience)
    lines = [line for line in said.strip().splitlines() if not line.startswith("WARNING")]
    return code, lines[0]


def refused(what, token, word, why="", **more):
    """With that word at the begin, which is stable, and the reason behind it."""
    code, said = verify(token, **more)
    named = said.startswith(f"{word}: ") and why in said
    check(code == 1 and named, f"taskpass verify refuses {what}: {said}")


def raw(**change):
    """The claims as text, each value as it is given."""
    good = {name: json.dumps(value) for name, value in claims().items()} | change
    return "{%s}" % ",".join(f'"{name}":{value}' for name, value in good.items())


def accepted():
    """Without this, what follows would show nothing."""
    for what, token, audience in [
        ("ES256", ES256.sign(claims()), LEDGER),
        ("EdDSA", EDDSA.sign(claims("eddsa")), ARCHIVE),
        ("an audience that is a list of one", ES256.sign(claims(aud=[LEDGER])), LEDGER),
        ("claims that it does not know", ES256.sign(claims(extra=1)), LEDGER),
        ("an hour, the longest", ES256.sign(claims(lifetime=3600)), LEDGER),
    ]:
        code, said = verify(token, audience)
        check(code == 0, f"taskpass verify accepts another issuer's: {what} ({said})")


def audience():
    other = "https://other.example"
    for what, value, word, why in [
        ("another audience", other, "TOKEN_AUDIENCE", "the token is for"),
        ("a list of another", [other], "TOKEN_AUDIENCE", "the token is for"),
        ("the audience with another port", f"{LEDGER}:8443", "TOKEN_AUDIENCE", "the token is for"),
        ("the audience with more behind", f"{LEDGER}.evil", "TOKEN_AUDIENCE", "the token is for"),
        ("the audience and another", [LEDGER, other], "TOKEN_MALFORMED", "expected exactly one audience"),
        ("another and the audience", [other, LEDGER], "TOKEN_MALFORMED", "expected exactly one audience"),
        ("the audience twice", [LEDGER, LEDGER], "TOKEN_MALFORMED", "expected exactly one audience"),
        ("an empty list", [], "TOKEN_MALFORMED", "expected exactly one audience"),
        ("a list in a list", [[LEDGER]], "TOKEN_MALFORMED", "invalid type: sequence, expected a string"),
        ("an object", {LEDGER: True}, "TOKEN_MALFORMED", "invalid type: map"),
        ("a number", 1, "TOKEN_MALFORMED", "invalid type: integer"),
        ("null", None, "TOKEN_MALFORMED", "invalid type: null"),
        ("an empty text", "", "TOKEN_MALFORMED", "the claim `aud` has a wrong value"),
        ("no audience", ..., "TOKEN_MALFORMED", "missing field `aud`"),
    ]:
        refused(f"aud: {what}", ES256.sign(claims(aud=value)), word, why)


def times():
    now = int(time.time())
    for what, value, why in [
        ("a text", json.dumps(str(now + 300)), "invalid type: string"),
        ("a float", f"{now + 300}.0", "invalid type: floating point"),
        ("an exponent", "2e9", "invalid type: floating point"),
        ("too large for 64 bits", "1" + "0" * 30, "invalid type: floating point"),
        ("too large for a float", "1e999", "number out of range"),
        ("negative", "-1", "invalid value: integer"),
        ("true", "true", "invalid type: boolean"),
        ("null", "null", "invalid type: null"),
    ]:
        refused(f"exp: {what}", ES256.sign(raw(exp=value).encode()), "TOKEN_MALFORMED", why)
    refused("exp: none", ES256.sign(claims(exp=...)), "TOKEN_MALFORMED", "missing field `exp`")
    for what, token, why in [
        ("exp: in centuries", claims(exp=16725225600), "contradict each other"),
        ("exp: another than its id says", claims(exp=now + 900), "contradict each other"),
        ("a life of an hour and a second", claims(lifetime=3601), "the token's lifetime"),
        ("an end before its begin", claims(lifetime=-1), "the token's lifetime"),
    ]:
        refused(what, ES256.sign(token), "TOKEN_LIFETIME", why)
    refused("its end, which does not count in", ES256.sign(claims(since=-300)), "TOKEN_EXPIRED")
    refused("one second past its end", ES256.sign(claims(since=-301)), "TOKEN_EXPIRED")
    refused("one of an hour ago", ES256.sign(claims(since=-3600)), "TOKEN_EXPIRED")
    refused("one of in five minutes", ES256.sign(claims(since=300)), "TOKEN_NOT_YET_VALID", "issued in the future")
    refused("nbf: in five minutes", ES256.sign(claims(nbf=now + 290)), "TOKEN_NOT_YET_VALID", "not valid yet")


def shape():
    soon = str(int(time.time()) + 300)
    for name, value in [("exp", soon), ("aud", json.dumps(LEDGER)), ("iss", json.dumps(URL))]:
        text = raw()
        for twice in [f'{text[:-1]},"{name}":{value}}}', f'{{"{name}":{value},{text[1:]}']:
            refused(f"{name} twice", ES256.sign(twice.encode()), "TOKEN_MALFORMED", f"duplicate field `{name}`")
    refused("a payload that is a list", ES256.sign(b"[]"), "TOKEN_MALFORMED", "expected an object")
    refused("a payload that is no JSON", ES256.sign(b"exp=1"), "TOKEN_MALFORMED", "expected value")
    refused(
        "another way of binding", ES256.sign(claims(cnf={"jkt": "x"})), "TOKEN_MALFORMED", "unknown field `jkt`"
    )
    bound = claims(cnf={"x5t#S256": encode(bytes(32))})
    refused("a bound one without its certificate", ES256.sign(bound), "TOKEN_BINDING", "none was presented")
    for typ in ["JWT", "statuslist+jwt", "AT+JWT", "application/at+jwt", "", None]:
        refused(f"typ: {typ!r}", ES256.sign(claims(), typ=typ), "TOKEN_MALFORMED", "the token's type is not")
    for name, value in [
        ("crit", ["exp"]),
        ("jku", f"{URL}/.well-known/jwks.json"),
        ("jwk", ES256.jwk),
        ("x5u", URL),
        ("zip", "DEF"),
        ("b64", False),
        ("cty", "JWT"),
    ]:
        refused(
            f"the header member {name}",
            ES256.sign(claims(), **{name: value}),
            "TOKEN_MALFORMED",
            f"unknown field `{name}`",
        )
    refused("another issuer", ES256.sign(claims(iss=HTTP)), "TOKEN_ISSUER", "another issuer")
    refused("its issuer with a slash", ES256.sign(claims(iss=f"{URL}/")), "TOKEN_ISSUER", "another issuer")
    task = f"spiffe://dev.taskpass.test/agent/invoice-bot/task/{HELD['task']}"
    refused("a task as subject", ES256.sign(claims(sub=task)), "TOKEN_ISSUER", "subject is no agent")
    refused(
        "another subject than its client",
        ES256.sign(claims(client_id="payout-bot")),
        "TOKEN_ISSUER",
        "subject is no agent",
    )


def keys():
    refused("no kid", ES256.sign(claims(), kid=None), "TOKEN_UNTRUSTED", "the token names no key")
    refused(
        "a kid that is a path", ES256.sign(claims(), kid="../../dev/null"), "TOKEN_UNTRUSTED", "the token names no key"
    )
    refused(
        "the kid of the other slot",
        ES256.sign(claims(), kid=EDDSA.kid),
        "TOKEN_UNTRUSTED",
        "algorithm is not that of its key",
    )
    other = ES256.sign(claims(), kid=EDDSA.kid, alg="EdDSA")
    refused("alg and kid of the other slot", other, "TOKEN_UNTRUSTED", "the token's signature is wrong")
    for alg in ["none", "None", "HS256", "ES384", "RS256", "Ed25519", ""]:
        refused(
            f"alg: {alg!r}", ES256.sign(claims(), alg=alg), "TOKEN_UNTRUSTED", "algorithm is not that of its key"
        )
    refused(
        "a key that the issuer does not publish", Key("ES256").sign(claims()), "TOKEN_UNTRUSTED", "which is not trusted"
    )
    forged = ES256.sign(claims(iss=HTTP))
    refused(
        "one by a key of another issuer", forged, "TOKEN_UNTRUSTED", "which is not trusted", url=HTTP, feed=True
    )
    refused("the broker's, at the other issuer", HELD["es256"], "TOKEN_UNTRUSTED", "which is not trusted")


PARTS = ("TOKEN_MALFORMED", "not three non-empty parts")
BASE64 = ("TOKEN_MALFORMED", "is not canonical base64url")
ALGORITHM = ("TOKEN_UNTRUSTED", "algorithm is not that of its key")
SIGNATURE = ("TOKEN_UNTRUSTED", "the token's signature is wrong")
REASONS = {
    "none": PARTS,
    "none, with a signature": ALGORITHM,
    "HS256 by the public key in PEM": ALGORITHM,
    "HS256 by the public key as a point": ALGORITHM,
    "kid of the slot's next key": SIGNATURE,
    "kid of the other algorithm's slot": ALGORITHM,
    "alg of the other slot": ALGORITHM,
    "kid of no key": ("TOKEN_UNTRUSTED", "which is not trusted"),
    "a scope more": SIGNATURE,
    "another signature": SIGNATURE,
    "a signature in DER": SIGNATURE,
    "no signature": PARTS,
    "two parts": PARTS,
    "one part": PARTS,
    "no payload": PARTS,
    "four parts": PARTS,
    "half a signature": SIGNATURE,
    "half a payload": ("TOKEN_MALFORMED", ""),
    "half a header": ("TOKEN_MALFORMED", ""),
    "a status list": ("TOKEN_MALFORMED", "missing field"),
    "a token for a cloud": ("TOKEN_MALFORMED", "the token's type is not"),
}


def forged():
    """The same forgeries that the libraries see, with the feed."""
    code, _ = verify(HELD["es256"], url=HTTP, feed=True)
    check(code == 0, "taskpass verify accepts the broker's own")
    for name, token in json.loads((WORK / "forged/tokens.json").read_text()).items():
        refused(name, token, *REASONS[name], url=HTTP, feed=True)
    refused("padding behind it", HELD["es256"] + "==", *BASE64, url=HTTP, feed=True)
    refused("a line end in it", HELD["es256"][:40] + "\n" + HELD["es256"][40:], *BASE64, url=HTTP, feed=True)


accepted()
audience()
times()
shape()
keys()
forged()
