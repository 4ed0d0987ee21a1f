"""pyca/cryptography on the certificates' profiles and on their lists; whom else they get past."""

import datetime

from common import BOT, BOUND, HTTP, IDENTITIES, WORK, check, fetch, figure, holder, revoke, run, taskpass, wait_until
from common import LEDGER, TASKPASS
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

HELD, FOLDER = holder("python")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def load(name):
    return x509.load_pem_x509_certificates((FOLDER / name / "cert.pem").read_bytes())


def point(leaf):
    (one,) = leaf.extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS).value
    return one.full_name[0].value


def profile(name, uses):
    """Field by field."""
    leaf, issuing = load(name)
    leaf.verify_directly_issued_by(issuing)
    check(True, f"{name}: the issuing authority signed it")
    serial = 0
    for letter in HELD["ids"][name]:
        serial = serial * 32 + CROCKFORD.index(letter)
    check(leaf.serial_number == serial, f"{name}: the serial number is the credential's id")
    check(len(list(leaf.subject)) == 0, f"{name}: the subject is empty")
    extension = leaf.extensions.get_extension_for_oid
    names = extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    expected = [f"spiffe://dev.taskpass.test/agent/invoice-bot/task/{HELD['task']}"]
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    one = names.critical and len(list(names.value)) == 1 and uris == expected
    check(one, f"{name}: one name, critical, a URI: {uris[0]}")
    purposes = set(extension(ExtensionOID.EXTENDED_KEY_USAGE).value)
    check(purposes == uses, f"{name}: extended key usage {sorted(use._name for use in purposes)}")
    usage = extension(ExtensionOID.KEY_USAGE)
    check(
        usage.critical
        and usage.value.digital_signature
        and not (usage.value.key_cert_sign or usage.value.crl_sign or usage.value.key_agreement)
        and not (usage.value.key_encipherment or usage.value.data_encipherment),
        f"{name}: key usage digitalSignature and nothing else, critical",
    )
    basic = extension(ExtensionOID.BASIC_CONSTRAINTS)
    check(basic.critical and not basic.value.ca, f"{name}: no authority, critical")
    above = issuing.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value
    below = extension(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value
    check(below.key_identifier == above.digest, f"{name}: the authority key identifier is the issuer's")
    own = x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()).digest
    found = extension(ExtensionOID.SUBJECT_KEY_IDENTIFIER).value.digest
    check(len(found) == len(own), f"{name}: has a subject key identifier")
    ours = [e for e in leaf.extensions if e.oid.dotted_string.startswith("2.25.")]
    check(len(ours) == 1 and not ours[0].critical, f"{name}: one extension of ours, not critical")
    ends = datetime.datetime.fromisoformat(HELD[f"{name}_expires_at"].replace("Z", "+00:00"))
    second = datetime.timedelta(seconds=1)
    check(
        leaf.not_valid_after_utc < ends <= leaf.not_valid_after_utc + second,
        f"{name}: notAfter, which counts in, is the last second before the expiry",
    )
    ahead = datetime.datetime.now(datetime.UTC) - leaf.not_valid_before_utc
    check(datetime.timedelta(0) < ahead < datetime.timedelta(minutes=3), f"{name}: notBefore is a little ago")
    check(point(leaf).startswith(f"{HTTP}/crl/"), f"{name}: names its list")


def refused_by_ours():
    """`taskpass verify` on a bound token that comes with another certificate than its own."""
    token = FOLDER / "bound.jwt"

    def verify(*more):
        code, said = run(TASKPASS, "verify", "--token-file", token, "--audience", LEDGER, *more)
        return code, said.strip().splitlines()[0]

    code, said = verify("--cert", FOLDER / "client/cert.pem")
    check(code == 0, "taskpass verify accepts a bound token with its certificate")
    other = holder("forged")[1] / "client/cert.pem"
    for what, certificate, reason in [
        ("without a certificate", None, "TOKEN_BINDING"),
        ("with a certificate of another task", other, "TOKEN_BINDING"),
        ("with one of a sibling authority", WORK / "forged/sibling/cert.pem", "TOKEN_UNTRUSTED"),
        ("with one that the authority did not sign", WORK / "forged/signature/cert.pem", "TOKEN_UNTRUSTED"),
        ("with one that a task's certificate signed", WORK / "forged/leaf-as-ca/cert.pem", "TOKEN_UNTRUSTED"),
        ("with an agent's identity", IDENTITIES / "invoice-bot/cert.pem", "TOKEN_UNTRUSTED"),
    ]:
        code, said = verify(*(["--cert", certificate] if certificate else []))
        check(code == 1 and said.startswith(reason), f"taskpass verify refuses it {what}: {said}")


def refused_upstream():
    """The broker's own edge knows other authorities."""
    folder = WORK / "upstream"
    folder.mkdir()
    for name, source in [("cert.pem", FOLDER / "client"), ("key.pem", FOLDER / "client"), ("ca.pem", BOT)]:
        (folder / name).write_bytes((source / name).read_bytes())
        (folder / name).chmod(0o600)
    ask = ("task", "show", HELD["task"])
    code, _ = run(TASKPASS, "--identity", BOT, *ask)
    check(code == 0, "the broker answers the agent")
    code, said = run(TASKPASS, "--identity", folder, *ask)
    check(code == 1, "the broker refuses the task's certificate: " + " ".join(said.split())[:200])


def revocation():
    leaf, issuing = load("client")
    url = point(leaf)
    read = lambda: x509.load_der_x509_crl(fetch(url)[0])
    listed = lambda crl, name: crl.get_revoked_certificate_by_serial_number(load(name)[0].serial_number)
    before = read()
    check(before.is_signature_valid(issuing.public_key()), "the list is signed by the issuing authority")
    check(listed(before, "client") is None, "pyca/cryptography: not on the list before the revocation")
    idp = before.extensions.get_extension_for_oid(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
    check(idp.critical and idp.value.full_name[0].value == url, "its distribution point is critical and matches")
    good_for = before.next_update_utc - datetime.datetime.now(datetime.UTC)
    check(good_for <= datetime.timedelta(minutes=5), f"it is good for {good_for.total_seconds():.0f} s more")

    revoked, since = revoke(HELD["task"])
    expected = len(HELD["ids"])
    check(revoked["exact"] and revoked["credentials"] == expected, f"the revocation ended {expected} credentials")
    took = wait_until(lambda: listed(read(), "client"), since)
    check(took is not None, f"pyca/cryptography: on the list within {BOUND:.0f} s of the revocation")
    figure("revocation acknowledged -> on the certificate's list", took)
    after = read()
    number = lambda crl: crl.extensions.get_extension_for_oid(ExtensionOID.CRL_NUMBER).value.crl_number
    check(number(after) > number(before), "the newer list has the higher number")
    in_two_hours = x509.load_der_x509_crl(fetch(point(load("long")[0]))[0])
    check(point(load("long")[0]) != url, "a certificate that ends in another hour is on another list")
    check(listed(in_two_hours, "long") and not listed(in_two_hours, "client"), "and is on that list only")

    verify = ("verify", "--token-file", FOLDER / "es256.jwt", "--audience", LEDGER)
    code, said = run(TASKPASS, *verify)
    check(code == 1 and said.startswith("TOKEN_REVOKED"), f"taskpass verify: {said.strip().splitlines()[0]}")
    active = taskpass("introspect", "--cert-file", FOLDER / "client/cert.pem")["active"]
    check(active is False, "introspection: not active")


profile("client", {CLIENT})
profile("long", {CLIENT})
profile("svid", {CLIENT, SERVER})
refused_by_ours()
refused_upstream()
revocation()
