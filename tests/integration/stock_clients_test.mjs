// Clients that nobody here wrote, unmodified: npm `ws` and `eventsource`, through a restart of the
// edge.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {once} from 'node:events';
import {after, before, test} from 'node:test';

import {startSuite} from './serve.mjs';

const require = createRequire(import.meta.url);
const WebSocket = require('ws');
const {EventSource} = require('eventsource');

const NOTIFICATIONS = '/api/v1/notifications/stream';
let suite;

before(async () => {
  suite = await startSuite({
    split: true, users: ['alice', 'bob'],
    settings: {edge: ['websocket { max_deflate_connections_count: 2 }']},
  });
});
after(async () => { await suite?.stop(); });

async function post(path, token, body = {}) {
  const answer = await fetch(suite.base + path, {
    method: 'POST', body: JSON.stringify(body),
    headers: {Authorization: `Bearer ${token}`, 'Content-Type': 'application/json'},
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}
const broadcast = (number) =>
  post('/api/v1/notifications/broadcast', suite.admin, {payload: {number}});

// The messages of a `ws` socket, one at a time.
function messages(socket) {
  const waiting = [], arrived = [];
  socket.on('message', (data) => {
    const event = JSON.parse(data.toString());
    if (waiting.length) waiting.shift()(event); else arrived.push(event);
  });
  return () => arrived.length ? Promise.resolve(arrived.shift())
                              : new Promise((resolve) => waiting.push(resolve));
}

function connect(options = {}, query = '') {
  return new WebSocket(`${suite.base.replace('http', 'ws')}/ws${query}`, options);
}
const byHeader = (user) => ({headers: {Authorization: `Bearer ${suite.tokens[user]}`}});

test('ws: header, first message and ticket; ping, close', async () => {
  const {ticket} = await post('/api/v1/ws/ticket', suite.tokens.alice);
  const message = connect();
  message.on('open', () =>
    message.send(JSON.stringify({type: 'auth', token: suite.tokens.alice})));
  const sockets = [connect(byHeader('alice')), message, connect({}, `?ticket=${ticket}`)];
  const all = sockets.map((each) => [each, messages(each)]);
  for (const [socket, next] of all) {
    assert.equal((await next()).type, 'subscribed');
    socket.ping('x');
    assert.equal((await once(socket, 'pong'))[0].toString(), 'x');
  }
  await broadcast(1);
  for (const [socket, next] of all) {
    assert.equal((await next()).payload.number, 1);
    socket.close(1000);
    assert.equal((await once(socket, 'close'))[0], 1000);
  }
});

test('ws: permessage-deflate, with large messages both ways', async () => {
  const socket = connect({...byHeader('alice'), perMessageDeflate: {threshold: 0}});
  const next = messages(socket);
  assert.equal((await next()).type, 'subscribed');
  assert.match(socket.extensions, /permessage-deflate/);
  for (let i = 0; i < 20; ++i) {
    socket.send(JSON.stringify({type: 'ping', padding: 'x'.repeat(i * 1000)}));
    assert.deepEqual(await next(), {type: 'pong'});
    const text = `${i} `.repeat(5000);
    await post('/api/v1/notifications/broadcast', suite.admin, {payload: {text}});
    assert.equal((await next()).payload.text, text);
  }
  socket.close(1000);
  assert.equal((await once(socket, 'close'))[0], 1000);
});

test('ws: through a restart of the edge with its cursor, nothing lost', async () => {
  let socket = connect(byHeader('alice'));
  let next = messages(socket);
  let {cursor} = await next();
  await broadcast(1);
  ({cursor} = await next());
  const closed = once(socket, 'close');
  await suite.restart('edge');
  const [code, reason] = await closed;
  assert.equal(code, 1001);
  assert.match(reason.toString(), /^reconnect/);
  await broadcast(2);
  await broadcast(3);
  socket = connect(byHeader('alice'), `?cursor=${cursor}`);
  next = messages(socket);
  assert.equal((await next()).recovered, true);
  assert.equal((await next()).payload.number, 2);
  assert.equal((await next()).payload.number, 3);
  socket.close();
});

test('ws: a restart of the notification service does not close it', async () => {
  const socket = connect(byHeader('alice'));
  const next = messages(socket);
  assert.equal((await next()).type, 'subscribed');
  await suite.restart('notification');
  // The memory store has lost its history, which is said.
  const again = await next();
  assert.equal(again.type, 'subscribed');
  assert.equal(again.recovered, false);
  await broadcast(4);
  assert.equal((await next()).payload.number, 4);
  assert.equal(socket.readyState, WebSocket.OPEN);
  socket.close();
});

test('eventsource: by a session cookie, reconnects by itself and misses nothing', async () => {
  const answer = await fetch(`${suite.base}/api/v1/session`,
      {method: 'POST', headers: {Authorization: `Bearer ${suite.tokens.bob}`}});
  const cookie = answer.headers.get('set-cookie').split(';')[0];
  const source = new EventSource(suite.base + NOTIFICATIONS, {
    fetch: (url, init) => fetch(url, {...init, headers: {...init.headers, Cookie: cookie}}),
  });
  const waiting = [], arrived = [];
  source.onmessage = ({data}) => {
    const event = JSON.parse(data);
    if (waiting.length) waiting.shift()(event); else arrived.push(event);
  };
  const next = () => arrived.length ? Promise.resolve(arrived.shift())
                                    : new Promise((resolve) => waiting.push(resolve));
  assert.equal((await next()).type, 'subscribed');
  await broadcast(1);
  assert.equal((await next()).payload.number, 1);
  await suite.restart('edge');
  await broadcast(2);
  let event = await next();
  if (event.type === 'reconnect') event = await next();
  assert.equal(event.type, 'subscribed');
  assert.equal(event.recovered, true);
  assert.equal((await next()).payload.number, 2);
  source.close();
});
