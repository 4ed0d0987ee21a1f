// What the programs written in Node share: where everything is, and one line for each check. A program
// ends at its first check that does not hold, with exit code 1.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const work = process.env.INTEROP_WORK;
export const issuer = process.env.TASKPASS_HTTP;
export const ledger = "https://ledger.example";
export const archive = "https://archive.example";
const bound = 3000;

export function check(holds, what) {
  console.log(`${holds ? "ok      " : "FAILED  "}${what}`);
  if (!holds) process.exit(1);
}

export const read = (...path) => JSON.parse(readFileSync(join(work, ...path), "utf8"));
export const holderOf = (part) => read("credentials", part, "holder.json");

export function revoke(what, id) {
  execFileSync(process.env.INTEROP_TASKPASS, ["revoke", `--${what}`, id, "--reason", "interop"], { stdio: "pipe" });
  return performance.now();
}

// Asks `seen` until it holds, and says how long that was after `since`.
export async function figure(what, since, seen) {
  while (!(await seen())) {
    if (performance.now() - since > bound) check(false, `${what}: not within ${bound} ms`);
    await new Promise((done) => setTimeout(done, 10));
  }
  check(true, what);
  console.log(`figure  ${what}: ${Math.round(performance.now() - since)} ms`);
}

// The name and code of the error that a promise ends with; undefined if it does not.
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.claim ? `${error.code} ${error.claim}` : (error.code ?? `${error.name}: ${error.message}`);
  }
}
