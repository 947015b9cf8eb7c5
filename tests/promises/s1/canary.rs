//! A secret that is looked for: itself, encoded, its beginning, its end.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// So many characters of a secret give it away; the hint shows four.
const PART: usize = 8;

/// A random secret.
#[derive(Clone)]
pub struct Canary(pub String);

impl Canary {
    pub fn new() -> Self {
        Self(std::iter::repeat_with(fastrand::alphanumeric).take(40).collect())
    }

    /// Everything that would give it away, with the name of the form.
    pub fn traces(&self) -> Vec<(&'static str, Vec<u8>)> {
        let text = &self.0;
        let mut traces = vec![
            ("raw", text.clone()),
            ("its beginning", text[..PART].to_owned()),
            ("its end", text[text.len() - PART..].to_owned()),
            ("hex", hex::encode(text)),
            ("hex in capitals", hex::encode_upper(text)),
        ];
        // In base64 what stands before it shifts it; what stands around it changes the characters at the ends.
        for from in 0..3 {
            for (form, encoded) in
                [("base64", STANDARD.encode(&text[from..])), ("base64 for URLs", URL_SAFE_NO_PAD.encode(&text[from..]))]
            {
                traces.push((form, encoded[..encoded.len() - 4].to_owned()));
            }
        }
        traces.into_iter().map(|(form, trace)| (form, trace.into_bytes())).collect()
    }
}

struct Trace {
    name: String,
    bytes: Vec<u8>,
}

/// Looks for many canaries at once, in one pass.
#[derive(Default)]
pub struct Finder(HashMap<[u8; PART], Vec<Trace>>);

impl Finder {
    pub fn add(&mut self, name: &str, canary: &Canary) {
        for (form, bytes) in canary.traces() {
            let begin = *bytes.first_chunk().unwrap();
            self.0.entry(begin).or_default().push(Trace { name: format!("{name}, {form}"), bytes });
        }
    }

    /// The first trace, with what stands around it.
    pub fn find(&self, haystack: &[u8]) -> Option<String> {
        let at = |at: usize| {
            let begin: &[u8; PART] = haystack[at..].first_chunk()?;
            let traces = self.0.get(begin)?;
            let found = traces.iter().find(|trace| haystack[at..].starts_with(&trace.bytes))?;
            let around = &haystack[at.saturating_sub(200)..(at + 100).min(haystack.len())];
            Some(format!("{}: …{}…", found.name, String::from_utf8_lossy(around)))
        };
        (0..haystack.len()).find_map(at)
    }
}
