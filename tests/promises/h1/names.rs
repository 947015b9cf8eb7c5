//! Names that resolve to one thing when they are judged and to another when they are connected to.

use modelward::adapter::Client;
use modelward::domain::health::HealthCause;
use modelward::domain::provider::ProviderKind;

use crate::support::direct::{self, client, host_of};
use crate::support::recorder::Recorder;

/// Public by its prefix, and in nobody's network.
const NOBODY: &str = "3ffe:ffff::1";
/// More than are tried.
const MANY: usize = 40;

async fn ask(client: &Client, kind: ProviderKind, inside: &Recorder) -> HealthCause {
    let url = format!("http://rebinding.example.com:{}/v1", inside.port());
    direct::ask(client, kind, &url, "AKIA0123456789abcdef", &host_of(&url)).await
}

/// What a name's owner may answer.
fn scripts() -> Vec<(&'static str, Vec<Vec<&'static str>>)> {
    let public_and_inside = vec![NOBODY, "127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1"];
    let mut last = vec![NOBODY; MANY];
    last.push("127.0.0.1");
    vec![
        ("public first, private second", vec![public_and_inside.clone()]),
        ("private first, public second", vec![public_and_inside.into_iter().rev().collect()]),
        ("public, then private", vec![vec![NOBODY], vec!["127.0.0.1"]]),
        ("private, then public", vec![vec!["127.0.0.1"], vec![NOBODY]]),
        ("public twice, then private", vec![vec![NOBODY], vec![NOBODY], vec!["::1"]]),
        ("many public ones before it", vec![last]),
        ("private alone", vec![vec!["127.0.0.1"]]),
        ("mapped", vec![vec!["::ffff:127.0.0.1"]]),
        ("compatible", vec![vec!["::127.0.0.1"]]),
        ("NAT64", vec![vec!["64:ff9b::7f00:1"]]),
        ("6to4", vec![vec!["2002:7f00:1::1"]]),
        ("nothing, then private", vec![vec![], vec!["127.0.0.1"]]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_no_name_turns_into_a_private_address() {
    let inside = Recorder::start_everywhere().await;
    let vendors = ProviderKind::ALL.into_iter().filter(|kind| !kind.is_self_hosted());
    for kind in vendors {
        for (name, script) in scripts() {
            let script: Vec<_> = script.iter().map(Vec::as_slice).collect();
            ask(&client(&script, inside.port(), false), kind, &inside).await;
            assert_eq!(inside.connections(), 0, "{kind:?}: {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_no_name_turns_into_what_nobody_connects_to() {
    let inside = Recorder::start_everywhere().await;
    let unspecified = ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::", "2002::1"];
    for kind in ProviderKind::ALL {
        let cause = ask(&client(&[&unspecified], inside.port(), true), kind, &inside).await;
        assert_eq!((cause, inside.connections()), (HealthCause::AddressRefused, 0), "{kind:?}");
    }
}

/// The same scripts reach the listener where private addresses are allowed: it does count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_the_listener_counts_those_who_come() {
    let inside = Recorder::start_everywhere().await;
    for kind in ProviderKind::ALL {
        let before = inside.connections();
        ask(&client(&[&["127.0.0.1"]], inside.port(), true), kind, &inside).await;
        assert!(inside.connections() > before, "{kind:?}");
    }
}
