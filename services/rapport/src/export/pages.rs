//! What a server has, page by page, without what only this server knows.

use std::collections::{BTreeSet, HashMap};

use rapport::patience::tried;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_proto::interactions::v1::{Attribution, Identifier, Interaction, ListInteractionsRequest};
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_proto::stakeholders::v1::relationship_service_client::RelationshipServiceClient;
use rapport_proto::stakeholders::v1::{
    BatchGetPartiesRequest, ListPartiesRequest, ListRelationshipsRequest, Party, PartyIdentifier, PartyLifecycle,
    Relationship, RoleStatus,
};
use rapport_rpc::Transport;
use rapport_types::error::Error;

use crate::import::key::{key_of, key_text};

/// Rows of a page.
const PAGE: i32 = 500;

/// The pages of one kind, from the first on.
pub(crate) struct Pages {
    transport: Transport,
    token: String,
    done: bool,
    /// The key of each party met; `None` where it has no identifier.
    keys: HashMap<String, Option<PartyIdentifier>>,
}

impl Pages {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, token: String::new(), done: false, keys: HashMap::new() }
    }

    /// Whether the last page was given.
    pub(crate) fn done(&self) -> bool {
        self.done
    }

    /// How many parties had to be named by their id.
    pub(crate) fn unnamed(&self) -> usize {
        self.keys.values().filter(|key| key.is_none()).count()
    }

    fn turned(&mut self, next: String) {
        self.done = next.is_empty();
        self.token = next;
    }

    /// Parties, the oldest first.
    pub(crate) async fn parties(&mut self) -> Result<Vec<Party>, Error> {
        let request = ListPartiesRequest { page_size: PAGE, page_token: self.token.clone(), ..Default::default() };
        let page = tried(async || PartyServiceClient::new(self.transport.clone()).list_parties(request.clone()).await);
        let page = page.await?.into_inner();
        self.turned(page.next_page_token);
        Ok(page.parties.into_iter().map(bare_party).collect())
    }

    /// Relationships, the oldest first.
    pub(crate) async fn ties(&mut self) -> Result<Vec<Relationship>, Error> {
        let request = ListRelationshipsRequest {
            include_ended: true,
            page_size: PAGE,
            page_token: self.token.clone(),
            ..Default::default()
        };
        let page = tried(async || {
            RelationshipServiceClient::new(self.transport.clone()).list_relationships(request.clone()).await
        });
        let page = page.await?.into_inner();
        self.turned(page.next_page_token);
        let mut ties = page.relationships;
        self.meet(ties.iter().flat_map(|tie| [tie.from_party.clone(), tie.to_party.clone()])).await?;
        for tie in &mut ties {
            tie.name.clear();
            tie.end_reason.clear();
            tie.etag.clear();
            (tie.create_time, tie.update_time) = (None, None);
            tie.from_party = self.called(&tie.from_party);
            tie.to_party = self.called(&tie.to_party);
        }
        Ok(ties)
    }

    /// Interactions, the oldest first.
    pub(crate) async fn contacts(&mut self) -> Result<Vec<Interaction>, Error> {
        let request = ListInteractionsRequest {
            page_size: PAGE,
            page_token: self.token.clone(),
            order_by: "occurred_time asc".to_owned(),
            ..Default::default()
        };
        let page = tried(async || {
            InteractionServiceClient::new(self.transport.clone()).list_interactions(request.clone()).await
        });
        let page = page.await?.into_inner();
        self.turned(page.next_page_token);
        let mut contacts = page.interactions;
        let named = i32::from(Attribution::Named);
        let participants = contacts.iter().flat_map(|contact| &contact.participants);
        let names: Vec<String> =
            participants.filter(|one| one.attribution == named).map(|one| one.party.clone()).collect();
        self.meet(names.into_iter()).await?;
        for contact in &mut contacts {
            contact.name.clear();
            contact.supersedes.clear();
            contact.etag.clear();
            contact.version_reason.clear();
            contact.survey_response.clear();
            contact.version = 0;
            contact.recorded_time = None;
            for one in &mut contact.participants {
                one.origin.clear();
                let attribution = std::mem::take(&mut one.attribution);
                let key = self.keys.get(&one.party).cloned().flatten();
                match (attribution == named, key, one.identifier_used.is_some()) {
                    // The identifier alone says who it is: the service finds out again.
                    (false, _, true) => one.party.clear(),
                    (true, Some(key), false) => {
                        one.identifier_used = Some(Identifier { scheme: key.scheme, value: key.value });
                        one.party.clear();
                    }
                    (true, Some(key), true) => one.party = key_text(&key),
                    _ => {}
                }
            }
        }
        Ok(contacts)
    }

    /// Learns the keys of these parties.
    async fn meet(&mut self, names: impl Iterator<Item = String>) -> Result<(), Error> {
        let new: BTreeSet<String> = names.filter(|name| !name.is_empty() && !self.keys.contains_key(name)).collect();
        let new: Vec<String> = new.into_iter().collect();
        for names in new.chunks(200) {
            let request = BatchGetPartiesRequest { names: names.to_vec() };
            let answer = tried(async || {
                PartyServiceClient::new(self.transport.clone()).batch_get_parties(request.clone()).await
            });
            let answer = answer.await?.into_inner();
            for party in answer.parties {
                self.keys.insert(party.name.clone(), key_of(&party.identifiers).cloned());
            }
            for name in answer.missing_names {
                self.keys.insert(name, None);
            }
        }
        Ok(())
    }

    fn called(&self, name: &str) -> String {
        self.keys.get(name).and_then(Option::as_ref).map_or_else(|| name.to_owned(), key_text)
    }
}

/// A party without what only its server knows. Roles that ended stay behind: they begin nowhere else.
fn bare_party(mut party: Party) -> Party {
    party.name.clear();
    party.etag.clear();
    (party.create_time, party.update_time) = (None, None);
    if let Some(why) = party.restriction.take().and_then(|restriction| restriction.provenance) {
        // Whoever restricts says why: over there too, whatever was said of the record since.
        party.provenance.get_or_insert_default().reason = why.reason;
    }
    if !matches!(party.lifecycle(), PartyLifecycle::Curated | PartyLifecycle::Restricted) {
        party.lifecycle = 0;
    }
    for medium in &mut party.contact_media {
        medium.normalized_value.clear();
    }
    for identifier in &mut party.identifiers {
        identifier.normalized_value.clear();
        identifier.create_time = None;
    }
    party.roles.retain(|role| role.status != i32::from(RoleStatus::Ended));
    // A server tells the newest first and takes them in the order in which they were given.
    party.roles.reverse();
    for role in &mut party.roles {
        role.name.clear();
        role.end_reason.clear();
        (role.create_time, role.update_time) = (None, None);
    }
    party
}
