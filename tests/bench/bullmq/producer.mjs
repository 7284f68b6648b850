// BullMQ's producer process: adds --tasks jobs by addBulk, reads every result back and checks it.
//   --priorities=0  none: BullMQ's fast path, lists
//   --priorities=4  four in turn, which BullMQ keeps in a sorted set
//   --read=events   results come by QueueEvents
//   --read=poll     results are read from the jobs' hashes, 100 in one pipeline
// At most --window jobs are added and not read back.
import { Queue, QueueEvents } from "bullmq";
import { Redis } from "ioredis";
import { connection, nowNs, options, print, QUEUE, version } from "./settings.mjs";

const o = options({
  redis_port: 6379, tasks: 100000, batch: 100, inflight: 8, window: 10000, priorities: 0,
  read: "events", first: 0, // number of the first job: runs on one queue are told apart by it
});
const ARGS_BYTES = 100; // as JSON
const STUCK_NS = 30e9;

const queue = new Queue(QUEUE, {
  connection: connection(o.redis_port),
  // A job in the window has up to four events; of the default 10,000 a reader behind would lose some.
  streams: { events: { maxLen: 10 * o.window } },
});
await queue.waitUntilReady();
const seen = new Uint8Array(o.tasks);
let next = 0;
let adding = 0;
let done = 0;
let wrong = 0;
let lastNs = 0;
let finish;
const finished = new Promise((resolve) => (finish = resolve));

function job(n) {
  const bare = `{"n":${o.first + n},"at":0,"data":""}`.length;
  const data = { n: o.first + n, at: 0, data: "x".repeat(Math.max(0, ARGS_BYTES - bare)) };
  return { name: "bench", data, opts: o.priorities > 0 ? { priority: 1 + (n % o.priorities) } : {} };
}

function result(value) {
  const n = Number.isInteger(value?.n) ? value.n - o.first : 0;
  if (n < 0 || n >= o.tasks) return; // of an earlier run
  if (!Number.isInteger(value?.n) || seen[n]) wrong++;
  seen[n] = 1;
  done++;
  lastNs = nowNs();
  if (done === o.tasks) finish();
}

const unread = [[], [], [], []]; // job ids by priority, in the order added
const keyOf = (id) => `bull:${QUEUE}:${id}`;

async function add() {
  adding++;
  while (next < o.tasks && next - done < o.window) {
    const jobs = [];
    while (jobs.length < o.batch && next < o.tasks) jobs.push(job(next++));
    const first = next - jobs.length;
    const added = await queue.addBulk(jobs);
    if (o.read === "poll") {
      added.forEach((one, i) => unread[o.priorities ? (first + i) % o.priorities : 0].push(one.id));
    }
  }
  adding--;
}
function addMore() {
  while (adding < o.inflight && next < o.tasks && next - done < o.window) add();
}

async function poll() {
  const redis = new Redis(connection(o.redis_port));
  const read = async (lane) => {
    while (done < o.tasks) {
      if (!lane.length || (lane.length < 100 && next < o.tasks)) {
        if (next >= o.tasks && adding === 0 && !lane.length) return;
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      const ids = lane.splice(0, 100);
      const pipeline = redis.pipeline();
      for (const id of ids) pipeline.hmget(keyOf(id), "finishedOn", "returnvalue");
      const answers = await pipeline.exec();
      const unfinished = [];
      answers.forEach(([error, [finishedOn, returnvalue]], i) => {
        if (error || !finishedOn) unfinished.push(ids[i]);
        else result(JSON.parse(returnvalue));
      });
      addMore();
      if (unfinished.length) {
        lane.unshift(...unfinished);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  };
  await Promise.all(unread.map(read));
  redis.disconnect();
}

let events;
if (o.read === "events") {
  // From the stream's begin: an event between "ready" and its first read would else be lost.
  events = new QueueEvents(QUEUE, { connection: connection(o.redis_port), lastEventId: "0-0" });
  await events.waitUntilReady();
  events.on("completed", ({ returnvalue }) => {
    result(returnvalue);
    addMore();
  });
}
const begin = nowNs();
const cpu = process.cpuUsage();
lastNs = begin;
addMore();
if (o.read === "poll") poll();
const guard = setInterval(() => {
  if (nowNs() - lastNs > STUCK_NS) finish();
}, 1000);
await finished;
clearInterval(guard);
const seconds = (lastNs - begin) / 1e9;
const used = process.cpuUsage(cpu);
print({
  tasks: o.tasks, done, wrong, errors: o.tasks - done, seconds,
  lifecycles_per_second: done / seconds, cpu_s: (used.user + used.system) / 1e6,
  versions: { bullmq: version("bullmq"), ioredis: version("ioredis"), node: process.version },
});
process.exit(done === o.tasks && wrong === 0 ? 0 : 1);
