// Notifications in a real browser (Debian's Chromium): its own WebSocket and EventSource, and the
// client of services/edge/web, through restarts of the edge.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {startSuite} from '../integration/serve.mjs';

const require = createRequire(import.meta.url);
const {chromium} = require('playwright-core');

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WAIT = {timeout: 30000};

let suite, browser, folder, script;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slip-notifications-'));
  // With every check of TypeScript's: what does not fit its types fails here.
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p',
    join(ROOT, 'services/edge/web'), '--outDir', folder], {stdio: 'inherit'});
  script = readFileSync(join(folder, 'notifications.js'), 'utf8');
  suite = await startSuite({
    split: true, users: ['alice'],
    settings: {auth: ['leeway_s: 0'], edge: ['websocket { refresh_notice_ms: 2000 }']},
  });
  browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: '/usr/bin/chromium', args: FLAGS, headless: true, bypassCSP: true,
  });
});

after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, {recursive: true, force: true});
  await suite?.stop();
});

async function broadcast(number) {
  const answer = await fetch(`${suite.base}/api/v1/notifications/broadcast`, {
    method: 'POST', body: JSON.stringify({payload: {number}}),
    headers: {Authorization: `Bearer ${suite.admin}`, 'Content-Type': 'application/json'},
  });
  assert.equal(answer.status, 200, await answer.text());
}

// A page of the edge's own origin, with the client's module as `notifications`.
async function openPage() {
  const page = await browser.newPage();
  await page.goto(`${suite.base}/docs`, WAIT);
  await page.evaluate(async (text) => {
    const url = URL.createObjectURL(new Blob([text], {type: 'text/javascript'}));
    globalThis.notifications = await import(url);
    globalThis.seen = [];
  }, script);
  return page;
}

const numbers = (page) => page.evaluate(() =>
  globalThis.seen.filter((e) => e.payload?.number !== undefined).map((e) => e.payload.number));
const until = (page, condition, argument) => page.waitForFunction(condition, argument, WAIT);
const untilNumber = (page, number) =>
  until(page, (n) => globalThis.seen.some((e) => e.payload?.number === n), number);

test("Chromium's WebSocket by first message and by ticket", async () => {
  const page = await openPage();
  await page.evaluate(async (token) => {
    const answer = await fetch('/api/v1/ws/ticket',
        {method: 'POST', headers: {Authorization: `Bearer ${token}`}});
    const {ticket} = await answer.json();
    const first = new WebSocket(`ws://${location.host}/ws`);
    first.onopen = () => first.send(JSON.stringify({type: 'auth', token}));
    const second = new WebSocket(`ws://${location.host}/ws?ticket=${ticket}`);
    for (const socket of [first, second]) {
      socket.onmessage = ({data}) => globalThis.seen.push(JSON.parse(data));
    }
  }, suite.tokens.alice);
  await until(page, () => globalThis.seen.filter((e) => e.type === 'subscribed').length === 2);
  await broadcast(7);
  await until(page, () => globalThis.seen.filter((e) => e.payload?.number === 7).length === 2);
  await page.close();
});

test("Chromium's EventSource by cookie, which reconnects by itself and misses nothing", async () => {
  const page = await openPage();
  await page.evaluate(async (token) => {
    await fetch('/api/v1/session', {method: 'POST', headers: {Authorization: `Bearer ${token}`}});
    globalThis.source = new EventSource('/api/v1/notifications/stream');
    globalThis.source.onmessage = ({data}) => globalThis.seen.push(JSON.parse(data));
  }, suite.tokens.alice);
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts can read the session');
  await until(page, () => globalThis.seen.some((e) => e.type === 'subscribed'));
  await broadcast(1);
  await untilNumber(page, 1);
  await suite.restart('edge');
  await broadcast(2);
  await broadcast(3);
  await untilNumber(page, 3);
  assert.deepEqual(await numbers(page), [1, 2, 3]);
  const starts = await page.evaluate(() =>
    globalThis.seen.filter((e) => e.type === 'subscribed').map((e) => e.recovered));
  assert.deepEqual(starts, [true, true]);
  await page.evaluate(async () => {
    globalThis.source.close();
    await fetch('/api/v1/session', {method: 'DELETE'});
  });
  await page.close();
});

test('the client: resumes through restarts, in order and without gap', async () => {
  const page = await openPage();
  await page.evaluate((token) => {
    globalThis.states = [];
    globalThis.gaps = 0;
    globalThis.client = new globalThis.notifications.NotificationClient({
      getToken: () => token,
      onEvent: (event) => globalThis.seen.push(event),
      onGap: () => globalThis.gaps++,
      onState: (state) => globalThis.states.push(state),
      minBackoffMs: 50, maxBackoffMs: 500,
    });
    globalThis.client.start();
  }, suite.tokens.alice);
  await until(page, () => globalThis.states.at(-1) === 'open');
  for (let round = 0; round < 3; ++round) {
    await broadcast(round * 2);
    await untilNumber(page, round * 2);
    await suite.restart('edge');
    await broadcast(round * 2 + 1);
    await untilNumber(page, round * 2 + 1);
  }
  assert.deepEqual(await numbers(page), [0, 1, 2, 3, 4, 5]);
  assert.equal(await page.evaluate(() => globalThis.gaps), 0);
  // A history that is gone is told.
  await suite.restart('notification');
  await until(page, () => globalThis.gaps === 1);
  await broadcast(6);
  await untilNumber(page, 6);
  await page.evaluate(() => globalThis.client.stop());
  assert.equal(await page.evaluate(() => globalThis.states.at(-1)), 'stopped');
  await page.close();
});

test('the client: renews its token in band, and stops when there is none', async () => {
  const page = await openPage();
  const tokens = [await suite.token('alice', 4), await suite.token('alice', 600)];
  await page.exposeFunction('nextToken', () => tokens.length > 1 ? tokens.shift() : tokens[0]);
  await page.evaluate(() => {
    globalThis.states = [];
    globalThis.client = new globalThis.notifications.NotificationClient({
      getToken: () => globalThis.nextToken(),
      onEvent: (event) => globalThis.seen.push(event),
      onState: (state, why) => globalThis.states.push(why ? `${state} ${why.code}` : state),
    });
    globalThis.client.start();
  });
  await until(page, () => globalThis.states.at(-1) === 'open');
  await new Promise((resolve) => setTimeout(resolve, 6000));  // the first token's whole life
  await broadcast(9);
  await untilNumber(page, 9);
  assert.deepEqual(await page.evaluate(() => globalThis.states), ['connecting', 'open']);
  tokens.splice(0, 2, 'garbage');
  await page.evaluate(() => { globalThis.client.stop(); globalThis.client.start(); });
  await until(page, () => globalThis.states.at(-1) === 'stopped 4401');
  await page.close();
});

test('the pause before a reconnect is random and bounded', async () => {
  const {backoffMs} =
      await import(`data:text/javascript;base64,${Buffer.from(script).toString('base64')}`);
  assert.equal(backoffMs(0, 500, 30000, () => 1), 500);
  assert.equal(backoffMs(3, 500, 30000, () => 1), 4000);
  assert.equal(backoffMs(50, 500, 30000, () => 1), 30000);
  assert.equal(backoffMs(5, 500, 30000, () => 0), 0);
});
