// Starts a suite by serve.py for tests written in Node.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const SCRIPT = fileURLToPath(new URL('serve.py', import.meta.url));

// Resolves to the facts of the suite (see serve.py), `restart` of a process, `token` with a
// lifetime, and `stop`, which checks that each process ended
// with 0.
export async function startSuite({split = false, settings = {}, users = ['alice']} = {}) {
  const args = [SCRIPT, '--settings', JSON.stringify(settings), '--users', ...users];
  if (split) args.push('--split');
  const process_ = spawn('/usr/bin/python3', args, {stdio: ['pipe', 'pipe', 'inherit']});
  const lines = createInterface({input: process_.stdout})[Symbol.asyncIterator]();
  const first = await lines.next();
  assert.ok(!first.done, 'the suite did not start; its reason is above');
  const facts = JSON.parse(first.value);
  assert.ok(facts.base, `the suite did not start: ${first.value}`);
  const ask = async (command) => {
    process_.stdin.write(`${command}\n`);
    return JSON.parse((await lines.next()).value);
  };
  return {
    ...facts,
    async restart(name) {
      assert.equal((await ask(`restart ${name}`)).exit_code, 0, `${name} did not end well`);
    },
    async token(user, lifetimeS) {
      return (await ask(`token ${user} ${lifetimeS}`)).token;
    },
    async stop() {
      process_.stdin.end();
      const {exit_codes: codes} = JSON.parse((await lines.next()).value);
      for (const [name, code] of Object.entries(codes)) {
        assert.equal(code, 0, `${name} ended with ${code}`);
      }
    },
  };
}
