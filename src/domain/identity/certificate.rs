//! What a client's certificate names, and which roles follow from it. Names are compared whole: a wildcard in a
//! certificate is no name of anybody, and one in a rule is refused.

use crate::domain::caller::Roles;

/// Longest name that counts, in bytes.
const MAX_NAME: usize = 512;

/// Where in a certificate a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A URI among the alternative names: SPIFFE ids.
    Uri,
    Dns,
    Email,
    /// The common name of the subject.
    SubjectCn,
}

/// A name, and what roles it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    pub kind: NameKind,
    pub name: String,
    pub roles: Roles,
}

/// The names in a certificate; made of those alone that can be trusted to be one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateNames(Vec<(NameKind, String)>);

impl CertificateNames {
    /// Takes the names of a certificate: only plain ones. Of several common names none counts, and of several URIs none
    /// as soon as one is a SPIFFE id, which must stand alone.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = (NameKind, String)>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let of = |kind| names.iter().filter(move |(one, _)| *one == kind);
        let many_cns = of(NameKind::SubjectCn).count() > 1;
        let spiffe = |name: &str| name.get(..9).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe://"));
        let many_ids = of(NameKind::Uri).count() > 1 && of(NameKind::Uri).any(|(_, name)| spiffe(name));
        let counts = |kind: NameKind, name: &str| match kind {
            NameKind::SubjectCn => !many_cns && is_plain(name, kind),
            NameKind::Uri => !many_ids && is_plain(name, kind),
            NameKind::Dns | NameKind::Email => is_plain(name, kind),
        };
        Self(names.into_iter().filter(|(kind, name)| counts(*kind, name)).collect())
    }

    /// The one by which the log and repeated requests know the caller: URI, DNS name, address, common name.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        let kinds = [NameKind::Uri, NameKind::Dns, NameKind::Email, NameKind::SubjectCn];
        kinds.into_iter().find_map(|kind| self.0.iter().find(|(one, _)| *one == kind)).map(|(_, name)| name.as_str())
    }

    /// The roles of all rules that name one of them.
    #[must_use]
    pub fn roles(&self, rules: &[CertificateRule]) -> Roles {
        let holds = |rule: &&CertificateRule| {
            self.0.iter().any(|(kind, name)| *kind == rule.kind && same(*kind, name, &rule.name))
        };
        super::roles(rules.iter().filter(holds).map(|rule| &rule.roles))
    }
}

fn same(kind: NameKind, one: &str, other: &str) -> bool {
    match kind {
        NameKind::Dns => one.eq_ignore_ascii_case(other),
        NameKind::Uri | NameKind::Email | NameKind::SubjectCn => one == other,
    }
}

/// Whether a text is one name, whoever reads it.
#[must_use]
pub fn is_plain(name: &str, kind: NameKind) -> bool {
    let sound = |byte: u8| byte.is_ascii_graphic() || (byte == b' ' && kind == NameKind::SubjectCn);
    let wild = name.contains('*') && kind != NameKind::Uri;
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(sound) && !wild && name.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caller::Role;

    fn rule(kind: NameKind, name: &str, role: Role) -> CertificateRule {
        CertificateRule { kind, name: name.to_owned(), roles: Roles::from_iter([role]) }
    }

    fn names(names: &[(NameKind, &str)]) -> CertificateNames {
        CertificateNames::new(names.iter().map(|(kind, name)| (*kind, (*name).to_owned())))
    }

    #[test]
    fn roles_of_all_rules_that_hold_are_added_up() {
        let rules = [
            rule(NameKind::Uri, "spiffe://example.org/ns/prod/sa/gateway", Role::Consumer),
            rule(NameKind::SubjectCn, "gateway", Role::Editor),
            rule(NameKind::Dns, "other.example.org", Role::Admin),
        ];
        let held = names(&[
            (NameKind::SubjectCn, "gateway"),
            (NameKind::Uri, "spiffe://example.org/ns/prod/sa/gateway"),
            (NameKind::Dns, "gateway.example.org"),
        ]);
        assert_eq!(held.roles(&rules), Roles::from_iter([Role::Consumer, Role::Editor]));
        assert_eq!(held.first(), Some("spiffe://example.org/ns/prod/sa/gateway"));
        assert!(names(&[(NameKind::Dns, "gateway")]).roles(&rules).is_empty(), "the kind of a name counts");
    }

    #[test]
    fn what_could_be_read_as_another_name_is_none() {
        let rules = [
            rule(NameKind::SubjectCn, "admin", Role::Admin),
            rule(NameKind::Dns, "admin.example.org", Role::Admin),
            rule(NameKind::Uri, "spiffe://example.org/admin", Role::Admin),
        ];
        for spoofed in [
            &[(NameKind::SubjectCn, "admin\0.evil.example")][..],
            &[(NameKind::SubjectCn, "admin"), (NameKind::SubjectCn, "evil")],
            &[(NameKind::SubjectCn, "\u{430}dmin")],
            &[(NameKind::SubjectCn, "admin ")],
            &[(NameKind::Dns, "*.example.org")],
            &[(NameKind::Dns, "*")],
            &[(NameKind::Dns, "admin.example.org.")],
            &[(NameKind::Dns, "admin.example.org\0")],
            &[(NameKind::Uri, "spiffe://example.org/admin"), (NameKind::Uri, "spiffe://example.org/evil")],
            &[(NameKind::Uri, "SPIFFE://example.org/admin")],
            &[(NameKind::Uri, "spiffe://example.org/admin/")],
            &[(NameKind::Email, "admin")],
        ] {
            assert!(names(spoofed).roles(&rules).is_empty(), "{spoofed:?}");
        }
        assert!(names(&[(NameKind::Dns, "ADMIN.example.org")]).roles(&rules).allow(Role::Admin));
    }
}
