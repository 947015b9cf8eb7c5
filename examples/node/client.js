// A client in Node: makes a provider, asks what to call and with which key, follows the configuration, and removes what
// it made.
//
//   npm ci --prefix examples/node --ignore-scripts
//   node examples/node/client.js
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Modelward, reason } from './modelward.js';

const { values: options } = parseArgs({
  options: {
    // A Unix socket as unix:///path.
    'server': { type: 'string', default: '127.0.0.1:50051' },
    'token-file': { type: 'string', default: 'modelward-data/admin.token' },
    'base-url': { type: 'string', default: 'http://127.0.0.1:18080/v1' },
    'key': { type: 'string', default: 'sk-mock-1234567890abcd' },
  },
});

async function makeProvider(modelward) {
  const name = `node-client-${process.hrtime.bigint()}`;
  const provider = { name, kind: 'PROVIDER_KIND_OPENAI_COMPATIBLE' };
  // With a request id a call can be repeated after a lost answer: the provider is made once.
  const made = await modelward.call('ProviderService', 'CreateProvider', { provider, requestId: name });
  try {
    await modelward.call('ProviderService', 'CreateProvider', { provider });
  } catch (error) {
    console.log('the same name again is refused with', reason(error));
  }
  return made.provider.id;
}

// An endpoint, a key for it, and the models that the vendor lists.
async function addAccount(modelward, providerId) {
  const endpoint = { providerId, name: 'local', baseUrl: options['base-url'] };
  await modelward.call('EndpointService', 'CreateEndpoint', { endpoint });
  const credential = { providerId, alias: 'main', secret: { apiKey: options.key } };
  await modelward.call('CredentialService', 'CreateCredential', { credential });
  const synced = await modelward.call('ModelService', 'SyncModels', { providerId });
  console.log(synced.added, 'models were added');
}

// What to call for something that can call functions, with the key, and what if that fails.
async function resolve(modelward) {
  const requirement = { capabilities: ['CAPABILITY_FUNCTION_CALLING'] };
  const request = { requirement, includeSecret: true, maxFallbacks: 2 };
  const { target, fallbacks } = await modelward.call('RoutingService', 'ResolveTarget', request);
  const { length } = target.secret.apiKey;
  console.log(`call ${target.model.modelId} at ${target.endpoint.baseUrl} with a key of ${length} characters,`,
    `or one of ${fallbacks.length} others`);
}

// Reads changes until the provider's own is there. A client that comes back with the last token misses nothing.
async function follow(messages, providerId) {
  for await (const message of messages) {
    const change = message.changes.find((one) => one.resourceId === providerId);
    if (change) {
      console.log(`revision ${change.revision} made the provider; goes on with a token of`,
        message.resumeToken.length, 'characters');
      // A stream that nobody cancels keeps its connection, and the process.
      messages.on('error', () => {});
      messages.cancel();
      return;
    }
  }
}

const modelward = new Modelward(options.server, readFileSync(options['token-file'], 'utf8').trim());
try {
  const messages = modelward.watch({ clientName: 'node-example' });
  // The first message says from where on nothing is missed.
  await new Promise((resolve, reject) => { messages.once('data', resolve); messages.once('error', reject); });
  messages.pause();
  const id = await makeProvider(modelward);
  try {
    await addAccount(modelward, id);
    await resolve(modelward);
    await follow(messages, id);
  } finally {
    await modelward.call('ProviderService', 'DeleteProvider', { id, purge: true });
  }
  console.log('done');
} catch (error) {
  console.error(reason(error), error.message);
  process.exitCode = 1;
} finally {
  modelward.close();
}
