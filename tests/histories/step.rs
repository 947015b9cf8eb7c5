//! What a history is made of: writes with small numbers for names and resources, so that they meet, and so that a
//! failing history can be shortened.

use proptest::option::of;
use proptest::prelude::*;

/// A write. `which` counts the resources of its kind in order of age, from 0, round and round.
#[derive(Debug, Clone)]
pub enum Write {
    CreateProvider {
        kind: bool,
        fields: Fields,
    },
    UpdateProvider {
        which: u8,
        fields: Fields,
        mask: Mask,
    },
    UpdateProviderStatus {
        which: u8,
        active: bool,
    },
    DeleteProvider {
        which: u8,
        purge: bool,
    },
    UndeleteProvider {
        which: u8,
    },
    CreateEndpoint {
        of: u8,
        fields: Fields,
        host: u8,
        priority: u8,
        set_default: bool,
    },
    UpdateEndpoint {
        which: u8,
        fields: Fields,
        host: Option<u8>,
        mask: Mask,
    },
    DeleteEndpoint {
        which: u8,
    },
    SetDefaultEndpoint {
        which: u8,
    },
    CreateCredential {
        of: u8,
        fields: Fields,
        secret: u8,
        deny: bool,
    },
    UpdateCredential {
        which: u8,
        fields: Fields,
        mask: Mask,
    },
    RotateCredential {
        which: u8,
        secret: u8,
        grace: bool,
    },
    RevokeCredential {
        which: u8,
    },
    DeleteCredential {
        which: u8,
    },
    AccessCredential {
        which: u8,
    },
    CreateModel {
        of: u8,
        model_id: u8,
        fields: Fields,
        kind: bool,
        set_default: bool,
    },
    UpdateModel {
        which: u8,
        fields: Fields,
        kind: Option<bool>,
        mask: Mask,
    },
    UpdateModelStatus {
        which: u8,
        active: bool,
    },
    DeleteModel {
        which: u8,
    },
    SetDefaultModel {
        which: u8,
    },
    SyncModels {
        of: u8,
        listed: u8,
        force: bool,
        dry_run: bool,
    },
    CreateBinding {
        of: u8,
        model: bool,
        fields: Fields,
    },
    UpdateBinding {
        which: u8,
        to: Option<(bool, u8)>,
        fields: Fields,
        mask: Mask,
    },
    DeleteBinding {
        which: u8,
    },
    /// `which` counts all that ever was of the kind, `past` the revisions back from now.
    RollbackResource {
        kind: u8,
        which: u8,
        past: u8,
    },
}

/// The RPCs that write, each of which has a variant above; a test compares the list with the descriptor.
pub const RPCS: [&str; 25] = [
    "ProviderService/CreateProvider",
    "ProviderService/UpdateProvider",
    "ProviderService/UpdateProviderStatus",
    "ProviderService/DeleteProvider",
    "ProviderService/UndeleteProvider",
    "EndpointService/CreateEndpoint",
    "EndpointService/UpdateEndpoint",
    "EndpointService/DeleteEndpoint",
    "EndpointService/SetDefaultEndpoint",
    "CredentialService/CreateCredential",
    "CredentialService/UpdateCredential",
    "CredentialService/RotateCredential",
    "CredentialService/RevokeCredential",
    "CredentialService/DeleteCredential",
    "CredentialService/AccessCredential",
    "ModelService/CreateModel",
    "ModelService/UpdateModel",
    "ModelService/UpdateModelStatus",
    "ModelService/DeleteModel",
    "ModelService/SetDefaultModel",
    "ModelService/SyncModels",
    "BindingService/CreateBinding",
    "BindingService/UpdateBinding",
    "BindingService/DeleteBinding",
    "AuditService/RollbackResource",
];

/// Settable fields that the kinds share, under whatever name: `None` is not carried.
#[derive(Debug, Clone)]
pub struct Fields {
    pub name: Option<u8>,
    pub text: Option<u8>,
    pub active: Option<bool>,
    pub label: Option<u8>,
}

/// Which of `Fields` (and the kind's own one) an update names, a bit each: 1 name, 2 text, 4 active, 8 labels, 16 own.
/// A binding's target stands for the name, its parameters for the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    None,
    Named(u8),
    All,
}

/// The revision that a caller expects.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    Any,
    Right,
    Wrong,
}

#[derive(Debug, Clone)]
pub enum Step {
    Write {
        write: Write,
        expected: Expected,
        validate_only: bool,
        /// Sent with a request id, then repeated, then its id used for something else.
        identified: bool,
    },
    /// One of the identified writes of before is repeated, whatever happened meanwhile.
    Repeat {
        which: u8,
    },
    Restart,
}

fn which() -> impl Strategy<Value = u8> {
    0..6_u8
}

fn fields() -> impl Strategy<Value = Fields> {
    (of(0..4_u8), of(0..3_u8), of(any::<bool>()), of(0..3_u8)).prop_map(|(name, text, active, label)| Fields {
        name,
        text,
        active,
        label,
    })
}

/// Of something new: it needs a name.
fn given() -> impl Strategy<Value = Fields> {
    (fields(), 0..6_u8).prop_map(|(fields, name)| Fields { name: Some(name), ..fields })
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![4 => Just(Mask::None), 4 => (1..32_u8).prop_map(Mask::Named), 1 => Just(Mask::All)]
}

fn provider() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (any::<bool>(), given()).prop_map(|(kind, fields)| Write::CreateProvider { kind, fields }),
        3 => (which(), fields(), mask()).prop_map(|(which, fields, mask)| Write::UpdateProvider { which, fields, mask }),
        1 => (which(), any::<bool>()).prop_map(|(which, active)| Write::UpdateProviderStatus { which, active }),
        2 => (which(), prop::bool::weighted(0.3)).prop_map(|(which, purge)| Write::DeleteProvider { which, purge }),
        2 => which().prop_map(|which| Write::UndeleteProvider { which }),
    ]
}

fn endpoint() -> impl Strategy<Value = Write> {
    prop_oneof![
        5 => (which(), given(), 0..4_u8, 0..2_u8, any::<bool>()).prop_map(|(of, fields, host, priority, set_default)| {
            Write::CreateEndpoint { of, fields, host, priority, set_default }
        }),
        3 => (which(), fields(), of(0..4_u8), mask())
            .prop_map(|(which, fields, host, mask)| Write::UpdateEndpoint { which, fields, host, mask }),
        2 => which().prop_map(|which| Write::DeleteEndpoint { which }),
        2 => which().prop_map(|which| Write::SetDefaultEndpoint { which }),
    ]
}

fn credential() -> impl Strategy<Value = Write> {
    prop_oneof![
        5 => (which(), given(), 0..3_u8, prop::bool::weighted(0.2))
            .prop_map(|(of, fields, secret, deny)| Write::CreateCredential { of, fields, secret, deny }),
        3 => (which(), fields(), mask())
            .prop_map(|(which, fields, mask)| Write::UpdateCredential { which, fields, mask }),
        2 => (which(), 0..3_u8, any::<bool>())
            .prop_map(|(which, secret, grace)| Write::RotateCredential { which, secret, grace }),
        1 => which().prop_map(|which| Write::RevokeCredential { which }),
        1 => which().prop_map(|which| Write::DeleteCredential { which }),
        1 => which().prop_map(|which| Write::AccessCredential { which }),
    ]
}

fn model() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (which(), 0..5_u8, fields(), any::<bool>(), any::<bool>()).prop_map(
            |(of, model_id, fields, kind, set_default)| Write::CreateModel { of, model_id, fields, kind, set_default }
        ),
        3 => (which(), fields(), of(any::<bool>()), mask())
            .prop_map(|(which, fields, kind, mask)| Write::UpdateModel { which, fields, kind, mask }),
        1 => (which(), any::<bool>()).prop_map(|(which, active)| Write::UpdateModelStatus { which, active }),
        1 => which().prop_map(|which| Write::DeleteModel { which }),
        2 => which().prop_map(|which| Write::SetDefaultModel { which }),
        3 => (which(), 0..32_u8, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(of, listed, force, dry_run)| Write::SyncModels { of, listed, force, dry_run }),
    ]
}

fn binding() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (which(), any::<bool>(), given()).prop_map(|(of, model, fields)| Write::CreateBinding { of, model, fields }),
        2 => (which(), of((any::<bool>(), which())), fields(), mask())
            .prop_map(|(which, to, fields, mask)| Write::UpdateBinding { which, to, fields, mask }),
        3 => which().prop_map(|which| Write::DeleteBinding { which }),
    ]
}

fn rollback() -> impl Strategy<Value = Write> {
    (0..5_u8, which(), 0..12_u8).prop_map(|(kind, which, past)| Write::RollbackResource { kind, which, past })
}

fn step() -> impl Strategy<Value = Step> {
    let expected = prop_oneof![4 => Just(Expected::Any), 2 => Just(Expected::Right), 1 => Just(Expected::Wrong)];
    let write =
        prop_oneof![2 => provider(), 2 => endpoint(), 2 => credential(), 2 => model(), 1 => binding(), 1 => rollback()];
    let write = (write, expected, prop::bool::weighted(0.1), prop::bool::weighted(0.2)).prop_map(
        |(write, expected, validate_only, identified)| Step::Write { write, expected, validate_only, identified },
    );
    prop_oneof![
        60 => write,
        2 => which().prop_map(|which| Step::Repeat { which }),
        1 => Just(Step::Restart),
    ]
}

/// A history begins with something to work on.
pub fn history(length: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), length / 2..length)
}
