//! A value together with its encoded form, which is made once, by whoever first needs it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A resource or a piece of status. The encoded form belongs to this very value: a changed value is a new entry.
#[derive(Debug)]
pub struct Entry<T> {
    value: Arc<T>,
    wire: OnceLock<Bytes>,
}

impl<T> Entry<T> {
    #[must_use]
    pub const fn new(value: Arc<T>) -> Self {
        Self { value, wire: OnceLock::new() }
    }

    #[must_use]
    pub const fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// The encoded form. `encode` runs at most once per entry and must depend on the value alone, because every caller
    /// after the first gets what the first one made.
    pub fn wire_or(&self, encode: impl FnOnce(&T) -> Bytes) -> &Bytes {
        self.wire.get_or_init(|| encode(&self.value))
    }
}

impl<T> Deref for Entry<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_encoded_once() {
        let entry = Entry::new(Arc::new(7_u8));
        assert_eq!(entry.wire_or(|value| Bytes::from(vec![*value])), &Bytes::from_static(&[7]));
        assert_eq!(entry.wire_or(|_| Bytes::new()), &Bytes::from_static(&[7]));
    }
}
