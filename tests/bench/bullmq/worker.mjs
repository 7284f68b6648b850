// BullMQ's worker process: runs jobs until its standard input ends.
import { Worker } from "bullmq";
import { connection, options, print, QUEUE } from "./settings.mjs";

const o = options({ redis_port: 6379, concurrency: 100 });
let done = 0;
let failed = 0;
const worker = new Worker(
  QUEUE,
  async (job) => {
    done++;
    return { n: job.data.n };
  },
  { connection: connection(o.redis_port), concurrency: o.concurrency },
);
worker.on("failed", () => failed++);
worker.on("error", (error) => process.stderr.write(`${error}\n`));
await worker.waitUntilReady();
print({ event: "ready" });
process.stdin.resume();
process.stdin.on("end", async () => {
  await worker.close();
  const { user, system } = process.cpuUsage();
  print({ event: "end", done, failed, cpu_s: (user + system) / 1e6 });
  process.exit(0);
});
