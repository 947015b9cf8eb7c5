"""The checks that every client has to pass, by Python's grpcio. `tests/interop/run.py` starts it and says where the servers
are; the stubs are on the path."""

import os
import pathlib
import sys
import uuid

import grpc
from google.protobuf import duration_pb2, field_mask_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from modelward.v1 import endpoint_pb2, endpoint_pb2_grpc
from modelward.v1 import provider_pb2, provider_pb2_grpc
from modelward.v1 import watch_pb2, watch_pb2_grpc

PLAIN, TLS, OPS = (os.environ[f"INTEROP_{name}"] for name in ("PLAIN", "TLS", "OPS"))
TOKEN = pathlib.Path(os.environ["INTEROP_TOKEN"]).read_text().strip()


class Client:
    def __init__(self, channel, token=TOKEN):
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        self.providers = provider_pb2_grpc.ProviderServiceStub(channel)
        self.endpoints = endpoint_pb2_grpc.EndpointServiceStub(channel)
        self.watches = watch_pb2_grpc.WatchServiceStub(channel)

    def call(self, method, request, timeout=30):
        return method(request, metadata=self.metadata, timeout=timeout)

    def create(self, name, request_id=""):
        wanted = provider_pb2.Provider(name=name, kind=provider_pb2.PROVIDER_KIND_VLLM)
        request = provider_pb2.CreateProviderRequest(provider=wanted, request_id=request_id)
        return self.call(self.providers.CreateProvider, request).provider

    def purge(self, provider_id):
        self.call(self.providers.DeleteProvider, provider_pb2.DeleteProviderRequest(id=provider_id, purge=True))

    def watch(self, **request):
        return self.watches.Watch(watch_pb2.WatchRequest(**request), metadata=self.metadata, timeout=30)


def fails(call, code):
    """The error of a call that must fail with this code."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"{code} was expected: {answer}")


def refused(call, code, reason):
    """The fields that an error of this code and reason names as bad."""
    infos, fields = [], []
    for detail in rpc_status.from_call(fails(call, code)).details:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            infos.append((info.reason, info.domain))
        elif detail.Unpack(bad):
            fields += [violation.field for violation in bad.field_violations]
    assert infos == [(reason, "modelward")], infos
    return sorted(fields)


def changes(client):
    request_id = str(uuid.uuid4())
    made = client.create("python changes", request_id)
    assert client.create("python changes", request_id) == made
    updated = client.call(client.providers.UpdateProvider, provider_pb2.UpdateProviderRequest(
        provider=provider_pb2.Provider(id=made.id, description="by grpcio", name="not named"),
        update_mask=field_mask_pb2.FieldMask(paths=["description"]),
        expected_revision=made.revision,
    )).provider
    assert (updated.description, updated.name) == ("by grpcio", "python changes"), updated
    listed = client.call(client.providers.ListProviders, provider_pb2.ListProvidersRequest(name="python changes"))
    assert listed.total_size == 1 and list(listed.providers) == [updated], listed
    client.purge(made.id)
    get = provider_pb2.GetProviderRequest(id=made.id)
    refused(lambda: client.call(client.providers.GetProvider, get), grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def errors(client):
    wanted = provider_pb2.Provider(name="", sync_policy=provider_pb2.SyncPolicy(interval=duration_pb2.Duration(seconds=1)))
    request = provider_pb2.CreateProviderRequest(provider=wanted)
    fields = refused(lambda: client.call(client.providers.CreateProvider, request), grpc.StatusCode.INVALID_ARGUMENT,
                     "INVALID_FIELD")
    expected = os.environ["INTEROP_BAD_FIELDS"].split()
    assert fields == expected, (fields, expected)
    with grpc.insecure_channel(PLAIN) as channel:
        nobody = Client(channel, token=None)
        request = provider_pb2.ListProvidersRequest()
        refused(lambda: nobody.call(nobody.providers.ListProviders, request), grpc.StatusCode.UNAUTHENTICATED,
                "UNAUTHENTICATED")


def next_change(stream):
    """The next change that a stream shows, and the token after it."""
    for message in stream:
        if message.event == watch_pb2.WATCH_EVENT_CHANGES:
            return message.changes[0].after.provider.name, message.resume_token
    raise AssertionError("the stream ended")


def watch(client):
    stream = client.watch(client_name="grpcio")
    assert next(stream).event == watch_pb2.WATCH_EVENT_BOOKMARK
    seen = client.create("python seen")
    name, token = next_change(stream)
    assert name == "python seen", name
    stream.cancel()
    missed = client.create("python missed")
    resumed = client.watch(resume_token=token)
    assert next_change(resumed)[0] == "python missed"
    resumed.cancel()
    client.purge(seen.id)
    client.purge(missed.id)


def deadline(client):
    """A call that would take seconds ends when its caller has no more time."""
    provider = client.create("python deadline")
    wanted = endpoint_pb2.Endpoint(provider_id=provider.id, name="silent", base_url=os.environ["INTEROP_SILENT"],
                                   health_check=endpoint_pb2.HealthCheckPolicy(enabled=False))
    made = client.call(client.endpoints.CreateEndpoint, endpoint_pb2.CreateEndpointRequest(endpoint=wanted)).endpoint
    check = endpoint_pb2.CheckEndpointHealthRequest(id=made.id)
    fails(lambda: client.call(client.endpoints.CheckEndpointHealth, check, timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
    client.purge(provider.id)


def tls(_):
    authority = pathlib.Path(os.environ["INTEROP_CA"]).read_bytes()
    with grpc.secure_channel(TLS, grpc.ssl_channel_credentials(authority)) as channel:
        client = Client(channel)
        client.purge(client.create("python tls").id)
    with grpc.secure_channel(TLS, grpc.ssl_channel_credentials()) as channel:
        fails(lambda: Client(channel).create("python stranger"), grpc.StatusCode.UNAVAILABLE)


def socket(_):
    # By itself grpcio sends the escaped path as the authority, which is none.
    options = [("grpc.default_authority", "localhost")]
    with grpc.insecure_channel(f"unix:{os.environ['INTEROP_SOCKET']}", options) as channel:
        for check in (changes, errors, watch):
            check(Client(channel))


def health(_):
    """Health needs no token, on both listeners."""
    for target in (OPS, PLAIN):
        with grpc.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for service in ("", "modelward.v1.ProviderService", "modelward.writes"):
                answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING, (service, target, answer)


def main():
    with grpc.insecure_channel(PLAIN) as channel:
        client = Client(channel)
        for check in (changes, errors, watch, deadline, tls, socket, health):
            check(client)
            print("ok", check.__name__, flush=True)


if __name__ == "__main__":
    sys.exit(main())
