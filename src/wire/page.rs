//! Pages of lists: put together from encodings that are kept, and the tokens that name where the next one begins.

mod raw;
mod token;

pub use raw::{RawItem, RawPage};
pub use token::{FilterHash, filter_hash, read, write};
