use std::collections::{BTreeMap, BTreeSet};

use rapport_store::{LockKey, StoreError, Tx};
use rapport_types::{TenantId, Timestamp, Uuid};

use crate::domain::{Advocate, Circumstances, InvitationRules, Key, Sent, Verdict, judge};
use crate::store::{advocate_lock, alias_origins, complaint_open, invitation_sent};

/// What this service knows of the parties that are to be invited, while nobody else decides about them.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    complaints: BTreeMap<Key, Uuid>,
    sent: BTreeMap<Key, Vec<Sent>>,
}

impl Standings {
    /// Takes the parties for this transaction, then looks at them: in this order, or what another one is just sending
    /// would not be counted.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn load(
        tx: &Tx,
        rules: &InvitationRules,
        parties: &BTreeSet<Key>,
    ) -> Result<Standings, StoreError> {
        if parties.is_empty() {
            return Ok(Standings::default());
        }
        let locks: Vec<LockKey> = parties.iter().map(|(tenant, party)| advocate_lock(tenant, *party)).collect();
        tx.lock(&locks).await?;
        let whose = alias_origins(tx.db(), parties).await?;
        let party = |origin: &Key| whose.get(origin).map(|party| (origin.0.clone(), *party));
        let mut standings = Standings::default();
        let since = tx.now().saturating_sub(rules.pace.period);
        for (origin, sent) in invitation_sent(tx.db(), whose.keys(), since).await? {
            if let Some(party) = party(&origin) {
                standings.sent.entry(party).or_default().push(sent);
            }
        }
        for (origin, case) in complaint_open(tx.db(), whose.keys()).await? {
            if let Some(party) = party(&origin) {
                standings.complaints.entry(party).or_insert(case);
            }
        }
        Ok(standings)
    }

    /// What is to be done about an invitation of somebody, now.
    pub(crate) fn judge(
        &self,
        tenant: &TenantId,
        advocate: &Advocate,
        rules: &InvitationRules,
        now: Timestamp,
    ) -> Verdict {
        let known = advocate.party.map(|party| (tenant.clone(), party));
        let standing = Circumstances {
            // Nobody can be asked for a consent of somebody who is not known.
            consent: known.as_ref().and(advocate.consent.clone()),
            open_complaint: known.as_ref().and_then(|party| self.complaints.get(party).copied()),
            sent: known.as_ref().and_then(|party| self.sent.get(party)).cloned().unwrap_or_default(),
            held_out: advocate.held_out,
        };
        judge(&standing, &rules.pace, &advocate.zone.rules, now)
    }

    /// Counts what was just decided to be sent.
    pub(crate) fn note(&mut self, tenant: &TenantId, party: Option<Uuid>, sent: Option<Sent>) {
        if let (Some(party), Some(sent)) = (party, sent) {
            self.sent.entry((tenant.clone(), party)).or_default().push(sent);
        }
    }
}
