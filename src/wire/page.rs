//! Pages of lists, put together from encodings that are kept.

mod raw;

pub use raw::{RawItem, RawPage};
