//! The same for a sidecar, whose callers are as near as can be and whose memory is dear.

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::attacker::Victim;
use super::{HALF_SENT, Stand, survive, wait_for_connections};
use crate::support::process::Process;
use modelward::proto::v1::ProviderKind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_one_client_cannot_exhaust_a_sidecar() {
    let (above, below) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let plane = Process::start(above.path(), &[]);
    let known = plane.admin().add_provider("known", ProviderKind::Ollama).await;
    let process = Process::sidecar(below.path(), &format!("http://{}", plane.address()), &plane.token(), &[]);
    let victim = Victim { address: process.address(), token: "none".to_owned() };
    let stand = Stand { process, victim, known: Some(known.id), _directory: below };
    survive(
        &stand,
        "a sidecar: resets, messages of 5 MiB, such as never end, answers that are not read",
        async |until| {
            let mut attackers = JoinSet::new();
            let victim = stand.victim.clone();
            attackers.spawn(async move { _ = victim.reset_flood(until).await });
            let victim = stand.victim.clone();
            attackers.spawn(async move { _ = victim.too_large(until).await });
            let victim = stand.victim.clone();
            attackers.spawn(async move { victim.never_read(1000, until).await });
            let refused = stand.victim.half_sent(HALF_SENT, until).await;
            attackers.join_all().await;
            refused
        },
    )
    .await;
    wait_for_connections(&stand, 2).await;
}
