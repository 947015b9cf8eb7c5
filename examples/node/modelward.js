// The services over one connection: calls as promises, each with the token and a deadline, and what failed ones tell.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import protobuf from 'protobufjs';

export { grpc };

// Where you keep the proto files. They are read at run time: nothing is generated.
const protos = fileURLToPath(new URL('../../proto/', import.meta.url));
const files = readdirSync(`${protos}modelward/v1`).map((name) => `modelward/v1/${name}`);
const options = { includeDirs: [protos], keepCase: false, longs: Number, enums: String, defaults: true, oneofs: true };
const { v1 } = grpc.loadPackageDefinition(protoLoader.loadSync(files, options)).modelward;

// Several servers behind one name are balanced over, and what a stopping one refused is repeated.
const policy = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [{
    name: [{}],
    retryPolicy: {
      maxAttempts: 4, initialBackoff: '0.1s', maxBackoff: '2s', backoffMultiplier: 2, retryableStatusCodes: ['UNAVAILABLE'],
    },
  }],
};

export class Modelward {
  // `credentials` are `grpc.credentials.createSsl(ca)` beyond your own machine.
  constructor(server, token, credentials = grpc.credentials.createInsecure()) {
    const channel = { 'grpc.service_config': JSON.stringify(policy) };
    this.metadata = new grpc.Metadata();
    if (token) this.metadata.set('authorization', `Bearer ${token}`);
    this.clients = Object.entries(v1)
      .filter(([, value]) => value.service)
      .map(([name, Client]) => [name, new Client(server, credentials, channel)]);
    this.services = Object.fromEntries(this.clients);
  }

  // The answer of an RPC, as `call('ProviderService', 'GetProvider', { id })`.
  call(service, method, request, milliseconds = 30_000) {
    const client = this.services[service];
    return promisify(client[method]).call(client, request, this.metadata, { deadline: Date.now() + milliseconds });
  }

  // A stream of messages: `for await (const message of …)`; `cancel()` ends it.
  watch(request) {
    return this.services.WatchService.Watch(request, this.metadata);
  }

  close() {
    for (const [, client] of this.clients) client.close();
  }
}

const rpc = protobuf.loadSync(fileURLToPath(new URL('error_details.proto', import.meta.url))).lookup('google.rpc');

// The details of a failed call of one type; undefined: it has none, or the server did not answer at all.
export function detail(error, type) {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return undefined;
  const found = rpc.lookupType('Status').decode(bytes).details.find((any) => any.type_url.endsWith(`google.rpc.${type}`));
  return found && rpc.lookupType(type).toObject(rpc.lookupType(type).decode(found.value));
}

// Every error has a reason that programs can rely on; the message is for people.
export function reason(error) {
  return detail(error, 'ErrorInfo')?.reason ?? '';
}
