//! Writes to bindings: the call, and what the model expects.

use modelward::proto::v1::binding::Target;

use super::*;
use crate::support::resources::{to_model, to_provider};

/// What a binding's parameters say: the temperature is its text.
fn parameters(text: Option<u8>) -> Option<v1::ModelParameters> {
    let temperature = Some(f64::from(text?) / 2.0);
    Some(v1::ModelParameters { temperature, ..Default::default() })
}

/// The field of a target.
const fn field(target: Option<&Target>) -> &'static str {
    match target {
        Some(Target::ProviderId(_)) => "provider_id",
        _ => "model_id",
    }
}

impl World {
    /// What is bound: a model, or a provider as a whole.
    fn target_at(&self, model: bool, which: u8) -> Option<Target> {
        if model { to_model(&self.model_at(which)) } else { to_provider(&self.provider_at(which)) }
    }

    pub fn check_target(&self, target: Option<&Target>) -> Result<(), &'static str> {
        match target.unwrap() {
            Target::ModelId(id) => self.model(id).map(drop),
            Target::ProviderId(id) => self.provider(id).map(drop),
        }
    }

    fn binding(&self, id: &str) -> Result<v1::Binding, &'static str> {
        self.bindings().into_iter().find(|one| one.id == id).ok_or("NOT_FOUND")
    }

    pub fn check_binding_name(&self, made: &v1::Binding) -> Result<(), &'static str> {
        let same = |other: &v1::Binding| (&other.consumer, &other.purpose) == (&made.consumer, &made.purpose);
        let taken = self.bindings().iter().any(|other| other.id != made.id && same(other));
        if taken { Err("ALREADY_EXISTS") } else { Ok(()) }
    }

    fn create_binding(&self, made: v1::Binding) -> Outcome {
        self.check_target(made.target.as_ref())?;
        self.check_binding_name(&made)?;
        Ok(vec![create(Thing::Binding(made))])
    }

    pub(super) fn of_binding(
        &self,
        write: &Write,
        id: String,
        expected: Option<i64>,
    ) -> (&'static str, Vec<u8>, Outcome) {
        match write {
            Write::CreateBinding { of, model, fields } => {
                let sent = v1::Binding {
                    consumer: fields.name.map(name),
                    target: self.target_at(*model, *of),
                    parameters: parameters(fields.text),
                    labels: labels(fields.label),
                    ..Default::default()
                };
                let request = v1::CreateBindingRequest { binding: Some(sent.clone()), ..Default::default() };
                let made = v1::Binding { purpose: Some("default".into()), revision: self.revision + 1, ..sent };
                ("BindingService/CreateBinding", request.encode_to_vec(), self.create_binding(made))
            }
            Write::UpdateBinding { to, fields, mask, .. } => {
                let target = to.and_then(|(model, which)| self.target_at(model, which));
                let own = [field(target.as_ref()), "parameters", "", "labels", ""];
                let mask = real(*mask, own);
                let update_mask = paths(mask, own);
                let (parameters, labels) = (parameters(fields.text), labels(fields.label));
                let sent = v1::Binding { id: id.clone(), target, parameters, labels, ..Default::default() };
                let request =
                    v1::UpdateBindingRequest { binding: Some(sent.clone()), update_mask, ..Default::default() };
                let outcome = if mask.names(1) && sent.target.is_none() {
                    Err("INVALID_FIELD")
                } else {
                    self.binding(&id).and_then(|before| {
                        expect(expected, before.revision)?;
                        let mut after = before.clone();
                        mask.merge(1, &mut after.target, sent.target.map(Some), None);
                        mask.merge(2, &mut after.parameters, sent.parameters.map(Some), None);
                        let label = fields.label.map(|_| sent.labels);
                        mask.merge(8, &mut after.labels, label, super::labels(None));
                        self.check_target(after.target.as_ref())?;
                        Ok(self.updates(Thing::Binding(before), Thing::Binding(after)))
                    })
                };
                ("BindingService/UpdateBinding", request.encode_to_vec(), outcome)
            }
            _ => {
                let request = v1::DeleteBindingRequest { id: id.clone(), ..Default::default() };
                let outcome = self.binding(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    Ok(vec![destroy(Thing::Binding(before))])
                });
                ("BindingService/DeleteBinding", request.encode_to_vec(), outcome)
            }
        }
    }
}
