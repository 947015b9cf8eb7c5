//! Names that look like the allowed one, or belong to it in the eyes of a careless reader. A resolver of the test sends
//! all of them to a host that keeps every byte.

use modelward::domain::provider::ProviderKind;

use super::super::s1::canary::{Canary, Finder};
use crate::support::direct::{ask, client, host_of};
use crate::support::recorder::Recorder;

/// Where the key may go, and where a base URL leads instead.
const LOOK_ALIKES: &[(&str, &str)] = &[
    ("api.example.com", "api.example.com.evil.com"),
    ("api.example.com", "evil.com"),
    ("api.example.com", "sub.api.example.com"),
    ("api.example.com", "example.com"),
    ("api.example.com", "api.example.com."),
    ("api.example.com", "xapi.example.com"),
    ("api.example.com", "api-example.com"),
    ("api.example.com", "api.example.co"),
    ("api.example.com", "\u{430}pi.example.com"),
    ("api.example.com", "api.ex\u{430}mple.com"),
    ("api.example.com", "api。example。com.evil.com"),
    ("api.example.com", "api%2eexample%2ecom.evil.com"),
    ("api.example.com", "xn--pi-7kc.example.com"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock.us-east-1.amazonaws.com"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com.evil.com"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime.eu-west-1.amazonaws.com"),
    ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime.evil.amazonaws.com"),
    ("bedrock.us-east-1.amazonaws.com", "bedrock-runtime.evil.com"),
    ("ollama.com", "ollama.com.evil.com"),
    ("openrouter.ai", "openrouter.ai.evil.com"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_names_that_look_alike_get_nothing() {
    let canary = Canary::new();
    let mut finder = Finder::default();
    finder.add("the key", &canary);
    let host = Recorder::start().await;
    let client = client(&[&["127.0.0.1"]], host.port(), true);
    let at = |name: &str| format!("http://{name}:{}/v1", host.port());
    for kind in ProviderKind::ALL {
        for (allowed, name) in LOOK_ALIKES {
            ask(&client, kind, &at(name), &canary.0, &host_of(&at(allowed))).await;
        }
    }
    let leaks: Vec<_> = host.arrived().iter().filter_map(|bytes| finder.find(bytes)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(host.connections() >= LOOK_ALIKES.len() * ProviderKind::ALL.len(), "probes came, without a key");
    // The name itself gets it.
    let before = host.connections();
    for kind in ProviderKind::ALL {
        ask(&client, kind, &at("api.example.com"), &canary.0, &host_of(&at("api.example.com"))).await;
    }
    let with_key = host.arrived()[before..].iter().filter(|bytes| finder.find(bytes).is_some()).count();
    assert!(with_key >= ProviderKind::ALL.len(), "{with_key}");
}
