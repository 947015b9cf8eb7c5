//! The ways that a secret goes: into every field, through every call, and into every error.

use bytes::Bytes;
use futures_util::future::join_all;
use modelward::proto::v1::{self, ProviderKind, Role};
use prost::Message as _;
use tonic::Request;

use super::Run;
use super::canary::Canary;
use super::evidence::Evidence;
use crate::support::dynamic;
use crate::support::resources::{credential, endpoint, mask, model, provider, seconds};
use crate::support::server::Caller;
use crate::support::vendor::Mode;
use crate::support::{Refusal, eventually};

/// Calls that answer with a secret, as they are there for.
const ANSWERS_A_SECRET: &[&str] =
    &["modelward.v1.CredentialService/AccessCredential", "modelward.v1.AdminService/CreateToken"];

pub struct Ways<'a> {
    run: &'a mut Run,
    pub admin: Caller,
    pub evidence: &'a mut Evidence,
    provider: String,
    /// A credential that is there from the beginning.
    credential: String,
    /// A text that is no secret, and goes where a leak would.
    planted: String,
}

impl<'a> Ways<'a> {
    pub async fn new(run: &'a mut Run, admin: Caller, planted: &Canary, evidence: &'a mut Evidence) -> Self {
        run.finder.add("the admin's token", &Canary(admin.token().unwrap()["mw_".len() + 23..].to_owned()));
        let described = v1::Provider {
            description: Some(planted.0.clone()),
            ..provider(&format!("p{}", fastrand::u64(..)), ProviderKind::OpenaiCompatible)
        };
        let provider = admin.try_provider(described).await.unwrap().id;
        admin.add_endpoint(endpoint(&provider, "e", &run.vendor.url())).await;
        let mut ways = Self { run, admin, evidence, provider, credential: String::new(), planted: planted.0.clone() };
        let credential = ways.new_credential("first");
        ways.credential = ways.admin.add_credential(credential).await.id;
        ways
    }

    /// A secret that was never used.
    fn canary(&mut self, name: &str) -> String {
        let canary = Canary::new();
        self.run.finder.add(name, &canary);
        self.run.vendor.take_key(&canary.0);
        canary.0
    }

    /// A secret with a canary in each field: `api_key`, `secret_key`, `access_token`, `session_token`.
    pub fn secret(&mut self, name: &str) -> v1::CredentialSecret {
        let [api_key, secret_key, access_token, session_token] =
            ["api key", "secret key", "access token", "session token"]
                .map(|field| Some(self.canary(&format!("{name}: {field}"))));
        v1::CredentialSecret { api_key, secret_key, access_token, session_token }
    }

    fn new_credential(&mut self, alias: &str) -> v1::Credential {
        v1::Credential { secret: Some(self.secret(alias)), ..credential(&self.provider, alias, "") }
    }

    async fn create(&mut self, credential: v1::Credential, request_id: &str, validate_only: bool) {
        let request = v1::CreateCredentialRequest {
            credential: Some(credential),
            request_id: request_id.into(),
            validate_only,
            ..Default::default()
        };
        let answer = self.admin.credentials().create_credential(request).await;
        self.evidence.told(answer);
    }

    /// Every call there is, well-formed and empty, and with a secret where it does not belong.
    pub async fn every_rpc(&mut self) {
        let channel = self.admin.channel();
        let admin = self.admin.token().unwrap().to_owned();
        for rpc in dynamic::rpcs() {
            let bearer = self.canary(&format!("{rpc}: a wrong token"));
            let text = self.canary(&format!("{rpc}: garbage"));
            // Of a length-delimited field that nobody knows; of the first field, not UTF-8; cut short; as a whole.
            let unknown = [&[0xfa, 0xff, 0x03, 40][..], text.as_bytes()].concat();
            let broken = [&[0x0a, 42][..], text.as_bytes(), b"\xff\xfe"].concat();
            let cut = [&[0x0a, 200, 1][..], text.as_bytes()].concat();
            let calls = [
                (Some(bearer.as_str()), Bytes::new()),
                (Some(admin.as_str()), unknown.into()),
                (Some(admin.as_str()), broken.into()),
                (Some(admin.as_str()), cut.into()),
                (Some(admin.as_str()), text.into_bytes().into()),
                (Some(admin.as_str()), Bytes::new()),
            ];
            for (token, message) in calls {
                match dynamic::call(&channel, &rpc, token, message).await {
                    Ok(_) if ANSWERS_A_SECRET.contains(&rpc.as_str()) => {}
                    Ok(answer) => {
                        self.evidence.metadata(answer.metadata());
                        self.evidence.add("an answer", answer.into_inner());
                    }
                    Err(status) => self.evidence.refused(&status),
                }
            }
        }
        let large = self.canary("too large").repeat(120_000);
        let answer =
            dynamic::call(&channel, "modelward.v1.CredentialService/CreateCredential", Some(&admin), large.into());
        self.evidence.refused(&answer.await.unwrap_err());
    }

    /// Into every secret field, by every call that takes one; the answers that may tell are only looked at as they are
    /// printed.
    pub async fn every_field(&mut self) {
        let wanted = self.new_credential("every field");
        self.create(wanted.clone(), "", true).await;
        self.create(wanted.clone(), "once", false).await;
        self.create(wanted.clone(), "once", false).await;
        self.create(v1::Credential { alias: Some("another".into()), ..wanted }, "once", false).await;
        for (grace_period, validate_first, validate_only) in
            [(None, false, true), (seconds(600), false, false), (None, true, false), (None, false, false)]
        {
            let request = v1::RotateCredentialRequest {
                id: self.credential.clone(),
                secret: Some(self.secret("rotated")),
                request_id: if validate_only { String::new() } else { format!("rotation {validate_first}") },
                grace_period,
                validate_first,
                validate_only,
                ..Default::default()
            };
            for _ in 0..2 {
                let answer = self.admin.credentials().rotate_credential(request.clone()).await;
                self.evidence.told(answer);
            }
        }
        let named =
            v1::Credential { id: self.credential.clone(), secret: Some(self.secret("updated")), ..Default::default() };
        let update = v1::UpdateCredentialRequest {
            credential: Some(named),
            update_mask: mask(&["secret"]),
            ..Default::default()
        };
        let answer = self.admin.credentials().update_credential(update).await;
        self.evidence.told(answer);
        let access = v1::AccessCredentialRequest { id: self.credential.clone(), ..Default::default() };
        let answer = self.admin.credentials().access_credential(access).await.unwrap();
        self.evidence.metadata(answer.metadata());
        self.evidence.add("a printed answer", format!("{:?}", answer.get_ref()));
        self.every_target().await;
        // Who has a name that is a secret has told it himself: it shows that the log and the log of changes are read.
        let token = v1::CreateTokenRequest {
            name: Some(self.planted.clone()),
            roles: vec![Role::Admin.into()],
            request_id: "token".into(),
            ..Default::default()
        };
        let answer = self.admin.tokens().create_token(token.clone()).await.unwrap().into_inner();
        self.run.finder.add("a new token", &Canary(answer.secret["mw_".len() + 23..].to_owned()));
        self.evidence.add("a printed answer", format!("{answer:?}"));
        let again = self.admin.tokens().create_token(token).await;
        self.evidence.told(again);
        let other = Caller::new(self.admin.channel(), Some(answer.secret));
        other.add_provider("made by another", ProviderKind::Ollama).await;
    }

    /// What to call: secrets come along where they are asked for, and nowhere else.
    async fn every_target(&mut self) {
        let model = self.admin.add_model(model(&self.provider, &format!("m{}", fastrand::u64(..)))).await;
        let selector = Some(v1::resolve_target_request::Selector::ModelId(model.id.clone()));
        let wanted = v1::ResolveTargetRequest { selector, max_fallbacks: Some(5), ..Default::default() };
        let answer = self.admin.routing().resolve_target(wanted.clone()).await;
        self.evidence.told(answer);
        let with_secret = v1::ResolveTargetRequest { include_secret: true, ..wanted };
        let answer = self.admin.routing().resolve_target(with_secret).await.unwrap();
        assert!(answer.get_ref().target.as_ref().unwrap().secret.is_some());
        self.evidence.metadata(answer.metadata());
        self.evidence.add("a printed answer", format!("{:?}", answer.get_ref()));
        let fetch = v1::FetchSecretsRequest { credential_ids: vec![self.credential.clone()] };
        let answer = self.admin.routing().fetch_secrets(fetch).await.unwrap();
        assert_eq!(answer.get_ref().secrets.len(), 1);
        self.evidence.metadata(answer.metadata());
        self.evidence.add("a printed answer", format!("{:?}", answer.get_ref()));
        let answer = self.admin.audit().list_secret_use(v1::ListSecretUseRequest::default()).await;
        assert!(!answer.as_ref().unwrap().get_ref().secret_uses.is_empty());
        self.evidence.told(answer);
        // What does not belong where it is: an id that is a secret.
        let outcomes =
            vec![v1::Outcome { credential_id: self.canary("an outcome"), success: Some(false), ..Default::default() }];
        let answer = self
            .admin
            .routing()
            .report_outcome(v1::ReportOutcomeRequest { outcomes, report_id: self.canary("a report") })
            .await;
        self.evidence.told(answer);
        let target = v1::ResolveTargetRequest {
            selector: Some(v1::resolve_target_request::Selector::ModelId(self.canary("a selector"))),
            ..Default::default()
        };
        let answer = self.admin.routing().resolve_target(target).await;
        self.evidence.told(answer);
    }

    /// Refused for every reason there is.
    pub async fn every_refusal(&mut self) {
        let taken = self.new_credential("every field");
        self.create(taken, "", false).await;
        for (alias, spoil) in [
            ("long", (|key| key.repeat(200)) as fn(String) -> String),
            ("masked", |key| format!("****{key}")),
            ("control", |key| format!("{key}\n{key}")),
            ("blank", |key| format!(" {key}")),
            ("zero", |key| format!("{key}\0")),
        ] {
            let mut wanted = self.new_credential(alias);
            let secret = wanted.secret.as_mut().unwrap();
            for field in
                [&mut secret.api_key, &mut secret.secret_key, &mut secret.access_token, &mut secret.session_token]
            {
                *field = field.take().map(spoil);
            }
            self.create(wanted, "", false).await;
        }
        let unknown =
            v1::Credential { provider_id: Some(uuid::Uuid::now_v7().to_string()), ..self.new_credential("lost") };
        self.create(unknown, "", false).await;
        // Field numbers of a secret with other types, and a secret where an id, a name and a mask belong.
        let key = self.canary("of another type");
        let secret = [&[0x0a, 40][..], key.as_bytes(), &[0x10, 7]].concat();
        let inner = [&[0x6a, u8::try_from(secret.len()).unwrap()][..], &secret].concat();
        let message = [&[0x0a, u8::try_from(inner.len()).unwrap()][..], &inner].concat();
        let create = "modelward.v1.CredentialService/CreateCredential";
        let answer = dynamic::call(&self.admin.channel(), create, self.admin.token(), message.into()).await;
        self.evidence.refused(&answer.unwrap_err());
        for scheme in ["Basic", "bearer", ""] {
            let mut request = Request::new(v1::GetCredentialRequest { id: self.credential.clone() });
            let value = format!("{scheme} {}", self.canary("another scheme"));
            request.metadata_mut().insert("authorization", value.trim().parse().unwrap());
            let answer = Caller::new(self.admin.channel(), None).credentials().get_credential(request).await;
            self.evidence.told(answer);
        }
        // This one is planted: an error that names its field's value would look like it.
        let status = tonic::Status::with_details(tonic::Code::Unknown, &self.planted, self.planted.clone().into());
        self.evidence.refused(&status);
    }

    /// The vendor gives back what it was sent, in every way that it can.
    pub async fn the_vendor(&mut self) {
        self.run.vendor.list(&["a"]);
        self.ask_the_vendor().await;
        let list = self.admin.models().list_models(v1::ListModelsRequest::default()).await.unwrap().into_inner();
        let model = list.models.first().expect("a model was synchronised").id.clone();
        let quoting = [301, 307, 400, 401, 403, 404, 418, 429, 500, 503].map(Mode::Quoting);
        for mode in quoting.into_iter().chain([Mode::Echoing, Mode::Garbling]) {
            self.run.vendor.set_mode(mode);
            self.ask_the_vendor().await;
            let answer = self.admin.models().test_model(v1::TestModelRequest { id: model.clone() }).await;
            self.evidence.told(answer);
        }
        let used = self.run.vendor.seen().iter().filter(|seen| seen.authorization().is_some()).count();
        assert!(used > 40, "the vendor was called with secrets: {used}");
        self.run.vendor.set_mode(Mode::Ok);
        let answer = self.admin.credentials().list_credentials(v1::ListCredentialsRequest::default()).await;
        self.evidence.told(answer);
        let answer = self.admin.providers().list_providers(v1::ListProvidersRequest::default()).await;
        self.evidence.told(answer);
        let answer = self.admin.models().list_models(v1::ListModelsRequest::default()).await;
        self.evidence.told(answer);
    }

    async fn ask_the_vendor(&mut self) {
        let validate = v1::ValidateCredentialRequest { id: self.credential.clone() };
        let answer = self.admin.credentials().validate_credential(validate).await;
        self.evidence.told(answer);
        let sync = v1::SyncModelsRequest { provider_id: self.provider.clone(), ..Default::default() };
        let answer = self.admin.models().sync_models(sync).await;
        self.evidence.told(answer);
        let first = v1::RotateCredentialRequest {
            id: self.credential.clone(),
            secret: Some(self.secret("tried first")),
            validate_first: true,
            ..Default::default()
        };
        let answer = self.admin.credentials().rotate_credential(first).await;
        self.evidence.told(answer);
    }

    /// The database refuses what is written, with all that it knows of the row.
    pub async fn a_broken_database(&mut self) {
        let (raise, calm) = if self.run.cluster.is_some() {
            (
                "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'no room for %', NEW USING DETAIL = row_to_json(NEW)::text; END $$; \
                 CREATE TRIGGER tell BEFORE INSERT ON credential_secrets FOR EACH ROW EXECUTE FUNCTION tell()",
                "DROP TRIGGER tell ON credential_secrets; DROP FUNCTION tell()",
            )
        } else {
            (
                "CREATE TRIGGER tell BEFORE INSERT ON credential_secrets BEGIN SELECT RAISE(ABORT, 'no room'); END",
                "DROP TRIGGER tell",
            )
        };
        let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
        let (away, back) = (rename("credential_secrets", "elsewhere"), rename("elsewhere", "credential_secrets"));
        for (number, (spoil, mend)) in [(raise, calm), (&away, &back)].into_iter().enumerate() {
            self.run.sql(spoil);
            let wanted = self.new_credential(&format!("broken {number}"));
            self.create(wanted.clone(), "", false).await;
            let rotate = v1::RotateCredentialRequest {
                id: self.credential.clone(),
                secret: Some(self.secret("broken")),
                ..Default::default()
            };
            let answer = self.admin.credentials().rotate_credential(rotate).await;
            Refusal::of(answer.as_ref().unwrap_err());
            self.evidence.told(answer);
            self.run.sql(mend);
            self.create(wanted, "", false).await;
        }
        let list = v1::ListCredentialsRequest { page_size: 1000, ..Default::default() };
        let listed = self.admin.credentials().list_credentials(list).await.unwrap().into_inner();
        assert!(listed.credentials.iter().any(|one| one.alias() == "broken 1"), "it goes on");
    }

    pub async fn a_new_master_key(&mut self) {
        let rotate = v1::RotateMasterKeyRequest { key_id: "k2".into(), ..Default::default() };
        let answer = self.admin.tokens().rotate_master_key(rotate).await;
        assert!(self.evidence.told(answer).is_some());
        eventually("everything is under the new key", || async {
            let answer = self.admin.tokens().get_keyring(v1::GetKeyringRequest {}).await.unwrap().into_inner();
            let old = answer.keyring.unwrap().keys.into_iter().find(|key| key.id == "k1").unwrap();
            old.retirable.then_some(())
        })
        .await;
    }

    /// The database is killed while secrets are on their way into it.
    pub async fn a_database_that_dies(&mut self) {
        let wanted: Vec<_> = (0..12).map(|number| self.new_credential(&format!("dying {number}"))).collect();
        let calls = wanted.into_iter().map(|credential| {
            let request = v1::CreateCredentialRequest { credential: Some(credential), ..Default::default() };
            let mut client = self.admin.credentials();
            tokio::spawn(async move { client.create_credential(request).await })
        });
        let calls: Vec<_> = calls.collect();
        let (cluster, _) = self.run.cluster.as_ref().unwrap();
        tokio::task::block_in_place(|| cluster.kill());
        for answer in join_all(calls).await {
            self.evidence.told(answer.unwrap());
        }
        let late = self.new_credential("late");
        self.create(late.clone(), "late", false).await;
        let (cluster, _) = self.run.cluster.as_ref().unwrap();
        tokio::task::block_in_place(|| cluster.restart());
        let request =
            v1::CreateCredentialRequest { credential: Some(late), request_id: "late".into(), ..Default::default() };
        assert!(request.encoded_len() > 160);
        eventually("writes work again", || async {
            self.admin.credentials().create_credential(request.clone()).await.ok()
        })
        .await;
    }
}
