//! Which database holds the configuration.

use std::path::PathBuf;

use url::{Position, Url};

use super::declare::settings;
use super::value::{Value, between};
use crate::domain::secret::SecretText;

settings! {
    /// Which database holds the configuration.
    pub struct Database at "database." {
        /// `postgres://user:password@host/database`, or `sqlite:///path/to/file`. Empty: an embedded SQLite database,
        /// `modelward.db` in the data directory. Of several servers, `host1:5432,host2:5432`, the primary is used,
        /// whichever it is.
        url: DatabaseUrl = "";
        /// How many connections to PostgreSQL are kept at most.
        pool_size: usize = "10", between(2, 1000);
        /// Accepts a PostgreSQL with `synchronous_commit = off`, which can lose acknowledged writes when it crashes.
        allow_async_commit: bool = "false";
    }
}

/// The database that a URL names.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// None given: SQLite in the data directory.
    Embedded,
    /// SQLite in this file.
    Sqlite(PathBuf),
    /// PostgreSQL; the URL holds a password.
    Postgres(SecretText),
}

const EXPECTED: &str = "give postgres://user:password@host/database or sqlite:///path/to/file";

impl Value for DatabaseUrl {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Embedded);
        }
        if let Some(path) = text.strip_prefix("sqlite://") {
            return if path.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(Self::Sqlite(path.into())) };
        }
        let servers = servers(text).unwrap_or_default();
        match servers.first().map(Url::scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres(SecretText::new(text.to_owned()))),
            _ => Err(EXPECTED.to_owned()),
        }
    }

    /// The URL without its password and without its parameters, which may hold one too.
    fn show(text: &str) -> String {
        if text.is_empty() || text.starts_with("sqlite://") {
            return text.to_owned();
        }
        let hidden = || "<hidden>".to_owned();
        let Some(servers) = servers(text) else { return hidden() };
        let hosts: Vec<_> = servers.iter().map(|url| &url[Position::BeforeHost..Position::AfterPort]).collect();
        let Some(mut url) = servers.first().cloned() else { return hidden() };
        if url.password().is_some() && url.set_password(Some("hidden")).is_err() {
            return hidden();
        }
        if url.query().is_some() {
            url.set_query(Some("hidden"));
        }
        format!("{}{}{}", &url[..Position::BeforeHost], hosts.join(","), &url[Position::AfterPort..])
    }
}

/// The URL of each server that a URL names.
fn servers(text: &str) -> Option<Vec<Url>> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(_, hosts)| (authority.strip_suffix(hosts).unwrap_or_default(), hosts));
    hosts.split(',').map(|host| Url::parse(&format!("{scheme}://{user}{host}{tail}")).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_chooses_the_database() {
        assert!(DatabaseUrl::parse("") == Ok(DatabaseUrl::Embedded));
        assert!(DatabaseUrl::parse("sqlite:///var/m.db") == Ok(DatabaseUrl::Sqlite("/var/m.db".into())));
        assert!(DatabaseUrl::parse("sqlite://m.db") == Ok(DatabaseUrl::Sqlite("m.db".into())));
        assert!(matches!(DatabaseUrl::parse("postgresql:///m?host=/run"), Ok(DatabaseUrl::Postgres(_))));
        assert!(matches!(DatabaseUrl::parse("postgres://u:p@a:1,b:2/m"), Ok(DatabaseUrl::Postgres(_))));
        for bad in ["mysql://h/d", "m.db", "sqlite://", "postgres", "postgres://a:1,b:x/m", "postgres://u:p/w@h/m"] {
            assert!(DatabaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        assert_eq!(DatabaseUrl::show("postgres://u:pw4711@h:1/d"), "postgres://u:hidden@h:1/d");
        assert_eq!(DatabaseUrl::show("postgres://u@h/d?password=pw4711"), "postgres://u@h/d?hidden");
        let several = DatabaseUrl::show("postgres://u:pw4711@a:1,b,[::1]:3/d?password=pw4711");
        assert_eq!(several, "postgres://u:hidden@a:1,b,[::1]:3/d?hidden");
        assert_eq!(DatabaseUrl::show("postgresql:///m?host=/run"), "postgresql:///m?hidden");
        for unreadable in ["postgres://u:pw4711@[bad/d", "postgres://u:pw4711@h,[bad/d", "postgres://u:pw/4711@h/d"] {
            assert_eq!(DatabaseUrl::show(unreadable), "<hidden>");
        }
        assert_eq!(DatabaseUrl::show("sqlite:///m.db"), "sqlite:///m.db");
    }
}
