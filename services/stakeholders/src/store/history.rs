//! The table `party_history`: every version of a party, sealed under the party's own key, so that destroying the key
//! erases what this table says of it.

use rapport_store::{Rows, StoreError, Subject, Tx, give_way};
use rapport_types::TenantId;
use sea_orm::DbErr;

use crate::domain::party::Party;

/// The name under which versions are sealed.
pub const FIELD: &str = "party_history";

/// A version of a party, and who wrote it.
#[derive(Clone, Debug)]
pub struct Version {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Who wrote it.
    pub principal: String,
    /// The party as it was left.
    pub party: Party,
}

/// Appends versions.
///
/// # Errors
/// The database's, and `ERASED` for a party whose key was destroyed.
pub async fn append(tx: &Tx, versions: &[Version]) -> Result<(), StoreError> {
    if versions.is_empty() {
        return Ok(());
    }
    let subjects: Vec<_> = versions.iter().map(|one| Subject::of(&one.tenant, one.party.id)).collect();
    let keys = tx.keys(&subjects).await?;
    let mut rows = Rows::new("party_history", &["tenant", "party_id", "version", "recorded_at", "principal", "sealed"]);
    for (at, (one, subject)) in versions.iter().zip(&subjects).enumerate() {
        give_way(at).await;
        let plain = serde_json::to_vec(&one.party).map_err(|error| DbErr::Json(error.to_string()))?;
        rows.push([
            one.tenant.as_str().into(),
            one.party.id.into(),
            one.party.version.into(),
            tx.now().as_micros().into(),
            one.principal.as_str().into(),
            keys.seal(subject, FIELD, &plain)?.into(),
        ]);
    }
    rows.insert(tx.db()).await?;
    Ok(())
}
