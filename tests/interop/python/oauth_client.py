"""Authlib as an agent's client, by private_key_jwt and by its certificate, and as a verifier's."""

import base64
import json
import time

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7523.assertion import private_key_jwt_sign
from common import ARCHIVE, BOT, HTTP, IDENTITIES, LEDGER, WORK, check, discovery, fetch, figure, holder
from common import taskpass, wait_until
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey

HELD, FOLDER = holder("oauth")
METADATA = discovery()
TOKEN, REVOKE = METADATA["token_endpoint"], METADATA["revocation_endpoint"]
INTROSPECT = METADATA["introspection_endpoint"]
ANCHORS = str(BOT / "ca.pem")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWKS = KeySet.import_key_set(json.loads(fetch(METADATA["jwks_uri"])[0]))
# The client's type of key, and the algorithm that is its only one.
KEYS = {"ES256": ECKey.generate_key("P-256"), "EdDSA": OKPKey.generate_key("Ed25519")}


class Assertion(PrivateKeyJWT):
    """Authlib's, but for the issuer as audience and five minutes, which its defaults are not."""

    def __init__(self, alg, **change):
        super().__init__(HTTP, alg=alg)
        self.change = change

    def sign(self, auth, token_endpoint):
        now = int(time.time())
        claims = {"iat": now, "exp": now + 60} | self.change
        audience = claims.pop("aud", token_endpoint)
        return private_key_jwt_sign(auth.client_secret, auth.client_id, audience, alg=self.alg, claims=claims)


def trusting(session, folder=None):
    """Over TLS by the broker's own anchors, whatever the environment says of others."""
    session.trust_env, session.verify = False, ANCHORS
    if folder:
        session.cert = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return session


def by_key(alg="ES256", key=None, client="invoice-bot", folder=None, **change):
    session = OAuth2Session(client, key or KEYS[alg], token_endpoint_auth_method=Assertion(alg, **change))
    return trusting(session, folder)


def by_certificate(name):
    none = {"token_endpoint_auth_method": "none", "revocation_endpoint_auth_method": "none"}
    return trusting(OAuth2Session(name, **none), IDENTITIES / name)


def anonymous():
    return trusting(OAuth2Session("invoice-bot", token_endpoint_auth_method="none"))


def task(**more):
    return json.dumps([{"type": "urn:taskpass:task", "purpose": "interop by OAuth", "ttl": 600, **more}])


def start(session, resource=LEDGER, scope="invoices:read", details=None, **more):
    asked = {"resource": resource, "scope": scope, "authorization_details": details or task(), **more}
    asked = {name: value for name, value in asked.items() if value}
    return session.fetch_token(TOKEN, grant_type="client_credentials", **asked)


def exchange(session, subject, **asked):
    return session.fetch_token(
        TOKEN, grant_type=EXCHANGE, subject_token=subject, subject_token_type=ACCESS_TOKEN, **asked
    )


def refused(what, code, call, *args, **kwargs):
    """With that code of the standard."""
    try:
        call(*args, **kwargs)
    except OAuthError as error:
        check(error.error == code, f"Authlib is refused {what}: {error.error} ({error.description})")
        return
    check(False, f"Authlib is not refused {what}")


def verified(token, audience):
    claims = jwt.decode(token, JWKS, algorithms=["ES256", "EdDSA"]).claims
    check(claims["aud"] == audience and claims["iss"] == HTTP, f"the token is signed, for {audience}")
    return claims


def register():
    for alg, key in KEYS.items():
        path = WORK / f"client-{alg}.pem"
        path.write_bytes(key.as_pem(private=True))
        public = WORK / f"client-{alg}.pub"
        public.write_bytes(key.as_pem(private=False))
        taskpass("agent", "update", "invoice-bot", "--client-key", public, "--until", "1d",
                 "--reason", "interoperability")
    check(True, "two client keys are registered, for a day")


def metadata():
    both = json.loads(fetch(f"{HTTP}/.well-known/oauth-authorization-server")[0])
    check(both == METADATA, "both metadata documents agree")
    check({"client_credentials", EXCHANGE} <= set(METADATA["grant_types_supported"]), "both grants are named")
    methods = set(METADATA["token_endpoint_auth_methods_supported"])
    check(methods == {"private_key_jwt", "tls_client_auth"}, f"and how clients authenticate: {sorted(methods)}")


def granted():
    for how, session in [
        ("private_key_jwt, ES256", by_key()),
        ("private_key_jwt, EdDSA", by_key("EdDSA")),
        ("tls_client_auth", by_certificate("invoice-bot")),
    ]:
        answer = start(session)
        claims = verified(answer["access_token"], LEDGER)
        (details,) = claims["authorization_details"]
        same = answer["authorization_details"][0]["task_id"] == details["task_id"]
        check(same and claims["scope"] == answer["scope"] == "invoices:read", f"Authlib gets a token: {how}")
        check(0 < answer["expires_in"] <= 600 and answer["token_type"] == "Bearer", "of at most the task's time")


def exchanged():
    answer = exchange(by_key(), HELD["es256"], audience=ARCHIVE, scope="files:read")
    claims = verified(answer["access_token"], ARCHIVE)
    (details,) = claims["authorization_details"]
    check(answer["issued_token_type"] == ACCESS_TOKEN, "Authlib exchanges a token for one at another API")
    check(details["task_id"] == HELD["task"], "of the same task")
    answer = exchange(by_key(folder=FOLDER / "client"), HELD["bound"])
    claims = verified(answer["access_token"], LEDGER)
    check("x5t#S256" in claims["cnf"], "a bound subject token gives a bound one, to whoever has the key")
    refused("with a bound subject token without proof", "invalid_grant", exchange, by_key(), HELD["bound"])
    subject = HELD["es256"]
    refused("beyond what policy allows", "invalid_scope", exchange, by_key(), subject, scope="payments:send")
    narrow = start(by_key())["access_token"]
    elsewhere = {"audience": ARCHIVE, "scope": "files:read"}
    refused("beyond the task's ceiling", "invalid_scope", exchange, by_key(), narrow, **elsewhere)
    other = {"audience": "https://other.example", "scope": "files:read"}
    refused("at no registered API", "invalid_target", exchange, by_key(), subject, **other)
    refused("at two APIs", "invalid_target", exchange, by_key(), subject, audience=ARCHIVE, resource=LEDGER)
    refused("as another agent", "invalid_grant", exchange, by_certificate("payout-bot"), subject)
    refused("without a client", "invalid_client", exchange, anonymous(), subject)
    for name, forged in json.loads((WORK / "forged/tokens.json").read_text()).items():
        if name in ("none", "HS256 by the public key in PEM", "a scope more", "a status list"):
            refused(f"with a forged subject token ({name})", "invalid_grant", exchange, by_key(), forged)


def not_granted():
    now = int(time.time())
    once = {"jti": "the same twice"}
    start(by_key(**once))
    # joserfc takes no PEM as such a secret; the point itself it does not know for what it is.
    jwk = KEYS["ES256"].as_dict(private=False)
    public = OctKey.import_key(b"".join(base64.urlsafe_b64decode(jwk[half] + "=") for half in "xy"))
    for what, session in [
        ("an assertion that was used", by_key(**once)),
        ("an assertion for the token endpoint", by_key(aud=TOKEN)),
        ("an assertion for two", by_key(aud=[HTTP, TOKEN])),
        ("an assertion for another issuer", by_key(aud="https://broker.example")),
        ("an assertion that is over", by_key(iat=now - 120, exp=now - 1)),
        ("an assertion for an hour", by_key(exp=now + 3600)),
        ("an assertion of the future", by_key(iat=now + 240, exp=now + 300)),
        ("an assertion by another key", by_key(key=ECKey.generate_key("P-256"))),
        ("an assertion by a key of another agent", by_key(client="payout-bot")),
        ("an assertion of another subject", by_key(sub="payout-bot")),
        ("no authentication", anonymous()),
    ]:
        refused(what, "invalid_client", start, session)
    forged = jwt.encode(
        {"alg": "HS256"},
        {"iss": "invoice-bot", "sub": "invoice-bot", "aud": HTTP, "jti": "h", "iat": now, "exp": now + 60},
        public,
        algorithms=["HS256"],
    )
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    more = {"client_assertion": forged, "client_assertion_type": kind}
    refused("HS256 by the public key", "invalid_client", start, anonymous(), **more)
    refused("a scope that policy denies", "invalid_scope", start, by_key(), scope="payments:send")
    refused("no resource", "invalid_target", start, by_key(), resource="")
    refused("an unknown resource", "invalid_target", start, by_key(), resource="https://other.example")
    refused("no scope", "invalid_scope", start, by_key(), scope="")
    other = json.dumps([{"type": "urn:other"}])
    refused("other details", "invalid_authorization_details", start, by_key(), details=other)
    refused("another grant", "unsupported_grant_type", by_key().fetch_token, TOKEN, grant_type="password")


def introspected_and_revoked():
    verifier = by_certificate("ledger")
    ask = lambda token: verifier.introspect_token(INTROSPECT, token=token).json()
    token = start(by_key())["access_token"]
    claims, said = verified(token, LEDGER), ask(token)
    names = ["iss", "sub", "aud", "exp", "iat", "jti", "scope", "client_id"]
    same = all(said[name] == claims[name] for name in names)
    check(said["active"] is True and same, "Authlib introspects as a verifier: active, and what the token says")
    for what, other in [
        ("another API's token", HELD["eddsa"]),
        ("a forged token", json.loads((WORK / "forged/tokens.json").read_text())["a scope more"]),
        ("no token at all", "nonsense"),
    ]:
        check(ask(other) == {"active": False}, f"{what}: inactive, and nothing more")
    reply = by_certificate("invoice-bot").introspect_token(INTROSPECT, token=token)
    check(reply.status_code in (400, 401, 403), f"an agent may not introspect: {reply.status_code} {reply.json()}")
    reply = by_certificate("payout-bot").revoke_token(REVOKE, token=token)
    unchanged = reply.status_code == 200 and ask(token)["active"]
    check(unchanged, "another agent's revocation changes nothing, and says so to nobody")
    session = by_key()
    reply = session.revoke_token(REVOKE, token=token, auth=session.client_auth(Assertion("ES256")))
    since = time.monotonic()
    check(reply.status_code == 200, "Authlib revokes its token")
    took = wait_until(lambda: ask(token) == {"active": False}, since)
    check(took is not None, "and the verifier hears of it")
    figure("revocation acknowledged -> introspection says inactive", took)
    reply = session.revoke_token(REVOKE, token="nonsense", auth=session.client_auth(Assertion("ES256")))
    check(reply.status_code == 200, "a token that is none: 200 all the same")


register()
metadata()
granted()
exchanged()
not_granted()
introspected_and_revoked()
