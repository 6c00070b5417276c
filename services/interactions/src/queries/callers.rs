use rapport_types::{TenantId, Uuid};

/// How many identifiers are remembered.
const REMEMBERED: u64 = 65_536;

/// The identifiers, by their blind indexes, that led to a party when they were used lately. Who that is, the index says each
/// time; that it will say it is known. Clones are the same memory.
#[derive(Clone)]
pub(crate) struct Callers(moka::sync::Cache<(TenantId, Uuid), ()>);

impl Default for Callers {
    fn default() -> Callers {
        Callers(moka::sync::Cache::new(REMEMBERED))
    }
}

impl Callers {
    /// Whether an identifier led to somebody.
    pub(crate) fn known(&self, tenant: &TenantId, index: Uuid) -> bool {
        self.0.get(&(tenant.clone(), index)).is_some()
    }

    /// Takes note whether it does.
    pub(crate) fn note(&self, tenant: &TenantId, index: Uuid, known: bool) {
        let key = (tenant.clone(), index);
        if known {
            self.0.insert(key, ());
        } else {
            self.0.invalidate(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_identifier_is_known_to_the_tenant_that_used_it_until_it_leads_nowhere() {
        let callers = Callers::default();
        let (one, other) = (TenantId::parse("one").unwrap(), TenantId::parse("other").unwrap());
        let index = Uuid::from_u128(7);
        assert!(!callers.known(&one, index));
        callers.note(&one, index, true);
        let same = callers.clone();
        assert!(same.known(&one, index));
        assert!(!same.known(&other, index) && !same.known(&one, Uuid::from_u128(8)));
        same.note(&one, index, false);
        assert!(!callers.known(&one, index));
    }
}
