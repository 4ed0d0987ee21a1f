"""Issues with the command line, and checks with libraries that know nothing of taskpass.

Called by run.sh with a development broker running and its exports in the environment. Prints one
line for each check; exits with 1 at the first that does not hold.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

TASKPASS, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
HTTP = os.environ["TASKPASS_HTTP"]
BOT = WORK / "dev/identities/invoice-bot"
LEDGER, ARCHIVE = "https://ledger.example", "https://archive.example"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# A revocation must show in the list that a certificate names within this.
CRL_BOUND = 3.0


def check(holds, what):
    print(("ok      " if holds else "FAILED  ") + what, flush=True)
    if not holds:
        sys.exit(1)


def taskpass(*args, identity=None):
    """Runs a command as the operator, or as `identity`, and reads its JSON."""
    prefix = [TASKPASS, "-o", "json"] + (["--identity", str(identity)] if identity else [])
    done = subprocess.run([*prefix, *args], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        check(False, f"taskpass {' '.join(args)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read(), reply.headers


def refused(error, token, key, **expect):
    try:
        jwt.decode(token, key, algorithms=["ES256", "EdDSA"], **expect)
    except error:
        return True
    return False


def tokens(task):
    """Both algorithms, by the discovery document alone."""
    document, _ = fetch(f"{HTTP}/.well-known/openid-configuration")
    discovery = json.loads(document)
    check(discovery["issuer"] == HTTP, "the discovery document names the issuer that was asked")
    _, headers = fetch(discovery["jwks_uri"])
    kind = headers["Content-Type"]
    check(kind == "application/jwk-set+json", f"the keys are {kind}")
    check(headers["ETag"] and "max-age=300" in headers["Cache-Control"], "the keys can be cached")
    keys = jwt.PyJWKClient(discovery["jwks_uri"])
    for target, scope, alg in [(LEDGER, "invoices:read", "ES256"), (ARCHIVE, "files:read", "EdDSA")]:
        issued = taskpass(
            "issue", "token", "--task", task, "--target", target, "--scope", scope, identity=BOT
        )
        token = issued["token"]
        header = jwt.get_unverified_header(token)
        check(header["typ"] == "at+jwt" and header["alg"] == alg, f"{alg}: the header is {header}")
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key,
            algorithms=discovery["id_token_signing_alg_values_supported"],
            audience=target,
            issuer=discovery["issuer"],
            options={"require": ["exp", "iat", "nbf", "jti", "iss", "aud", "sub"]},
        )
        check(claims["scope"] == scope, f"{alg}: PyJWT accepts it")
        check(claims["jti"] == issued["credential_id"], f"{alg}: jti is the credential's id")
        check(claims["client_id"] == "invoice-bot", f"{alg}: client_id is the agent")
        (details,) = claims["authorization_details"]
        check(
            details["type"] == "urn:taskpass:task" and details["task_id"] == task,
            f"{alg}: it names its task",
        )
        wrong = {"audience": "https://other.example", "issuer": HTTP}
        check(refused(jwt.InvalidAudienceError, token, key, **wrong), f"{alg}: not for another API")
        head, payload, signature = token.split(".")
        bent = ".".join([head, payload, ("A" if signature[0] != "A" else "B") + signature[1:]])
        right = {"audience": target, "issuer": HTTP}
        check(refused(jwt.InvalidSignatureError, bent, key, **right), f"{alg}: not with another signature")


def certificate(task):
    """The profile, field by field; returns the folder, the certificate and its list's URL."""
    out = WORK / "certificate"
    issued = taskpass("issue", "cert", "--task", task, "--out", str(out), identity=BOT)
    leaf, issuing = x509.load_pem_x509_certificates((out / "cert.pem").read_bytes())
    leaf.verify_directly_issued_by(issuing)
    check(True, "pyca/cryptography: the issuing authority signed it")
    serial = 0
    for letter in issued["credential_id"]:
        serial = serial * 32 + CROCKFORD.index(letter)
    check(leaf.serial_number == serial, "the serial number is the credential's id")
    check(len(list(leaf.subject)) == 0, "the subject is empty")
    extension = leaf.extensions.get_extension_for_oid
    names = extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    expected = [f"spiffe://dev.taskpass.test/agent/invoice-bot/task/{task}"]
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    check(names.critical and len(list(names.value)) == 1 and uris == expected, f"one critical name: {uris}")
    uses = list(extension(ExtensionOID.EXTENDED_KEY_USAGE).value)
    check(uses == [ExtendedKeyUsageOID.CLIENT_AUTH], "for client authentication only")
    usage = extension(ExtensionOID.KEY_USAGE).value
    check(
        usage.digital_signature and not (usage.key_cert_sign or usage.crl_sign or usage.key_agreement),
        "digitalSignature, and neither certificates nor lists",
    )
    check(not extension(ExtensionOID.BASIC_CONSTRAINTS).value.ca, "no authority")
    above = issuing.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value
    below = extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value
    check(below.key_identifier == above.digest, "the authority's key identifier is the issuer's")
    ours = [e for e in leaf.extensions if e.oid.dotted_string.startswith("2.25.")]
    check(len(ours) == 1 and not ours[0].critical, "one extension of ours, not critical")
    ends = datetime.datetime.fromisoformat(issued["expires_at"].replace("Z", "+00:00"))
    check(leaf.not_valid_after_utc < ends, "notAfter, which counts in, lies before the expiry")
    (point,) = extension(ExtensionOID.CRL_DISTRIBUTION_POINTS).value
    return out, leaf, issuing, point.full_name[0].value


def revocation(task, out, leaf, issuing, url):
    """OpenSSL before and after, with the list that the certificate names."""
    anchors, chain, listed = out / "ca.pem", out / "cert.pem", WORK / "list.pem"
    code, said = openssl("verify", "-CAfile", str(anchors), str(chain))
    check(code == 0, f"openssl verify: {said.strip()}")

    def judge():
        revocations = x509.load_der_x509_crl(fetch(url)[0])
        listed.write_bytes(revocations.public_bytes(Encoding.PEM))
        return revocations, openssl(
            "verify", "-crl_check", "-CAfile", str(anchors), "-CRLfile", str(listed), str(chain)
        )

    def judge_whole_chain(*more):
        root = x509.load_der_x509_crl(fetch(f"{HTTP}/crl/root.crl")[0])
        both = WORK / "lists.pem"
        both.write_bytes(listed.read_bytes() + root.public_bytes(Encoding.PEM))
        return openssl(
            "verify", "-crl_check_all", *more, "-CAfile", str(anchors), "-CRLfile", str(both), str(chain)
        )

    before, (code, said) = judge()
    check(code == 0, f"openssl verify -crl_check, before: {said.strip()}")
    code, said = judge_whole_chain()
    check(code == 0, f"openssl verify -crl_check_all, with the root's list, before: {said.strip()}")
    behind = str(int(time.time()) - 30)
    code, said = judge_whole_chain("-attime", behind)
    check(code == 0, f"and with a clock that is 30 s behind: {said.strip()}")
    check(before.is_signature_valid(issuing.public_key()), "the list is signed by the issuing authority")
    idp = before.extensions.get_extension_for_oid(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
    check(idp.critical and idp.value.full_name[0].value == url, "its distribution point is critical and matches")
    revoked = taskpass("revoke", "--task", task, "--reason", "interop")
    check(revoked["exact"] and revoked["credentials"] == 3, "the revocation ended three credentials")
    began = time.monotonic()
    after, (code, said) = judge()
    while code == 0 and time.monotonic() - began < CRL_BOUND:
        time.sleep(0.05)
        after, (code, said) = judge()
    took = time.monotonic() - began
    check(code != 0 and "certificate revoked" in said, f"openssl verify -crl_check, after {took:.3f} s: revoked")
    check(
        after.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None,
        "pyca/cryptography finds the serial number on the list",
    )
    number = lambda crl: crl.extensions.get_extension_for_oid(ExtensionOID.CRL_NUMBER).value.crl_number
    check(number(after) > number(before), "the newer list has the higher number")
    code, said = judge_whole_chain()
    check(code != 0 and "certificate revoked" in said, "openssl verify -crl_check_all says the same")


def main():
    taskpass(
        "target", "register", ARCHIVE, "--risk", "low", "--scope", "files:read=read", "--token-alg", "EdDSA"
    )
    read, archive = f"{LEDGER}#invoices:read", f"{ARCHIVE}#files:read"
    taskpass("agent", "update", "invoice-bot", "--scope", read, "--scope", archive)
    task = taskpass(
        "task", "start", "--purpose", "interop", "--scope", read, "--scope", archive, identity=BOT
    )["task_id"]
    tokens(task)
    revocation(task, *certificate(task))


main()
