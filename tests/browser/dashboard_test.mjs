// The dashboard and the API page in a real browser (Debian's Chromium): sign in, submit, watch the
// events come in, and no error in the console.
import assert from 'node:assert/strict';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';

import {startSuite} from '../integration/serve.mjs';

const {chromium} = createRequire(import.meta.url)('playwright-core');

const WAIT = {timeout: 30000};
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PROMPT = readFileSync(
    new URL('../../services/worker/testdata/prompts/invoice_export.txt', import.meta.url), 'utf8');
// SLIP_SCREENSHOTS names a folder to keep the pictures in.
const PICTURES = process.env.SLIP_SCREENSHOTS || mkdtempSync(join(tmpdir(), 'slip-pictures-'));

let suite, browser, profile;

before(async () => {
  suite = await startSuite({users: ['alice', 'bob']});
  profile = mkdtempSync(join(tmpdir(), 'slip-chromium-'));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium', args: FLAGS, headless: true,
    viewport: {width: 1280, height: 900}, acceptDownloads: true,
  });
});

after(async () => {
  await browser?.close();
  if (profile) rmSync(profile, {recursive: true, force: true});
  if (!process.env.SLIP_SCREENSHOTS) rmSync(PICTURES, {recursive: true, force: true});
  await suite?.stop();
});

// A page of its own session, whose console errors and failed loads fail the test by `check`.
async function openPage(path) {
  const page = await browser.newPage();
  const wrong = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.push(message.text());
  });
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('requestfailed', (request) => wrong.push(`${request.url()}: ${request.failure()?.errorText}`));
  const answer = await page.goto(suite.base + path, WAIT);
  assert.equal(answer.status(), 200);
  return {page, wrong, check: () => assert.deepEqual(wrong, [])};
}

async function signIn(page, token) {
  await page.fill('#token', token);
  await page.click('#sign-in button');
}

async function signedIn(user) {
  const opened = await openPage('/dashboard');
  await signIn(opened.page, suite.tokens[user]);
  await opened.page.waitForSelector('#connection[data-state=open]', WAIT);
  return opened;
}

async function submit(page, prompt, title = '') {
  await page.fill('#title', title);
  await page.fill('#prompt', prompt);
  await page.click('#submit button');
}

describe('dashboard', () => {
  test('sign in, submit, see the progress live and the task SUCCEEDED', async () => {
    const {page, check} = await signedIn('alice');
    assert.ok(await page.isHidden('#sign-in'));
    await submit(page, PROMPT);
    await page.waitForSelector('#events [data-type=task_progress]', WAIT);
    await page.waitForSelector('#tasks tr[data-status=SUCCEEDED]', WAIT);
    await page.waitForSelector('#events [data-type=task_completed]', WAIT);
    const types = await page.$$eval('#events li', (items) => items.map((i) => i.dataset.type));
    assert.equal(types.at(-1), 'subscribed');  // the newest is on top
    assert.equal(types.at(-2), 'task_started');
    assert.equal(types[0], 'task_completed');
    const position = await page.textContent('#events [data-type=task_completed] code');
    assert.match(position, /^[0-9a-f]{16}:\d+$/);
    const row = await page.textContent('#tasks tr');
    assert.match(row, /llm_generate_rfc/);
    assert.equal(await page.getAttribute('#tasks tr progress', 'value'), '100');
    assert.match(await page.textContent('#stats'), /memory/);
    await page.screenshot({path: join(PICTURES, 'dashboard.png')});
    check();

    const [file] = await Promise.all(
        [page.waitForEvent('download', WAIT), page.click('#tasks tr button')]);
    assert.match(file.suggestedFilename(), /\.md$/);
    assert.match(readFileSync(await file.path(), 'utf8'), /invoice/);
    check();
    await page.close();
  });

  test('another user sees nothing of it', async () => {
    const {page, check} = await signedIn('bob');
    await submit(page, 'A lighthouse keeps its lamp. It must never go out.', 'Lamp');
    await page.waitForSelector('#tasks tr[data-status=SUCCEEDED]', WAIT);
    assert.equal((await page.$$('#tasks tr')).length, 1);
    check();
    await page.close();
  });

  test('a reload keeps the sign-in, another tab does not have it', async () => {
    const {page, check} = await signedIn('alice');
    await page.reload(WAIT);
    await page.waitForSelector('#connection[data-state=open]', WAIT);
    check();
    const other = await openPage('/dashboard');
    assert.ok(await other.page.isVisible('#sign-in'));
    await other.page.close();
    await page.close();
  });

  test('signing out forgets the token and what was shown', async () => {
    const {page, check} = await signedIn('bob');
    await page.click('#sign-out');
    assert.ok(await page.isVisible('#sign-in'));
    assert.ok(await page.isHidden('#main'));
    assert.equal(await page.textContent('#tasks'), '');
    await page.reload(WAIT);
    assert.ok(await page.isVisible('#sign-in'));
    check();
    await page.close();
  });

  test('a wrong token is said so', async () => {
    const {page} = await openPage('/dashboard');
    await signIn(page, 'garbage');
    await page.waitForFunction(() => document.getElementById('sign-in-error').textContent, WAIT);
    assert.ok(await page.isHidden('#main'));
    await page.screenshot({path: join(PICTURES, 'wrong-token.png')});
    await page.close();
  });

  test('a refused submit is said so, and text is never markup', async () => {
    const {page} = await signedIn('alice');
    await page.$eval('#prompt', (field) => field.removeAttribute('required'));
    await submit(page, '');
    await page.waitForFunction(() => document.getElementById('submit-error').textContent, WAIT);
    const evil = '<img src=x onerror="document.title=1"> & <b>bold</b>';
    await submit(page, `${evil} must be shown as it is. It must stay text.`, evil);
    await page.waitForSelector('#tasks tr[data-status=SUCCEEDED]', WAIT);
    await page.waitForFunction(() => document.querySelectorAll('#tasks button').length > 1, WAIT);
    assert.equal(await page.$$eval('#tasks img, #events img, #tasks b', (found) => found.length), 0);
    assert.equal(await page.title(), 'Slipstream');
    await page.close();
  });

  test('fits a phone', async () => {
    const {page, check} = await signedIn('alice');
    await page.setViewportSize({width: 390, height: 800});
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    await page.screenshot({path: join(PICTURES, 'phone.png'), fullPage: true});
    assert.ok(wide <= 400, `the page is ${wide} px wide on a phone of 390`);
    check();
    await page.close();
  });
});

test('docs lists the operations', async () => {
  const {page, check} = await openPage('/docs');
  await page.waitForSelector('#operations details', WAIT);
  const text = await page.textContent('#operations');
  for (const path of ['/api/v1/async-tasks/submit', '/api/v1/notifications/stream', '/health']) {
    assert.ok(text.includes(path), `${path} is missing`);
  }
  const document_ = await (await fetch(`${suite.base}/openapi.json`)).json();
  const count = Object.values(document_.paths).reduce((n, verbs) => n + Object.keys(verbs).length, 0);
  assert.equal((await page.$$('#operations details')).length, count);
  await page.click('#operations details summary');
  await page.screenshot({path: join(PICTURES, 'docs.png')});
  check();
  await page.close();
});
