"""The four stories: what a person does with a provider, an endpoint, a credential and a model, through grpcurl.

The vendor of the examples runs, and the server is empty of the names that the stories use.
"""

import collections

from calls import vendor
from world import require

BASE_URL = "http://127.0.0.1:18080/v1"
KEY = "sk-mock-1234567890abcd"
MODELS = "gpt-4o-mini,gpt-4o,text-embedding-3-small,mock-large"


def run(client):
    for story in (provider, endpoint, credential, model):
        story(client)
        print(f"  story: {story.__name__}")


def make_provider(client, name, kind="OPENAI_COMPATIBLE"):
    wanted = {"name": name, "kind": f"PROVIDER_KIND_{kind}"}
    return client.call("ProviderService/CreateProvider", provider=wanted)["provider"]


def make_endpoint(client, provider_id, name, **fields):
    wanted = {"provider_id": provider_id, "name": name, "base_url": BASE_URL} | fields
    return client.call("EndpointService/CreateEndpoint", endpoint=wanted)["endpoint"]


def make_credential(client, provider_id, alias, key=KEY):
    wanted = {"provider_id": provider_id, "alias": alias, "secret": {"api_key": key}}
    return client.call("CredentialService/CreateCredential", credential=wanted)["credential"]


def purge(client, provider_id):
    client.call("ProviderService/DeleteProvider", id=provider_id, purge=True, reason="end of a story")


def provider(client):
    """Create, list, rename, disable, delete."""
    made = make_provider(client, "Story Provider")
    require(made["isActive"] and made["createdBy"], "a new provider is active and knows who made it")
    client.refused("ALREADY_EXISTS", "ProviderService/CreateProvider",
                   provider={"name": "STORY provider", "kind": "PROVIDER_KIND_OPENAI"})

    listed = client.call("ProviderService/ListProviders", query="story prov")
    require([row["id"] for row in listed["providers"]] == [made["id"]], "the list finds it by a part of its name")
    require(listed["totalSize"] == 1, "the list counts it")

    renamed = client.call("ProviderService/UpdateProvider", provider={"id": made["id"], "name": "Renamed"},
                          expected_revision=made["revision"])["provider"]
    require(renamed["name"] == "Renamed" and int(renamed["revision"]) > int(made["revision"]), "it is renamed")
    stale = client.refused("REVISION_MISMATCH", "ProviderService/UpdateProvider",
                           provider={"id": made["id"], "name": "Late"}, expected_revision=made["revision"])
    require(str(renamed["revision"]) in stale.message, "the refusal tells the current revision")

    off = client.call("ProviderService/UpdateProviderStatus", id=made["id"], is_active=False)["provider"]
    require(not off["isActive"], "it is switched off")
    client.refused("PROVIDER_DISABLED", "EndpointService/PickEndpoint", provider_id=made["id"])

    client.call("ProviderService/DeleteProvider", id=made["id"], reason="story")
    gone = client.call("ProviderService/ListProviders", name="Renamed")
    require(not gone["providers"], "a deleted provider is not listed")
    shown = client.call("ProviderService/ListProviders", name="Renamed", show_deleted=True)
    require(shown["providers"][0]["deleteTime"], "it is listed with the time of its deletion when asked for")
    back = client.call("ProviderService/UndeleteProvider", id=made["id"])["provider"]
    require(not back.get("deleteTime"), "it comes back")
    purge(client, made["id"])
    client.refused("NOT_FOUND", "ProviderService/GetProvider", id=made["id"])


def endpoint(client):
    """Add, default, check, rotate through by weight."""
    owner = make_provider(client, "Story Endpoint")["id"]
    client.refused("NO_ENDPOINT", "EndpointService/PickEndpoint", provider_id=owner)
    never = {"enabled": False}
    first = make_endpoint(client, owner, "one", health_check=never, weight=1)
    second = make_endpoint(client, owner, "two", health_check=never, weight=3)
    require(first["isDefault"] and not second["isDefault"], "the first endpoint is the default")
    client.call("EndpointService/SetDefaultEndpoint", id=second["id"])
    rows = client.call("EndpointService/ListEndpoints", provider_id=owner)["endpoints"]
    require({row["name"]: row["isDefault"] for row in rows} == {"one": False, "two": True}, "one default at a time")

    checked = client.call("EndpointService/CheckEndpointHealth", id=first["id"])["endpoint"]["health"]
    require(checked["status"] == "HEALTH_STATUS_HEALTHY", f"the check finds it healthy: {checked}")

    picks = collections.Counter(
        client.call("EndpointService/PickEndpoint", provider_id=owner)["endpoint"]["name"] for _ in range(8)
    )
    require(picks == {"one": 2, "two": 6}, f"picks follow the weights 1 and 3: {dict(picks)}")
    other = client.call("EndpointService/PickEndpoint", provider_id=owner, exclude_endpoint_ids=[second["id"]])
    require(other["endpoint"]["name"] == "one", "an excluded endpoint is not picked")

    dead = make_endpoint(client, owner, "dead", base_url="http://127.0.0.1:1/v1", health_check=never)
    verdict = client.call("EndpointService/CheckEndpointHealth", id=dead["id"])["endpoint"]["health"]
    require(verdict["status"] == "HEALTH_STATUS_UNHEALTHY" and verdict["cause"] == "HEALTH_CAUSE_CONNECT",
            f"an endpoint without a server is unhealthy: {verdict}")
    picks = {client.call("EndpointService/PickEndpoint", provider_id=owner)["endpoint"]["name"] for _ in range(8)}
    require(picks == {"one", "two"}, f"it is not picked: {picks}")

    vendor("mode", mode="failing")
    try:
        failing = client.call("EndpointService/CheckEndpointHealth", id=first["id"])["endpoint"]["health"]
    finally:
        vendor("mode", mode="ok")
    require(failing["httpStatus"] == 500, f"a failing vendor is told with its status: {failing}")

    for made in (dead, first):
        client.call("EndpointService/DeleteEndpoint", id=made["id"])
    client.refused("LAST_ENDPOINT", "EndpointService/DeleteEndpoint", id=second["id"])
    purge(client, owner)


def credential(client):
    """Add, see masked, validate, rotate."""
    owner = make_provider(client, "Story Credential")["id"]
    make_endpoint(client, owner, "only")
    made = make_credential(client, owner, "main")
    require(made["hint"] == "****abcd" and made["state"] == "CREDENTIAL_STATE_ACTIVE", f"it is masked: {made}")
    shown = client.call("CredentialService/ListCredentials", provider_id=owner)
    require(KEY not in str(shown) and not shown["credentials"][0].get("secret"), "no list shows a secret")

    valid = client.call("CredentialService/ValidateCredential", id=made["id"])["credential"]["validation"]
    require(valid["status"] == "VALIDATION_STATUS_VALID", f"the vendor takes the key: {valid}")

    client.refused("SECRET_LOOKS_MASKED", "CredentialService/RotateCredential", id=made["id"],
                   secret={"api_key": made["hint"]})
    client.refused("SECRET_REFUSED", "CredentialService/RotateCredential", id=made["id"],
                   secret={"api_key": "sk-wrong-0987654321"}, validate_first=True)
    rotated = client.call("CredentialService/RotateCredential", id=made["id"], grace_period="60s",
                          secret={"api_key": "sk-other-1234567890wxyz"})["credential"]
    require(rotated["hint"] == "****wxyz" and int(rotated["secretVersion"]) == 2, f"it is rotated: {rotated}")
    bad = client.call("CredentialService/ValidateCredential", id=made["id"])["credential"]["validation"]
    require((bad["status"], bad["cause"]) == ("VALIDATION_STATUS_INVALID", "VALIDATION_CAUSE_BAD_KEY"),
            f"the vendor refuses the new key: {bad}")
    require("1234567890wxyz" not in str(bad), "the verdict does not repeat the key")

    for version, key in ((0, "sk-other-1234567890wxyz"), (1, KEY)):
        opened = client.call("CredentialService/AccessCredential", id=made["id"], secret_version=version, reason="story")
        require(opened["secret"]["apiKey"] == key, f"an admin reads version {version} back")
    revoked = client.call("CredentialService/RevokeCredential", id=made["id"], reason="leaked")["credential"]
    require(revoked["state"] == "CREDENTIAL_STATE_REVOKED", "it is revoked")
    purge(client, owner)


def model(client):
    """Synchronise, filter, reprice, add by hand."""
    owner = make_provider(client, "Story Model")["id"]
    make_endpoint(client, owner, "only")
    make_credential(client, owner, "main")
    looked = client.call("ModelService/SyncModels", provider_id=owner, dry_run=True)
    require(looked["added"] == 4, f"a dry run tells what it would do: {looked}")
    require(client.call("ModelService/ListModels", provider_id=owner)["totalSize"] == 0, "and does nothing")
    synced = client.call("ModelService/SyncModels", provider_id=owner)
    require(synced["added"] == 4 and len(synced["models"]) == 4, f"four models are added: {synced}")

    able = client.call("ModelService/ListModels", provider_id=owner, order_by="name",
                       capabilities=["CAPABILITY_FUNCTION_CALLING"], min_context_window=100000, usable=True)
    names = [row["modelId"] for row in able["models"]]
    require(names == ["gpt-4o", "gpt-4o-mini", "mock-large"], f"the filter finds the three that can: {names}")

    large = able["models"][2]
    price = {"input_per_1k": "0.000000001", "output_per_1k": "0.01"}
    priced = client.call("ModelService/UpdateModel", model={"id": large["id"], "pricing": price})["model"]
    require(priced["pricing"]["inputPer1k"] == "0.000000001", f"a price is exact: {priced['pricing']}")
    require("pricing" in str(priced["pinnedFields"]), f"and stays as the person set it: {priced['pinnedFields']}")
    again = client.call("ModelService/SyncModels", provider_id=owner)
    require((again["added"], again["updated"], again["unchanged"]) == (0, 0, 4), f"nothing new: {again}")

    wanted = {"provider_id": owner, "model_id": "by-hand", "type": "MODEL_TYPE_CHAT", "context_window": 8192,
              "capabilities": [{"capability": "CAPABILITY_CHAT", "score": 5}]}
    hand = client.call("ModelService/CreateModel", model=wanted, set_default=True)["model"]
    require(hand["source"] == "MODEL_SOURCE_MANUAL" and hand["isDefault"], f"one is added by hand: {hand}")
    best = client.call("ModelService/ListModelsByCapability", capability="CAPABILITY_CHAT", min_score=5)
    require([row["modelId"] for row in best["models"]] == ["by-hand"], "it is the best that is rated")
    default = client.call("ModelService/GetDefaultModel")["model"]
    require(default["id"] == hand["id"], "it is the default for chat")

    tested = client.call("ModelService/TestModel", id=large["id"])["model"]["availability"]
    require(tested["status"] == "AVAILABILITY_STATUS_AVAILABLE", f"a test call works: {tested}")

    vendor("models", ids="gpt-4o,gpt-4o-mini,mock-large,new-one")
    try:
        moved = client.call("ModelService/SyncModels", provider_id=owner)
        require((moved["added"], moved["deprecated"]) == (1, 1), f"one came and one went: {moved}")
        vendor("models", ids="gpt-4o")
        client.refused("SYNC_SHRINKS", "ModelService/SyncModels", provider_id=owner)
    finally:
        vendor("models", ids=MODELS)
    kept = client.call("ModelService/GetModel", id=hand["id"])["model"]
    require(kept["status"] == "MODEL_STATUS_AVAILABLE", "what was added by hand is left alone")
    purge(client, owner)
