"""Makes what nobody may accept, out of what the broker issued.

forged/NAME/{cert,key}.pem: certificates that look like a task's.
forged/tokens.json: texts that look like a token for the ledger, by name.
"""

import base64
import datetime
import hashlib
import hmac
import json

from common import HTTP, LEDGER, WORK, fetch, holder
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt import PyJWK

HOLDER = "forged"


def encode(data):
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def twin(model, key, issuer_name, issuer_key):
    """A certificate with every field and extension of `model`, for another key, by another key."""
    made = (
        x509.CertificateBuilder()
        .subject_name(model.subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(model.serial_number)
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
    )
    for extension in model.extensions:
        made = made.add_extension(extension.value, extension.critical)
    return made.sign(issuer_key, hashes.SHA256())


def write(name, key, *chain):
    out = WORK / "forged" / name
    out.mkdir(parents=True)
    out.joinpath("cert.pem").write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in chain))
    out.joinpath("key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def certificates():
    _, folder = holder(HOLDER)
    leaf, issuing = x509.load_pem_x509_certificates((folder / "client/cert.pem").read_bytes())
    leaf_key = serialization.load_pem_private_key((folder / "client/key.pem").read_bytes(), None)
    new = lambda: ec.generate_private_key(ec.SECP256R1())

    # Of an authority with the same name and the same key identifiers.
    key, authority = new(), new()
    sibling = twin(issuing, authority, issuing.issuer, new())
    write("sibling", key, twin(leaf, key, issuing.subject, authority), sibling)
    # The same, but beneath the certificate of the real authority.
    write("signature", key, twin(leaf, key, issuing.subject, authority), issuing)
    # Signed by what was given to a task: a leaf that acts as an authority.
    below = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
    )
    for extension in leaf.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            below = below.add_extension(extension.value, extension.critical)
    aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(leaf_key.public_key())
    write("leaf-as-ca", key, below.add_extension(aki, False).sign(leaf_key, hashes.SHA256()), leaf, issuing)


def tokens():
    held, _ = holder(HOLDER)
    keys = json.loads(fetch(f"{HTTP}/.well-known/jwks.json")[0])["keys"]
    token = held["es256"]
    head, payload, signature = token.split(".")
    header = json.loads(decode(head))
    own = next(k for k in keys if k["kid"] == header["kid"])
    of = lambda alg: next(k["kid"] for k in keys if k["alg"] == alg and k["kid"] != header["kid"])
    public = PyJWK(own).key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def with_header(**change):
        return f"{encode({**header, **change})}.{payload}.{signature}"

    def hs256(secret):
        text = f"{encode({**header, 'alg': 'HS256'})}.{payload}"
        return f"{text}.{encode(hmac.digest(secret, text.encode(), hashlib.sha256))}"

    claims = json.loads(decode(payload))
    raised = encode({**claims, "scope": "payments:send"})
    forged = {
        "none": f"{encode({**header, 'alg': 'none'})}.{payload}.",
        "none, with a signature": with_header(alg="none"),
        "HS256 by the public key in PEM": hs256(pem),
        "HS256 by the public key as a point": hs256(
            public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        ),
        "kid of the slot's next key": with_header(kid=of("ES256")),
        "kid of the other algorithm's slot": with_header(kid=of("EdDSA")),
        "alg of the other slot": with_header(alg="EdDSA"),
        "kid of no key": with_header(kid=encode(hashlib.sha256(b"no key").digest())),
        "a scope more": f"{head}.{raised}.{signature}",
        "another signature": f"{head}.{payload}.{encode(bytes(64))}",
        "a signature in DER": f"{head}.{payload}.{encode(bytes.fromhex('3006020101020101'))}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "one part": head,
        "no payload": f"{head}..{signature}",
        "four parts": f"{token}.{signature}",
        "half a signature": f"{head}.{payload}.{encode(decode(signature)[:32])}",
        "half a payload": f"{head}.{payload[: len(payload) // 8 * 4]}.{signature}",
        "half a header": f"{head[: len(head) // 2]}.{payload}.{signature}",
        "a status list": fetch(claims["status"]["status_list"]["uri"])[0].decode(),
        "a token for a cloud": held["cloud"],
    }
    (WORK / "forged/tokens.json").write_text(json.dumps(forged))
    ends = datetime.datetime.fromtimestamp(claims["exp"], datetime.UTC)
    assert claims["aud"] == LEDGER and ends > datetime.datetime.now(datetime.UTC)
