//! Ids as text. The nil id, which only a validated resource has, is the empty text.

use uuid::Uuid;

use super::WireError;
use crate::domain::{Id, Violations};

#[must_use]
pub fn write(id: Uuid) -> String {
    if id.is_nil() { String::new() } else { id.to_string() }
}

/// Reads the id that a request must name. A bad one is a violation, and the nil id, which names nothing.
pub fn parse<T>(field: &str, text: &str, violations: &mut Violations) -> Id<T> {
    Id::parse(text).unwrap_or_else(|| {
        violations.add(field, if text.is_empty() { "required" } else { "is not a UUID" });
        Id::nil()
    })
}

/// Reads an id of a filter: empty is none.
pub fn parse_filter<T>(field: &str, text: &str, violations: &mut Violations) -> Option<Id<T>> {
    (!text.is_empty()).then(|| parse(field, text, violations))
}

/// Reads an id among the fields of a resource; whether it has to be there is not decided here.
pub fn input<T>(field: &str, text: Option<&str>, violations: &mut Violations) -> Option<Id<T>> {
    let text = text?;
    let id = Id::parse(text);
    if id.is_none() {
        violations.add(field, if text.is_empty() { "required" } else { "is not a UUID" });
    }
    id
}

/// Reads what this program wrote.
pub(super) fn read<T>(field: &str, text: &str) -> Result<Id<T>, WireError> {
    read_uuid(field, text).map(Id::new)
}

pub(super) fn read_uuid(field: &str, text: &str) -> Result<Uuid, WireError> {
    Uuid::try_parse(text).map_err(|_| WireError::at(field, "is not a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderId;

    #[test]
    fn a_bad_id_is_a_violation_that_names_its_field() {
        for bad in ["", "x", "0198c1f2-0000-7000-8000-00000000000", "0198c1f2-0000-7000-8000-0000000000000"] {
            let mut violations = Violations::default();
            let id: ProviderId = parse("provider_id", bad, &mut violations);
            assert_eq!(id, ProviderId::nil());
            assert!(violations.into_result().unwrap_err().to_string().starts_with("provider_id: "), "{bad}");
        }
    }

    #[test]
    fn the_nil_id_is_written_as_nothing() {
        assert_eq!(write(Uuid::nil()), "");
        assert_eq!(write(Uuid::max()), "ffffffff-ffff-ffff-ffff-ffffffffffff");
    }
}
