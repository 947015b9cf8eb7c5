//! The text filter of lists: a substring in any case of letters, as Unicode has it.

/// A text that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle {
    folded: String,
}

impl Needle {
    /// None for the empty text, which every text contains.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self { folded: fold(text) })
    }

    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        if !text.is_ascii() {
            return fold(text).contains(&self.folded);
        }
        // The usual case, without a copy.
        let needle = self.folded.as_bytes();
        text.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
    }

    #[must_use]
    pub fn is_in_any(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is_in(text))
    }
}

/// Lower case letter by letter, so that a part folds as it does within the whole; the two small sigmas are one letter.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needle: &str, text: &str) -> bool {
        Needle::new(needle).unwrap().is_in(text)
    }

    #[test]
    fn case_does_not_matter_in_any_script() {
        assert!(found("GPT", "my gpt-4o") && found("gpt", "MY GPT-4O"));
        assert!(found("ÜBER", "Das über-Modell") && found("über", "ÜBER"));
        assert!(found("МОДЕЛЬ", "моя модель") && found("ΟΔΟΣ", "ΟΔΟΣΑ") && found("οδος", "ΟΔΟΣ"));
        assert!(found("模型", "大模型"));
        assert!(found("k", "\u{212a}elvin") && found("\u{212a}", "kelvin"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(!found("gpt", "gp-t") && !found("über", "uber") && !found("a", "") && !found("long", "lo"));
        assert!(Needle::new("").is_none());
    }
}
