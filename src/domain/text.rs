//! Rules for text: length in characters, no control characters, no outer blanks.

use super::error::Violations;

/// A kind of text: how short and how long it may be, in Unicode characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    pub min: usize,
    pub max: usize,
}

impl Text {
    /// 1 to `max` characters.
    #[must_use]
    pub const fn required(max: usize) -> Self {
        Self { min: 1, max }
    }

    /// Up to `max` characters, or none.
    #[must_use]
    pub const fn optional(max: usize) -> Self {
        Self { min: 0, max }
    }

    /// Adds what is wrong with `value`. Bad text is refused, never silently changed.
    pub fn check(self, field: &str, value: &str, violations: &mut Violations) {
        let length = value.chars().count();
        if length < self.min {
            violations.add(field, "required, must not be empty");
        } else if length > self.max {
            violations.add(field, format!("at most {} characters, found {length}", self.max));
        }
        if value.chars().any(char::is_control) {
            violations.add(field, "must not contain control characters");
        }
        if value.trim() != value {
            violations.add(field, "must not begin or end with blanks");
        }
    }

    /// The same for a text that may be absent; absent is an error when `required`.
    pub fn check_option(self, field: &str, value: Option<&str>, required: bool, violations: &mut Violations) {
        match value {
            Some(value) => self.check(field, value, violations),
            None if required => violations.add(field, "required"),
            None => {}
        }
    }
}

/// The form in which names are compared: Unicode lower case. Computed here because SQLite only knows ASCII.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: Text, value: &str) -> usize {
        let mut violations = Violations::default();
        text.check("f", value, &mut violations);
        match violations.into_result() {
            Err(super::super::Error::InvalidField { violations }) => violations.len(),
            _ => 0,
        }
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        assert_eq!(problems(Text::required(3), "äöü"), 0);
        assert_eq!(problems(Text::required(3), "äöüß"), 1);
        assert_eq!(problems(Text::required(3), ""), 1);
        assert_eq!(problems(Text::optional(3), ""), 0);
    }

    #[test]
    fn control_characters_and_outer_blanks_are_refused() {
        assert_eq!(problems(Text::required(9), "a\u{0}b"), 1);
        assert_eq!(problems(Text::required(9), "a\nb"), 1);
        assert_eq!(problems(Text::required(9), " ab"), 1);
        assert_eq!(problems(Text::required(9), "ab\u{3000}"), 1);
        assert_eq!(problems(Text::required(9), "a b"), 0);
    }
}
