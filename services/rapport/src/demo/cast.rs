//! The people and organisations around the shop, all invented: suppliers, dealers, a journalist, a regulator, a
//! competitor and whoever stands near the caller. Some play two roles. Data only; `load` sends it.
//!
//! The key [`CALLER`] stands for the customer of the data who calls in the story.

use rapport_proto::interactions::v1::{Direction, Function, Medium};
use rapport_proto::stakeholders::v1::{ConsentState, PartyKind};

/// The key that stands for the customer who calls.
pub const CALLER: &str = "caller";

/// How a member of the cast is called.
#[derive(Debug, Clone, Copy)]
pub enum Called {
    /// A person: given and family name.
    Person(&'static str, &'static str),
    /// A person with this given name and the caller's family name.
    Relative(&'static str),
    /// The caller's household.
    Household,
    /// An organisation or a group.
    Name(&'static str),
}

/// How a member of the cast is reached by phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// No phone.
    None,
    /// The own number with this place in the list.
    Own(usize),
    /// A switchboard: the number with this place, shared by all who have it.
    Shared(usize),
}

/// A member of the cast.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// The key, unique within the cast.
    pub key: &'static str,
    /// What the party is.
    pub kind: PartyKind,
    /// The name.
    pub called: Called,
    /// The phone.
    pub line: Line,
    /// The mailbox at example.com; empty for none.
    pub mailbox: &'static str,
    /// Roles towards the shop: type and scope.
    pub roles: &'static [(&'static str, &'static str)],
    /// ISO 3166 country.
    pub country: &'static str,
    /// IANA time zone.
    pub zone: &'static str,
}

/// A tie between two of the cast.
#[derive(Debug, Clone, Copy)]
pub struct Tie {
    /// Where it starts.
    pub from: &'static str,
    /// Where it leads.
    pub to: &'static str,
    /// The built-in type.
    pub kind: &'static str,
    /// How strong, above 0 and at most 1.
    pub weight: f64,
    /// For how many days it has held.
    pub days: i64,
    /// What it is about.
    pub scope: &'static str,
}

/// Something that happened with one of the cast.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    /// The key, unique among the deeds.
    pub key: &'static str,
    /// What it was, as a slug.
    pub kind: &'static str,
    /// What carried it.
    pub medium: Medium,
    /// Who spoke to whom.
    pub direction: Direction,
    /// Who took part: key, role type, function. The first is the primary one.
    pub by: &'static [(&'static str, &'static str, Function)],
    /// How many days ago.
    pub days: i64,
    /// How good or bad it was for the other side, as one of ours judged; none if nobody did.
    pub valence: Option<f64>,
    /// What it was about, as slugs.
    pub topics: &'static [&'static str],
    /// One line.
    pub subject: &'static str,
}

/// A consent that one of the cast gave or withdrew.
#[derive(Debug, Clone, Copy)]
pub struct Permit {
    /// Who.
    pub by: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// On what channel.
    pub channel: &'static str,
    /// Given or withdrawn.
    pub state: ConsentState,
    /// How many days ago.
    pub days: i64,
    /// What proves it.
    pub evidence: &'static str,
}

const LONDON: &str = "Europe/London";

const fn organization(
    key: &'static str,
    name: &'static str,
    line: Line,
    mailbox: &'static str,
    roles: &'static [(&'static str, &'static str)],
) -> Actor {
    Actor {
        key,
        kind: PartyKind::Organization,
        called: Called::Name(name),
        line,
        mailbox,
        roles,
        country: "GB",
        zone: LONDON,
    }
}

const fn person(
    key: &'static str,
    given: &'static str,
    family: &'static str,
    line: Line,
    mailbox: &'static str,
    roles: &'static [(&'static str, &'static str)],
) -> Actor {
    Actor {
        key,
        kind: PartyKind::Individual,
        called: Called::Person(given, family),
        line,
        mailbox,
        roles,
        country: "GB",
        zone: LONDON,
    }
}

/// The cast.
pub const ACTORS: &[Actor] = &[
    organization(
        "pressing",
        "Northwater Pressing Works",
        Line::Shared(0),
        "office.northwater",
        &[("supplier", "pressing")],
    ),
    organization(
        "wholesale",
        "Tamarind Distribution",
        Line::Own(1),
        "desk.tamarind",
        &[("supplier", "wholesale"), ("dealer", "north-west")],
    ),
    organization("corner", "Corner Groove Records", Line::Own(2), "hello.cornergroove", &[("dealer", "retail")]),
    organization(
        "lantern",
        "Lantern Listening Rooms",
        Line::Own(3),
        "bar.lantern",
        &[("dealer", "hospitality"), ("customer", "")],
    ),
    organization(
        "repairs",
        "Mendwell Returns Service",
        Line::Own(4),
        "returns.mendwell",
        &[("after-sales", "returns")],
    ),
    organization("magazine", "Backbeat Monthly", Line::Shared(5), "news.backbeat", &[("media", "trade press")]),
    person(
        "journalist",
        "Ines",
        "Calloway",
        Line::Own(6),
        "ines.calloway",
        &[("media", "trade press"), ("customer", "")],
    ),
    organization(
        "regulator",
        "Office of Fair Mail Order",
        Line::Shared(7),
        "register.fairmail",
        &[("government", "consumer protection")],
    ),
    person("inspector", "Dorian", "Pell", Line::Shared(7), "dorian.pell", &[("government", "consumer protection")]),
    organization(
        "competitor",
        "Spindle and Sons Online",
        Line::Own(8),
        "info.spindle",
        &[("competitor", "mail order")],
    ),
    person("rival", "Marit", "Vossberg", Line::Own(9), "marit.vossberg", &[("customer", "")]),
    organization("fund", "Harrow Lane Capital", Line::Own(10), "partners.harrowlane", &[("investor", "")]),
    person("director", "Oswin", "Tarle", Line::Shared(0), "oswin.tarle", &[("supplier", "pressing"), ("investor", "")]),
    Actor {
        key: "listeners",
        kind: PartyKind::Group,
        called: Called::Name("Late Night Listeners"),
        line: Line::None,
        mailbox: "latenight.listeners",
        roles: &[("community", "jazz")],
        country: "US",
        zone: "America/New_York",
    },
    organization("employer", "Brightmere Foods", Line::Shared(11), "people.brightmere", &[("partner", "staff gifts")]),
    Actor {
        key: "household",
        kind: PartyKind::Household,
        called: Called::Household,
        line: Line::None,
        mailbox: "",
        roles: &[("customer", "")],
        country: "US",
        zone: "America/New_York",
    },
    Actor {
        key: "spouse",
        kind: PartyKind::Individual,
        called: Called::Relative("Jonah"),
        line: Line::None,
        mailbox: "jonah.spouse",
        roles: &[("customer", "")],
        country: "US",
        zone: "America/New_York",
    },
    person("friend", "Tess", "Ravenhill", Line::Own(12), "tess.ravenhill", &[("customer", ""), ("community", "jazz")]),
    person("agent", "Mara", "Whitlock", Line::Own(13), "mara.whitlock", &[("employee", "customer desk")]),
];

const fn tie(
    from: &'static str,
    kind: &'static str,
    to: &'static str,
    weight: f64,
    days: i64,
    scope: &'static str,
) -> Tie {
    Tie { from, to, kind, weight, days, scope }
}

/// Who stands how to whom.
pub const TIES: &[Tie] = &[
    tie(CALLER, "member_of_household", "household", 1.0, 900, ""),
    tie("spouse", "member_of_household", "household", 1.0, 900, ""),
    tie(CALLER, "knows", "journalist", 0.9, 700, "played in one band"),
    tie(CALLER, "refers", "friend", 0.6, 500, "first order with a code"),
    tie("employer", "employs", CALLER, 0.8, 620, "buyer of staff gifts"),
    tie("listeners", "influences", CALLER, 0.5, 410, "jazz evenings"),
    tie("friend", "influences", "listeners", 0.9, 800, "host"),
    tie("magazine", "employs", "journalist", 0.9, 1_000, "columnist"),
    tie("journalist", "covers", "competitor", 0.5, 220, "mail order"),
    tie("listeners", "influences", "inspector", 0.4, 200, "jazz evenings"),
    tie("regulator", "employs", "inspector", 1.0, 1_500, "inspector"),
    tie("regulator", "regulates", "competitor", 0.7, 1_200, ""),
    tie("competitor", "employs", "rival", 1.0, 300, "head of buying"),
    tie("friend", "knows", "rival", 0.5, 350, "school"),
    tie("pressing", "employs", "director", 1.0, 2_000, "managing director"),
    tie("wholesale", "distributes", "pressing", 0.8, 1_100, "pressings"),
    tie("corner", "deals_for", "wholesale", 0.7, 640, "stock"),
    tie("wholesale", "supplies", "competitor", 0.6, 400, "stock"),
    tie("lantern", "partner_of", "magazine", 0.3, 150, "listings"),
    tie("fund", "invests_in", "competitor", 0.4, 260, "minority share"),
];

const fn deed(
    key: &'static str,
    what: (&'static str, Medium, Direction),
    by: &'static [(&'static str, &'static str, Function)],
    days: i64,
    valence: Option<f64>,
    topics: &'static [&'static str],
    subject: &'static str,
) -> Deed {
    Deed { key, kind: what.0, medium: what.1, direction: what.2, by, days, valence, topics, subject }
}

use Direction::{Inbound, Mutual, Outbound, ThirdParty};
use Function::{Agent, Initiator, Observer, Recipient, Subject};

/// What happened before the call, beside the purchases.
pub const DEEDS: &[Deed] = &[
    deed(
        "praise",
        ("praise", Medium::Chat, Inbound),
        &[(CALLER, "customer", Initiator), ("agent", "employee", Agent)],
        210,
        Some(0.8),
        &["advice"],
        "Thanked us for finding a deleted pressing",
    ),
    deed(
        "scratched",
        ("inquiry", Medium::Email, Inbound),
        &[(CALLER, "customer", Initiator), ("agent", "employee", Agent)],
        47,
        Some(-0.3),
        &["quality", "packaging"],
        "First disc of a set arrived scratched",
    ),
    deed(
        "scratched-answer",
        ("call", Medium::Phone, Outbound),
        &[(CALLER, "customer", Recipient), ("agent", "employee", Agent)],
        46,
        Some(0.4),
        &["quality", "replacement"],
        "Called back next morning, replacement sent",
    ),
    deed(
        "staff-gifts",
        ("meeting", Medium::InPerson, Mutual),
        &[("employer", "partner", Initiator), ("agent", "employee", Agent)],
        120,
        Some(0.5),
        &["contract"],
        "Agreed on staff gifts for the winter",
    ),
    deed(
        "staff-gifts-late",
        ("complaint", Medium::Email, Inbound),
        &[("employer", "partner", Initiator)],
        19,
        Some(-0.8),
        &["delivery"],
        "Half of the staff gifts have not come",
    ),
    deed(
        "staff-gifts-broken",
        ("complaint", Medium::Phone, Inbound),
        &[("employer", "partner", Initiator), ("agent", "employee", Agent)],
        9,
        Some(-0.9),
        &["quality", "packaging"],
        "Of those that came a third are broken",
    ),
    deed(
        "friend-praise",
        ("praise", Medium::Social, ThirdParty),
        &[("friend", "community", Initiator), ("listeners", "community", Observer)],
        95,
        Some(0.7),
        &["service"],
        "Told the club that our parcels come in two days",
    ),
    deed(
        "spouse-visit",
        ("inquiry", Medium::Web, Inbound),
        &[("spouse", "customer", Initiator)],
        33,
        None,
        &["delivery"],
        "Asked where a parcel was",
    ),
    deed(
        "late-pressing",
        ("complaint", Medium::Phone, Outbound),
        &[("pressing", "supplier", Recipient), ("director", "supplier", Recipient)],
        28,
        Some(-0.5),
        &["delivery", "quality"],
        "Second late batch in a quarter, sleeves too thin",
    ),
    deed(
        "dealer-visit",
        ("visit", Medium::InPerson, Mutual),
        &[("corner", "dealer", Recipient)],
        60,
        Some(0.3),
        &["display"],
        "Went through the autumn window with the owner",
    ),
    deed(
        "wholesale-price",
        ("meeting", Medium::Video, Mutual),
        &[("wholesale", "supplier", Initiator)],
        75,
        Some(0.1),
        &["price"],
        "Price round for the next half year",
    ),
    deed(
        "feature",
        ("article", Medium::Press, ThirdParty),
        &[("journalist", "media", Initiator), ("magazine", "media", Initiator)],
        55,
        Some(0.6),
        &["service"],
        "Column: mail order that picks up the phone",
    ),
    deed(
        "journalist-order",
        ("inquiry", Medium::Email, Inbound),
        &[("journalist", "customer", Initiator)],
        20,
        Some(-0.2),
        &["delivery"],
        "Own order two weeks late, wants to know why",
    ),
    deed(
        "inspection",
        ("meeting", Medium::InPerson, Mutual),
        &[("regulator", "government", Initiator), ("inspector", "government", Initiator)],
        140,
        Some(0.2),
        &["returns", "rules"],
        "Yearly look at how returns are refunded",
    ),
    deed(
        "poaching",
        ("article", Medium::Web, ThirdParty),
        &[("competitor", "competitor", Initiator), ("pressing", "supplier", Subject)],
        15,
        Some(-0.1),
        &["price"],
        "Advertises our best sellers ten per cent below us",
    ),
    deed(
        "quarter",
        ("call", Medium::Phone, Mutual),
        &[("fund", "investor", Recipient)],
        40,
        Some(0.4),
        &["figures"],
        "Quarterly call, asked about repeat customers",
    ),
    deed(
        "returns-backlog",
        ("call", Medium::Phone, Inbound),
        &[("repairs", "after-sales", Initiator)],
        12,
        Some(-0.4),
        &["returns", "quality"],
        "More broken discs than they can handle",
    ),
];

const fn permit(
    by: &'static str,
    what: (&'static str, &'static str),
    state: ConsentState,
    days: i64,
    evidence: &'static str,
) -> Permit {
    Permit { by, purpose: what.0, channel: what.1, state, days, evidence }
}

use ConsentState::{Granted, Withdrawn};

/// What the cast allows the shop to do.
pub const PERMITS: &[Permit] = &[
    permit(CALLER, ("service", "phone"), Granted, 400, "said so on a call"),
    permit(CALLER, ("marketing", "email"), Granted, 400, "order form, version 3"),
    permit(CALLER, ("marketing", "phone"), Granted, 400, "order form, version 3"),
    permit(CALLER, ("marketing", "phone"), Withdrawn, 180, "asked not to be called with offers"),
    permit(CALLER, ("survey", "email"), Granted, 210, "chat transcript"),
    permit(CALLER, ("advocacy", "email"), Granted, 210, "chat transcript"),
    permit("friend", ("reference", "email"), Granted, 95, "letter"),
    permit("journalist", ("marketing", "email"), Withdrawn, 300, "press office form"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_cast_hangs_together() {
        let keys: HashSet<&str> = ACTORS.iter().map(|a| a.key).collect();
        assert_eq!(keys.len(), ACTORS.len());
        let known = |key: &str| key == CALLER || keys.contains(key);
        for tie in TIES {
            assert!(known(tie.from) && known(tie.to), "{tie:?}");
            assert!(tie.weight > 0.0 && tie.weight <= 1.0, "{tie:?}");
        }
        for deed in DEEDS {
            assert!(deed.by.iter().all(|(key, ..)| known(key)), "{deed:?}");
            assert!(deed.subject.chars().count() <= 60, "{deed:?}");
        }
        assert!(PERMITS.iter().all(|p| known(p.by)));
        let deeds: HashSet<&str> = DEEDS.iter().map(|d| d.key).collect();
        assert_eq!(deeds.len(), DEEDS.len());
    }

    #[test]
    fn every_kind_of_stakeholder_is_there_and_some_play_two_roles() {
        let roles: HashSet<&str> = ACTORS.iter().flat_map(|a| a.roles).map(|(role, _)| *role).collect();
        for role in [
            "customer",
            "supplier",
            "dealer",
            "partner",
            "media",
            "government",
            "competitor",
            "investor",
            "employee",
            "community",
            "after-sales",
        ] {
            assert!(roles.contains(role), "{role}");
        }
        let two =
            ACTORS.iter().filter(|a| a.roles.iter().map(|(role, _)| role).collect::<HashSet<_>>().len() > 1).count();
        assert!(two >= 3, "{two}");
    }

    #[test]
    fn own_numbers_are_own_and_shared_ones_shared() {
        let mut own = HashSet::new();
        let mut shared = HashSet::new();
        for actor in ACTORS {
            match actor.line {
                Line::None => {}
                Line::Own(n) => assert!(own.insert(n), "{}", actor.key),
                Line::Shared(n) => {
                    shared.insert(n);
                }
            }
        }
        assert!(own.is_disjoint(&shared));
    }
}
