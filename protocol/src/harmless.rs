//! Text of others as a terminal can take it.

use std::borrow::Cow;

/// Text that a terminal shows as it is.
///
/// Control characters, which could move the cursor or worse, and characters that reorder or hide the text around them
/// become `\u{...}`.
pub fn harmless(text: &str) -> Cow<'_, str> {
    escape(text, is_harmful)
}

/// The same for a text of several lines, which quotes these texts; a line end in one of them is not one of its own.
pub fn harmless_lines<'a>(text: &str, quoted: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for quoted in quoted {
        if let Cow::Owned(shown) = harmless(quoted) {
            text = text.replace(quoted, &shown);
        }
    }
    escape(&text, |c| c != '\n' && is_harmful(c)).into_owned()
}

/// Whether a character could play with what a terminal shows.
pub fn is_harmful(c: char) -> bool {
    // Unicode TR36, section 3.4: bidirectional controls; line and paragraph separators; invisible marks.
    let hides =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    c.is_control() || hides
}

fn escape(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_a_terminal_is_shown_instead() {
        assert_eq!(harmless("plain / ünï 日本"), "plain / ünï 日本");
        assert_eq!(harmless("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(harmless("a\nb\u{9b}31m\u{7f}"), "a\\u{a}b\\u{9b}31m\\u{7f}");
        assert_eq!(harmless("exe\u{202e}gpj"), "exe\\u{202e}gpj");
    }

    #[test]
    fn lines_end_where_the_text_ends_them() {
        let text = "error: 'a\nb\u{9b}'\n\nUsage: \u{7f}\n";
        assert_eq!(harmless_lines(text, ["a\nb\u{9b}", ""]), "error: 'a\\u{a}b\\u{9b}'\n\nUsage: \\u{7f}\n");
    }
}
