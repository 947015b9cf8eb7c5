//! Answers put together from encodings that are kept: pages of lists, single resources, and the tokens that name where
//! the next page begins.

mod raw;
mod token;

pub use raw::{RawAnswer, RawItem, RawPage};
pub use token::{FilterHash, filter_hash, read, write};
