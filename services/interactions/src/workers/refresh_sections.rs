use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx, Work, read_error};
use rapport_types::error::{Error, Kind};

use crate::domain::SectionKind;
use crate::queries::{Learning, learn};
use crate::store::{Known, SectionKey, section_behind, section_forget, section_put};

/// How many sections of a sort are asked for at once.
const SOME: usize = 100;
/// How long after it found nothing to do it looks again.
const CALM: Duration = Duration::from_millis(250);
/// So many writes a second are callers at work, or an import: whoever asks about somebody is answered all the same, and
/// what moves again before it is asked for is asked for once.
const BUSY: f64 = 100.0;
/// How long it rests beside them, in rounds; no longer than [`PAUSE`].
const REST: u32 = 3;
/// How long a service that did not answer is left alone, and a section whose question failed, the first time.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a section whose question keeps failing is left alone at most.
const LONGEST: Duration = Duration::from_secs(600);
/// How many sections of a sort are left alone at most; those that fail beyond are asked for each time.
const MOST: usize = 1_000;

/// Sections whose question failed: until when each is left alone, and for how long it was.
type Failed = BTreeMap<SectionKey, (Instant, Duration)>;

/// Asks anew for what the feeds spoke of and nobody asked for since, as long as it is polled. In a storm, as an import
/// makes one, the consumers only note what was spoken of, and this follows at the pace of the services that it asks.
pub(crate) async fn refresh_sections(cx: &Context, purposes: &[String]) {
    let mut sorts: Vec<(SectionKind, Failed)> =
        SectionKind::ALL.iter().map(|(kind, _, _)| (*kind, Failed::new())).collect();
    loop {
        let (mut busy, mut failed) = (false, false);
        let (began, written) = (Instant::now(), cx.store.stats().items);
        for (kind, left) in &mut sorts {
            match refresh(cx, purposes, *kind, left).await {
                Ok(asked) => busy |= asked,
                Err(error) => {
                    tracing::debug!(%error, kind = ?kind, "sections of the desk are still behind");
                    failed = true;
                }
            }
        }
        if failed {
            tokio::time::sleep(PAUSE).await;
        } else if !busy {
            tokio::time::sleep(CALM).await;
        } else {
            tokio::time::sleep(rest(cx.store.stats().items - written, began.elapsed())).await;
        }
    }
}

/// How long to rest after a round that took so long, while so many writes were made.
fn rest(writes: u64, took: Duration) -> Duration {
    if writes as f64 > BUSY * took.as_secs_f64() { (took * REST).min(PAUSE) } else { Duration::ZERO }
}

/// Asks for some sections of a sort that are behind; whether there were any that are not left alone. One that cannot be
/// answered holds no other up, whosever it is.
async fn refresh(cx: &Context, purposes: &[String], kind: SectionKind, failed: &mut Failed) -> Result<bool, Error> {
    let now = Instant::now();
    // Of what was left alone long ago, nothing is known any more: it was learned otherwise, or forgotten.
    failed.retain(|_, (until, pause)| *until + *pause > now);
    let behind = section_behind(cx.store.reader(), kind, SOME + failed.len()).await.map_err(read_error)?;
    let due = |key: &SectionKey| failed.get(key).is_none_or(|(until, _)| *until <= now);
    let wanted: BTreeMap<SectionKey, i64> = behind.into_iter().filter(|(key, _)| due(key)).take(SOME).collect();
    if wanted.is_empty() {
        return Ok(false);
    }
    let learning = Learning { cx, purposes, trace: None };
    match learn(&learning, kind, &wanted).await {
        Ok(learned) => settle(cx, kind, learned, wanted, failed).await?,
        Err(error) if error.kind == Kind::Unavailable => return Err(error),
        // Whose question it is that fails only each by itself tells.
        Err(_) => {
            for (key, position) in wanted {
                let one = BTreeMap::from([(key.clone(), position)]);
                match learn(&learning, kind, &one).await {
                    Ok(learned) => settle(cx, kind, learned, one, failed).await?,
                    Err(error) if error.kind == Kind::Unavailable => return Err(error),
                    Err(error) => leave(failed, key, &error),
                }
            }
        }
    }
    Ok(true)
}

/// Writes what was learned.
async fn settle(
    cx: &Context,
    kind: SectionKind,
    learned: BTreeMap<SectionKey, Known>,
    wanted: BTreeMap<SectionKey, i64>,
    failed: &mut Failed,
) -> Result<(), Error> {
    failed.retain(|key, _| !wanted.contains_key(key));
    cx.store.run(Refresh { kind, learned, wanted }).await?;
    Ok(())
}

/// Leaves a section alone, twice as long as the last time.
fn leave(failed: &mut Failed, key: SectionKey, error: &Error) {
    let pause = failed.get(&key).map_or(PAUSE, |(_, pause)| LONGEST.min(*pause * 2));
    let SectionKey { tenant, party, kind, .. } = &key;
    tracing::warn!(%error, %tenant, %party, ?kind, ?pause, "a section of the desk cannot be refreshed and waits");
    if failed.len() < MOST || failed.contains_key(&key) {
        failed.insert(key, (Instant::now() + pause, pause));
    }
}

/// One write of what was asked for.
struct Refresh {
    kind: SectionKind,
    learned: BTreeMap<SectionKey, Known>,
    wanted: BTreeMap<SectionKey, i64>,
}

#[async_trait]
impl Work for Refresh {
    type Output = ();

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
        section_put(tx, &self.learned).await?;
        section_forget(tx, self.kind, &self.wanted).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rapport_proto::stakeholders::v1::CheckConsentResponse;
    use rapport_testkit::each_store;
    use rapport_testkit::place::StorePlace;
    use rapport_types::Uuid;
    use tonic::Status;

    use super::*;
    use crate::domain::PartyName;
    use crate::fixture::{consents, context_among, tenant};
    use crate::store::section_mark;

    #[test]
    fn it_rests_while_others_are_at_work() {
        let round = Duration::from_millis(200);
        assert_eq!((rest(0, round), rest(20, round)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(rest(21, round), Duration::from_millis(600));
    }

    /// The party of which nothing can be said.
    const POISON: Uuid = Uuid::from_u128(1);

    /// Notes that sections are wanted.
    struct Mark(BTreeMap<SectionKey, i64>);

    #[async_trait]
    impl Work for Mark {
        type Output = ();

        async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<(), StoreError> {
            section_mark(tx, &self.0).await
        }
    }

    each_store! {
        async fn one_that_fails_holds_no_other_up(place: StorePlace) {
            let asked = Arc::new(AtomicUsize::new(0));
            let cx = context_among(&place, consents({
                let asked = Arc::clone(&asked);
                move |party| {
                    if party != PartyName::new(POISON).to_string() {
                        return Ok(CheckConsentResponse::default());
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    Err(Status::internal("it always does"))
                }
            })).await;
            let key = |of: &str, party: Uuid| SectionKey {
                tenant: tenant(of), party, kind: SectionKind::Consents, facet: "phone".to_owned(),
            };
            // The one that fails was wanted first.
            let poison = key("acme", POISON);
            let others = (2..6).map(|id| (key(if id % 2 == 0 { "acme" } else { "globex" }, Uuid::from_u128(id)), 9));
            cx.store.run(Mark(others.chain([(poison.clone(), 3)]).collect())).await.unwrap();
            let purposes = ["marketing".to_owned()];
            let mut failed = Failed::new();
            assert!(refresh(&cx, &purposes, SectionKind::Consents, &mut failed).await.unwrap());
            let behind = async || section_behind(cx.store.reader(), SectionKind::Consents, SOME).await.unwrap();
            assert_eq!(behind().await, [(poison.clone(), 3)]);
            assert_eq!(failed[&poison].1, PAUSE);
            // It is left alone now, and longer after each time.
            let before = asked.load(Ordering::Relaxed);
            assert!(!refresh(&cx, &purposes, SectionKind::Consents, &mut failed).await.unwrap());
            assert_eq!(asked.load(Ordering::Relaxed), before, "asked again at once");
            failed.get_mut(&poison).unwrap().0 = Instant::now();
            assert!(refresh(&cx, &purposes, SectionKind::Consents, &mut failed).await.unwrap());
            assert_eq!(failed[&poison].1, 2 * PAUSE);
            cx.store.close().await;
        }
    }
}
