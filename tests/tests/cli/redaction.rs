//! What differs from run to run becomes a word in snapshots.

use insta::Settings;
use insta::internals::SettingsBindDropGuard;

/// In force as long as what is returned lives.
pub(crate) fn redacted() -> SettingsBindDropGuard {
    let mut settings = Settings::clone_current();
    for (pattern, word) in [
        (r"/\S*/sealift-computer-\w+", "[HOME]"),
        (r"sealift-join:[\w-]{100,}", "[TOKEN]"),
        (r"\b[0-9a-f]{64}\b", "[SHA-256]"),
        (r"127\.0\.0\.1:\d+", "[ADDRESS]"),
        (r"spiffe://[^/\s]+", "spiffe://[DOMAIN]"),
        (r#""trust_domain":"[^"]+""#, r#""trust_domain":"[DOMAIN]""#),
        (r"20\d\d-\d\d-\d\dT[0-9:.]+Z", "[UTC]"),
        (r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \+00:00", "[SECOND]"),
        (r"20\d\d-\d\d-\d\d \d\d:\d\d", "[MINUTE]"),
        (r"\b\d+(\.\d)? m?s\b", "[TIME]"),
        (r"\b\d+(\.\d)? [KMG]iB/s", "[RATE]"),
        (r#""seconds":[0-9.e-]+"#, r#""seconds":[SECONDS]"#),
        (r#""wire_bytes":\d+"#, r#""wire_bytes":[BYTES]"#),
    ] {
        settings.add_filter(pattern, word);
    }
    settings.bind_to_scope()
}
