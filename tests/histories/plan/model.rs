//! Writes to models: the call, and what the model expects.

use modelward::proto::v1::binding::Target;

use super::*;

const OF_MODEL: [&str; 5] = ["name", "description", "is_active", "labels", "type"];

impl World {
    #[expect(clippy::too_many_lines, reason = "a table: a write, its call, its outcome")]
    pub(super) fn of_model(
        &self,
        write: &Write,
        id: String,
        expected: Option<i64>,
    ) -> (&'static str, Vec<u8>, Outcome) {
        match write {
            Write::CreateModel { of, model_id, fields, kind, set_default } => {
                let bare = carrying!(Model, id, fields, name, description);
                let sent = v1::Model {
                    provider_id: Some(self.provider_at(*of)),
                    model_id: Some(format!("m{model_id}")),
                    r#type: Some(model_type(*kind).into()),
                    ..bare
                };
                let (model, set_default) = (Some(sent.clone()), *set_default);
                let request = v1::CreateModelRequest { model, set_default, ..Default::default() };
                let told = [("name", sent.name.is_some()), ("description", sent.description.is_some()), ("type", true)];
                let told = told.into_iter().filter(|(_, told)| *told);
                let made = v1::Model {
                    name: sent.name.clone().or_else(|| sent.model_id.clone()),
                    description: sent.description.clone().or(Some(String::new())),
                    version: Some(String::new()),
                    is_active: sent.is_active.or(Some(true)),
                    status: Some(ModelStatus::Available.into()),
                    source: ModelSource::Manual.into(),
                    field_sources: told.map(|(field, _)| (field.to_owned(), FieldSource::Person.into())).collect(),
                    revision: self.revision + 1,
                    ..sent
                };
                ("ModelService/CreateModel", request.encode_to_vec(), self.create_model(made, set_default))
            }
            Write::UpdateModel { fields, kind, mask, .. } => {
                // `*` would touch what a synchronisation filled in: that has tests of its own.
                let mask = if *mask == Mask::All { Mask::Named(31) } else { *mask };
                let r#type = kind.map(|kind| model_type(kind).into());
                let model = Some(v1::Model { r#type, ..carrying!(Model, id.clone(), fields, name, description) });
                let update_mask = paths(mask, OF_MODEL);
                let request = v1::UpdateModelRequest { model, update_mask, ..Default::default() };
                let outcome = self.model(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    let mut after = before.clone();
                    merge!(mask, fields, after, name, description);
                    if mask.names(1) && fields.name.is_none() {
                        after.name.clone_from(&after.model_id);
                    }
                    mask.merge(16, &mut after.r#type, r#type.map(Some), Some(ModelType::Chat.into()));
                    self.update_model(before, after)
                });
                ("ModelService/UpdateModel", request.encode_to_vec(), outcome)
            }
            Write::UpdateModelStatus { active, .. } => {
                let is_active = Some(*active);
                let request = v1::UpdateModelStatusRequest { id: id.clone(), is_active, ..Default::default() };
                let outcome = self.model(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    let after = v1::Model { is_active, ..before.clone() };
                    Ok(self.updates(Thing::Model(before), Thing::Model(after)))
                });
                ("ModelService/UpdateModelStatus", request.encode_to_vec(), outcome)
            }
            Write::DeleteModel { .. } => {
                let request = v1::DeleteModelRequest { id: id.clone(), ..Default::default() };
                let outcome = self.model(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    self.check_unbound(|target| *target == Target::ModelId(before.id.clone()))?;
                    Ok(vec![destroy(Thing::Model(before))])
                });
                ("ModelService/DeleteModel", request.encode_to_vec(), outcome)
            }
            Write::SyncModels { force, dry_run, .. } => {
                let (force, dry_run) = (*force, *dry_run);
                let request = v1::SyncModelsRequest { provider_id: id, force, dry_run, ..Default::default() };
                // What comes of it depends on the vendor: see the runner.
                ("ModelService/SyncModels", request.encode_to_vec(), Ok(Vec::new()))
            }
            _ => {
                let request = v1::SetDefaultModelRequest { id: id.clone(), ..Default::default() };
                let outcome = self.set_default_model(&id, expected);
                ("ModelService/SetDefaultModel", request.encode_to_vec(), outcome)
            }
        }
    }
}
