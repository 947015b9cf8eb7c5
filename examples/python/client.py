"""A client in Python: the README's path from a provider to a target with its secret, then it removes what it made.

The README shows how the stubs are made from proto/ and how this is run.
"""

import argparse
import pathlib
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from modelward.v1 import credential_pb2, credential_pb2_grpc
from modelward.v1 import endpoint_pb2, endpoint_pb2_grpc
from modelward.v1 import model_pb2, model_pb2_grpc
from modelward.v1 import provider_pb2, provider_pb2_grpc
from modelward.v1 import routing_pb2, routing_pb2_grpc


class Client:
    """The services over one connection, each call with the token."""

    def __init__(self, channel, token):
        self.metadata = [("authorization", f"Bearer {token}")]
        self.providers = provider_pb2_grpc.ProviderServiceStub(channel)
        self.endpoints = endpoint_pb2_grpc.EndpointServiceStub(channel)
        self.credentials = credential_pb2_grpc.CredentialServiceStub(channel)
        self.models = model_pb2_grpc.ModelServiceStub(channel)
        self.routing = routing_pb2_grpc.RoutingServiceStub(channel)

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=30)

    def make_provider(self):
        name = f"python-client-{time.time_ns()}"
        wanted = provider_pb2.Provider(name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE)
        # With a request id the call can be repeated after a lost answer: the provider is made once.
        request = provider_pb2.CreateProviderRequest(provider=wanted, request_id=name)
        made = self.call(self.providers.CreateProvider, request).provider
        print(f"provider {made.name} has the id {made.id}")
        return made.id

    def add_endpoint(self, provider_id, base_url):
        wanted = endpoint_pb2.Endpoint(provider_id=provider_id, name="local", base_url=base_url)
        made = self.call(self.endpoints.CreateEndpoint, endpoint_pb2.CreateEndpointRequest(endpoint=wanted)).endpoint
        request = endpoint_pb2.CheckEndpointHealthRequest(id=made.id)
        health = self.call(self.endpoints.CheckEndpointHealth, request).endpoint.health
        print(f"endpoint {made.base_url}: {endpoint_pb2.HealthStatus.Name(health.status)} {health.message}")
        assert health.status == endpoint_pb2.HEALTH_STATUS_HEALTHY

    def add_credential(self, provider_id, key):
        secret = credential_pb2.CredentialSecret(api_key=key)
        wanted = credential_pb2.Credential(provider_id=provider_id, alias="main", secret=secret)
        request = credential_pb2.CreateCredentialRequest(credential=wanted)
        made = self.call(self.credentials.CreateCredential, request).credential
        request = credential_pb2.ValidateCredentialRequest(id=made.id)
        verdict = self.call(self.credentials.ValidateCredential, request).credential.validation
        print(f"credential {made.hint}: {credential_pb2.ValidationStatus.Name(verdict.status)} {verdict.message}")
        assert verdict.status == credential_pb2.VALIDATION_STATUS_VALID

    def list_models(self, provider_id):
        synced = self.call(self.models.SyncModels, model_pb2.SyncModelsRequest(provider_id=provider_id))
        print(f"{synced.added} models were added")
        able = model_pb2.ListModelsRequest(
            provider_id=provider_id, capabilities=[model_pb2.CAPABILITY_FUNCTION_CALLING], usable=True
        )
        for model in self.call(self.models.ListModels, able).models:
            print(f"  {model.model_id} can call functions, window {model.context_window}")

    def pick(self, provider_id):
        request = endpoint_pb2.PickEndpointRequest(provider_id=provider_id)
        print(f"use {self.call(self.endpoints.PickEndpoint, request).endpoint.base_url}")

    def resolve(self):
        """What to call for something that can call functions, with the key, and what if that fails."""
        needed = routing_pb2.ModelRequirement(capabilities=[model_pb2.CAPABILITY_FUNCTION_CALLING])
        answer = self.call(self.routing.ResolveTarget, routing_pb2.ResolveTargetRequest(
            requirement=needed, include_secret=True, max_fallbacks=2
        ))
        target = answer.target
        print(f"call {target.model.model_id} at {target.endpoint.base_url} with the key of {target.credential_id}")
        print(f"  {len(target.secret.api_key)} characters of it, and {len(answer.fallbacks)} fallbacks")
        self.call(self.routing.ReportOutcome, routing_pb2.ReportOutcomeRequest(outcomes=[routing_pb2.Outcome(
            endpoint_id=target.endpoint.id, credential_id=target.credential_id, model_id=target.model.id,
            success=True, http_status=200, input_tokens=12, output_tokens=34,
        )]))

    def refused_name(self, provider_id):
        """Every error has a reason that programs can rely on; the message is for people."""
        try:
            self.call(self.endpoints.CreateEndpoint, endpoint_pb2.CreateEndpointRequest(
                endpoint=endpoint_pb2.Endpoint(provider_id=provider_id, name="LOCAL", base_url="http://127.0.0.1:1")
            ))
        except grpc.RpcError as error:
            print(f"refused with {reason(error)}: {error.details()}")
            assert reason(error) == "ALREADY_EXISTS"
        else:
            raise AssertionError("a name that is taken was accepted")

    def remove(self, provider_id):
        self.call(self.providers.DeleteProvider, provider_pb2.DeleteProviderRequest(id=provider_id, purge=True))


def reason(error):
    """ErrorInfo.reason of a failed call; empty when the server did not answer at all."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--server", default="127.0.0.1:50051")
    options.add_argument("--token-file", type=pathlib.Path, default="modelward-data/admin.token")
    options.add_argument("--base-url", default="http://127.0.0.1:18080/v1")
    options.add_argument("--key", default="sk-mock-1234567890abcd")
    given = options.parse_args()
    with grpc.insecure_channel(given.server) as channel:
        client = Client(channel, given.token_file.read_text().strip())
        provider_id = client.make_provider()
        try:
            client.add_endpoint(provider_id, given.base_url)
            client.add_credential(provider_id, given.key)
            client.list_models(provider_id)
            client.pick(provider_id)
            client.resolve()
            client.refused_name(provider_id)
        finally:
            client.remove(provider_id)
    print("done")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as failed:
        sys.exit(f"{failed.code().name} {reason(failed)}: {failed.details()}")
