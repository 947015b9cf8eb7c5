//! Whole numbers between the widths of the domain and of the messages. Too large ones end at the limit: they are
//! counts and limits for people, not sums.

use super::WireError;

pub(super) fn from_u32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn from_i64(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

pub(super) fn read_u32(field: &str, number: i32) -> Result<u32, WireError> {
    u32::try_from(number).map_err(|_| WireError::at(field, "negative"))
}
