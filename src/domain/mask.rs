//! Update masks: which carried fields take effect, and what a named field that is not carried becomes.
//!
//! One rule serves creation and update: a resource is merged from the current (or default) value and an input whose
//! fields are all optional. The input's shape was checked before; here is no other error than a bad path.

use super::error::{Error, Result, Violation};

/// What an update is to touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mask {
    /// No mask: every carried field.
    #[default]
    Carried,
    /// `*`: every settable field; those not carried return to their default.
    Full,
    /// The named paths: replaced, or returned to their default when not carried.
    Paths(Vec<String>),
}

/// What an input is for, as far as it decides which fields must be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence<'a> {
    Create,
    Update(&'a Mask),
}

impl Presence<'_> {
    /// Whether a field without a default has to be carried: always at creation, when it is named in an update.
    #[must_use]
    pub fn requires(self, path: &str) -> bool {
        match self {
            Self::Create => true,
            Self::Update(mask) => mask.names(path),
        }
    }
}

/// What happens to one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Keep,
    /// Take the carried value, keep the current one if none is carried.
    TakeCarried,
    /// Take the carried value, or the default.
    Replace,
}

impl Mask {
    /// Reads a client's mask. `settable` are the paths that may be named, `known` all other fields (immutable,
    /// output-only), which only change the message.
    ///
    /// # Errors
    /// [`Error::InvalidMask`] naming every bad path.
    pub fn parse(paths: &[String], settable: &[&str], known: &[&str]) -> Result<Self> {
        if paths.is_empty() {
            return Ok(Self::Carried);
        }
        if paths.iter().any(|path| path == "*") {
            return if paths.len() == 1 { Ok(Self::Full) } else { Err(invalid("*", "stands alone or not at all")) };
        }
        let violations: Vec<_> = paths
            .iter()
            .filter(|path| !settable.contains(&path.as_str()))
            .map(|path| {
                let root = path.split('.').next().unwrap_or_default();
                let problem = if known.contains(&root) { "is immutable or output-only" } else { "is not a field" };
                Violation { field: "update_mask".into(), description: format!("{path:.100} {problem}") }
            })
            .collect();
        if violations.is_empty() { Ok(Self::Paths(paths.to_vec())) } else { Err(Error::InvalidMask { violations }) }
    }

    /// What happens to the field at `path` (`name`, or `health_check.interval`).
    #[must_use]
    pub fn decide(&self, path: &str) -> Decision {
        match self {
            Self::Carried => Decision::TakeCarried,
            Self::Full => Decision::Replace,
            Self::Paths(paths) => {
                let root = path.split('.').next().unwrap_or_default();
                if paths.iter().any(|named| named == path || named == root) {
                    Decision::Replace
                } else {
                    Decision::Keep
                }
            }
        }
    }

    /// Whether the field was named, alone or by `*`.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        self.decide(path) == Decision::Replace
    }

    /// Sets `field` as the mask says.
    pub fn merge<T>(&self, path: &str, field: &mut T, carried: Option<T>, default: T) {
        match (self.decide(path), carried) {
            (Decision::TakeCarried | Decision::Replace, Some(value)) => *field = value,
            (Decision::Replace, None) => *field = default,
            (Decision::Keep, _) | (Decision::TakeCarried, None) => {}
        }
    }

    /// The same for a map or list, whose empty form cannot be told from one that is not carried.
    pub fn merge_many<C>(&self, path: &str, field: &mut C, carried: &C)
    where
        C: Clone + Default + PartialEq,
    {
        let carried = (*carried != C::default()).then(|| carried.clone());
        self.merge(path, field, carried, C::default());
    }
}

fn invalid(path: &str, problem: &str) -> Error {
    Error::InvalidMask {
        violations: vec![Violation { field: "update_mask".into(), description: format!("{path} {problem}") }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTABLE: &[&str] = &["name", "health_check", "health_check.interval", "health_check.timeout"];

    fn mask(paths: &[&str]) -> Result<Mask> {
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        Mask::parse(&paths, SETTABLE, &["id", "health"])
    }

    #[test]
    fn without_a_mask_carried_fields_are_taken_and_others_kept() {
        let mask = mask(&[]).unwrap();
        let (mut a, mut b) = (1, 2);
        mask.merge("name", &mut a, Some(10), 0);
        mask.merge("name", &mut b, None, 0);
        assert_eq!((a, b), (10, 2));
    }

    #[test]
    fn a_named_message_is_replaced_whole_and_a_named_leaf_alone() {
        let whole = mask(&["health_check"]).unwrap();
        let leaf = mask(&["health_check.interval"]).unwrap();
        assert_eq!(whole.decide("health_check.timeout"), Decision::Replace);
        assert_eq!(leaf.decide("health_check.interval"), Decision::Replace);
        assert_eq!(leaf.decide("health_check.timeout"), Decision::Keep);
        assert_eq!(leaf.decide("name"), Decision::Keep);
    }

    #[test]
    fn a_named_field_that_is_not_carried_returns_to_its_default() {
        let mut value = 7;
        mask(&["name"]).unwrap().merge("name", &mut value, None, 3);
        assert_eq!(value, 3);
        mask(&["*"]).unwrap().merge("name", &mut value, None, 4);
        assert_eq!(value, 4);
    }

    #[test]
    fn unknown_immutable_and_mixed_paths_are_refused() {
        for bad in [&["nme"][..], &["id"], &["health.status"], &["health_check.interval.x"], &["*", "name"], &[""]] {
            assert!(matches!(mask(bad), Err(Error::InvalidMask { .. })), "{bad:?}");
        }
    }
}
