//! Orders of lists, and places in them.
//!
//! Every order ends with the id, so no two items share a place. A value that is absent comes last, ascending or
//! descending alike. Text is ordered by code point.

use std::cmp::Ordering;

use uuid::Uuid;

use crate::domain::binding::Binding;
use crate::domain::credential::Credential;
use crate::domain::endpoint::Endpoint;
use crate::domain::error::Violations;
use crate::domain::model::{Capability, Model};
use crate::domain::provider::Provider;
use crate::domain::secret_use::SecretUse;
use crate::domain::token::Token;
use crate::domain::watcher::Watcher;
use crate::snapshot::models::input_price;

/// What a list can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// A credential's is its alias, a binding's its consumer.
    Name,
    CreateTime,
    UpdateTime,
    ContextWindow,
    InputPrice,
    /// The score of one capability; only for `ListModelsByCapability`, never named by a client.
    Score(Capability),
}

const COMMON: &[(&str, SortField)] =
    &[("name", SortField::Name), ("create_time", SortField::CreateTime), ("update_time", SortField::UpdateTime)];
const OF_WATCHERS: &[(&str, SortField)] = &[("name", SortField::Name), ("create_time", SortField::CreateTime)];
const OF_MODELS: &[(&str, SortField)] = &[
    ("name", SortField::Name),
    ("create_time", SortField::CreateTime),
    ("update_time", SortField::UpdateTime),
    ("context_window", SortField::ContextWindow),
    ("input_price", SortField::InputPrice),
];

/// One value by which an item is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRef<'a> {
    Text(&'a str),
    Int(i64),
    None,
}

/// The same, owned: part of a [`Position`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortKey {
    Text(String),
    Int(i64),
    None,
}

/// A place in an order: the values of the item that stands there, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub keys: Vec<SortKey>,
    pub id: Uuid,
}

impl SortKey {
    fn as_ref(&self) -> KeyRef<'_> {
        match self {
            Self::Text(text) => KeyRef::Text(text),
            Self::Int(number) => KeyRef::Int(*number),
            Self::None => KeyRef::None,
        }
    }
}

impl From<KeyRef<'_>> for SortKey {
    fn from(key: KeyRef<'_>) -> Self {
        match key {
            KeyRef::Text(text) => Self::Text(text.to_owned()),
            KeyRef::Int(number) => Self::Int(number),
            KeyRef::None => Self::None,
        }
    }
}

/// A resource that is listed.
pub trait Listed {
    /// What clients may order by.
    const SORTABLE: &'static [(&'static str, SortField)];
    fn uuid(&self) -> Uuid;
    fn key(&self, field: SortField) -> KeyRef<'_>;
}

macro_rules! listed {
    ($type:ty, $sortable:expr, $item:ident, name: $name:expr, created: $created:expr, updated: $updated:expr) => {
        listed!($type, $sortable, $item, name: $name, created: $created, updated: $updated, more: |_| KeyRef::None);
    };
    ($type:ty, $sortable:expr, $item:ident, name: $name:expr, created: $created:expr, updated: $updated:expr,
     more: $more:expr) => {
        impl Listed for $type {
            const SORTABLE: &'static [(&'static str, SortField)] = $sortable;

            fn uuid(&self) -> Uuid {
                self.id.uuid()
            }

            fn key(&self, field: SortField) -> KeyRef<'_> {
                let $item = self;
                match field {
                    SortField::Name => KeyRef::Text(&$name),
                    SortField::CreateTime => KeyRef::Int($created.micros()),
                    SortField::UpdateTime => KeyRef::Int($updated.micros()),
                    other => ($more)(other),
                }
            }
        }
    };
}
listed!(Provider, COMMON, r, name: r.name, created: r.meta.create_time, updated: r.meta.update_time);
listed!(Endpoint, COMMON, r, name: r.name, created: r.meta.create_time, updated: r.meta.update_time);
listed!(Credential, COMMON, r, name: r.alias, created: r.meta.create_time, updated: r.meta.update_time);
listed!(Binding, COMMON, r, name: r.consumer, created: r.meta.create_time, updated: r.meta.update_time);
// A token changes once, when it is revoked.
listed!(Token, COMMON, r, name: r.name, created: r.create_time, updated: r.revoke_time.unwrap_or(r.create_time));
// It never changes.
listed!(Watcher, OF_WATCHERS, r, name: r.client, created: r.since, updated: r.since);
listed!(Model, OF_MODELS, r, name: r.name, created: r.meta.create_time, updated: r.meta.update_time,
    more: |field| match field {
        SortField::ContextWindow => r.context_window.map_or(KeyRef::None, KeyRef::Int),
        SortField::InputPrice => input_price(r).map_or(KeyRef::None, KeyRef::Int),
        SortField::Score(capability) => {
            r.capabilities.get(&capability).map_or(KeyRef::None, |score| KeyRef::Int(i64::from(*score)))
        }
        SortField::Name | SortField::CreateTime | SortField::UpdateTime => KeyRef::None,
    }
);

/// In the database: its id is the credential's alone, so other fields follow it.
impl Listed for SecretUse {
    const SORTABLE: &'static [(&'static str, SortField)] =
        &[("name", SortField::Name), ("update_time", SortField::UpdateTime)];

    fn uuid(&self) -> Uuid {
        self.key.credential_id.uuid()
    }

    fn key(&self, field: SortField) -> KeyRef<'_> {
        match field {
            SortField::Name => KeyRef::Text(&self.key.identity),
            SortField::UpdateTime => KeyRef::Int(self.uses.last_use_time.micros()),
            _ => KeyRef::None,
        }
    }
}

/// How a list is ordered; the default is by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order(Vec<(SortField, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

impl Order {
    /// Reads `order_by`: comma-separated `field` or `field desc`. What is wrong with it goes to `violations`.
    #[must_use]
    pub fn read<T: Listed>(text: &str, violations: &mut Violations) -> Self {
        let mut fields = Vec::new();
        if text.trim().is_empty() {
            return Self(fields);
        }
        for part in text.split(',') {
            match Self::read_field::<T>(part) {
                Ok((field, _)) if fields.iter().any(|(known, _)| *known == field) => {
                    violations.add("order_by", format!("names a field twice: {:.100}", part.trim()));
                }
                Ok(field) => fields.push(field),
                Err(problem) => violations.add("order_by", problem),
            }
        }
        Self(fields)
    }

    /// The order of `ListModelsByCapability`: highest score, then lowest price, then name.
    #[must_use]
    pub fn by_rank(capability: Capability) -> Self {
        Self(vec![
            (SortField::Score(capability), Direction::Descending),
            (SortField::InputPrice, Direction::Ascending),
            (SortField::Name, Direction::Ascending),
        ])
    }

    #[must_use]
    pub const fn is_by_id(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, each with whether its largest value comes first.
    pub fn fields(&self) -> impl Iterator<Item = (SortField, bool)> {
        self.0.iter().map(|(field, direction)| (*field, *direction == Direction::Descending))
    }

    /// The place of an item.
    #[must_use]
    pub fn position<T: Listed>(&self, item: &T) -> Position {
        Position { keys: self.0.iter().map(|(field, _)| item.key(*field).into()).collect(), id: item.uuid() }
    }

    /// Whether a position can have come from this order.
    #[must_use]
    pub fn fits(&self, position: &Position) -> bool {
        self.0.len() == position.keys.len()
            && self.0.iter().zip(&position.keys).all(|((field, _), key)| match key {
                SortKey::Text(_) => *field == SortField::Name,
                SortKey::Int(_) => *field != SortField::Name,
                SortKey::None => {
                    matches!(field, SortField::ContextWindow | SortField::InputPrice | SortField::Score(_))
                }
            })
    }

    #[must_use]
    pub fn compare<T: Listed>(&self, a: &T, b: &T) -> Ordering {
        let mut keys = self.0.iter().map(|(field, direction)| compare(a.key(*field), b.key(*field), *direction));
        keys.find(|ordering| ordering.is_ne()).unwrap_or_else(|| a.uuid().cmp(&b.uuid()))
    }

    /// Whether the item comes after the position.
    #[must_use]
    pub fn is_behind<T: Listed>(&self, item: &T, position: &Position) -> bool {
        let fields = self.0.iter().zip(&position.keys);
        let mut keys = fields.map(|((field, direction), key)| compare(item.key(*field), key.as_ref(), *direction));
        keys.find(|ordering| ordering.is_ne()).unwrap_or_else(|| item.uuid().cmp(&position.id)).is_gt()
    }

    fn read_field<T: Listed>(part: &str) -> Result<(SortField, Direction), String> {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let direction = match (words.next(), words.next()) {
            (None, _) => Direction::Ascending,
            (Some("desc"), None) => Direction::Descending,
            _ => return Err(format!("must be `field` or `field desc`: {:.100}", part.trim())),
        };
        let known = T::SORTABLE.iter().find(|(known, _)| *known == name);
        known.map(|(_, field)| (*field, direction)).ok_or_else(|| {
            let names: Vec<_> = T::SORTABLE.iter().map(|(name, _)| *name).collect();
            format!("must be of {}: {name:.100}", names.join(", "))
        })
    }
}

fn compare(a: KeyRef<'_>, b: KeyRef<'_>, direction: Direction) -> Ordering {
    let ascending = match (a, b) {
        (KeyRef::Text(a), KeyRef::Text(b)) => a.cmp(b),
        (KeyRef::Int(a), KeyRef::Int(b)) => a.cmp(&b),
        (KeyRef::None, KeyRef::None) => return Ordering::Equal,
        (KeyRef::None, _) => return Ordering::Greater,
        (_, KeyRef::None) => return Ordering::Less,
        // A field has one type; a position that says otherwise was refused before.
        (KeyRef::Text(_), KeyRef::Int(_)) | (KeyRef::Int(_), KeyRef::Text(_)) => Ordering::Equal,
    };
    match direction {
        Direction::Ascending => ascending,
        Direction::Descending => ascending.reverse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::Error;

    fn problems<T: Listed>(text: &str) -> Vec<String> {
        let mut violations = Violations::default();
        let _ = Order::read::<T>(text, &mut violations);
        match violations.into_result() {
            Err(Error::InvalidField { violations }) => {
                assert!(violations.iter().all(|violation| violation.field == "order_by"));
                violations.into_iter().map(|violation| violation.description).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn orders_are_read_with_any_blanks() {
        for text in ["", " ", "name", "name desc", " name   desc ,create_time,  update_time desc"] {
            assert!(problems::<Provider>(text).is_empty(), "{text}");
        }
        assert!(problems::<Model>("context_window desc, input_price").is_empty());
    }

    #[test]
    fn bad_orders_are_refused() {
        for text in
            ["id", "Name", "name DESC", "name asc", "name desc desc", ",", "name,", "name,name desc", "input_price"]
        {
            assert_eq!(problems::<Provider>(text).len(), 1, "{text}");
        }
        assert_eq!(problems::<Token>("bogus"), ["must be of name, create_time, update_time: bogus"]);
    }

    #[test]
    fn a_position_of_another_order_does_not_fit() {
        let order = Order::read::<Model>("name, input_price", &mut Violations::default());
        let position = |keys: Vec<SortKey>| Position { keys, id: Uuid::nil() };
        assert!(order.fits(&position(vec![SortKey::Text("a".into()), SortKey::None])));
        assert!(!order.fits(&position(vec![SortKey::Text("a".into())])));
        assert!(!order.fits(&position(vec![SortKey::Int(1), SortKey::Int(1)])));
        assert!(!order.fits(&position(vec![SortKey::None, SortKey::Int(1)])));
    }
}
