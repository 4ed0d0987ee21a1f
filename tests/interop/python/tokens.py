"""PyJWT and joserfc verify both algorithms by discovery, and refuse what nobody may accept."""

import json

import jwt
from common import ARCHIVE, HTTP, LEDGER, WORK, check, discovery, fetch, holder
from joserfc import errors as jose
from joserfc import jwt as joserfc
from joserfc.jwk import KeySet

HELD, _ = holder("python")
METADATA = discovery()
ALGORITHMS = METADATA["id_token_signing_alg_values_supported"]
PYJWT = jwt.PyJWKClient(METADATA["jwks_uri"])
JWKS = KeySet.import_key_set(json.loads(fetch(METADATA["jwks_uri"])[0]))
REQUIRED = ["exp", "iat", "nbf", "jti", "iss", "aud", "sub"]


def by_pyjwt(token, audience=LEDGER, issuer=HTTP, **more):
    """As the README shows it, with the type."""
    key = PYJWT.get_signing_key_from_jwt(token)
    options = {"require": REQUIRED}
    claims = jwt.decode(
        token, key, algorithms=ALGORITHMS, audience=audience, issuer=issuer, options=options, **more
    )
    if jwt.get_unverified_header(token)["typ"] != "at+jwt":
        raise jwt.InvalidTokenError("typ")
    return claims


def by_joserfc(token, audience=LEDGER, issuer=HTTP, now=None):
    decoded = joserfc.decode(token, JWKS, algorithms=ALGORITHMS)
    must = {claim: {"essential": True} for claim in REQUIRED}
    must |= {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": audience}}
    joserfc.JWTClaimsRegistry(now=now, leeway=0, **must).validate(decoded.claims)
    if decoded.header["typ"] != "at+jwt":
        raise jose.InvalidClaimError("typ")
    return decoded.claims


def refused(verify, token, **expect):
    """The name of the error that a library raises; None if it accepts."""
    try:
        verify(token, **expect)
    except (jwt.PyJWTError, jose.JoseError) as error:
        return type(error).__name__
    except ValueError as error:
        return f"ValueError ({error})"[:60]
    return None


def discovered():
    check(METADATA["issuer"] == HTTP, "the discovery document names the issuer that was asked")
    headers = fetch(METADATA["jwks_uri"])[1]
    kind = headers["Content-Type"]
    check(kind == "application/jwk-set+json", f"the keys are {kind}")
    check(headers["ETag"] and "max-age=300" in headers["Cache-Control"], "the keys can be cached")


def accepted():
    for alg, target, scope in [("ES256", LEDGER, "invoices:read"), ("EdDSA", ARCHIVE, "files:read")]:
        token = HELD[alg.lower()]
        check(jwt.get_unverified_header(token)["alg"] == alg, f"the target's algorithm is {alg}")
        for name, verify in [("PyJWT", by_pyjwt), ("joserfc", by_joserfc)]:
            claims = verify(token, audience=target)
            check(claims["scope"] == scope, f"{name} verifies {alg} by discovery")
        check(claims["jti"] == HELD["ids"][alg.lower()], f"{alg}: jti is the credential's id")
        check(claims["client_id"] == "invoice-bot", f"{alg}: client_id is the agent")
        (details,) = claims["authorization_details"]
        named = details["type"] == "urn:taskpass:task" and details["task_id"] == HELD["task"]
        check(named, f"{alg}: it names its task")


# What PyJWT says, and what joserfc says.
ALGORITHM = ("InvalidAlgorithmError", "UnsupportedAlgorithmError")
SLOT = ("InvalidAlgorithmError", "InvalidKeyIdError")
SIGNATURE = ("InvalidSignatureError", "BadSignatureError")
FORM = ("DecodeError", "DecodeError")
REASONS = {
    "none": ALGORITHM,
    "none, with a signature": ALGORITHM,
    "HS256 by the public key in PEM": ALGORITHM,
    "HS256 by the public key as a point": ALGORITHM,
    "kid of the slot's next key": SIGNATURE,
    "kid of the other algorithm's slot": SLOT,
    "alg of the other slot": SLOT,
    "kid of no key": ("PyJWKClientError", "InvalidKeyIdError"),
    "a scope more": SIGNATURE,
    "another signature": SIGNATURE,
    "a signature in DER": SIGNATURE,
    "no signature": SIGNATURE,
    "two parts": FORM,
    "one part": FORM,
    "no payload": ("DecodeError", "BadSignatureError"),
    "four parts": FORM,
    "half a signature": SIGNATURE,
    "half a payload": ("DecodeError", "BadSignatureError"),
    "half a header": FORM,
    "a status list": ("MissingRequiredClaimError", "MissingClaimError"),
    "a token for a cloud": ("InvalidAudienceError", "InvalidClaimError"),
}


def forged():
    for name, token in json.loads((WORK / "forged/tokens.json").read_text()).items():
        for library, verify, reason in zip(["PyJWT", "joserfc"], [by_pyjwt, by_joserfc], REASONS[name]):
            said = refused(verify, token)
            check(said == reason, f"{library} refuses {name}: {said}")


def elsewhere():
    """A good token, where it is not meant, and when it is over."""
    token = HELD["es256"]
    others = ["https://other.example", f"{LEDGER}/", LEDGER[:-1], LEDGER.upper(), f"{LEDGER}.evil"]
    for audience in [*others, [], ["https://other.example"]]:
        said = refused(by_pyjwt, token, audience=audience)
        check(said == "InvalidAudienceError", f"PyJWT refuses it for the audience {audience!r}: {said}")
    for audience in others:
        said = refused(by_joserfc, token, audience=audience)
        check(said == "InvalidClaimError", f"joserfc refuses it for the audience {audience!r}: {said}")
    for issuer in [f"{HTTP}/", "https://broker.example"]:
        said = refused(by_pyjwt, token, issuer=issuer)
        check(said == "InvalidIssuerError", f"PyJWT refuses it of the issuer {issuer}: {said}")
        said = refused(by_joserfc, token, issuer=issuer)
        check(said == "InvalidClaimError", f"joserfc refuses it of the issuer {issuer}: {said}")
    exp = by_joserfc(token)["exp"]
    check(by_joserfc(token, now=exp - 1)["exp"] == exp, "joserfc accepts it a second before its end")
    said = refused(by_joserfc, token, now=exp + 1)
    check(said == "ExpiredTokenError", f"joserfc refuses it a second after its end: {said}")


discovered()
accepted()
forged()
elsewhere()
