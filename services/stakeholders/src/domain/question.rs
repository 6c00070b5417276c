//! A search for a party as it is asked, and what is answered.

use std::collections::{BTreeMap, BTreeSet};

use rapport_identity::Lookup;
use rapport_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::identifier::Scheme;
use super::party::{Party, PartyDraft};
use super::resolution::{self, Asked, Candidate, Card, Hints, Holder, MAX_HOLDERS};

/// The most identifiers of one search.
pub const MAX_IDENTIFIERS: usize = 10;
/// How many candidates are answered when nothing is said.
pub const DEFAULT_CANDIDATES: usize = 10;
/// The most candidates that are answered.
pub const MAX_CANDIDATES: usize = 50;

/// One identifier to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Its scheme.
    pub scheme: Scheme,
    /// How its value reads.
    pub lookup: Lookup,
    /// The caller says that many share it.
    pub shared: bool,
}

/// A search.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What is known.
    pub identifiers: Vec<Asking>,
    /// What is believed.
    pub hints: Hints,
    /// The party to record when nobody is found.
    pub provisional: Option<PartyDraft>,
    /// The most candidates to answer.
    pub most: usize,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One party, safely.
    Matched,
    /// Somebody has to choose.
    Candidates,
    /// Nobody.
    None,
    /// Nobody, and a provisional party was recorded.
    ProvisionalCreated,
}

/// A candidate with what a person needs to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The candidate.
    pub candidate: Candidate,
    /// Its name to show.
    pub display_name: String,
    /// The role types it now holds.
    pub role_types: Vec<String>,
}

/// What became of one identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understood {
    /// Its scheme.
    pub scheme: Scheme,
    /// What was looked up.
    pub reading: Reading,
    /// How many parties hold it, as far as was counted.
    pub holders: usize,
}

/// How an identifier was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// In this form.
    Read(String),
    /// The number was held back.
    Withheld,
    /// Not at all.
    Unreadable,
}

/// What a search answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// How it ended.
    pub outcome: Outcome,
    /// The party that was matched or recorded.
    pub party: Option<Party>,
    /// Everybody who came into question, the likeliest first.
    pub candidates: Vec<Answered>,
    /// What became of each identifier.
    pub identifiers: Vec<Understood>,
    /// There were more candidates.
    pub truncated: bool,
}

/// Those who hold identifiers, by scheme and normalised value.
pub type Holders = BTreeMap<(String, String), Vec<Holder>>;

impl Question {
    /// The scheme and normalised value of each identifier that can be looked up.
    pub fn values(&self) -> impl Iterator<Item = (String, String)> {
        self.identifiers.iter().filter_map(|one| match &one.lookup {
            Lookup::Value(value) => Some((one.scheme.as_str().to_owned(), value.clone())),
            Lookup::Withheld | Lookup::Unreadable => None,
        })
    }

    /// The answer, given who holds what and the parties of those holders.
    pub fn answer(&self, holders: &Holders, parties: &BTreeMap<Uuid, Party>, now: Timestamp) -> Resolution {
        let asked: Vec<_> = self.identifiers.iter().map(|one| asked(one, holders)).collect();
        let involved: BTreeSet<Uuid> = asked.iter().flat_map(|one| &one.holders).map(|holder| holder.party).collect();
        let cards =
            involved.iter().filter_map(|id| parties.get(id)).map(|party| (party.id, card(party, now))).collect();
        let ranked = resolution::rank(&asked, &cards, &self.hints, now);
        let (outcome, matched) = match resolution::decide(&ranked) {
            resolution::Outcome::Matched(party) => (Outcome::Matched, parties.get(&party).cloned()),
            resolution::Outcome::Candidates => (Outcome::Candidates, None),
            resolution::Outcome::None => (Outcome::None, None),
        };
        let truncated = ranked.len() > self.most || asked.iter().any(|one| one.holders.len() > MAX_HOLDERS);
        let answered = |candidate: Candidate| {
            let party = parties.get(&candidate.party);
            Answered {
                display_name: party.map(|party| party.profile.display_name.clone()).unwrap_or_default(),
                role_types: party.map(|party| party.role_types_at(now)).unwrap_or_default(),
                candidate,
            }
        };
        Resolution {
            outcome,
            party: matched,
            candidates: ranked.into_iter().take(self.most).map(answered).collect(),
            identifiers: self.identifiers.iter().zip(&asked).map(|(one, asked)| understood(one, asked)).collect(),
            truncated,
        }
    }
}

fn asked(one: &Asking, holders: &Holders) -> Asked {
    let normalized = match &one.lookup {
        Lookup::Value(value) => Some(value.clone()),
        Lookup::Withheld | Lookup::Unreadable => None,
    };
    let found = normalized.as_ref().and_then(|value| holders.get(&(one.scheme.as_str().to_owned(), value.clone())));
    Asked { scheme: one.scheme.clone(), normalized, shared: one.shared, holders: found.cloned().unwrap_or_default() }
}

fn understood(one: &Asking, asked: &Asked) -> Understood {
    let parties: BTreeSet<Uuid> = asked.holders.iter().map(|holder| holder.party).collect();
    Understood {
        scheme: one.scheme.clone(),
        reading: match &one.lookup {
            Lookup::Value(value) => Reading::Read(value.clone()),
            Lookup::Withheld => Reading::Withheld,
            Lookup::Unreadable => Reading::Unreadable,
        },
        holders: parties.len().min(MAX_HOLDERS),
    }
}

fn card(party: &Party, now: Timestamp) -> Card {
    let profile = &party.profile;
    Card {
        party: party.id,
        kind: party.kind,
        names: std::iter::once(profile.display_name.clone())
            .chain(profile.names.iter().map(|name| name.full.clone()))
            .collect(),
        country_code: profile.country_code.clone(),
        role_types: party.role_types_at(now),
    }
}
