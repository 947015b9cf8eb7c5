//! The copy on disk: with it a sidecar starts and serves while its control plane is away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use tonic::Code;

use super::stage::{SECRET, Stage, local, resolve};
use crate::support::server::Caller;
use crate::support::{Refusal, eventually};

/// Waits until the sidecar holds the secret.
async fn holds(stage: &Stage, caller: &Caller) {
    eventually("the secret is held", || async { resolve(caller, &stage.model).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_starts_from_its_copy_and_says_how_old_that_is() {
    let stage = Stage::set().await;
    let mut first = stage.sidecar(&["--serve-secrets"]);
    holds(&stage, &local(&first)).await;
    assert!(first.terminate().success(), "{}", first.log());
    stage.copied().await;
    stage.begin_outage();
    let second = stage.sidecar(&["--serve-secrets"]);
    let (secret, stale) = resolve(&local(&second), &stage.model).await.unwrap();
    assert_eq!(secret, SECRET);
    assert!(stale.is_some(), "an answer from a copy says how old it is");
    let age = || {
        let page = second.page("/metrics");
        let age = page.lines().find_map(|line| line.strip_prefix("modelward_snapshot_age_seconds ")).unwrap();
        age.parse::<f64>().unwrap()
    };
    eventually("the metrics tell the age", || async { (age() > 0.0).then_some(()) }).await;
    stage.end_outage();
    eventually("it follows again", || async {
        resolve(&local(&second), &stage.model).await.ok().filter(|(_, stale)| stale.is_none())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_are_not_in_the_copy_are_unavailable() {
    let stage = Stage::set().await;
    let mut without = stage.sidecar(&[]);
    assert!(without.terminate().success());
    stage.copied().await;
    stage.begin_outage();
    let with = stage.sidecar(&["--serve-secrets"]);
    let refused = resolve(&local(&with), &stage.model).await.unwrap_err();
    Refusal::of(&refused).is(Code::Unavailable, "SECRET_NOT_HELD").says_when_to_retry();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_cannot_be_used_is_told_once_and_written_anew() {
    let stage = Stage::set().await;
    for spoil in ["altered", "rights", "key"] {
        let mut sidecar = stage.sidecar(&[]);
        assert!(sidecar.terminate().success());
        stage.copied().await;
        match spoil {
            "altered" => {
                let mut bytes = fs::read(stage.copy()).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(stage.copy(), bytes).unwrap();
            }
            "rights" => fs::set_permissions(stage.copy(), fs::Permissions::from_mode(0o604)).unwrap(),
            _ => fs::remove_file(stage.path("copy.key")).unwrap(),
        }
        let mut next = stage.sidecar(&[]);
        let told = next.log().lines().filter(|line| line.contains("is not used")).count();
        assert_eq!(told, 1, "{spoil}: {}", next.log());
        assert!(next.terminate().success());
        stage.copied().await;
        let whole = stage.sidecar(&[]);
        assert!(!whole.log().contains("is not used"), "{spoil}: {}", whole.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_copy_is_written_leaves_the_former_one() {
    let stage = Stage::set().await;
    let mut first = stage.sidecar(&["--serve-secrets"]);
    holds(&stage, &local(&first)).await;
    assert!(first.terminate().success());
    let whole = fs::read(stage.copy()).unwrap();
    let mut killed =
        stage.spawn(stage.identity(), &["--serve-secrets"], &[("MODELWARD_FAIL_POINTS", "sidecar.copied=kill")]);
    assert_eq!(killed.wait().signal(), Some(9), "{}", killed.log());
    assert_eq!(fs::read(stage.copy()).unwrap(), whole);
    assert!(stage.path("data/sidecar.cache.new").exists(), "it died in the middle");
    stage.begin_outage();
    let last = stage.sidecar(&["--serve-secrets"]);
    assert_eq!(resolve(&local(&last), &stage.model).await.unwrap().0, SECRET);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_copy_the_log_or_the_metrics() {
    let stage = Stage::set().await;
    let mut sidecar = stage.sidecar(&["--serve-secrets", "--set", "log.level=trace"]);
    holds(&stage, &local(&sidecar)).await;
    let metrics = sidecar.page("/metrics");
    assert!(sidecar.terminate().success());
    stage.copied().await;
    let copy = fs::read(stage.copy()).unwrap();
    let hex = |text: &str| hex::encode(text);
    for secret in [SECRET, stage.identity(), "a-local-token"] {
        for form in [secret.to_owned(), hex(secret)] {
            assert!(!copy.windows(form.len()).any(|window| window == form.as_bytes()), "the copy");
            assert!(!sidecar.log().contains(&form), "the log");
            assert!(!metrics.contains(&form), "the metrics");
        }
    }
    // What looks has to find what is there.
    assert!(stage.identity().contains("mw_") && sidecar.log().contains("is ready"));
}
