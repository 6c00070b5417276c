//! The demo's people and facts as messages of the contract.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use rapport_proto::interactions::v1 as ix;
use rapport_proto::stakeholders::v1 as sh;

use super::calendar::{Shift, moment};
use super::cast::{Actor, Called, Deed, Line};
use super::load::SCHEME;
use super::people::{Person, request_id, seed};
use super::phones::{self, Phone};
use super::purchases::Purchase;
use super::wire;

/// A customer of the data as a party.
pub(super) fn customer(system: &str, key: &str, customer: &str, phone: Option<Phone>, since: Date) -> sh::Party {
    let person = Person::of(customer);
    let mut media: Vec<sh::ContactMedium> = phone.into_iter().map(|phone| telephone(phone, false)).collect();
    media.push(mail(person.email.clone()));
    sh::Party {
        kind: sh::PartyKind::Individual.into(),
        names: vec![sh::PartyName {
            given_name: person.given.to_owned(),
            family_name: person.family.clone(),
            usage: sh::NameUsage::Legal.into(),
            ..Default::default()
        }],
        contact_media: media,
        identifiers: vec![identifier(key)],
        roles: vec![role("customer", "", since)],
        attributes: Some(Struct {
            fields: BTreeMap::from([(
                "city".to_owned(),
                Value { kind: Some(Kind::StringValue(person.city.to_owned())) },
            )]),
        }),
        language_code: "en-US".to_owned(),
        country_code: "US".to_owned(),
        time_zone: person.zone.to_owned(),
        provenance: wire::provenance(system, key),
        ..Default::default()
    }
}

/// A member of the cast as a party.
pub(super) fn actor(system: &str, key: &str, actor: &Actor, family: &str, since: Date) -> sh::Party {
    let mut names = sh::PartyName { usage: sh::NameUsage::Legal.into(), ..Default::default() };
    let mut mailbox = actor.mailbox.to_owned();
    match actor.called {
        Called::Person(given, family) => {
            names.given_name = given.to_owned();
            names.family_name = family.to_owned();
        }
        Called::Relative(given) => {
            names.given_name = given.to_owned();
            names.family_name = family.to_owned();
            mailbox = format!("{}.{}", given.to_lowercase(), family.to_lowercase());
        }
        Called::Household => names.full_name = format!("{family} household"),
        Called::Name(name) => names.full_name = name.to_owned(),
    }
    let line = match actor.line {
        Line::None => None,
        Line::Own(n) => phones::of_cast(n).map(|phone| telephone(phone, false)),
        Line::Shared(n) => phones::of_cast(n).map(|phone| telephone(phone, true)),
    };
    let mut media: Vec<sh::ContactMedium> = line.into_iter().collect();
    if !mailbox.is_empty() {
        media.push(mail(format!("{mailbox}@example.com")));
    }
    sh::Party {
        kind: actor.kind.into(),
        names: vec![names],
        contact_media: media,
        identifiers: vec![identifier(key)],
        roles: actor.roles.iter().map(|(kind, scope)| role(kind, scope, since)).collect(),
        language_code: if actor.country == "US" { "en-US" } else { "en-GB" }.to_owned(),
        country_code: actor.country.to_owned(),
        time_zone: actor.zone.to_owned(),
        provenance: wire::provenance(system, key),
        ..Default::default()
    }
}

fn identifier(key: &str) -> sh::PartyIdentifier {
    sh::PartyIdentifier {
        scheme: SCHEME.to_owned(),
        value: key.to_owned(),
        strength: sh::IdentifierStrength::Unique.into(),
        ..Default::default()
    }
}

fn role(kind: &str, scope: &str, since: Date) -> sh::PartyRole {
    sh::PartyRole {
        role_type: kind.to_owned(),
        scope: scope.to_owned(),
        status: sh::RoleStatus::Active.into(),
        valid_from_time: Some(wire::time(moment(since, 0, 0))),
        ..Default::default()
    }
}

/// A phone in national form, with the country that reads it.
fn telephone(phone: Phone, shared: bool) -> sh::ContactMedium {
    sh::ContactMedium {
        kind: sh::MediumKind::Phone.into(),
        value: phone.national,
        country_code: phone.country.to_owned(),
        shared,
        preferred: !shared,
        ..Default::default()
    }
}

fn mail(value: String) -> sh::ContactMedium {
    sh::ContactMedium { kind: sh::MediumKind::Email.into(), value, ..Default::default() }
}

/// The record key of an order.
pub(super) fn order_record(purchase: &Purchase) -> String {
    format!("order/{}", purchase.record_id())
}

/// A purchase as an order, to be streamed; the sequence is set by the stream.
pub(super) fn order(system: &str, record: String, party: &str, purchase: &Purchase, shift: Shift) -> ix::StreamItem {
    let at = moment(shift.apply(purchase.date), seed(&["order", &purchase.customer]), purchase.nth);
    let interaction = ix::Interaction {
        kind: "order".to_owned(),
        channel: Some(ix::Channel { medium: ix::Medium::Web.into(), online: None }),
        direction: ix::Direction::Inbound.into(),
        participants: vec![ix::Participant {
            party: party.to_owned(),
            role_type: "customer".to_owned(),
            function: ix::Function::Initiator.into(),
            ..Default::default()
        }],
        topics: vec!["music".to_owned()],
        subject_line: "Ordered music".to_owned(),
        amount: Some(ix::Amount { kind: ix::AmountKind::Order.into(), money: Some(wire::dollars(purchase.cents)) }),
        occurred_time: Some(wire::time(at)),
        provenance: wire::provenance(system, &record),
        ..Default::default()
    };
    item(system, &record, interaction)
}

/// A deed of the cast as an interaction, to be streamed.
pub(super) fn deed(
    system: &str,
    record: String,
    deed: &Deed,
    names: &HashMap<String, String>,
    at: i64,
) -> ix::StreamItem {
    let interaction = ix::Interaction {
        kind: deed.kind.to_owned(),
        channel: Some(ix::Channel { medium: deed.medium.into(), online: None }),
        direction: deed.direction.into(),
        participants: deed
            .by
            .iter()
            .map(|(key, role, function)| ix::Participant {
                party: names.get(*key).cloned().unwrap_or_default(),
                role_type: (*role).to_owned(),
                function: (*function).into(),
                ..Default::default()
            })
            .collect(),
        topics: deed.topics.iter().map(|topic| (*topic).to_owned()).collect(),
        subject_line: deed.subject.to_owned(),
        valence: deed.valence.map(|value| ix::Valence {
            value,
            method: ix::ValenceMethod::Agent.into(),
            confidence: None,
        }),
        occurred_time: Some(wire::time(at)),
        provenance: wire::provenance(system, &record),
        ..Default::default()
    };
    item(system, &record, interaction)
}

fn item(system: &str, record: &str, interaction: ix::Interaction) -> ix::StreamItem {
    ix::StreamItem {
        sequence: 0,
        interaction: Some(interaction),
        request_id: request_id(&["interaction", system, record]).to_string(),
    }
}
