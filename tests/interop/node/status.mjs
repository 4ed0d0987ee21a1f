// A status-list library decodes our lists and sees a revocation. First the draft's own examples, so that it
// is a judge at all.

import { getListFromStatusListJWT, getStatusListFromJWT, StatusList } from "@sd-jwt/jwt-status-list";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { check, figure, holderOf, issuer, ledger, refusal, revoke } from "./common.mjs";

const holder = holderOf("node");

const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));

// Fetches a list and checks it as docs/STATUS.md says: by a key of the issuer, of its type, about its own address.
async function fetchList(uri) {
  const reply = await fetch(uri, { headers: { accept: "application/statuslist+jwt" } });
  const text = await reply.text();
  const { payload, protectedHeader } = await jwtVerify(text, keys, {
    typ: "statuslist+jwt",
    subject: uri,
    requiredClaims: ["exp", "iat", "ttl", "status_list"],
  });
  return { reply, payload, protectedHeader, list: getListFromStatusListJWT(text) };
}

for (const [bits, lst, statuses] of [
  [1, "eNrbuRgAAhcBXQ", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]],
  [2, "eNo76fITAAPfAgc", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]],
]) {
  const found = StatusList.decompressStatusList(lst, bits).statusList;
  check(JSON.stringify(found) === JSON.stringify(statuses), `the library decodes the draft's example of ${bits} bits`);
}

const seen = new Set();
for (const name of ["es256", "eddsa"]) {
  const { idx, uri } = getStatusListFromJWT(holder[name]);
  const { reply, payload, protectedHeader, list } = await fetchList(uri);
  check(reply.headers.get("content-type") === "application/statuslist+jwt", `${name}: the list is a statuslist+jwt`);
  check(payload.status_list.bits === 1 && list.getBitsPerStatus() === 1, `${name}: jose verifies it, one bit a token`);
  check(payload.ttl === 30, `${name}: good for ttl ${payload.ttl}, signed with ${protectedHeader.alg}`);
  const places = list.statusList.length;
  check(idx < places && !seen.has(`${uri} ${idx}`), `${name}: has a place of its own, ${idx} of ${places}`);
  seen.add(`${uri} ${idx}`);
  check(list.getStatus(idx) === 0, `${name}: the library reads valid`);
}
const aggregated = await (await fetch(`${issuer}/status`)).json();
const named = getStatusListFromJWT(holder.es256);
check(aggregated.status_lists.includes(named.uri), "the aggregation names the list");

// A list is no token, and a token no list.
let said = await refusal(fetchList(`${issuer}/.well-known/jwks.json`));
check(said === "ERR_JWS_INVALID", `what is no list is refused: ${said}`);
said = await refusal(jwtVerify(holder.es256, keys, { typ: "statuslist+jwt" }));
check(said === "ERR_JWT_CLAIM_VALIDATION_FAILED typ", `a token is no list: ${said}`);

const before = await fetchList(named.uri);
let since = revoke("credential", holder.ids.es256);
const flipped = async () => (await fetchList(named.uri)).list.getStatus(named.idx) === 1;
await figure("revocation acknowledged -> the library reads invalid, list fetched each time", since, flipped);
const after = await fetchList(named.uri);
const changed = after.list.statusList.flatMap((status, at) => (status === before.list.getStatus(at) ? [] : [at]));
check(changed.length === 1 && changed[0] === named.idx, `one place of the list changed: ${changed}`);
const still = getStatusListFromJWT(holder.eddsa);
check((await fetchList(still.uri)).list.getStatus(still.idx) === 0, "another token of the task stays valid");
const signed = await jwtVerify(holder.es256, keys, { issuer, audience: ledger });
check(signed.payload.jti === holder.ids.es256, "by its signature alone the revoked one would pass");
since = revoke("task", holder.task);
const gone = async () => (await fetchList(still.uri)).list.getStatus(still.idx) === 1;
await figure("task revoked -> the library reads invalid", since, gone);
