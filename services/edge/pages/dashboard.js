// The dashboard: signs in with a token, submits, and shows what the WebSocket pushes.
'use strict';

const $ = (id) => document.getElementById(id);
const MAX_EVENTS = 100;
let token = sessionStorage.getItem('token') || '';
let cursor = '';
let socket = null;
let retryMs = 500;

function element(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

async function api(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: {Authorization: `Bearer ${token}`, 'Content-Type': 'application/json'},
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail || answer.title || response.statusText);
  return answer;
}

function setConnection(state, text) {
  $('connection').dataset.state = state;
  $('connection').textContent = text;
}

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({type: 'auth', token, cursor}));
  socket.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (event.type === 'token_expiring') return;  // the user has no other token to give
    if (event.cursor) cursor = event.cursor;
    if (event.type === 'subscribed') {
      retryMs = 500;
      setConnection('open', 'live');
    }
    showEvent(event);
    if (event.task_id) refreshSoon();
  };
  socket.onclose = (close) => {
    if (!token) return;
    if (close.code === 4401 || close.code === 4403) {
      signOut(`signed out: ${close.reason}`);
      return;
    }
    setConnection('closed', 'reconnecting');
    setTimeout(() => token && connect(), retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, 15000);
  };
}

function showEvent(event) {
  const payload = event.payload || {};
  const parts = [event.type];
  if (event.task_id) parts.push(event.task_id.slice(0, 13));
  if (payload.progress !== undefined) parts.push(`${payload.progress} %`);
  if (payload.progress_message) parts.push(payload.progress_message);
  const item = element('li', parts.join(' · '), {'data-type': event.type});
  if (event.position) item.append(' ', element('code', event.position));
  $('events').prepend(item);
  while ($('events').children.length > MAX_EVENTS) $('events').lastChild.remove();
}

let refreshTimer = null;
function refreshSoon() {
  if (refreshTimer) return;
  refreshTimer = setTimeout(() => {
    refreshTimer = null;
    refresh().catch(showError);
  }, 150);
}

function showError(error) {
  $('submit-error').textContent = error.message;
}

async function refresh() {
  const [list, stats] = await Promise.all([
    api('GET', '/api/v1/async-tasks/user/tasks?page_size=20'),
    api('GET', '/api/v1/async-tasks/queue/stats'),
  ]);
  showTasks(list.tasks);
  showStats(stats);
}

function showTasks(tasks) {
  $('tasks').replaceChildren(...tasks.map((task) => {
    const row = element('tr', undefined, {'data-task': task.task_id, 'data-status': task.status});
    row.append(element('td'), element('td', task.task_type), element('td', task.status));
    row.firstChild.append(element('code', task.task_id.slice(0, 13)));
    const progress = element('td');
    progress.append(element('progress', undefined, {max: 100, value: task.progress}), ' ',
        task.error ? task.error.message : task.progress_message);
    const actions = element('td');
    for (const artifact of task.artifacts) {
      const button = element('button', artifact.name || 'download', {class: 'plain'});
      button.onclick = () => download(artifact).catch(showError);
      actions.append(button, ' ');
    }
    if (['SCHEDULED', 'PENDING', 'RUNNING'].includes(task.status)) {
      const button = element('button', 'cancel', {class: 'plain'});
      button.onclick = () => api('DELETE', `/api/v1/async-tasks/${task.task_id}`)
          .then(refreshSoon, showError);
      actions.append(button);
    }
    row.append(progress, element('td', new Date(task.created_at).toLocaleTimeString()), actions);
    return row;
  }));
}

// A link can't carry the token, so the file is fetched and handed to the browser.
async function download(artifact) {
  const response = await fetch(`/api/v1/artifacts/${artifact.artifact_id}`,
      {headers: {Authorization: `Bearer ${token}`}});
  if (!response.ok) throw new Error((await response.json()).detail);
  const url = URL.createObjectURL(await response.blob());
  const link = element('a', undefined, {href: url, download: artifact.name || 'artifact'});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// What a person asks first; the rest is at the API.
function showStats(stats) {
  const rows = [];
  const row = (name, value) => rows.push(element('dt', name), element('dd', String(value)));
  for (const {status, count} of stats.statuses) row(status.toLowerCase(), count);
  row('oldest wait', `${(Number(stats.oldest_wait_ms) / 1000).toFixed(1)} s`);
  row('run time, p95', `${((stats.run ? stats.run.p95_ms : 0) / 1000).toFixed(1)} s`);
  row('finished', `${(stats.finished_per_second * 60).toFixed(1)} a minute`);
  row('success', `${(stats.success_ratio * 100).toFixed(0)} %`);
  row('store', stats.degraded ? `${stats.store} (degraded)` : stats.store);
  $('stats').replaceChildren(...rows);
}

function signOut(why) {
  sessionStorage.removeItem('token');
  token = cursor = '';
  setConnection('closed', why);
  for (const id of ['tasks', 'events', 'stats']) $(id).replaceChildren();
  $('token').value = '';
  $('sign-in').hidden = false;
  $('main').hidden = $('sign-out').hidden = true;
}

async function start() {
  $('sign-in-error').textContent = '';
  try {
    await refresh();
  } catch (error) {
    $('sign-in-error').textContent = error.message;
    return;
  }
  sessionStorage.setItem('token', token);
  $('sign-in').hidden = true;
  $('main').hidden = $('sign-out').hidden = false;
  connect();
}

$('sign-in').onsubmit = (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  start();
};

$('sign-out').onclick = () => {
  signOut('signed out');
  socket.close();
};

$('submit').onsubmit = (event) => {
  event.preventDefault();
  $('submit-error').textContent = '';
  const args = {prompt: $('prompt').value};
  if ($('title').value) args.title = $('title').value;
  api('POST', '/api/v1/async-tasks/submit', {task_type: 'llm_generate_rfc', args})
      .then(refreshSoon, showError);
};

if (token) start();
