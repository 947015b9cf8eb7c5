//! How settings are declared: one declaration gives the typed field, its name, default, rule and documentation, so
//! that parsing, `config show`, the variables' names and the example file cannot disagree.

/// What is known about one setting without reading it.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The name in the file, dotted: `egress.call_budget`.
    pub name: &'static str,
    /// The documentation, one line per element, as the source has it.
    pub doc: &'static [&'static str],
    /// The default as it would be written in the file.
    pub default: &'static str,
    /// Whether the file writes the value without quotes.
    pub bare: bool,
    /// Whether a value on the command line would be seen by other users of the machine.
    pub secret: bool,
    /// Parses a value and applies the rule; the error says what is expected.
    pub check: fn(&str) -> Result<(), String>,
    /// The value as it may be shown: without its secret parts.
    pub show: fn(&str) -> String,
}

/// Declares a group of settings: `field: Type = "default", rule;`, the rule being a function of the parsed value.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $Group:ident at $prefix:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $Type:ty = $default:literal $(, $rule:expr)?; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, PartialEq)]
        pub struct $Group {
            $( $(#[doc = $doc])+ pub $field: $Type, )+
        }

        impl $Group {
            pub(super) const SPECS: &'static [$crate::config::declare::Spec] = &[$(
                $crate::config::declare::Spec {
                    name: concat!($prefix, stringify!($field)),
                    doc: &[$($doc),+],
                    default: $default,
                    bare: <$Type as $crate::config::value::Value>::BARE,
                    secret: <$Type as $crate::config::value::Value>::SECRET,
                    check: |text| {
                        let _value = <$Type as $crate::config::value::Value>::parse(text)?;
                        $( ($rule)(&_value)?; )?
                        Ok(())
                    },
                    show: <$Type as $crate::config::value::Value>::show,
                },
            )+];

            pub(super) fn read(values: &$crate::config::layers::Values) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self { $( $field: values.get(concat!($prefix, stringify!($field)))?, )+ })
            }
        }
    };
}
pub(super) use settings;
