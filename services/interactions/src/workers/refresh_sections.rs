use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use rapport_server::Context;
use rapport_store::{Outbox, StoreError, Tx, Work, read_error};
use rapport_types::error::Error;

use crate::domain::SectionKind;
use crate::queries::{Learning, learn};
use crate::store::{Known, SectionKey, section_behind, section_forget, section_put};

/// How many sections of a sort are asked for at once.
const SOME: usize = 100;
/// How long after it found nothing to do it looks again.
const CALM: Duration = Duration::from_millis(250);
/// How long a service that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks anew for what the feeds spoke of and nobody asked for since, as long as it is polled. In a storm, as an import
/// makes one, the consumers only note what was spoken of, and this follows at the pace of the services that it asks.
pub(crate) async fn refresh_sections(cx: &Context, purposes: &[String]) {
    loop {
        let (mut busy, mut failed) = (false, false);
        for (kind, _, _) in SectionKind::ALL {
            match refresh(cx, purposes, *kind).await {
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
        }
    }
}

/// Asks for some sections of a sort that are behind; whether there were any.
async fn refresh(cx: &Context, purposes: &[String], kind: SectionKind) -> Result<bool, Error> {
    let behind = section_behind(cx.store.reader(), kind, SOME).await.map_err(read_error)?;
    if behind.is_empty() {
        return Ok(false);
    }
    let wanted: BTreeMap<SectionKey, i64> = behind.into_iter().collect();
    let learned = learn(&Learning { cx, purposes, trace: None }, kind, &wanted).await?;
    cx.store.run(Refresh { kind, learned, wanted }).await?;
    Ok(true)
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
