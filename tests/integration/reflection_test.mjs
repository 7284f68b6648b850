// Health and reflection of every binary, as a stock gRPC client sees them.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {after, before, describe, test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {startSuite} from './serve.mjs';

const require = createRequire(import.meta.url);
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const {GrpcReflection} = require('grpc-js-reflection-client');

const PROTOS = fileURLToPath(new URL('../../protos/', import.meta.url));
const HEALTH = grpc.loadPackageDefinition(loader.loadSync(
    'grpc/health/v1/health.proto', {includeDirs: [PROTOS], enums: String})).grpc.health.v1;
const INSECURE = grpc.credentials.createInsecure();
const deadline = () => ({deadline: Date.now() + 20000});

const SERVED = {
  cache: ['slipstream.cache.v1.CacheService'],
  task_queue: ['slipstream.task_queue.v1.TaskQueueService', 'slipstream.task_queue.v1.WorkerService',
    'slipstream.artifact.v1.ArtifactService'],
  notification: ['slipstream.notification.v1.NotificationService'],
  database_optimizer: ['slipstream.database_optimizer.v1.DatabaseOptimizerService'],
  monitoring: ['slipstream.monitoring.v1.MonitoringService'],
  edge: [],
  worker: [],
};
const ALL = Object.values(SERVED).flat();

function reflection(address) {
  return new GrpcReflection(address, INSECURE);
}

async function listed(address) {
  return reflection(address).listServices('*', undefined, deadline());
}

function health(address, service = '') {
  const client = new HEALTH.Health(address, INSECURE);
  return new Promise((resolve, reject) => {
    client.Check({service}, deadline(), (error, answer) => {
      client.close();
      error ? reject(error) : resolve(answer.status);
    });
  });
}

async function checkBinary(name, address, services) {
  const names = await listed(address);
  for (const service of [...services, 'grpc.health.v1.Health']) {
    assert.ok(names.includes(service), `${name} does not list ${service}, but ${names}`);
  }
  for (const service of names) {
    assert.ok(!service.includes('channelz'), `${name} serves ${service} beside its traffic`);
  }
  assert.equal(await health(address), 'SERVING');
  for (const service of services) assert.equal(await health(address, service), 'SERVING');
}

describe('split, with reflection', () => {
  let suite;
  before(async () => {
    suite = await startSuite({split: true});
  });
  after(() => suite?.stop());

  for (const [name, services] of Object.entries(SERVED)) {
    test(`${name} lists its services and is healthy`, () =>
      checkBinary(name, `127.0.0.1:${suite.grpc[name]}`, services));
  }

  test('methods come with their types', async () => {
    const methods = await reflection(`127.0.0.1:${suite.grpc.task_queue}`)
        .listMethods('slipstream.task_queue.v1.TaskQueueService', undefined, deadline());
    const submit = methods.find((method) => method.name === 'SubmitTask');
    assert.equal(submit.definition.path, '/slipstream.task_queue.v1.TaskQueueService/SubmitTask');
  });

  test('channelz is not on the port of the traffic', async () => {
    for (const [name, port] of Object.entries(suite.grpc)) {
      const client = new grpc.Client(`127.0.0.1:${port}`, INSECURE);
      const error = await new Promise((resolve) => client.makeUnaryRequest(
          '/grpc.channelz.v1.Channelz/GetServers', (b) => b, (b) => b, Buffer.alloc(0), deadline(),
          (failure) => resolve(failure)));
      client.close();
      assert.equal(error?.code, grpc.status.UNIMPLEMENTED, `${name}: ${error}`);
    }
  });
});

describe('standalone', () => {
  let suite;
  before(async () => {
    suite = await startSuite();
  });
  after(() => suite?.stop());

  test('lists the services of all', () =>
    checkBinary('standalone', `127.0.0.1:${suite.grpc.standalone}`, ALL));
});

describe('without reflection', () => {
  let suite;
  before(async () => {
    suite = await startSuite({settings: {rpc: ['reflection: false']}});
  });
  after(() => suite?.stop());

  test('it is refused, health still answers', async () => {
    const address = `127.0.0.1:${suite.grpc.standalone}`;
    await assert.rejects(listed(address), /UNIMPLEMENTED|unimplemented|12/i);
    assert.equal(await health(address), 'SERVING');
  });
});
