//! Writes to credentials: the call, and what the model expects.

use super::*;

const OF_CREDENTIAL: [&str; 5] = ["alias", "description", "is_active", "labels", ""];

impl World {
    #[expect(clippy::too_many_lines, reason = "a table: a write, its call, its outcome")]
    pub(super) fn of_credential(
        &self,
        write: &Write,
        id: String,
        expected: Option<i64>,
    ) -> (&'static str, Vec<u8>, Outcome) {
        match write {
            Write::CreateCredential { of, fields, secret: number, deny } => {
                let provider_id = Some(self.provider_at(*of));
                let bare = v1::Credential { provider_id, ..carrying!(Credential, id, fields, alias, description) };
                let sent = v1::Credential { secret: Some(secret(&key(*number))), ..bare.clone() };
                let (credential, deny_all_hosts) = (Some(sent), *deny);
                let request = v1::CreateCredentialRequest { credential, deny_all_hosts, ..Default::default() };
                let made = v1::Credential {
                    description: bare.description.clone().or(Some(String::new())),
                    is_active: bare.is_active.or(Some(true)),
                    hint: hint(*number),
                    secret_version: 1,
                    allowed_hosts_explicit: *deny,
                    revision: self.revision + 1,
                    ..bare
                };
                ("CredentialService/CreateCredential", request.encode_to_vec(), self.create_credential(made))
            }
            Write::UpdateCredential { fields, mask, .. } => {
                let mask = real(*mask, OF_CREDENTIAL);
                let credential = Some(carrying!(Credential, id.clone(), fields, alias, description));
                let update_mask = paths(mask, OF_CREDENTIAL);
                let request = v1::UpdateCredentialRequest { credential, update_mask, ..Default::default() };
                let outcome = missing_name(mask, fields).and_then(|()| {
                    let before = self.credential(&id)?;
                    expect(expected, before.revision)?;
                    let mut after = before.clone();
                    merge!(mask, fields, after, alias, description);
                    self.update_credential(before, after)
                });
                ("CredentialService/UpdateCredential", request.encode_to_vec(), outcome)
            }
            Write::RotateCredential { secret: number, grace, .. } => {
                let grace_period = seconds(if *grace { 3600 } else { 0 });
                let secret = Some(secret(&key(*number)));
                let sent = v1::RotateCredentialRequest { id: id.clone(), secret, grace_period, ..Default::default() };
                let outcome = self.credential(&id).and_then(|before| {
                    expect(expected, before.revision)?;
                    let same = self.secrets.get(&id) == Some(number);
                    let after = v1::Credential {
                        secret_version: before.secret_version + 1,
                        hint: hint(*number),
                        fingerprint: if same { before.fingerprint.clone() } else { String::new() },
                        rotate_time: Some(SOME_TIME),
                        previous_secret_expire_time: grace.then_some(SOME_TIME),
                        revoke_time: before.revoke_time.filter(|_| same),
                        ..before.clone()
                    };
                    Ok(vec![self.update(Thing::Credential(before), Thing::Credential(after))])
                });
                ("CredentialService/RotateCredential", sent.encode_to_vec(), outcome)
            }
            Write::RevokeCredential { .. } => {
                let request = v1::RevokeCredentialRequest { id: id.clone(), ..Default::default() };
                ("CredentialService/RevokeCredential", request.encode_to_vec(), self.revoke(&id, expected))
            }
            Write::DeleteCredential { .. } => {
                let request = v1::DeleteCredentialRequest { id: id.clone(), ..Default::default() };
                let outcome = self.delete_credential(&id, expected);
                ("CredentialService/DeleteCredential", request.encode_to_vec(), outcome)
            }
            _ => {
                let request = v1::AccessCredentialRequest { id: id.clone(), ..Default::default() };
                let outcome = self.credential(&id).map(|one| {
                    let same = Some(Thing::Credential(one));
                    vec![Edit { operation: Operation::Access, id: id.clone(), before: same.clone(), after: same }]
                });
                ("CredentialService/AccessCredential", request.encode_to_vec(), outcome)
            }
        }
    }
}
