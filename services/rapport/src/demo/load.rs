//! Loads the purchases and the cast through the public API.
//!
//! What the services already hold is read first and only what is missing is written, each write under a request id made
//! of its content: a second run on a kept folder, or one after a crash, doubles nothing, however much later it comes.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::ToSpan;
use jiff::civil::Date;
use rapport_proto::interactions::v1 as ix;
use rapport_proto::stakeholders::v1 as sh;

use super::calendar::{Shift, day_of, moment};
use super::cast::{ACTORS, CALLER, DEEDS, PERMITS, TIES};
use super::clients::Clients;
use super::people::{Person, request_id, seed};
use super::phones::{self, Phone};
use super::program::{self, Program};
use super::purchases::{Customer, caller};
use super::report::Loaded;
use super::screen::Show;
use super::story::Options;
use super::trouble::Trouble;
use super::{messages, stream_load, wire};

/// The scheme of the identifiers under which the demo finds its parties again.
pub(super) const SCHEME: &str = "demo";

/// How the source system of the demo's facts begins; the data's fingerprint follows.
const SYSTEM: &str = "demo-";

/// Rows of one page.
const PAGE: i32 = 500;

/// What the load leaves for the call.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What was done.
    pub loaded: Loaded,
    /// The source system of all the demo's facts.
    pub system: String,
    /// The caller's key in the data.
    pub caller: String,
    /// The caller's number.
    pub phone: Phone,
    /// Party names by key: [`CALLER`] and the cast.
    pub names: HashMap<String, String>,
    /// The loyalty programme.
    pub program: Program,
}

/// Loads what is missing.
///
/// # Errors
/// When a call is refused for good, or the service holds the demo of other data.
pub async fn run(clients: &Clients, options: &Options, show: &mut dyn Show) -> Result<Setting, Trouble> {
    let customers = options.purchases.customers();
    let caller = options
        .caller
        .as_ref()
        .and_then(|key| customers.iter().find(|customer| customer.key == key))
        .or_else(|| caller(&customers))
        .ok_or_else(|| Trouble::Answer { method: "the data", what: "without any customer".to_owned() })?;
    let system = format!("{SYSTEM}{}", options.purchases.fingerprint);

    let mut known = parties(clients, &system).await?;
    let found = if known.is_empty() { Found::default() } else { interactions(clients, &system, options).await? };
    let today = day_of(options.now);
    let shift = found.shift.unwrap_or_else(|| Shift::ending_yesterday(options.purchases.last_day(), today));
    let load = Load {
        clients,
        system: &system,
        shift,
        base: shift.apply(options.purchases.last_day()).tomorrow().unwrap_or(today),
        in_flight: options.in_flight.max(1),
        fresh: known.is_empty(),
    };

    let mut loaded = Loaded {
        customers: customers.len(),
        purchases: options.purchases.rows.len(),
        shift_days: shift.days(),
        days: (shift.apply(first_day(&customers)).to_string(), shift.apply(options.purchases.last_day()).to_string()),
        ..Loaded::default()
    };
    loaded.new_parties = load.parties(&customers, caller, &mut known, show).await?;
    let mut names = HashMap::new();
    for (key, name) in &known {
        if let Some(actor) = key.strip_prefix("cast/") {
            names.insert(actor.to_owned(), name.clone());
        }
    }
    let own = known
        .get(&customer_key(caller.key))
        .ok_or_else(|| Trouble::Answer { method: "ListParties", what: "without the caller".to_owned() })?;
    names.insert(CALLER.to_owned(), own.clone());

    loaded.new_ties = load.ties(&names).await?;
    loaded.new_consents = load.consents(&names).await?;
    // Members first: what they buy earns as it is recorded.
    let program = program::found(clients, &system).await?;
    loaded.new_members = load.members(&program, &names).await?;
    loaded.new_interactions = load.interactions(&customers, &known, &names, &found.records, show).await?;

    let place = customers.iter().position(|customer| customer.key == caller.key).unwrap_or(0);
    let phone = phones::of_customer(place).ok_or_else(|| Trouble::Answer {
        method: "the data",
        what: "with a caller beyond the numbers kept for fiction".to_owned(),
    })?;
    Ok(Setting { loaded, system: system.clone(), caller: caller.key.to_owned(), phone, names, program })
}

/// What the services held before.
#[derive(Default)]
struct Found {
    shift: Option<Shift>,
    records: HashSet<String>,
}

/// Reads the demo's parties: key to name.
async fn parties(clients: &Clients, system: &str) -> Result<HashMap<String, String>, Trouble> {
    let mut known = HashMap::new();
    let mut token = String::new();
    loop {
        let request = sh::ListPartiesRequest { page_size: PAGE, page_token: token, ..Default::default() };
        let page = clients.read("ListParties", request, async |r| clients.parties().list_parties(r).await).await?;
        for party in page.parties {
            let Some(identifier) = party.identifiers.iter().find(|i| i.scheme == SCHEME) else {
                continue;
            };
            let from = party.provenance.as_ref().map_or("", |p| p.source_system.as_str());
            if from.starts_with(SYSTEM) && from != system {
                return Err(Trouble::OtherData { found: from.to_owned(), wanted: system.to_owned() });
            }
            known.insert(identifier.value.clone(), party.name);
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(known);
        }
    }
}

/// Reads which records of the demo are there, and by how many days they were moved.
async fn interactions(clients: &Clients, system: &str, options: &Options) -> Result<Found, Trouble> {
    let dates: HashMap<String, Date> =
        options.purchases.rows.iter().map(|purchase| (messages::order_record(purchase), purchase.date)).collect();
    let mut found = Found::default();
    let mut token = String::new();
    loop {
        let request = ix::ListInteractionsRequest { page_size: PAGE, page_token: token, ..Default::default() };
        let page = clients
            .read("ListInteractions", request, async |r| clients.interactions().list_interactions(r).await)
            .await?;
        for row in page.interactions {
            let Some(provenance) = row.provenance.filter(|p| p.source_system == system) else {
                continue;
            };
            if let Some(original) = dates.get(&provenance.source_record_id) {
                let moved = day_of(wire::micros(row.occurred_time.as_ref()));
                found.shift.get_or_insert_with(|| Shift::between(*original, moved));
            }
            found.records.insert(provenance.source_record_id);
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(found);
        }
    }
}

/// The identifier value of a customer of the data.
fn customer_key(key: &str) -> String {
    format!("customer/{key}")
}

fn first_day(customers: &[Customer<'_>]) -> Date {
    customers
        .iter()
        .filter_map(|customer| customer.purchases.first())
        .map(|purchase| purchase.date)
        .min()
        .unwrap_or_default()
}

/// One load under way.
struct Load<'a> {
    clients: &'a Clients,
    system: &'a str,
    shift: Shift,
    /// The day after the last purchase: what the cast's days are counted from.
    base: Date,
    in_flight: usize,
    /// Nothing of the demo was there: no need to ask for what cannot be.
    fresh: bool,
}

impl Load<'_> {
    fn days_ago(&self, days: i64) -> Date {
        self.base.checked_sub(days.days()).unwrap_or(self.base)
    }

    /// The moment of something of the cast's that happened some days ago.
    fn at(&self, key: &str, days: i64) -> i64 {
        moment(self.days_ago(days), seed(&["at", key]), 1)
    }

    async fn parties(
        &self,
        customers: &[Customer<'_>],
        caller: &Customer<'_>,
        known: &mut HashMap<String, String>,
        show: &mut dyn Show,
    ) -> Result<usize, Trouble> {
        let family = Person::of(caller.key).family;
        let mut missing: Vec<(String, sh::Party)> = Vec::new();
        for (n, customer) in customers.iter().enumerate() {
            let key = customer_key(customer.key);
            if !known.contains_key(&key) {
                let since = customer.purchases.first().map_or(self.base, |p| self.shift.apply(p.date));
                let party = messages::customer(self.system, &key, customer.key, phones::of_customer(n), since);
                missing.push((key, party));
            }
        }
        for actor in ACTORS {
            let key = format!("cast/{}", actor.key);
            if !known.contains_key(&key) {
                let party = messages::actor(self.system, &key, actor, &family, self.days_ago(1_000));
                missing.push((key, party));
            }
        }
        let total = missing.len();
        let mut done = 0;
        let mut created = stream::iter(missing.into_iter().map(|(key, party)| async move {
            let request = sh::CreatePartyRequest {
                party: Some(party),
                request_id: request_id(&["party", self.system, &key]).to_string(),
            };
            let party = self
                .clients
                .write("CreateParty", request, async |r| self.clients.parties().create_party(r).await)
                .await?;
            Ok::<_, Trouble>((key, party.name))
        }))
        .buffer_unordered(self.in_flight);
        while let Some((key, name)) = created.try_next().await? {
            known.insert(key, name);
            done += 1;
            show.progress("parties", done, total);
        }
        Ok(total)
    }

    async fn ties(&self, names: &HashMap<String, String>) -> Result<usize, Trouble> {
        let there = if self.fresh { HashSet::new() } else { self.ties_there().await? };
        let mut written = 0;
        for tie in TIES {
            let (Some(from), Some(to)) = (names.get(tie.from), names.get(tie.to)) else {
                continue;
            };
            // Ties without a direction are stored with the smaller name first.
            let either = [(from, to), (to, from)];
            if either.iter().any(|(a, b)| there.contains(&(tie.kind.to_owned(), (*a).clone(), (*b).clone()))) {
                continue;
            }
            let record = format!("tie/{}/{}/{}", tie.from, tie.kind, tie.to);
            let request = sh::CreateRelationshipRequest {
                relationship: Some(sh::Relationship {
                    relationship_type: tie.kind.to_owned(),
                    from_party: from.clone(),
                    to_party: to.clone(),
                    weight: Some(tie.weight),
                    valid_from_time: Some(wire::time(self.at(&record, tie.days))),
                    scope: tie.scope.to_owned(),
                    provenance: wire::provenance(self.system, &record),
                    ..Default::default()
                }),
                request_id: request_id(&["tie", self.system, &record]).to_string(),
                validate_only: false,
            };
            self.clients
                .write("CreateRelationship", request, async |r| {
                    self.clients.relationships().create_relationship(r).await
                })
                .await?;
            written += 1;
        }
        Ok(written)
    }

    /// The ties there are or were, as (type, from, to): one that was ended is not made again.
    async fn ties_there(&self) -> Result<HashSet<(String, String, String)>, Trouble> {
        let mut there = HashSet::new();
        let mut token = String::new();
        loop {
            let request = sh::ListRelationshipsRequest {
                include_ended: true,
                page_size: PAGE,
                page_token: token,
                ..Default::default()
            };
            let page = self
                .clients
                .read("ListRelationships", request, async |r| self.clients.relationships().list_relationships(r).await)
                .await?;
            for tie in page.relationships {
                there.insert((tie.relationship_type, tie.from_party, tie.to_party));
            }
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(there);
            }
        }
    }

    async fn consents(&self, names: &HashMap<String, String>) -> Result<usize, Trouble> {
        let mut written = 0;
        for permit in PERMITS {
            let Some(party) = names.get(permit.by) else { continue };
            let record = format!("consent/{}/{}/{}/{}", permit.by, permit.purpose, permit.channel, permit.days);
            let at = self.at(&record, permit.days);
            if !self.fresh && self.consent_there(party, permit.purpose, permit.channel, at).await? {
                continue;
            }
            let request = sh::RecordConsentRequest {
                consent: Some(sh::Consent {
                    party: party.clone(),
                    purpose: permit.purpose.to_owned(),
                    channel: permit.channel.to_owned(),
                    state: permit.state.into(),
                    evidence: permit.evidence.to_owned(),
                    occurred_time: Some(wire::time(at)),
                    provenance: wire::provenance(self.system, &record),
                    ..Default::default()
                }),
                request_id: request_id(&["consent", self.system, &record]).to_string(),
            };
            self.clients
                .write("RecordConsent", request, async |r| self.clients.privacy().record_consent(r).await)
                .await?;
            written += 1;
        }
        Ok(written)
    }

    async fn members(&self, program: &Program, names: &HashMap<String, String>) -> Result<usize, Trouble> {
        let joined = moment(self.days_ago(1_000), 0, 0);
        let mut made = 0;
        for (key, role) in [(CALLER, "customer")].iter().chain(&program::MEMBERS) {
            if let Some(party) = names.get(*key)
                && program::enroll(self.clients, self.system, program, party, role, joined).await?
            {
                made += 1;
            }
        }
        Ok(made)
    }

    /// Whether the record that decided at that moment is the one of that moment.
    async fn consent_there(&self, party: &str, purpose: &str, channel: &str, at: i64) -> Result<bool, Trouble> {
        let request = sh::CheckConsentRequest {
            party: party.to_owned(),
            purpose: purpose.to_owned(),
            channel: channel.to_owned(),
            as_of: Some(wire::time(at)),
            as_known_at: None,
        };
        let answer =
            self.clients.read("CheckConsent", request, async |r| self.clients.privacy().check_consent(r).await).await?;
        Ok(answer.deciding_consent.is_some_and(|consent| wire::micros(consent.occurred_time.as_ref()) == at))
    }

    async fn interactions(
        &self,
        customers: &[Customer<'_>],
        known: &HashMap<String, String>,
        names: &HashMap<String, String>,
        there: &HashSet<String>,
        show: &mut dyn Show,
    ) -> Result<usize, Trouble> {
        let mut items = Vec::new();
        for customer in customers {
            let Some(party) = known.get(&customer_key(customer.key)) else {
                continue;
            };
            for purchase in &customer.purchases {
                let record = messages::order_record(purchase);
                if !there.contains(&record) {
                    items.push(messages::order(self.system, record, party, purchase, self.shift));
                }
            }
        }
        for deed in DEEDS {
            let record = format!("deed/{}", deed.key);
            if !there.contains(&record) {
                let at = self.at(&record, deed.days);
                items.push(messages::deed(self.system, record, deed, names, at));
            }
        }
        let total = items.len();
        if total > 0 {
            stream_load::send(self.clients, items, show).await?;
        }
        Ok(total)
    }
}
