use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rapport_server::Context;
use rapport_store::read_error;
use rapport_types::error::Error;
use rapport_types::{TenantId, Uuid};

use crate::domain::{Advocate, InvitationRules, Key, LocalZone, MemberName, ProgramName, Slug, held_out};
use crate::stakeholders::{Question, Stakeholders};
use crate::store::{Catalogs, alias_find, catalogs_load, member_of_party};

/// Finds out who may be invited: everything that has to be asked while no transaction is open.
#[derive(Clone, Debug)]
pub(crate) struct Advocates {
    cx: Context,
    stakeholders: Stakeholders,
    rules: Arc<InvitationRules>,
    catalogs: Arc<Catalogs>,
}

/// Who is meant, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Whose party.
    pub(crate) tenant: &'a TenantId,
    /// The id under which they were named.
    pub(crate) origin: Uuid,
    /// Who that is, where it is known.
    pub(crate) party: Option<Uuid>,
    /// The membership that was named, if one was.
    pub(crate) member: Option<MemberName>,
    /// What they would be addressed for.
    pub(crate) purpose: &'a Slug,
    /// By what.
    pub(crate) channel: &'a Slug,
    /// How long to wait for others.
    pub(crate) patience: Duration,
    /// The trace that this belongs to.
    pub(crate) traceparent: Option<&'a str>,
}

impl Advocates {
    /// Over the service's parts.
    pub(crate) fn new(cx: Context, rules: Arc<InvitationRules>, catalogs: Arc<Catalogs>) -> Advocates {
        Advocates { stakeholders: Stakeholders::new(cx.peers.clone()), cx, rules, catalogs }
    }

    /// Programmes as they are known.
    pub(crate) fn catalogs(&self) -> &Arc<Catalogs> {
        &self.catalogs
    }

    /// How invitations are made.
    pub(crate) fn rules(&self) -> &Arc<InvitationRules> {
        &self.rules
    }

    /// The service's parts.
    pub(crate) fn context(&self) -> &Context {
        &self.cx
    }

    /// Who these origins are, as far as the feed has told.
    ///
    /// # Errors
    /// Unavailable.
    pub(crate) async fn whose(&self, origins: &BTreeSet<Key>) -> Result<BTreeMap<Key, Uuid>, Error> {
        alias_find(self.cx.store.reader(), origins).await.map_err(read_error)
    }

    /// What is known of somebody now: what they say about being addressed, where their clock is, their membership.
    ///
    /// # Errors
    /// Unavailable and the like, where stakeholders or the database does not answer.
    pub(crate) async fn find(&self, candidate: Candidate<'_>) -> Result<Advocate, Error> {
        let Candidate { tenant, origin, party, member, purpose, channel, patience, traceparent } = candidate;
        let fallback = self.rules.zone.as_str();
        let Some(id) = party else {
            let zone = LocalZone::first([fallback]);
            return Ok(Advocate { origin, party: None, member, consent: None, zone, held_out: false });
        };
        let question = Question { tenant, party: id, purpose, channel, patience, traceparent };
        let addressee = self.stakeholders.addressee(question).await?;
        let memberships = member_of_party(self.cx.store.reader(), tenant, id).await.map_err(read_error)?;
        // The oldest one, where none was named. Members are in published programmes alone.
        let membership = memberships.iter().find(|one| member.is_none_or(|member| member.uuid() == one.id));
        let program_zone = match membership {
            Some(one) => self.zone_of(tenant, one.program).await?,
            None => String::new(),
        };
        let member = membership.map(|one| MemberName::new(ProgramName::new(one.program), one.id));
        let zone = addressee.as_ref().map_or("", |addressee| addressee.time_zone.as_str());
        let blind = self.cx.store.blind(tenant, "advocacy.hold_out", &id.to_string());
        Ok(Advocate {
            origin,
            // One whom stakeholders does not know cannot be reached: the id alone is nobody.
            party: addressee.is_some().then_some(id),
            member,
            zone: LocalZone::first([zone, &program_zone, fallback]),
            held_out: held_out(blind, self.rules.hold_out_percent),
            consent: addressee.map(|addressee| addressee.consent),
        })
    }

    /// The zone of a programme.
    async fn zone_of(&self, tenant: &TenantId, program: Uuid) -> Result<String, Error> {
        let key = (tenant.clone(), program);
        let wanted = BTreeSet::from([key.clone()]);
        let found = catalogs_load(self.cx.store.reader(), &wanted, &self.catalogs, true).await.map_err(read_error)?;
        Ok(found.get(&key).map(|catalog| catalog.program.zone.name().to_owned()).unwrap_or_default())
    }
}
