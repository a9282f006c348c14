//! What somebody may have meant.

/// How alike two names must be, of 1, for one to be taken for the other.
const ALIKE: f64 = 0.8;

/// The known name that is most like `text`; of equal ones, the first.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(&str, f64)> = None;
    for name in known {
        let likeness = likeness(text, name);
        if likeness >= ALIKE && best.is_none_or(|(_, other)| likeness > other) {
            best = Some((name, likeness));
        }
    }
    best.map(|(name, _)| name)
}

/// As whole names, or without the tables that they are in: `idle` may stand where `timeouts.idle` belongs.
fn likeness(text: &str, name: &str) -> f64 {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = strsim::normalized_damerau_levenshtein(text, name).max(strsim::jaro(text, name) * 0.95);
    whole.max(strsim::normalized_damerau_levenshtein(&last(text), &last(name)) * 0.95)
}
