// openid-client gets tokens by private_key_jwt and by a certificate, introspects and revokes.

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";
import { check, figure, holderOf, issuer, ledger, work } from "./common.mjs";

const held = holderOf("oauth");
const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const accessToken = "urn:ietf:params:oauth:token-type:access_token";

// fetch has no client certificates: the same by node:https.
function fetchWith(identity) {
  const folder = join(work, "dev/identities", identity);
  const [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map((name) => readFileSync(join(folder, name)));
  return (url, { method, headers, body }) =>
    new Promise((resolve, reject) => {
      const request = https.request(url, { method, headers, cert, key, ca, agent: false }, (reply) => {
        const parts = [];
        reply.on("data", (part) => parts.push(part));
        reply.on("end", () =>
          resolve(new Response(Buffer.concat(parts), { status: reply.statusCode, headers: reply.headers })),
        );
      });
      request.on("error", reject);
      request.end(body?.toString());
    });
}

async function discovered(id, authentication, identity) {
  const metadata = { use_mtls_endpoint_aliases: !!identity };
  const config = await client.discovery(new URL(issuer), id, metadata, authentication, {
    algorithm: "oauth2",
    execute: [client.allowInsecureRequests],
  });
  if (identity) config[client.customFetch] = fetchWith(identity);
  return config;
}

async function clientKey(alg) {
  const pem = readFileSync(join(work, `client-${alg}.pem`), "utf8");
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  const kind = alg === "ES256" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "Ed25519" };
  return crypto.subtle.importKey("pkcs8", der, kind, false, ["sign"]);
}

// What RFC 7523 leaves open, this broker does not: the audience is the issuer.
const toIssuer = { [client.modifyAssertion]: (header, payload) => (payload.aud = issuer) };
const asked = {
  resource: ledger,
  scope: "invoices:read",
  authorization_details: JSON.stringify([{ type: "urn:taskpass:task", purpose: "interop by openid-client", ttl: 600 }]),
};

const byKey = await discovered("invoice-bot", client.PrivateKeyJwt(await clientKey("ES256"), toIssuer));
const byCertificate = await discovered("invoice-bot", client.TlsClientAuth(), "invoice-bot");
const verifier = await discovered("ledger", client.TlsClientAuth(), "ledger");

let granted;
for (const [how, config] of [
  ["private_key_jwt", byKey],
  ["tls_client_auth", byCertificate],
]) {
  granted = await client.clientCredentialsGrant(config, asked);
  const { payload } = await jwtVerify(granted.access_token, keys, { issuer, audience: ledger, typ: "at+jwt" });
  check(payload.scope === granted.scope && granted.expires_in <= 600, `openid-client gets a token: ${how}`);
}

const exchanged = await client.genericGrantRequest(byKey, exchangeGrant, {
  subject_token: held.es256,
  subject_token_type: accessToken,
  audience: "https://archive.example",
  scope: "files:read",
});
const { payload } = await jwtVerify(exchanged.access_token, keys, { issuer, audience: "https://archive.example" });
check(payload.authorization_details[0].task_id === held.task, "openid-client exchanges a token within its task");

const said = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error.error ?? `${error}`;
  }
};
for (const [what, code, change] of [
  ["a scope that policy denies", "invalid_scope", { scope: "payments:send" }],
  ["an unknown API", "invalid_target", { resource: "https://other.example" }],
  ["no details", "invalid_authorization_details", { authorization_details: "[]" }],
]) {
  const refused = await said(client.clientCredentialsGrant(byKey, { ...asked, ...change }));
  check(refused === code, `openid-client is refused ${what}: ${refused}`);
}
const unproved = await discovered("invoice-bot", client.None());
const refused = await said(client.clientCredentialsGrant(unproved, asked));
check(refused === "invalid_client", `openid-client is refused without authentication: ${refused}`);

const ask = (token) => client.tokenIntrospection(verifier, token);
let found = await ask(granted.access_token);
check(found.active && found.aud === ledger && found.client_id === "invoice-bot", "openid-client introspects: active");
found = await ask(exchanged.access_token);
check(JSON.stringify(found) === '{"active":false}', "another API's token: inactive, and nothing more");
await client.tokenRevocation(byCertificate, granted.access_token);
const since = performance.now();
await figure("openid-client revokes -> introspection says inactive", since, async () => {
  found = await ask(granted.access_token);
  return !found.active;
});
check(JSON.stringify(found) === '{"active":false}', "of a revoked token nothing more is said");
