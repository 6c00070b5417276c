use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use rapport_types::error::{Error, Kind};
use rapport_types::reason;

use crate::method::{Methods, Requirement};

/// Permissions by pattern: dotted names in which `*` stands for one or more parts. `*` grants everything,
/// `*.read` all reading, `stakeholders.*` one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<String>,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let plain = |part: &String| {
            part == "*"
                || (!part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        };
        if parts.iter().all(plain) {
            Ok(Pattern { parts })
        } else {
            Err(format!(
                "\"{text}\" is not a permission pattern: write dotted lower-case names, * for any part, as in *.read"
            ))
        }
    }
}

impl Pattern {
    /// Whether the pattern covers a permission such as `stakeholders.parties.read`.
    pub fn covers(&self, permission: &str) -> bool {
        let parts: Vec<&str> = permission.split('.').collect();
        covers(&self.parts, &parts)
    }
}

fn covers(pattern: &[String], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((star, rest)), Some((_, tail))) if star == "*" => {
            // The star takes this part and perhaps more.
            covers(rest, tail) || covers(pattern, tail)
        }
        (Some((name, rest)), Some((part, tail))) => name == part && covers(rest, tail),
        _ => false,
    }
}

/// Which role may call which method: patterns are expanded once, so a call costs two look-ups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    roles: Arc<[Role]>,
}

#[derive(Debug)]
struct Role {
    name: String,
    /// For what a handler asks beyond its method.
    patterns: Vec<Pattern>,
    /// By the method's index.
    granted: Vec<bool>,
}

impl Access {
    /// Roles every installation has, besides those it defines: `admin` and `service` may call everything (`admin` sees
    /// its own tenant only), `agent` works with parties, interactions and cases and reads the rest, `reader` reads. What is
    /// neither reading nor writing, such as `stakeholders.parties.restrict`, is for whoever is given it by name.
    pub const BUILT_IN: &'static [(&'static str, &'static [&'static str])] = &[
        ("admin", &["*"]),
        ("agent", &["*.read", "stakeholders.*.write", "interactions.*"]),
        ("reader", &["*.read"]),
        ("service", &["*"]),
    ];

    /// Expands the built-in roles and `custom` ones over the methods. A method that no pattern covers is denied.
    pub fn new(methods: &Methods, custom: &BTreeMap<String, Vec<Pattern>>) -> Access {
        let built_in = Access::BUILT_IN.iter().map(|(role, patterns)| {
            let patterns: Vec<Pattern> = patterns.iter().filter_map(|text| text.parse().ok()).collect();
            ((*role).to_owned(), patterns)
        });
        let custom = custom.iter().map(|(role, patterns)| (role.clone(), patterns.clone()));
        let roles = built_in
            .chain(custom)
            .map(|(role, patterns)| {
                let granted = methods
                    .all()
                    .iter()
                    .map(|method| match method.requirement {
                        Requirement::Open | Requirement::Authenticated => true,
                        Requirement::Permission(permission) => {
                            patterns.iter().any(|pattern| pattern.covers(permission))
                        }
                    })
                    .collect();
                Role { name: role, patterns, granted }
            })
            .collect();
        Access { roles }
    }

    pub(crate) fn allows(&self, roles: &[String], method: usize) -> bool {
        self.held(roles).any(|role| role.granted.get(method).copied().unwrap_or(false))
    }

    pub(crate) fn grants(&self, roles: &[String], permission: &str) -> bool {
        self.held(roles).any(|role| role.patterns.iter().any(|pattern| pattern.covers(permission)))
    }

    fn held<'a>(&'a self, roles: &'a [String]) -> impl Iterator<Item = &'a Role> {
        self.roles.iter().filter(|role| roles.contains(&role.name))
    }
}

/// The one answer to a caller whose roles do not grant what it asks for.
pub(crate) fn denied(permission: &str) -> Error {
    Error::new(Kind::Denied, reason::PERMISSION_DENIED, format!("none of the caller's roles grants {permission}"))
        .with("permission", permission)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn covers(pattern: &str, permission: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().covers(permission)
    }

    #[test]
    fn patterns_cover_what_they_say() {
        assert!(covers("*", "stakeholders.parties.read"));
        assert!(covers("*.read", "stakeholders.parties.read"));
        assert!(!covers("*.read", "stakeholders.parties.write"));
        assert!(covers("stakeholders.*", "stakeholders.parties.write"));
        assert!(!covers("stakeholders.*", "scoring.scores.read"));
        assert!(covers("stakeholders.*.read", "stakeholders.parties.read"));
        assert!(covers("stakeholders.parties.read", "stakeholders.parties.read"));
        assert!(!covers("stakeholders.parties", "stakeholders.parties.read"));
        assert!(!covers("*.re", "stakeholders.parties.read"));
    }

    #[test]
    fn junk_is_no_pattern() {
        for junk in ["", ".", "a..b", "Parties.read", "a.b*", "a b"] {
            assert!(junk.parse::<Pattern>().is_err(), "{junk}");
        }
    }

    #[test]
    fn unknown_roles_grant_nothing_and_reading_is_not_writing() {
        let methods = Methods::of_contract().unwrap();
        let access = Access::new(&methods, &BTreeMap::new());
        let role = |name: &str| vec![name.to_owned()];
        for method in methods.all() {
            assert!(!access.allows(&role("nobody"), method.index));
            assert!(!access.allows(&[], method.index));
            assert!(access.allows(&role("admin"), method.index));
            if let Requirement::Permission(permission) = method.requirement {
                assert_eq!(access.allows(&role("reader"), method.index), permission.ends_with(".read"), "{permission}");
                for name in ["nobody", "admin", "agent", "reader", "service"] {
                    let asked = access.grants(&role(name), permission);
                    assert_eq!(asked, access.allows(&role(name), method.index), "{name}: {permission}");
                }
            }
        }
    }

    #[test]
    fn whoever_writes_parties_sets_nobody_apart() {
        let custom = BTreeMap::from([("privacy".to_owned(), vec!["stakeholders.parties.*".parse().unwrap()])]);
        let access = Access::new(&Methods::of_contract().unwrap(), &custom);
        let may = |role: &str, permission: &str| access.grants(&[role.to_owned()], permission);
        assert!(may("agent", "stakeholders.parties.write"));
        for (role, granted) in [("admin", true), ("privacy", true), ("agent", false), ("reader", false), ("x", false)] {
            assert_eq!(may(role, "stakeholders.parties.restrict"), granted, "{role}");
        }
    }

    #[test]
    fn a_custom_role_grants_its_patterns() {
        let methods = Methods::of_contract().unwrap();
        let custom = BTreeMap::from([("relay".to_owned(), vec!["events.feed.read".parse().unwrap()])]);
        let access = Access::new(&methods, &custom);
        for method in methods.all() {
            let Requirement::Permission(permission) = method.requirement else {
                continue;
            };
            assert_eq!(access.allows(&["relay".to_owned()], method.index), permission == "events.feed.read");
        }
    }
}
