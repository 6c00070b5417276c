use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use rapport_store::read_error;
use rapport_types::error::Error;
use tokio_util::sync::CancellationToken;

use crate::commands::{BookExpired, SendScheduled};
use crate::domain::InvitationState;
use crate::queries::{Advocates, Candidate};
use crate::store::{DuePlace, InvitationRow, invitation_due};

/// How many invitations of each state one look takes in hand.
const BATCH: usize = if cfg!(test) { 2 } else { 200 };
/// How many are sent side by side: each asks stakeholders.
const AT_ONCE: usize = 8;
/// How long stakeholders may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does what is due about invitations until it is cancelled: books those that expired, sends those that were scheduled.
/// Any number of replicas may do so at once, and none needs to: what is due stays due.
pub(crate) async fn due_invitations(advocates: Advocates, cancel: CancellationToken) {
    let every = advocates.rules().due_every;
    let mut place = None;
    loop {
        let pause = match do_due(&advocates, &mut place, &cancel).await {
            // More is waiting.
            Ok(true) => Duration::ZERO,
            Ok(false) => every,
            Err(error) => {
                tracing::info!(%error, "invitations that are due wait for the next look");
                every.max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One look: first books what expired, which asks nobody, then sends what comes behind `place`, and moves that on. So what
/// cannot be sent holds up nothing behind it; behind the last one it begins anew. Gives whether more is waiting.
///
/// # Errors
/// The first failure; the others were dealt with nevertheless.
pub(crate) async fn do_due(
    advocates: &Advocates,
    place: &mut Option<DuePlace>,
    cancel: &CancellationToken,
) -> Result<bool, Error> {
    let expired = book_expired(advocates).await;
    let sent = send_scheduled(advocates, place, cancel).await;
    Ok(expired? | sent?)
}

async fn book_expired(advocates: &Advocates) -> Result<bool, Error> {
    let store = &advocates.context().store;
    let due = invitation_due(store.reader(), InvitationState::Sent, store.world().now(), None, BATCH);
    let due = due.await.map_err(read_error)?;
    let full = due.len() == BATCH;
    let ids: BTreeSet<_> = due.into_iter().map(|row| (row.tenant, row.invitation.id)).collect();
    if !ids.is_empty() {
        store.run(BookExpired { ids }).await?;
    }
    Ok(full)
}

async fn send_scheduled(
    advocates: &Advocates,
    place: &mut Option<DuePlace>,
    cancel: &CancellationToken,
) -> Result<bool, Error> {
    let store = &advocates.context().store;
    let due = invitation_due(store.reader(), InvitationState::Scheduled, store.world().now(), place.as_ref(), BATCH);
    let due = due.await.map_err(read_error)?;
    let full = due.len() == BATCH;
    *place = due.last().filter(|_| full).map(DuePlace::of);
    let sending: Vec<_> = due.into_iter().map(|row| send(advocates, row)).collect();
    // None is begun any more once it is cancelled; those under way are finished.
    let sending = futures::stream::iter(sending).take_until(cancel.cancelled()).buffer_unordered(AT_ONCE);
    let done: Vec<Result<(), Error>> = sending.collect().await;
    done.into_iter().collect::<Result<(), Error>>().map(|()| full)
}

async fn send(advocates: &Advocates, row: InvitationRow) -> Result<(), Error> {
    let InvitationRow { tenant, invitation, .. } = row;
    let candidate = Candidate {
        tenant: &tenant,
        origin: invitation.origin,
        party: invitation.party,
        member: invitation.member,
        purpose: &invitation.purpose,
        channel: &invitation.channel,
        patience: PATIENCE,
        traceparent: None,
    };
    let advocate = advocates.find(candidate).await?;
    let rules = advocates.rules().clone();
    let done = advocates.context().store.run(SendScheduled { id: (tenant, invitation.id), advocate, rules }).await?;
    if !done.reply {
        tracing::debug!(invitation = %invitation.name(), "another replica was first");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use async_trait::async_trait;
    use rapport_store::{Outbox, StoreError, Tx, Work};
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::error::Kind;
    use rapport_types::{Slug, Uuid};

    use super::*;
    use crate::domain::{Invitation, Proposal, Verdict};
    use crate::fixture::{clock, context, tenant};
    use crate::store::{invitation_find, invitation_insert};

    const HOUR: Duration = Duration::from_secs(3_600);

    struct Kept(Vec<InvitationRow>);

    #[async_trait]
    impl Work for Kept {
        type Output = ();

        async fn run(&self, tx: &Tx, _: &mut Outbox) -> Result<(), StoreError> {
            Ok(invitation_insert(tx.db(), &self.0).await?)
        }
    }

    /// The service, and invitations by number. About whoever is named stakeholders has to be asked, which is away.
    struct Desk {
        advocates: Advocates,
    }

    impl Desk {
        async fn keep(&self, id: u128, named: bool, verdict: Verdict) {
            let cx = self.advocates.context();
            let origin = Uuid::from_u128(100 + id);
            let slug = |word| Slug::parse(word).unwrap();
            let proposal = Proposal {
                origin,
                party: named.then_some(origin),
                member: None,
                channel: slug("email"),
                purpose: slug("reference"),
                ask: slug("review"),
                response: None,
            };
            let invitation = Invitation::decided(Uuid::from_u128(id), proposal, verdict, "UTC", HOUR, cx.world.now());
            let row = InvitationRow { tenant: tenant("acme"), invitation, reason: None, note: None };
            cx.store.run(Kept(vec![row])).await.unwrap();
        }

        async fn state(&self, id: u128) -> InvitationState {
            let ids = BTreeSet::from([(tenant("acme"), Uuid::from_u128(id))]);
            let found = invitation_find(self.advocates.context().store.reader(), &ids).await.unwrap();
            found.into_values().next().unwrap().invitation.booked
        }
    }

    each_store! {
        async fn what_cannot_be_sent_holds_up_nothing(place: StorePlace) {
            let clock = clock();
            let cx = context(&place, &clock).await;
            let desk = Desk { advocates: Advocates::new(cx.clone(), Arc::default(), Arc::default()) };
            // Three whom stakeholders would have to be asked about come first; nobody has to be asked about the others.
            let minutes = |minutes: u32| cx.world.now().saturating_add(Duration::from_secs(60) * minutes);
            for (id, named) in [(1, true), (2, true), (3, true), (4, false), (5, false), (6, false)] {
                let due = minutes(u32::try_from(id).unwrap());
                desk.keep(id, named, Verdict::Scheduled(due)).await;
            }
            for id in 11..16 {
                desk.keep(id, true, Verdict::Sent).await;
            }
            clock.advance(2 * HOUR);
            let (mut place, open) = (None, CancellationToken::new());
            let mut looks = 0;
            loop {
                looks += 1;
                let looked = do_due(&desk.advocates, &mut place, &open).await;
                assert!(looked.is_ok() || looked.unwrap_err().kind == Kind::Unavailable);
                if place.is_none() {
                    break;
                }
            }
            assert_eq!(looks, 4, "two at a time, and once behind the last");
            for (id, state) in [1, 2, 3, 4, 5, 6].into_iter().zip([InvitationState::Scheduled; 3].into_iter().chain([InvitationState::Suppressed; 3])) {
                assert_eq!(desk.state(id).await, state, "{id}");
            }
            for id in 11..16 {
                assert_eq!(desk.state(id).await, InvitationState::Expired, "{id}, whatever cannot be sent");
            }
            // It begins anew: what still cannot be sent is tried again.
            assert!(do_due(&desk.advocates, &mut place, &open).await.is_err());
            cx.store.close().await;
        }

        async fn nothing_is_begun_once_it_is_cancelled(place: StorePlace) {
            let clock = clock();
            let cx = context(&place, &clock).await;
            let desk = Desk { advocates: Advocates::new(cx.clone(), Arc::default(), Arc::default()) };
            desk.keep(1, false, Verdict::Scheduled(cx.world.now())).await;
            let (mut place, cancelled) = (None, CancellationToken::new());
            cancelled.cancel();
            do_due(&desk.advocates, &mut place, &cancelled).await.unwrap();
            assert_eq!(desk.state(1).await, InvitationState::Scheduled);
            do_due(&desk.advocates, &mut place, &CancellationToken::new()).await.unwrap();
            assert_eq!(desk.state(1).await, InvitationState::Suppressed);
            cx.store.close().await;
        }
    }
}
