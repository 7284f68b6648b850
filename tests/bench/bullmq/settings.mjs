// What the producer and the worker of the BullMQ peer agree on, from the command line: --key=value.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const QUEUE = "bench";

export function options(defaults) {
  const out = { ...defaults };
  for (const argument of process.argv.slice(2)) {
    const [, key, value] = argument.match(/^--([a-z_]+)=(.*)$/) ?? [];
    if (!(key in defaults)) throw new Error(`unknown option ${argument}`);
    out[key] = typeof defaults[key] === "number" ? Number(value) : value;
  }
  return out;
}

export function connection(port) {
  return { host: "127.0.0.1", port, maxRetriesPerRequest: null };
}

export function version(name) {
  const file = new URL(`../../../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(fileURLToPath(file))).version;
}

export function print(object) {
  process.stdout.write(JSON.stringify(object) + "\n");
}

export const nowNs = () => Number(process.hrtime.bigint());
