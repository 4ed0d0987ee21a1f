// CloudEvents, against the JSON Schema that the project publishes with its library for JavaScript.

import { basename } from "node:path";
import { readFileSync } from "node:fs";
import { CloudEvent } from "cloudevents";
import { check } from "./common.mjs";

const path = process.argv[2];
const lines = readFileSync(path, "utf8").trimEnd().split("\n");
const fault = (event) => {
  try {
    // Strict: it is put to the schema.
    new CloudEvent(event, true).validate();
  } catch (error) {
    return `${error.message} ${JSON.stringify(error.errors ?? [])}`;
  }
};
for (const line of lines) {
  const event = JSON.parse(line);
  const wrong = fault(event);
  if (wrong) check(false, `${event.type}: ${wrong}`);
}
check(lines.length > 10, `${lines.length} CloudEvents of ${basename(path)} hold to the published schema`);
const one = JSON.parse(lines[0]);
for (const [what, bad] of [
  ["no source", { ...one, source: "" }],
  ["no type", { ...one, type: "" }],
  ["a time that is none", { ...one, time: "yesterday" }],
  ["an attribute in capitals", { ...one, LogIndex: "1" }],
]) {
  check(fault(bad) !== undefined, `and ${what} does not`);
}
