//! Every kind of vendor quotes the key that it was sent, with every status, in its body and its headers.

use modelward::proto::v1;

use super::ways::Ways;
use crate::promises::effort;
use crate::support::resources::{credential, endpoint, model, provider};
use crate::support::simulator::{Case, ROWS, Row, Simulator};

const STATUSES: [u16; 14] = [200, 201, 301, 307, 400, 401, 402, 403, 404, 408, 418, 429, 500, 529];

impl Ways<'_> {
    /// The short form takes every fourth status, another one for each kind.
    pub async fn every_vendor(&mut self) {
        let each = effort(4, 1);
        for (number, row) in ROWS.iter().enumerate() {
            let statuses: Vec<_> = STATUSES.iter().copied().skip(number % each).step_by(each).collect();
            self.vendor(row, &statuses).await;
        }
    }

    async fn vendor(&mut self, row: &'static Row, statuses: &[u16]) {
        let kind = row.kind.name().to_ascii_uppercase();
        let kind = v1::ProviderKind::from_str_name(&format!("PROVIDER_KIND_{kind}")).unwrap();
        let simulator = Simulator::start(row, Case::Good).await;
        let admin = self.admin.clone();
        let owner = admin.try_provider(provider(&format!("p{}", fastrand::u64(..)), kind)).await.unwrap().id;
        let retry = v1::RetryPolicy { max_attempts: Some(1), ..Default::default() };
        let wanted = v1::Endpoint {
            api_version: Some(row.api_version.to_owned()),
            region: (row.key_header == "sigv4").then(|| "us-east-1".to_owned()),
            retry: Some(retry),
            ..endpoint(&owner, "e", &simulator.url())
        };
        let endpoint = admin.add_endpoint(wanted).await.id;
        let secret = Some(self.secret(kind.as_str_name()));
        let id = admin.add_credential(v1::Credential { secret, ..credential(&owner, "c", "") }).await.id;
        let tried = admin.add_model(model(&owner, row.model)).await.id;
        for status in statuses {
            simulator.quote_with(*status);
            let answer =
                admin.credentials().validate_credential(v1::ValidateCredentialRequest { id: id.clone() }).await;
            self.evidence.told(answer);
            let sync = v1::SyncModelsRequest { provider_id: owner.clone(), ..Default::default() };
            let answer = admin.models().sync_models(sync).await;
            self.evidence.told(answer);
            let answer = admin.models().test_model(v1::TestModelRequest { id: tried.clone() }).await;
            self.evidence.told(answer);
            let check = v1::CheckEndpointHealthRequest { id: endpoint.clone() };
            let answer = admin.endpoints().check_endpoint_health(check).await;
            self.evidence.told(answer);
            let first = v1::RotateCredentialRequest {
                id: id.clone(),
                secret: Some(self.secret("tried first at a vendor")),
                validate_first: true,
                ..Default::default()
            };
            let answer = admin.credentials().rotate_credential(first).await;
            self.evidence.told(answer);
        }
        let answer = admin.credentials().get_credential(v1::GetCredentialRequest { id }).await;
        self.evidence.told(answer);
        let answer = admin.providers().get_provider(v1::GetProviderRequest { id: owner }).await;
        self.evidence.told(answer);
        let with_keys = simulator.questions().iter().filter(|question| question.key.is_some()).count();
        assert!(with_keys >= 4 * statuses.len(), "{kind:?} was asked with keys: {with_keys}");
        assert_eq!(simulator.faults(), Vec::<String>::new());
    }
}
