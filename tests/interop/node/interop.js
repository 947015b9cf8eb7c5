// The checks that every client has to pass, by grpc-js. `tests/interop/run.py` starts it and says where the servers are.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Modelward, detail, grpc, reason } from '../../../examples/node/modelward.js';

const { status } = grpc;
const env = (name) => process.env[`INTEROP_${name}`];
const token = readFileSync(env('TOKEN'), 'utf8').trim();

const create = async (modelward, name, requestId = '') => {
  const request = { provider: { name, kind: 'PROVIDER_KIND_VLLM' }, requestId };
  return (await modelward.call('ProviderService', 'CreateProvider', request)).provider;
};
const purge = (modelward, id) => modelward.call('ProviderService', 'DeleteProvider', { id, purge: true });

// The error of a call that must fail with this code and reason.
async function refused(call, code, expected) {
  const error = await call.then((answer) => assert.fail(`${expected} was expected: ${JSON.stringify(answer)}`), (it) => it);
  assert.equal(error.code, code, error.message);
  assert.equal(reason(error), expected);
  assert.equal(detail(error, 'ErrorInfo').domain, 'modelward');
  return error;
}

async function changes(modelward) {
  const requestId = randomUUID();
  const made = await create(modelward, 'node changes', requestId);
  assert.deepEqual(await create(modelward, 'node changes', requestId), made);
  const { provider } = await modelward.call('ProviderService', 'UpdateProvider', {
    provider: { id: made.id, description: 'by grpc-js', name: 'not named' },
    updateMask: { paths: ['description'] },
    expectedRevision: made.revision,
  });
  assert.equal(provider.description, 'by grpc-js');
  assert.equal(provider.name, 'node changes');
  const listed = await modelward.call('ProviderService', 'ListProviders', { name: 'node changes' });
  assert.equal(listed.totalSize, 1);
  assert.deepEqual(listed.providers, [provider]);
  await purge(modelward, made.id);
  const get = modelward.call('ProviderService', 'GetProvider', { id: made.id });
  await refused(get, status.NOT_FOUND, 'NOT_FOUND');
}

async function errors(modelward) {
  const provider = { name: '', syncPolicy: { interval: { seconds: 1 } } };
  const bad = modelward.call('ProviderService', 'CreateProvider', { provider });
  const { fieldViolations } = detail(await refused(bad, status.INVALID_ARGUMENT, 'INVALID_FIELD'), 'BadRequest');
  assert.deepEqual(fieldViolations.map(({ field }) => field).sort(), env('BAD_FIELDS').split(' '));
  const nobody = new Modelward(env('PLAIN'), '');
  await refused(nobody.call('ProviderService', 'ListProviders', {}), status.UNAUTHENTICATED, 'UNAUTHENTICATED');
  nobody.close();
}

async function watch(modelward) {
  const messages = modelward.watch({ clientName: 'grpc-js' });
  const stream = messages[Symbol.asyncIterator]();
  // The next change that a stream shows, and the token after it.
  const next = async (from) => {
    for (;;) {
      const { value } = await from.next();
      if (value.event === 'WATCH_EVENT_CHANGES') return [value.changes[0].after.provider.name, value.resumeToken];
    }
  };
  assert.equal((await stream.next()).value.event, 'WATCH_EVENT_BOOKMARK');
  const seen = await create(modelward, 'node seen');
  const [name, resumeToken] = await next(stream);
  assert.equal(name, 'node seen');
  messages.on('error', ({ code }) => assert.equal(code, status.CANCELLED));
  messages.cancel();
  const missed = await create(modelward, 'node missed');
  const again = modelward.watch({ resumeToken });
  assert.equal((await next(again[Symbol.asyncIterator]()))[0], 'node missed');
  again.on('error', () => {});
  again.cancel();
  await purge(modelward, seen.id);
  await purge(modelward, missed.id);
}

// A call that would take seconds ends when its caller has no more time.
async function deadline(modelward) {
  const provider = await create(modelward, 'node deadline');
  const wanted = { providerId: provider.id, name: 'silent', baseUrl: env('SILENT'), healthCheck: { enabled: false } };
  const { endpoint } = await modelward.call('EndpointService', 'CreateEndpoint', { endpoint: wanted });
  const check = modelward.call('EndpointService', 'CheckEndpointHealth', { id: endpoint.id }, 300);
  const error = await check.then(() => assert.fail('a call without time left is answered'), (it) => it);
  assert.equal(error.code, status.DEADLINE_EXCEEDED);
  await purge(modelward, provider.id);
}

async function tls() {
  const trusted = new Modelward(env('TLS'), token, grpc.credentials.createSsl(readFileSync(env('CA'))));
  await purge(trusted, (await create(trusted, 'node tls')).id);
  trusted.close();
  const strange = new Modelward(env('TLS'), token, grpc.credentials.createSsl());
  const error = await create(strange, 'node stranger').then(() => assert.fail('an unknown authority is trusted'), (it) => it);
  assert.equal(error.code, status.UNAVAILABLE, error.message);
  strange.close();
}

async function socket() {
  const modelward = new Modelward(`unix://${env('SOCKET')}`, token);
  for (const check of [changes, errors, watch]) await check(modelward);
  modelward.close();
}

// Health needs no token, on both listeners. The service is the standard one, written down here.
async function health() {
  const asIs = (bytes) => bytes;
  for (const target of [env('OPS'), env('PLAIN')]) {
    const client = new grpc.Client(target, grpc.credentials.createInsecure());
    for (const service of ['', 'modelward.v1.ProviderService', 'modelward.writes']) {
      const name = Buffer.from(service);
      const request = name.length ? Buffer.concat([Buffer.from([0x0a, name.length]), name]) : name;
      const answer = await new Promise((resolve, reject) => {
        const done = (error, bytes) => (error ? reject(error) : resolve(bytes));
        client.makeUnaryRequest('/grpc.health.v1.Health/Check', asIs, asIs, request, done);
      });
      // status = SERVING
      assert.deepEqual(answer, Buffer.from([0x08, 0x01]), `${service} of ${target}`);
    }
    client.close();
  }
}

const modelward = new Modelward(env('PLAIN'), token);
for (const check of [changes, errors, watch, deadline, tls, socket, health]) {
  await check(modelward);
  console.log('ok', check.name);
}
modelward.close();
