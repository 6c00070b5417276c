//! The sections of a context that this service itself says: as the projection holds them, else from its own tables.

use futures::future::join3;
use prost::Message;
use rapport_proto::interactions::v1 as proto;
use rapport_types::Uuid;
use rapport_types::error::Error;

use super::context::{About, Book};
use super::convert::to_interaction;
use super::convert_case::to_case;
use super::convert_commitment::to_commitment;
use crate::domain::SectionKind;
use crate::queries::{
    Asked, CaseList, CommitmentList, Heard, OwnSections, Timeline, get_timeline, list_cases, list_commitments,
    section_status, why,
};
use crate::store::{Filter, Known, SectionKey, alias_origins, case_filter, commitment_filter};

/// How many interactions are shown.
const INTERACTIONS: usize = 10;
/// How many cases are shown.
const CASES: usize = 10;
/// How many promises are shown.
const PROMISES: usize = 10;
/// Which promises are shown: those that are to be kept. What is due first comes first, and so does what is late.
const OPEN: &str = r#"state == "open""#;
/// Which cases are shown: those that are not solved.
const UNSOLVED: &str = r#"status in ["new", "in_progress", "waiting"]"#;

/// What it takes to read each of the sections.
pub(super) const HISTORY: &str = "interactions.interactions.read";
pub(super) const CASE: &str = "interactions.cases.read";
pub(super) const COMMITMENT: &str = "interactions.commitments.read";

/// The own sections, and what is to be kept of them.
pub(super) struct Own {
    pub(super) history: proto::HistorySection,
    pub(super) cases: proto::CaseSection,
    pub(super) promises: proto::CommitmentSection,
    pub(super) keep: Option<(SectionKey, Known)>,
    /// Up to where of the own feed they hold everything that it told of these; none where they are not as they are kept.
    pub(super) through: Option<(i64, Vec<Uuid>)>,
}

impl About<'_> {
    /// The own sections.
    pub(super) async fn own(&self, book: &Book) -> Own {
        let asked = self.asked("interactions");
        match self.kept(book, asked).await {
            Some((kept, read, position)) => {
                let through = Some((read, kept.concerned().collect()));
                Own { through, ..self.shown(kept, Asked { position, ..asked }) }
            }
            None => Box::pin(self.read_own(asked)).await,
        }
    }

    /// What the projection holds, if nothing happened since, up to where it was read, and up to where that is known.
    async fn kept(&self, book: &Book, asked: Asked) -> Option<(OwnSections, i64, i64)> {
        let known = book.get(&self.key(self.party?, SectionKind::Own, ""))?.known.as_ref()?;
        let through = self.memory.touched.reach(asked.position, self.until).await?;
        let kept = OwnSections::decode(known.plain.as_slice()).ok()?;
        let untouched = self.memory.touched.untouched(known.position, kept.concerned());
        untouched.then_some((kept, known.position, through))
    }

    /// What is kept, as this caller may see it now.
    fn shown(&self, kept: OwnSections, asked: Asked) -> Own {
        let OwnSections { history, cases, promises, .. } = kept.at(asked.at);
        let history = self.permitted(HISTORY).map(|_| history.unwrap_or_default());
        let cases = self.permitted(CASE).map(|_| cases.unwrap_or_default());
        let promises = self.permitted(COMMITMENT).map(|_| promises.unwrap_or_default());
        let (history_status, history) = own(history.map_or_else(Heard::from, Heard::Said), asked);
        let (cases_status, cases) = own(cases.map_or_else(Heard::from, Heard::Said), asked);
        let (promises_status, promises) = own(promises.map_or_else(Heard::from, Heard::Said), asked);
        Own {
            history: proto::HistorySection { status: Some(history_status), ..history.unwrap_or_default() },
            cases: proto::CaseSection { status: Some(cases_status), ..cases.unwrap_or_default() },
            promises: proto::CommitmentSection { status: Some(promises_status), ..promises.unwrap_or_default() },
            keep: None,
            through: None,
        }
    }

    /// What the tables hold; kept where it is whole.
    async fn read_own(&self, asked: Asked) -> Own {
        // To whom origins belong is read first: whoever is given one after that is named by the feed.
        let whole = [HISTORY, CASE, COMMITMENT].into_iter().all(|permission| self.permitted(permission).is_ok());
        let origins = if whole { self.origins().await } else { None };
        let (history, cases, promises) = join3(self.history(asked), self.cases(asked), self.promises(asked)).await;
        let fresh = [&history.status, &cases.status, &promises.status];
        let fresh = fresh.into_iter().flatten().all(|status| status.state() == proto::SectionState::Fresh);
        let keep = origins.filter(|_| fresh).and_then(|origins| {
            let bare = OwnSections::of(
                &origins,
                proto::HistorySection { status: None, ..history.clone() },
                proto::CaseSection { status: None, ..cases.clone() },
                proto::CommitmentSection { status: None, ..promises.clone() },
            )?;
            let known = Known { position: asked.position, as_of: asked.at, plain: bare.encode_to_vec() };
            Some((self.key(self.party?, SectionKind::Own, ""), known))
        });
        Own { history, cases, promises, keep, through: None }
    }

    /// The party's origins, itself among them; none where they cannot be read in time.
    async fn origins(&self) -> Option<Vec<Uuid>> {
        let read = alias_origins(self.cx.store.reader(), self.call.tenant(), self.party?);
        tokio::time::timeout_at(self.until.into(), read).await.ok()?.ok()
    }

    /// The own sections, read until the time is up.
    async fn read<T>(&self, permission: &'static str, read: impl Future<Output = Result<T, Error>>) -> Heard<T> {
        if let Err(unasked) = self.permitted(permission) {
            return unasked.into();
        }
        match tokio::time::timeout_at(self.until.into(), read).await {
            Ok(Ok(read)) => Heard::Said(read),
            Ok(Err(error)) => Heard::Failed(error),
            Err(_) => Heard::Late,
        }
    }

    async fn history(&self, asked: Asked) -> proto::HistorySection {
        let filter = Filter::all();
        let timeline = Timeline {
            party: self.party.unwrap_or_default(),
            filter: &filter,
            include_retracted: false,
            as_of: None,
            as_known_at: None,
            after: None,
            limit: INTERACTIONS,
        };
        let read = get_timeline(&self.cx.store, self.call.tenant(), &timeline);
        let (status, views) = own(self.read(HISTORY, read).await, asked);
        let interactions = views.unwrap_or_default().into_iter().map(|view| {
            let interaction = to_interaction(view);
            proto::Interaction { body: String::new(), ..interaction }
        });
        proto::HistorySection { status: Some(status), interactions: interactions.collect() }
    }

    async fn cases(&self, asked: Asked) -> proto::CaseSection {
        let read = async {
            let filter = case_filter(UNSOLVED)?;
            let list = CaseList { party: self.party, filter: &filter, ascending: false, after: None, limit: CASES + 1 };
            list_cases(&self.cx.store, self.call.tenant(), &list).await
        };
        let (status, views) = own(self.read(CASE, read).await, asked);
        let views = views.unwrap_or_default();
        let truncated = views.len() > CASES;
        let cases = views.into_iter().take(CASES).map(|view| {
            let case = to_case(view);
            proto::Case { description: String::new(), ..case }
        });
        proto::CaseSection { status: Some(status), cases: cases.collect(), truncated }
    }

    async fn promises(&self, asked: Asked) -> proto::CommitmentSection {
        let read = async {
            let filter = commitment_filter(OPEN)?;
            let list = CommitmentList {
                party: self.party,
                case: None,
                filter: &filter,
                descending: false,
                after: None,
                limit: PROMISES + 1,
            };
            list_commitments(&self.cx.store, self.call.tenant(), &list).await
        };
        let (status, views) = own(self.read(COMMITMENT, read).await, asked);
        let views = views.unwrap_or_default();
        let truncated = views.len() > PROMISES;
        let commitments = views.into_iter().take(PROMISES).map(|view| {
            let commitment = to_commitment(view, asked.at);
            proto::Commitment { description: String::new(), ..commitment }
        });
        proto::CommitmentSection { status: Some(status), commitments: commitments.collect(), truncated }
    }
}

/// The status of a section of our own.
fn own<T>(heard: Heard<T>, asked: Asked) -> (proto::SectionStatus, Option<T>) {
    use proto::SectionState::{Fresh, Missing, Pending, Redacted};
    let reason = why(&heard, "interactions");
    let state = match &heard {
        Heard::Said(_) => Fresh,
        Heard::Nothing(_) | Heard::Nobody => Missing,
        Heard::Forbidden(_) => Redacted,
        Heard::Behind(_) | Heard::Failed(_) | Heard::Late => Pending,
    };
    match heard {
        Heard::Said(said) => (section_status("interactions", state, reason, Some(asked)), Some(said)),
        _ => (section_status("interactions", state, reason, None), None),
    }
}
