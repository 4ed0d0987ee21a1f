// jose verifies both algorithms by discovery, and refuses what nobody may accept.

import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { allowInsecureRequests, discovery, None } from "openid-client";
import { archive, check, holderOf, issuer, ledger, read, refusal } from "./common.mjs";

const holder = holderOf("node");

for (const algorithm of ["oidc", "oauth2"]) {
  const found = await discovery(new URL(issuer), "interop", undefined, None(), {
    algorithm,
    execute: [allowInsecureRequests],
  });
  const metadata = found.serverMetadata();
  check(metadata.issuer === issuer, `openid-client discovers the issuer (${algorithm})`);
  check(metadata.jwks_uri.startsWith(issuer), `openid-client: keys at ${metadata.jwks_uri}`);
}
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const algorithms = metadata.id_token_signing_alg_values_supported;
const expected = {
  issuer,
  audience: ledger,
  typ: "at+jwt",
  algorithms,
  requiredClaims: ["exp", "iat", "nbf", "jti", "sub", "status"],
};

for (const [alg, audience, scope] of [
  ["ES256", ledger, "invoices:read"],
  ["EdDSA", archive, "files:read"],
]) {
  const token = holder[alg.toLowerCase()];
  check(decodeProtectedHeader(token).alg === alg, `the target's algorithm is ${alg}`);
  const { payload } = await jwtVerify(token, keys, { ...expected, audience });
  check(payload.scope === scope, `jose verifies ${alg} by discovery`);
  check(payload.jti === holder.ids[alg.toLowerCase()], `${alg}: jti is the credential's id`);
}

const signature = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED";
const form = "ERR_JWS_INVALID";
const algorithm = "ERR_JOSE_ALG_NOT_ALLOWED";
const noKey = "ERR_JWKS_NO_MATCHING_KEY";
const reasons = {
  none: algorithm,
  "none, with a signature": algorithm,
  "HS256 by the public key in PEM": algorithm,
  "HS256 by the public key as a point": algorithm,
  "kid of the slot's next key": signature,
  "kid of the other algorithm's slot": noKey,
  "alg of the other slot": noKey,
  "kid of no key": noKey,
  "a scope more": signature,
  "another signature": signature,
  "a signature in DER": signature,
  "no signature": signature,
  "two parts": form,
  "one part": form,
  "no payload": signature,
  "four parts": form,
  "half a signature": signature,
  "half a payload": signature,
  "half a header": form,
  "a status list": "ERR_JWT_CLAIM_VALIDATION_FAILED typ",
  "a token for a cloud": "ERR_JWT_CLAIM_VALIDATION_FAILED typ",
};
for (const [name, token] of Object.entries(read("forged", "tokens.json"))) {
  const said = await refusal(jwtVerify(token, keys, expected));
  check(said === reasons[name], `jose refuses ${name}: ${said}`);
}

const token = holder.es256;
for (const audience of [`${ledger}/`, ledger.slice(0, -1), ledger.toUpperCase(), ["https://other.example"], []]) {
  const said = await refusal(jwtVerify(token, keys, { ...expected, audience }));
  check(said?.endsWith(" aud"), `jose refuses it for the audience ${JSON.stringify(audience)}: ${said}`);
}
for (const other of [`${issuer}/`, "https://broker.example"]) {
  const said = await refusal(jwtVerify(token, keys, { ...expected, issuer: other }));
  check(said?.endsWith(" iss"), `jose refuses it of the issuer ${other}: ${said}`);
}
const { payload } = await jwtVerify(token, keys, expected);
const at = (seconds) => jwtVerify(token, keys, { ...expected, currentDate: new Date(seconds * 1000) });
check((await at(payload.exp - 1)).payload.jti === payload.jti, "jose accepts it a second before its end");
for (const past of [0, 1]) {
  const said = await refusal(at(payload.exp + past));
  check(said === "ERR_JWT_EXPIRED exp", `jose refuses it ${past} s past its end: ${said}`);
}
