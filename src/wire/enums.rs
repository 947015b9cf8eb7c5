//! Enums by their numbers. The tables stand in the files of their nouns; both directions are checked for completeness
//! when they are compiled.

use super::WireError;
use crate::domain::Violations;

/// An enum of the domain that has numbers on the wire.
pub trait WireEnum: Copy + Sized {
    fn number(self) -> i32;

    /// Nothing for a number that stands for no value, 0 among them unless it stands for "none".
    fn from_number(number: i32) -> Option<Self>;
}

/// Declares the table of one enum. `or Variant`: the variant that the number 0 (`…_UNSPECIFIED`) stands for.
macro_rules! wire_enum {
    ($domain:ty, $proto:ty { $($variant:ident => $name:ident),+ $(,)? }) => {
        impl $crate::wire::enums::WireEnum for $domain {
            fn number(self) -> i32 {
                match self { $(Self::$variant => <$proto>::$name as i32),+ }
            }

            fn from_number(number: i32) -> Option<Self> {
                match <$proto>::try_from(number).ok()? {
                    <$proto>::Unspecified => None,
                    $(<$proto>::$name => Some(Self::$variant)),+
                }
            }
        }
    };
    ($domain:ty, $proto:ty { $($variant:ident => $name:ident),+ $(,)? } or $none:ident) => {
        impl $crate::wire::enums::WireEnum for $domain {
            fn number(self) -> i32 {
                match self {
                    Self::$none => <$proto>::Unspecified as i32,
                    $(Self::$variant => <$proto>::$name as i32),+
                }
            }

            fn from_number(number: i32) -> Option<Self> {
                match <$proto>::try_from(number).ok()? {
                    <$proto>::Unspecified => Some(Self::$none),
                    $(<$proto>::$name => Some(Self::$variant)),+
                }
            }
        }
    };
}
pub(crate) use wire_enum;

/// The number of a value.
pub fn write<T: WireEnum>(value: T) -> i32 {
    value.number()
}

/// What a caller said in a settable field. 0, sent in so many words, is no value.
pub fn input<T: WireEnum>(field: &str, number: Option<i32>, violations: &mut Violations) -> Option<T> {
    let number = number?;
    let value = T::from_number(number).filter(|_| number != 0);
    if value.is_none() {
        let problem = if number == 0 { "required, must not be unspecified" } else { "is not a known value" };
        violations.add(field, problem);
    }
    value
}

/// What a caller said in a filter or selector: 0 is any.
pub fn filter<T: WireEnum>(field: &str, number: Option<i32>, violations: &mut Violations) -> Option<T> {
    input(field, number.filter(|number| *number != 0), violations)
}

/// The values of a repeated field of filters, each once; 0 is no value.
pub fn list<T: WireEnum>(field: &str, numbers: &[i32], violations: &mut Violations) -> Vec<T> {
    let mut values = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (index, number) in numbers.iter().enumerate() {
        if !seen.insert(*number) {
            continue;
        }
        values.extend(input::<T>(&format!("{field}[{index}]"), Some(*number), violations));
    }
    values
}

/// What this program wrote.
pub(super) fn read<T: WireEnum>(field: &str, number: i32) -> Result<T, WireError> {
    T::from_number(number).ok_or_else(|| WireError::at(field, "is not a known value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::ModelType;
    use crate::domain::provider::ProviderKind;

    #[test]
    fn unspecified_is_refused_as_input_and_means_any_in_a_filter() {
        let mut violations = Violations::default();
        assert_eq!(filter::<ModelType>("type", Some(0), &mut violations), None);
        assert_eq!(input::<ModelType>("type", None, &mut violations), None);
        assert!(violations.is_empty());
        assert_eq!(input::<ModelType>("type", Some(0), &mut violations), None);
        assert!(!violations.is_empty());
    }

    #[test]
    fn unknown_numbers_are_refused_everywhere() {
        for number in [-1, 16, i32::MAX] {
            let mut violations = Violations::default();
            assert_eq!(filter::<ProviderKind>("kind", Some(number), &mut violations), None);
            assert!(!violations.is_empty(), "{number}");
        }
    }

    #[test]
    fn a_list_holds_each_value_once() {
        let mut violations = Violations::default();
        assert_eq!(list::<ModelType>("types", &[1, 2, 1], &mut violations), [ModelType::Chat, ModelType::Completion]);
        assert!(violations.is_empty());
    }
}
