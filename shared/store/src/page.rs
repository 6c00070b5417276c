//! Page tokens: where the next page starts, sealed so that a caller can neither read nor make one, and bound to the
//! tenant, the method and what was asked, so that a token of another list is refused.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rapport_types::error::Error;
use rapport_types::reason;
use rapport_types::tenant::TenantId;
use serde::{Serialize, de::DeserializeOwned};

use crate::blind;
use crate::seal::{self, Key};

/// What a page token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// The list of one tenant, by its method, filter and order; put whatever else fixes the list (a parent) into
    /// `filter`. The page size may change from page to page.
    pub fn new(tenant: &TenantId, method: &str, filter: &str, order_by: &str) -> Self {
        Self(blind::mac(
            &[0; 32],
            &[tenant.as_str().as_bytes(), method.as_bytes(), filter.as_bytes(), order_by.as_bytes()],
        ))
    }
}

/// Makes and reads page tokens.
#[derive(Clone)]
pub struct Pages {
    key: Arc<Key>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

impl Pages {
    pub(crate) fn new(key: Key) -> Self {
        Self { key: Arc::new(key) }
    }

    /// The token for the page after `last`, the sort key of the last row given out.
    pub fn seal<T: Serialize>(&self, binding: &Binding, last: &T) -> Result<String, Error> {
        let plain = serde_json::to_vec(last).map_err(internal)?;
        let sealed = seal::seal(&self.key, &binding.0, &plain).map_err(internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Where the page starts; `None` for the empty token, which is the first page.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN` on the field `page_token` for anything this list did not give out.
    pub fn open<T: DeserializeOwned>(&self, binding: &Binding, token: &str) -> Result<Option<T>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let plain =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|sealed| seal::open(&self.key, &binding.0, &sealed).ok());
        plain.and_then(|plain| serde_json::from_slice(&plain).ok()).map(Some).ok_or_else(|| {
            Error::field("page_token", reason::INVALID_PAGE_TOKEN, "not a token of this list; start again without one")
        })
    }
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let mut answer = Error::new(rapport_types::error::Kind::Internal, reason::INTERNAL, "internal error");
    answer.source = Some(Arc::new(error));
    answer
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn foreign_and_forged_tokens_are_refused() {
        let pages = Pages::new(seal::random_key().unwrap());
        let acme = TenantId::parse("acme").unwrap();
        let here = Binding::new(&acme, "ListParties", "", "name");
        let token = pages.seal(&here, &("Ana", 7)).unwrap();
        assert_eq!(pages.open::<(String, i64)>(&here, &token).unwrap(), Some(("Ana".to_owned(), 7)));
        assert_eq!(pages.open::<(String, i64)>(&here, "").unwrap(), None);
        for there in [
            Binding::new(&TenantId::parse("other").unwrap(), "ListParties", "", "name"),
            Binding::new(&acme, "ListCases", "", "name"),
            Binding::new(&acme, "ListParties", "x", "name"),
            Binding::new(&acme, "ListParties", "", "time"),
        ] {
            assert!(pages.open::<(String, i64)>(&there, &token).is_err());
        }
        let other = Pages::new(seal::random_key().unwrap());
        assert!(other.open::<(String, i64)>(&here, &token).is_err());
        for junk in ["x", "????", "AAAA", &token[1..], &format!("{token}A")] {
            let error = pages.open::<(String, i64)>(&here, junk).unwrap_err();
            assert_eq!(error.violations[0].reason, reason::INVALID_PAGE_TOKEN);
        }
    }
}
