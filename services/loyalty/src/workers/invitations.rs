use std::collections::BTreeSet;
use std::time::Duration;

use rapport_types::error::Error;
use tokio_util::sync::CancellationToken;

use crate::commands::{BookExpired, SendScheduled};
use crate::domain::InvitationState;
use crate::queries::{Advocates, Candidate};
use crate::store::{InvitationRow, invitation_due};
use rapport_store::read_error;

/// How many invitations one look takes in hand.
const BATCH: usize = 200;
/// How long stakeholders may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does what is due about invitations until it is cancelled: sends those that were scheduled, books those that expired.
/// Any number of replicas may do so at once, and none needs to: what is due stays due.
pub(crate) async fn due_invitations(advocates: Advocates, cancel: CancellationToken) {
    let every = advocates.rules().due_every;
    loop {
        // Not after a full batch: more is waiting.
        let pause = match do_due(&advocates).await {
            Ok(BATCH) => Duration::ZERO,
            Ok(_) => every,
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

/// One look. Gives how many were in hand.
///
/// # Errors
/// The first failure; the others were dealt with nevertheless.
pub(crate) async fn do_due(advocates: &Advocates) -> Result<usize, Error> {
    let cx = advocates.context();
    let due = invitation_due(cx.store.reader(), cx.world.now(), BATCH).await.map_err(read_error)?;
    let taken = due.len();
    let mut expired = BTreeSet::new();
    let mut failed = None;
    for row in due {
        let done = match row.invitation.booked {
            InvitationState::Scheduled => send(advocates, row).await,
            _ => {
                expired.insert((row.tenant, row.invitation.id));
                Ok(())
            }
        };
        if let Err(error) = done {
            failed.get_or_insert(error);
        }
    }
    if !expired.is_empty()
        && let Err(error) = cx.store.run(BookExpired { ids: expired }).await
    {
        failed.get_or_insert(error);
    }
    failed.map_or(Ok(taken), Err)
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
