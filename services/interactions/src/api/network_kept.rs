//! A section of each of those near a party: as it is kept, else as its service says it now, else the last that was known.

use std::collections::HashMap;

use rapport_proto::interactions::v1 as proto;
use rapport_types::Uuid;
use rapport_types::error::Error;

use super::context::{About, Book};
use super::network_lack::Lack;
use crate::queries::{Asked, Asking, Heard, Section, Standing, hear, serve, why};
use crate::store::{Known, section_held};

/// The sections of several parties, and what of them is not as it is now.
pub(super) struct Several<S> {
    /// By party; those of whom nothing is known are left out.
    pub(super) sections: HashMap<Uuid, S>,
    /// Why not all are as they are now, if they are not.
    pub(super) lack: Option<Lack>,
    /// Those of whom nothing was kept: they are asked for beside the answer.
    pub(super) cold: Vec<Uuid>,
}

impl<S> Default for Several<S> {
    fn default() -> Several<S> {
        Several { sections: HashMap::new(), lack: None, cold: Vec::new() }
    }
}

impl About<'_> {
    /// The sections of these parties. What cannot be served from what is kept is asked for by one question. Nothing for a
    /// caller who may not read them.
    pub(super) async fn several<S: Section>(
        &self,
        ids: &[Uuid],
        standing: &Standing,
        ask: impl AsyncFnOnce(&Asking<'_>, &[Uuid]) -> Result<HashMap<Uuid, S>, Error>,
    ) -> Several<S> {
        if ids.is_empty() || !self.call.allows(S::PERMISSION) {
            return Several::default();
        }
        let held = self.all_kept::<S>(ids).await;
        let now = self.cx.world.now();
        let mut lack: Option<Lack> = None;
        let (mut sections, mut unknown) = (HashMap::with_capacity(ids.len()), Vec::new());
        for id in ids {
            let row = held.get(&self.key(*id, S::KIND, ""));
            let Some(mut section) = serve::<S>(row, 0, standing, now) else {
                unknown.push(*id);
                continue;
            };
            let status = section.status().take().unwrap_or_default();
            if status.state() != proto::SectionState::Fresh {
                let said = row.and_then(|row| row.known.as_ref()).map(said);
                lack = Some(Lack::older(lack, Lack::new(S::SOURCE, status.reason, said)));
            }
            sections.insert(*id, section);
        }
        if !unknown.is_empty() {
            let asking = self.asking();
            let heard = hear(self.until, &asking, Box::pin(ask(&asking, &unknown))).await;
            let reason = why(&heard, S::SOURCE);
            let (found, said) = match heard {
                Heard::Said(found) | Heard::Behind(found) => {
                    (found, Some(Asked { at: now, position: standing.position }))
                }
                _ => last_known::<S>(&held, &unknown),
            };
            if !reason.is_empty() {
                lack = Some(Lack::older(lack, Lack::new(S::SOURCE, reason, said)));
            }
            sections.extend(found);
        }
        unknown.retain(|id| !held.contains_key(&self.key(*id, S::KIND, "")));
        Several { sections, lack, cold: unknown }
    }

    /// What is kept of a sort of section of parties; nothing where it cannot be read.
    pub(super) async fn all_kept<S: Section>(&self, parties: &[Uuid]) -> Book {
        let read = section_held(&self.cx.store, self.call.tenant(), parties, Some(S::KIND)).await;
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, section = ?S::KIND, "what is kept of those near a party cannot be read");
            Book::new()
        })
    }
}

/// When what is kept was said.
fn said(known: &Known) -> Asked {
    Asked { at: known.as_of, position: known.position }
}

/// The sections that are kept, whatever happened since, and when the oldest of them was said.
fn last_known<S: Section>(held: &Book, ids: &[Uuid]) -> (HashMap<Uuid, S>, Option<Asked>) {
    let mut sections = HashMap::new();
    let mut oldest: Option<Asked> = None;
    for (key, known) in held.iter().filter_map(|(key, held)| Some((key, held.known.as_ref()?))) {
        let section = S::decode(known.plain.as_slice());
        let (true, Ok(section)) = (ids.contains(&key.party), section) else { continue };
        let (said, before) = (said(known), oldest.unwrap_or(said(known)));
        oldest = Some(Asked { at: before.at.min(said.at), position: before.position.min(said.position) });
        sections.insert(key.party, section);
    }
    (sections, oldest)
}
