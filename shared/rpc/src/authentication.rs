use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use rapport_types::tenant::{Principal, TenantId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::header;

/// The role whose holders act for every tenant: other services of the suite.
pub(crate) const SERVICE_ROLE: &str = "service";

/// A static credential and who it stands for.
#[derive(Clone)]
pub struct Token {
    /// The secret itself.
    pub token: String,
    /// The tenant whose data it opens.
    pub tenant: TenantId,
    /// Who it is, for example `users/ana`.
    pub principal: String,
    /// What it may do.
    pub roles: Vec<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("token", &"[secret]")
            .field("tenant", &self.tenant)
            .field("principal", &self.principal)
            .field("roles", &self.roles)
            .finish()
    }
}

/// How callers are told apart. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct Authentication {
    kind: Arc<RwLock<Arc<Kind>>>,
}

enum Kind {
    Open(Arc<Principal>),
    Tokens { salt: [u8; 16], by_digest: HashMap<[u8; 32], Arc<Principal>> },
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Open(principal) => f.debug_tuple("Open").field(&principal.name).finish(),
            Kind::Tokens { by_digest, .. } => f.debug_tuple("Tokens").field(&by_digest.len()).finish(),
        }
    }
}

impl Authentication {
    /// Everybody is `principal`: for a loopback address without credentials.
    pub fn open(principal: Principal) -> Authentication {
        Authentication::of(Kind::Open(Arc::new(principal)))
    }

    /// Only callers with one of these tokens.
    pub fn tokens(tokens: Vec<Token>) -> Authentication {
        let salt = Uuid::new_v4().into_bytes();
        let by_digest = tokens
            .into_iter()
            .map(|token| {
                let service = token.roles.iter().any(|role| role == SERVICE_ROLE);
                let principal = Principal { tenant: token.tenant, name: token.principal, roles: token.roles, service };
                (digest(&salt, token.token.as_bytes()), Arc::new(principal))
            })
            .collect();
        Authentication::of(Kind::Tokens { salt, by_digest })
    }

    fn of(kind: Kind) -> Authentication {
        Authentication { kind: Arc::new(RwLock::new(Arc::new(kind))) }
    }

    fn kind(&self) -> Arc<Kind> {
        Arc::clone(&self.kind.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on callers are told apart as by `other`. Calls and streams that have begun go on.
    pub fn replace(&self, other: &Authentication) {
        let new = other.kind();
        *self.kind.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Whether a credential is asked for at all.
    pub fn is_open(&self) -> bool {
        matches!(*self.kind(), Kind::Open(_))
    }

    /// The principal behind the headers, or nothing, whatever the cause.
    pub(crate) fn principal(&self, headers: &HeaderMap) -> Option<Arc<Principal>> {
        match &*self.kind() {
            Kind::Open(principal) => Some(Arc::clone(principal)),
            Kind::Tokens { salt, by_digest } => {
                let mut values = headers.get_all(header::AUTHORIZATION).iter();
                let value = values.next()?.as_bytes();
                // Two credentials: which one was checked would be a matter of luck.
                if values.next().is_some() || value.len() < 7 || !value[..7].eq_ignore_ascii_case(b"bearer ") {
                    return None;
                }
                // The map is searched by a digest under a secret salt: how long that takes says nothing about how
                // much of a guessed token was right, and the last comparison takes the same time for all.
                let wanted = digest(salt, value[7..].trim_ascii());
                by_digest
                    .get_key_value(&wanted)
                    .filter(|(known, _)| bool::from(known.ct_eq(&wanted)))
                    .map(|(_, principal)| Arc::clone(principal))
            }
        }
    }
}

fn digest(salt: &[u8; 16], token: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(token).finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::HeaderValue;

    use super::*;

    fn tokens() -> Authentication {
        Authentication::tokens(vec![Token {
            token: "s3cret".into(),
            tenant: TenantId::parse("acme").unwrap(),
            principal: "users/ana".into(),
            roles: vec!["agent".into()],
        }])
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_the_exact_token_opens() {
        let tokens = tokens();
        assert_eq!(tokens.principal(&headers(&["Bearer s3cret"])).unwrap().name, "users/ana");
        assert!(tokens.principal(&headers(&["bearer s3cret"])).is_some());
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "s3cret", "Basic s3cret", "Bearer", "é"] {
            assert!(tokens.principal(&headers(&[wrong])).is_none(), "{wrong}");
        }
        assert!(tokens.principal(&headers(&[])).is_none());
        assert!(tokens.principal(&headers(&["Bearer s3cret", "Bearer s3cret"])).is_none());
    }

    #[test]
    fn tokens_are_exchanged_for_all_who_hold_them() {
        let held = tokens();
        let elsewhere = held.clone();
        held.replace(&Authentication::tokens(vec![Token {
            token: "other".into(),
            tenant: TenantId::parse("acme").unwrap(),
            principal: "users/bo".into(),
            roles: vec!["agent".into()],
        }]));
        assert!(elsewhere.principal(&headers(&["Bearer s3cret"])).is_none());
        assert_eq!(elsewhere.principal(&headers(&["Bearer other"])).unwrap().name, "users/bo");
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", tokens()).contains("s3cret"));
        let token = Token {
            token: "s3cret".into(),
            tenant: TenantId::parse("acme").unwrap(),
            principal: "p".into(),
            roles: vec![],
        };
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
