//! Where a control plane is: the scheme, the host and the port of a URL, whose form the settings have checked.

use std::fmt;

use url::{Host, Url};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    tls: bool,
    host: Host<String>,
    port: u16,
}

impl Address {
    /// Reads `http://host:port` or `https://host:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let tls = url.scheme() == "https";
        Some(Self { tls, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The name, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is this machine, as far as the name tells.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }

    /// Host and port as they stand in a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_are_read() {
        for (text, expected) in [
            ("http://127.0.0.1:7", "http://127.0.0.1:7"),
            ("https://modelward.example", "https://modelward.example:443"),
            ("http://modelward:80/", "http://modelward:80"),
            ("https://[::1]:9", "https://[::1]:9"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
        assert_eq!(Address::parse("modelward"), None);
        let address = Address::parse("https://[::1]:9").unwrap();
        assert_eq!((address.host(), address.port(), address.is_tls()), ("::1".to_owned(), 9, true));
    }
}
