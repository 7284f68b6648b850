// Lists the operations of /openapi.json by tag.
'use strict';

function element(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

function operationNode(path, verb, operation) {
  const details = element('details');
  const summary = element('summary');
  summary.append(element('span', verb.toUpperCase(), 'verb'), element('code', path), ' ',
      operation.summary || '');
  details.append(summary, element('p', operation.description || ''));
  const parts = {};
  for (const name of ['parameters', 'requestBody', 'responses']) {
    if (operation[name]) parts[name] = operation[name];
  }
  details.append(element('pre', JSON.stringify(parts, null, 2)));
  return details;
}

async function main() {
  const document_ = await (await fetch('/openapi.json')).json();
  const groups = new Map();
  for (const [path, operations] of Object.entries(document_.paths)) {
    for (const [verb, operation] of Object.entries(operations)) {
      const tag = (operation.tags || ['other'])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationNode(path, verb, operation));
    }
  }
  for (const [tag, nodes] of [...groups].sort()) {
    document.getElementById('operations').append(element('h2', tag), ...nodes);
  }
}

main();
