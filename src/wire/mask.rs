//! Update masks.

use prost_types::FieldMask;

use crate::domain::error::{Error, Violation};
use crate::domain::{Mask, Result};

/// More paths than any resource has fields.
const MAX_PATHS: usize = 200;

/// Reads an update mask; an empty one is none.
///
/// # Errors
/// [`Error::InvalidMask`], naming every bad path.
pub fn read(mask: Option<FieldMask>, settable: &[&str], fixed: &[&str]) -> Result<Mask> {
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.len() > MAX_PATHS {
        let description = format!("at most {MAX_PATHS} paths, found {}", paths.len());
        return Err(Error::InvalidMask { violations: vec![Violation { field: "update_mask".into(), description }] });
    }
    Mask::parse(&paths, settable, fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_mask_is_no_mask() {
        assert_eq!(read(None, &["name"], &[]).unwrap(), Mask::Carried);
        assert_eq!(read(Some(FieldMask::default()), &["name"], &[]).unwrap(), Mask::Carried);
    }

    #[test]
    fn endless_masks_are_refused() {
        let mask = FieldMask { paths: vec!["name".into(); MAX_PATHS + 1] };
        assert!(matches!(read(Some(mask), &["name"], &[]), Err(Error::InvalidMask { .. })));
    }
}
