//! Secrets stay where they belong: a random canary goes in everywhere, and is looked for everywhere else.

use std::fmt::Debug;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;
use tonic::{Response, Status};

use crate::support::process::Process;
use crate::support::resources::{credential, endpoint, mask, secret};
use crate::support::server::Caller;
use crate::support::vendor::{Mode, Vendor};

/// A secret, and everything that would give it away: itself, encoded, its beginning, its end.
struct Canary {
    text: String,
    traces: Vec<Vec<u8>>,
}

impl Canary {
    fn new() -> Self {
        let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(40).collect();
        let (first, last) = (text[..8].to_owned(), text[32..].to_owned());
        // Of an encoding, the ends depend on what stands around it.
        let within = |encoded: String| encoded[2..encoded.len() - 4].to_owned();
        let traces = [
            text.clone(),
            first,
            last,
            within(STANDARD.encode(&text)),
            within(URL_SAFE_NO_PAD.encode(&text[1..])),
            within(STANDARD.encode(&text[2..])),
            hex::encode(&text),
            hex::encode_upper(&text),
        ];
        Self { text, traces: traces.into_iter().map(String::into_bytes).collect() }
    }

    /// Which trace is found.
    fn found_in(&self, haystack: &[u8]) -> Option<String> {
        let trace = self.traces.iter().find(|trace| haystack.windows(trace.len()).any(|window| window == *trace))?;
        Some(String::from_utf8_lossy(trace).into_owned())
    }
}

/// Everything that callers were told.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn answer<T: Debug>(&mut self, answer: Result<Response<T>, Status>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.0.push(format!("{:?} {:?}", answer.metadata(), answer.get_ref()));
                Some(answer.into_inner())
            }
            Err(status) => {
                let details = String::from_utf8_lossy(status.details()).into_owned();
                self.0.push(format!("{status:?} {details}"));
                None
            }
        }
    }
}

#[test]
fn a_canary_is_found_in_every_form() {
    let canary = Canary::new();
    let haystacks = [
        canary.text.clone(),
        format!("x{}", STANDARD.encode(format!("ab{}cd", canary.text))),
        STANDARD.encode(format!("a{}", canary.text)),
        STANDARD.encode(&canary.text),
        hex::encode(format!("a{}b", canary.text)),
        format!("{}…", &canary.text[..8]),
        format!("…{}", &canary.text[32..]),
    ];
    for haystack in haystacks {
        assert!(canary.found_in(haystack.as_bytes()).is_some(), "{haystack}");
    }
    assert!(canary.found_in(format!("****{}", &canary.text[36..]).as_bytes()).is_none(), "the hint is no trace");
}

/// Every way in, against a vendor that takes the secret, one that quotes it back, and one that fails.
async fn send_everywhere(admin: &Caller, vendor: &Vendor, canaries: &[Canary], told: &mut Told) {
    let [first, second, third] = canaries else { panic!("three canaries") };
    let provider = admin.add_provider("p", ProviderKind::OpenaiCompatible).await;
    admin.add_endpoint(endpoint(&provider.id, "e", &vendor.url())).await;
    let mut wanted = credential(&provider.id, "c", &first.text);
    let every = wanted.secret.as_mut().unwrap();
    every.secret_key = Some(first.text.clone());
    every.access_token = Some(first.text.clone());
    every.session_token = Some(first.text.clone());
    let create = |credential, request_id: &str, validate_only| v1::CreateCredentialRequest {
        credential: Some(credential),
        request_id: request_id.into(),
        validate_only,
        ..Default::default()
    };
    told.answer(admin.credentials().create_credential(create(wanted.clone(), "", true)).await);
    let created = told.answer(admin.credentials().create_credential(create(wanted.clone(), "once", false)).await);
    let id = created.unwrap().credential.unwrap().id;
    told.answer(admin.credentials().create_credential(create(wanted.clone(), "once", false)).await);
    // Refused for every reason there is: taken, too long, used again, unknown.
    told.answer(admin.credentials().create_credential(create(wanted.clone(), "", false)).await);
    let long = v1::CredentialSecret { api_key: Some(first.text.repeat(20)), ..Default::default() };
    let long = v1::Credential { secret: Some(long), ..wanted.clone() };
    told.answer(admin.credentials().create_credential(create(long, "", false)).await);
    let masked = v1::Credential { secret: Some(secret(&format!("****{}", first.text))), ..wanted.clone() };
    told.answer(admin.credentials().create_credential(create(masked, "", false)).await);
    let control = v1::Credential { secret: Some(secret(&format!("{}\n", first.text))), ..wanted.clone() };
    told.answer(admin.credentials().create_credential(create(control, "", false)).await);
    let other = v1::Credential { alias: Some("other".into()), ..wanted.clone() };
    told.answer(admin.credentials().create_credential(create(other, "once", false)).await);
    let mut request = tonic::Request::new(v1::GetCredentialRequest { id: id.clone() });
    request.metadata_mut().insert("authorization", format!("Bearer {}", first.text).parse().unwrap());
    told.answer(Caller::new(admin.channel(), None).credentials().get_credential(request).await);

    rotate_everywhere(admin, vendor, &provider.id, &id, [second, third], told).await;
}

/// The ways in of a secret that replaces another one.
async fn rotate_everywhere(
    admin: &Caller,
    vendor: &Vendor,
    provider_id: &str,
    id: &str,
    [second, third]: [&Canary; 2],
    told: &mut Told,
) {
    let rotate = |key: &str, validate_first| v1::RotateCredentialRequest {
        id: id.to_owned(),
        secret: Some(secret(key)),
        validate_first,
        ..Default::default()
    };
    let validate = || v1::ValidateCredentialRequest { id: id.to_owned() };
    let sync = || v1::SyncModelsRequest { provider_id: provider_id.to_owned(), ..Default::default() };
    for mode in [Mode::Ok, Mode::Echoing, Mode::Failing(500), Mode::Failing(401)] {
        vendor.set_mode(mode);
        told.answer(admin.credentials().validate_credential(validate()).await);
        told.answer(admin.models().sync_models(sync()).await);
        told.answer(admin.credentials().rotate_credential(rotate(&second.text, true)).await);
    }
    let models = v1::ListModelsRequest::default();
    let models = told.answer(admin.models().list_models(models).await).unwrap().models;
    vendor.set_mode(Mode::Echoing);
    for model in &models {
        told.answer(admin.models().test_model(v1::TestModelRequest { id: model.id.clone() }).await);
    }
    let graceful = v1::RotateCredentialRequest {
        grace_period: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..rotate(&second.text, false)
    };
    told.answer(admin.credentials().rotate_credential(graceful).await);
    let named = v1::Credential { id: id.to_owned(), secret: Some(secret(&third.text)), ..Default::default() };
    let named = v1::UpdateCredentialRequest {
        credential: Some(named),
        update_mask: mask(&["secret"]),
        reason: "rotated by hand".into(),
        ..Default::default()
    };
    told.answer(admin.credentials().update_credential(named).await);
    told.answer(admin.credentials().validate_credential(validate()).await);
    told.answer(admin.credentials().list_credentials(v1::ListCredentialsRequest::default()).await);
    told.answer(admin.providers().list_providers(v1::ListProvidersRequest::default()).await);
    // This one may tell; it must not be noted elsewhere.
    let access = v1::AccessCredentialRequest { id: id.to_owned(), ..Default::default() };
    let answer = admin.credentials().access_credential(access).await.unwrap().into_inner();
    assert_eq!(answer.secret.as_ref().unwrap().api_key(), third.text);
    told.0.push(format!("{answer:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_the_answers_or_the_database() {
    let directory = TempDir::new().unwrap();
    let vendor = Vendor::start().await;
    vendor.list(&["a", "b"]);
    let canaries: Vec<_> = std::iter::repeat_with(Canary::new).take(3).collect();
    for canary in &canaries {
        vendor.take_key(&canary.text);
    }
    let mut process = Process::start(directory.path(), &[("MODELWARD_LOG", "trace")]);
    let admin = process.admin();
    let token = admin.token().unwrap().to_owned();
    let mut told = Told::default();
    send_everywhere(&admin, &vendor, &canaries, &mut told).await;
    let used = vendor.seen().iter().filter(|seen| seen.authorization().is_some()).count();
    assert!(used >= 6, "the vendor was called with secrets: {used}");
    drop(admin);
    assert!(process.terminate().success());

    let mut places: Vec<(String, Vec<u8>)> = vec![("the log".into(), process.log().into_bytes())];
    for entry in fs::read_dir(directory.path().join("data")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "master.key" && name != "admin.token" && entry.path().is_file() {
            places.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    assert!(places.iter().any(|(name, content)| name == "modelward.db" && content.len() > 10_000));
    assert!(places[0].1.len() > 10_000, "the log is a trace");
    places.extend(told.0.into_iter().map(|text| ("an answer".to_owned(), text.into_bytes())));
    for (place, content) in &places {
        for canary in &canaries {
            if let Some(trace) = canary.found_in(content) {
                let at = content.windows(trace.len()).position(|window| window == trace.as_bytes()).unwrap();
                let around = &content[at.saturating_sub(200)..(at + 100).min(content.len())];
                panic!("{trace} is in {place}: …{}…", String::from_utf8_lossy(around));
            }
        }
        let bearer = token.rsplit('_').next().unwrap().as_bytes();
        assert!(!content.windows(bearer.len()).any(|window| window == bearer), "the token is in {place}");
    }
}
