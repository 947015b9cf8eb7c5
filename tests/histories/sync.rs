//! What a synchronisation may lead to. Whether the vendor can be reached depends on more than the model knows; what
//! comes of its list does not.

use modelward::proto::v1::resource::Resource as Thing;
use modelward::proto::v1::{self, FieldSource, ModelSource, ModelStatus, Operation};
use prost::Message as _;
use tonic::Status;

use super::History;
use super::plan::Call;
use super::rules::{Outcome, expect};
use super::world::{Edit, bare};
use crate::support::Refusal;

/// Why the vendor could not be asked.
const UNREACHABLE: [&str; 4] = ["NO_ENDPOINT", "NO_HEALTHY_ENDPOINT", "HOST_NOT_ALLOWED", "PROVIDER_ERROR"];
/// What a provider without a usable credential is told.
const NO_CREDENTIAL: [&str; 3] = ["NO_CREDENTIAL", "MODEL_UNAVAILABLE", "LAST_CREDENTIAL"];

/// The models that the vendor lists: a bit each.
pub fn names(listed: u8) -> Vec<String> {
    (0..5).filter(|number| listed & (1 << number) != 0).map(|number| format!("m{number}")).collect()
}

impl History {
    pub(super) fn synced(
        &self,
        call: &Call,
        listed: u8,
        force: bool,
        expected: Option<i64>,
        answer: &Result<Vec<u8>, Status>,
    ) -> Outcome {
        let provider = self.world.provider(call.about.as_deref().unwrap())?;
        expect(expected, provider.revision)?;
        if !provider.is_active() {
            return Err("PROVIDER_DISABLED");
        }
        if let Err(status) = answer {
            let reason = Refusal::of(status).reason;
            let found = UNREACHABLE.iter().chain(&NO_CREDENTIAL).find(|known| reason == **known);
            if let Some(reason) = found {
                return Err(reason);
            }
        }
        let (listed, models) = (names(listed), self.world.models_of(&provider.id));
        let synced = |model: &&v1::Model| model.source() == ModelSource::Synced;
        let known = models.iter().filter(synced).filter(|model| model.status() != ModelStatus::Deprecated).count();
        if !force && (listed.is_empty() || listed.len() * 2 < known) {
            return Err("SYNC_SHRINKS");
        }
        let Ok(answer) = answer else { return Ok(Vec::new()) };
        let summary = v1::SyncModelsResponse::decode(answer.as_slice()).unwrap();
        let mut edits: Vec<_> = models.iter().filter(synced).filter_map(|model| self.follow(model, &listed)).collect();
        let turned = |status: ModelStatus| {
            let is = |edit: &&Edit| matches!(&edit.after, Some(Thing::Model(model)) if model.status() == status);
            i32::try_from(edits.iter().filter(is).count()).unwrap()
        };
        let counts = (turned(ModelStatus::Deprecated), turned(ModelStatus::Available));
        assert_eq!((summary.deprecated, summary.restored, summary.updated), (counts.0, counts.1, 0));
        let news = listed.iter().filter(|name| !models.iter().any(|model| model.model_id() == **name));
        for name in news.clone() {
            let told = summary.models.iter().find(|model| model.model_id() == name);
            let told = told.unwrap_or_else(|| panic!("{name} is not among {:?}", summary.models));
            edits.push(self.added(told, &provider.id));
        }
        assert_eq!(summary.added, i32::try_from(news.count()).unwrap());
        Ok(edits)
    }

    /// A model that was synced before: given up, restored, or as it was.
    fn follow(&self, before: &v1::Model, listed: &[String]) -> Option<Edit> {
        let is_listed = listed.iter().any(|name| name == before.model_id());
        let status = if is_listed { ModelStatus::Available } else { ModelStatus::Deprecated };
        if before.status() == status {
            return None;
        }
        let mut after = before.clone();
        after.status = Some(status.into());
        after.field_sources.insert("status".into(), FieldSource::Vendor.into());
        Some(self.world.update(Thing::Model(before.clone()), Thing::Model(after)))
    }

    /// What else is told of a new model is the vendor's and the catalogue's affair.
    fn added(&self, told: &v1::Model, provider: &str) -> Edit {
        assert_eq!((told.provider_id(), told.source()), (provider, ModelSource::Synced));
        assert_eq!((told.is_active(), told.is_default, told.revision), (true, false, self.world.revision + 1));
        assert!(told.pinned_fields.is_empty() && told.labels.is_empty(), "{told:?}");
        let after = Some(bare(Thing::Model(told.clone())));
        Edit { operation: Operation::Create, id: told.id.clone(), before: None, after }
    }
}
