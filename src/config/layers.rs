//! Where values come from: defaults, then the file, then the environment, then flags; the later wins. Each value
//! knows its source, and a name that nobody knows is an error, because a misspelt setting would be ignored silently.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::ConfigError;
use super::declare::Spec;
use super::value::Value;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    /// The flag's name, with its dashes.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value that one layer gives to a setting.
pub struct Given {
    pub name: &'static str,
    pub text: String,
    pub source: Source,
}

/// Every setting with its value and where that comes from. Values are checked before they get in.
pub struct Values(BTreeMap<&'static str, (Spec, String, Source)>);

impl Values {
    /// Lays what was given over the defaults, the later over the earlier.
    ///
    /// # Errors
    /// Every value that its setting does not accept.
    pub fn new(specs: impl Iterator<Item = Spec>, given: Vec<Given>) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<_, _> =
            specs.map(|spec| (spec.name, (spec, spec.default.to_owned(), Source::Default))).collect();
        for Given { name, text, source } in given {
            if let Some((_, value, from)) = values.get_mut(name) {
                (*value, *from) = (text, source);
            }
        }
        let problems: Vec<_> = values.values().filter_map(|(spec, text, source)| problem(spec, text, source)).collect();
        if problems.is_empty() { Ok(Self(values)) } else { Err(ConfigError::new(problems)) }
    }

    pub(super) fn get<T: Value>(&self, name: &str) -> Result<T, ConfigError> {
        let (spec, text, source) = self.0.get(name).ok_or_else(|| ConfigError::one(format!("no setting {name}")))?;
        T::parse(text).map_err(|expected| ConfigError::one(refusal(spec, source, &expected)))
    }

    /// All of them, by name: the declaration, the value as it may be shown, the source.
    pub fn shown(&self) -> impl Iterator<Item = (&Spec, String, &Source)> {
        self.0.values().map(|(spec, text, source)| (spec, (spec.show)(text), source))
    }
}

fn problem(spec: &Spec, text: &str, source: &Source) -> Option<String> {
    (spec.check)(text).err().map(|expected| refusal(spec, source, &expected))
}

fn refusal(spec: &Spec, source: &Source, expected: &str) -> String {
    format!("the value of {} from {source} is not valid; {expected}", spec.name)
}

/// What to tell about an unknown name: the known one that was probably meant.
pub(super) fn suggestion<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(unknown, known).map_or_else(|| SEE_ALL.to_owned(), |name| format!("did you mean {name}?"))
}

pub(super) const SEE_ALL: &str = "`modelward config example` lists all of them";

/// The known name that was probably meant, if one is near.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    let near = known.map(|name| (strsim::damerau_levenshtein(&unknown, &name.to_lowercase()), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2.max(unknown.len() / 3)).then_some(name)
}
