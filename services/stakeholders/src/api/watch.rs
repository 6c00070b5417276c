//! WatchParties: the feed, narrowed to what a caller asked for.

use std::collections::BTreeSet;

use futures::{Stream, StreamExt, stream};
use prost::Name;
use rapport_events::{Cursor, Event, Feed, FeedBatch};
use rapport_proto::stakeholders::v1 as proto;
use rapport_proto::stakeholders::v1::watch_parties_response::Change;
use rapport_rpc::wire;
use rapport_types::{Error, TenantId};

use super::{Reading, convert, party};

/// The most parties that one watch follows.
const MAX_PARTIES: usize = 100;
/// More kinds than there are need not be named.
const MAX_KINDS: usize = 20;

/// What a caller wants to hear of.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    after: Option<Cursor>,
    parties: BTreeSet<String>,
    kinds: BTreeSet<i32>,
}

impl Interest {
    /// What a request asks for.
    pub(super) fn read(reading: &Reading<'_>, request: &proto::WatchPartiesRequest) -> Result<Interest, Error> {
        let fields = reading.fields.clone();
        let after = match request.cursor.as_str() {
            "" => None,
            text => fields.check("cursor", text.parse::<Cursor>()),
        };
        let mut parties = BTreeSet::new();
        if convert::bounded(&fields, "parties", &request.parties, MAX_PARTIES) {
            for (index, name) in party::names_in(&request.parties) {
                parties.extend(fields.check(&format!("parties[{index}]"), name).map(|name| name.to_string()));
            }
        }
        let mut kinds = BTreeSet::new();
        if convert::bounded(&fields, "change_kinds", &request.change_kinds, MAX_KINDS) {
            for (index, kind) in request.change_kinds.iter().enumerate() {
                let kind = wire::chosen::<proto::PartyChangeKind>(*kind);
                kinds.extend(fields.check(&format!("change_kinds[{index}]"), kind).map(i32::from));
            }
        }
        fields.finish()?;
        Ok(Interest { after, parties, kinds })
    }

    fn wants(&self, party: &str, kind: proto::PartyChangeKind) -> bool {
        (self.parties.is_empty() || self.parties.contains(party))
            && (self.kinds.is_empty() || self.kinds.contains(&i32::from(kind)))
    }

    /// An event as a message, if it is asked for.
    fn message(&self, event: &Event) -> Result<Option<proto::WatchPartiesResponse>, Error> {
        let Some((party, kind, change)) = change(event)? else {
            return Ok(None);
        };
        if !self.wants(&party, kind) {
            return Ok(None);
        }
        let own = kind != proto::PartyChangeKind::ConsentRecorded;
        Ok(Some(proto::WatchPartiesResponse {
            cursor: event.cursor().to_string(),
            party,
            version: if own { event.version } else { 0 },
            occurred_time: Some(wire::to_timestamp(event.occurred_at)),
            recorded_time: Some(wire::to_timestamp(event.recorded_at)),
            change: Some(change),
        }))
    }

    /// The messages of a batch; a cursor alone when there is nothing in it to tell.
    fn messages(&self, batch: &FeedBatch) -> Vec<Result<proto::WatchPartiesResponse, Error>> {
        let mut messages: Vec<_> = batch.events.iter().filter_map(|event| self.message(event).transpose()).collect();
        if messages.is_empty() {
            messages.push(Ok(bare(&batch.through)));
        }
        messages
    }
}

fn bare(cursor: &Cursor) -> proto::WatchPartiesResponse {
    proto::WatchPartiesResponse { cursor: cursor.to_string(), ..proto::WatchPartiesResponse::default() }
}

/// What an event of the feed says of a party; nothing for events that are not about parties.
fn change(event: &Event) -> Result<Option<(String, proto::PartyChangeKind, Change)>, Error> {
    fn is<P: Name + Default>(event: &Event) -> Result<Option<P>, Error> {
        event.decode::<P>().transpose()
    }
    use proto::PartyChangeKind as Kind;
    Ok(if let Some(one) = is::<proto::PartyCreated>(event)? {
        Some((one.party.clone(), Kind::Created, Change::PartyCreated(one)))
    } else if let Some(one) = is::<proto::PartyUpdated>(event)? {
        Some((one.party.clone(), Kind::Updated, Change::PartyUpdated(one)))
    } else if let Some(one) = is::<proto::RoleAssigned>(event)? {
        Some((one.party.clone(), Kind::RoleAssigned, Change::RoleAssigned(one)))
    } else if let Some(one) = is::<proto::RoleEnded>(event)? {
        Some((one.party.clone(), Kind::RoleEnded, Change::RoleEnded(one)))
    } else if let Some(one) = is::<proto::IdentifierClaimed>(event)? {
        Some((one.party.clone(), Kind::IdentifierClaimed, Change::IdentifierClaimed(one)))
    } else if let Some(one) = is::<proto::ConsentRecorded>(event)? {
        Some((one.party.clone(), Kind::ConsentRecorded, Change::ConsentRecorded(one)))
    } else {
        None
    })
}

/// The changes that are asked for, from the cursor on or from now on.
pub(super) async fn changes(
    feed: &Feed,
    tenant: &TenantId,
    interest: Interest,
) -> Result<impl Stream<Item = Result<proto::WatchPartiesResponse, Error>> + Send + 'static, Error> {
    let start = match &interest.after {
        Some(cursor) => cursor.clone(),
        None => feed.head().await?,
    };
    let first = interest.after.is_none().then(|| Ok(bare(&start)));
    let batches = feed.subscribe(Some(start), Some(tenant.clone())).await?;
    let rest = batches.flat_map(move |batch| {
        stream::iter(match batch {
            Ok(batch) => interest.messages(&batch),
            Err(error) => vec![Err(error)],
        })
    });
    Ok(stream::iter(first).chain(rest))
}
