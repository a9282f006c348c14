//! Addresses as `HOST:PORT`.

/// Host and port of `HOST`, `HOST:PORT`, `ADDRESS` or `[ADDRESS]:PORT`.
pub fn split_host(address: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::split_host;

    #[test]
    fn addresses_are_split() {
        for (address, host, port) in [
            ("example.org", "example.org", None),
            ("example.org:1", "example.org", Some(1)),
            ("10.0.0.1:8888", "10.0.0.1", Some(8888)),
            ("::1", "::1", None),
            ("[::1]:8888", "::1", Some(8888)),
            ("[::1]", "::1", None),
        ] {
            assert_eq!(split_host(address), (host, port));
        }
    }
}
