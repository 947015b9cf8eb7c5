//! Cleaning a vendor's text before anybody sees it: several vendors echo the key they refuse.
//!
//! Invariant: no eight characters in a row of a sent secret survive, plain or in base64 or hex, nor a whole shorter
//! one, nor anything that looks like a key.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::fault::MAX_MESSAGE;
use crate::domain::secret::CredentialSecret;

/// So many characters in a row of a secret are too many to show.
const WINDOW: usize = 8;
/// Shorter secrets are words, and no secrets.
const SHORTEST: usize = 4;
/// Of a longer text the rest is not looked at.
const MAX_INPUT: usize = 4_000;
const MARK: &str = "[removed]";

/// Knows the secrets that one call sends.
#[derive(Default)]
pub(super) struct Redactor {
    forms: Vec<Zeroizing<Vec<char>>>,
}

impl Redactor {
    pub(super) fn new(secret: &CredentialSecret) -> Self {
        let mut forms = Vec::new();
        for text in secret.fields().into_iter().filter_map(|(_, value, _)| value) {
            let text = text.expose();
            let mut add = |form: String| forms.push(Zeroizing::new(Zeroizing::new(form).chars().collect()));
            add(text.to_owned());
            add(hex::encode(text));
            add(hex::encode_upper(text));
            // What stands before it shifts it: a vendor may encode a whole header.
            for rest in (0..3).filter_map(|from| text.as_bytes().get(from..)) {
                add(STANDARD_NO_PAD.encode(rest));
                add(URL_SAFE_NO_PAD.encode(rest));
            }
        }
        Self { forms }
    }

    /// `text` on one line, without secrets, at most [`MAX_MESSAGE`] characters.
    pub(super) fn clean(&self, text: &str) -> String {
        let line: Vec<char> =
            text.chars().take(MAX_INPUT).map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
        let line = without_keys(&self.without_secrets(&line));
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        words.join(" ").chars().take(MAX_MESSAGE).collect()
    }

    fn without_secrets(&self, line: &[char]) -> String {
        let mut shown = vec![true; line.len()];
        for form in &self.forms {
            let width = form.len().min(WINDOW);
            if width < SHORTEST {
                continue;
            }
            let pieces: HashSet<&[char]> = form.windows(width).collect();
            for (start, _) in line.windows(width).enumerate().filter(|(_, piece)| pieces.contains(piece)) {
                shown.iter_mut().skip(start).take(width).for_each(|shown| *shown = false);
            }
        }
        let mut text = String::with_capacity(line.len());
        let mut hidden = false;
        for (character, shown) in line.iter().zip(shown) {
            if shown {
                text.push(*character);
            } else if !hidden {
                text.push_str(MARK);
            }
            hidden = !shown;
        }
        text
    }
}

/// Removes words that look like keys, and what follows `Bearer`.
fn without_keys(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut after_bearer = false;
    for piece in line.split_inclusive(separates) {
        let word = piece.trim_end_matches(separates);
        let rest = piece.get(word.len()..).unwrap_or_default();
        let hide = !word.is_empty() && (after_bearer || looks_like_a_key(word));
        text.push_str(if hide { MARK } else { word });
        text.push_str(rest);
        if !word.is_empty() {
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
    }
    text
}

fn separates(c: char) -> bool {
    matches!(c, ' ' | '"' | '\'' | '`' | ',' | ';' | ':' | '=' | '(' | ')' | '<' | '>' | '{' | '}' | '[' | ']')
}

fn looks_like_a_key(word: &str) -> bool {
    const PREFIXES: &[(&str, usize)] =
        &[("sk-", 6), ("sk_", 6), ("AIza", 12), ("AKIA", 12), ("ASIA", 12), ("bce-v3/", 8), ("eyJ", 20), ("mw_", 6)];
    word.contains("***") || PREFIXES.iter().any(|(prefix, length)| word.starts_with(prefix) && word.len() >= *length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::SecretText;

    const KEY: &str = "zq7Lw0-Vv93kTT.x1+/8PmnbY4rEe";

    fn redactor(key: &str) -> Redactor {
        let key = Some(SecretText::new(key.into()));
        Redactor::new(&CredentialSecret { api_key: key, ..CredentialSecret::default() })
    }

    #[test]
    fn no_eight_characters_of_the_secret_survive() {
        let redactor = redactor(KEY);
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(KEY);
        let (head, tail) = (KEY.get(..8).unwrap(), KEY.get(KEY.len() - 8..).unwrap());
        let hex = hex::encode(KEY);
        for echo in [KEY, head, tail, KEY.get(5..20).unwrap(), &base64, &hex] {
            let clean = redactor.clean(&format!("Incorrect key <{echo}> given, see https://example.com/keys."));
            assert_eq!(clean, "Incorrect key <[removed]> given, see https://example.com/keys.");
        }
        let twice = redactor.clean(&format!("{KEY}{KEY} and {KEY}"));
        assert_eq!(twice, "[removed] and [removed]");
    }

    #[test]
    fn what_looks_like_a_key_is_removed_also_when_it_is_not_ours() {
        let redactor = redactor(KEY);
        for (text, clean) in [
            ("Incorrect API key provided: sk-ab***yz. You can", "Incorrect API key provided: [removed] You can"),
            ("got 'Bearer abc' here", "got 'Bearer [removed]' here"),
            ("Authorization: bearer  abc.def", "Authorization: bearer [removed]"),
            ("key=sk-1234567 refused", "key=[removed] refused"),
            ("Your api key: ****abcd is invalid", "Your api key: [removed] is invalid"),
            ("id AKIAIOSFODNN7EXAMPLE", "id [removed]"),
            ("a plain sentence about tasks and risk-free things", "a plain sentence about tasks and risk-free things"),
        ] {
            assert_eq!(redactor.clean(text), clean);
        }
    }

    #[test]
    fn short_secrets_go_whole_and_tiny_ones_are_words() {
        assert_eq!(redactor("hunter2").clean("hunter2 is wrong, hunter too"), "[removed] is wrong, hunter too");
        assert_eq!(redactor("abc").clean("abc"), "abc");
        assert_eq!(Redactor::default().clean("as it is"), "as it is");
    }

    #[test]
    fn a_message_is_one_short_line() {
        let text = format!("a\r\n\u{0}b\t{}", "ü".repeat(2 * MAX_INPUT));
        let clean = Redactor::default().clean(&text);
        assert!(clean.starts_with("a b ü"));
        assert_eq!(clean.chars().count(), MAX_MESSAGE);
    }
}
