//! Writes to providers: the call, and what the model expects.

use super::*;

const OF_PROVIDER: [&str; 5] = ["name", "description", "is_active", "labels", ""];

impl World {
    pub(super) fn of_provider(
        &self,
        write: &Write,
        id: String,
        expected: Option<i64>,
    ) -> (&'static str, Vec<u8>, Outcome) {
        match write {
            Write::CreateProvider { kind, fields } => {
                let kind = Some(provider_kind(*kind).into());
                let sent = v1::Provider { kind, ..carrying!(Provider, id, fields, name, description) };
                let request = v1::CreateProviderRequest { provider: Some(sent.clone()), ..Default::default() };
                let policy = v1::SyncPolicy { enabled: Some(false), interval: seconds(24 * 3600) };
                let made = v1::Provider {
                    description: sent.description.clone().or(Some(String::new())),
                    is_active: sent.is_active.or(Some(true)),
                    sync_policy: Some(policy),
                    revision: self.revision + 1,
                    ..sent
                };
                let outcome = self.check_provider_name(&made).map(|()| vec![create(Thing::Provider(made))]);
                ("ProviderService/CreateProvider", request.encode_to_vec(), outcome)
            }
            Write::UpdateProvider { fields, mask, .. } => {
                let mask = real(*mask, OF_PROVIDER);
                let provider = Some(carrying!(Provider, id.clone(), fields, name, description));
                let update_mask = paths(mask, OF_PROVIDER);
                let request = v1::UpdateProviderRequest { provider, update_mask, ..Default::default() };
                let outcome = missing_name(mask, fields).and_then(|()| {
                    let before = self.provider(&id)?;
                    expect(expected, before.revision)?;
                    let mut after = before.clone();
                    merge!(mask, fields, after, name, description);
                    self.check_provider_name(&after)?;
                    Ok(self.updates(Thing::Provider(before), Thing::Provider(after)))
                });
                ("ProviderService/UpdateProvider", request.encode_to_vec(), outcome)
            }
            Write::UpdateProviderStatus { active, .. } => {
                let is_active = Some(*active);
                let request = v1::UpdateProviderStatusRequest { id: id.clone(), is_active, ..Default::default() };
                let outcome = self.provider(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    let after = v1::Provider { is_active, ..before.clone() };
                    Ok(self.updates(Thing::Provider(before), Thing::Provider(after)))
                });
                ("ProviderService/UpdateProviderStatus", request.encode_to_vec(), outcome)
            }
            Write::DeleteProvider { purge, .. } => {
                let request = v1::DeleteProviderRequest { id: id.clone(), purge: *purge, ..Default::default() };
                let outcome = self.delete_provider(&id, *purge, expected);
                ("ProviderService/DeleteProvider", request.encode_to_vec(), outcome)
            }
            _ => {
                let request = v1::UndeleteProviderRequest { id: id.clone(), ..Default::default() };
                let outcome = self.undelete_provider(&id, expected);
                ("ProviderService/UndeleteProvider", request.encode_to_vec(), outcome)
            }
        }
    }
}
