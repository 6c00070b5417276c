//! The shop's loyalty programme. It is founded before the purchases are loaded, so that they earn by its rules: nobody
//! posts the points of the demo by hand.

use std::collections::HashMap;

use rapport_proto::loyalty::v1 as ly;
use rapport_proto::loyalty::v1::earning_rule::Award;

use super::clients::Clients;
use super::people::request_id;
use super::trouble::Trouble;
use super::wire;

/// What the programme is called, and found again by.
const NAME: &str = "Groove Card";
/// Rows of one page: the demo never makes more of any of these.
const PAGE: i32 = 500;

/// What can be earned: name, what for, after how many months it expires.
const UNITS: [(&str, ly::UnitKind, Option<i32>); 3] = [
    ("points", ly::UnitKind::Redeemable, Some(24)),
    ("credits", ly::UnitKind::Qualifying, None),
    ("thanks", ly::UnitKind::Social, None),
];

/// What earns it: name, unit, kind of interaction (none: an answered survey), fixed units (none: one for each dollar).
const RULES: [(&str, &str, Option<&str>, Option<i64>); 3] = [
    ("A point for each dollar", "points", Some("order"), None),
    ("A credit for each dollar", "credits", Some("order"), None),
    ("Points for an answer", "points", None, Some(50)),
];

/// The steps that credits lead to: name, entry, keep.
const TIERS: [(&str, i64, i64); 2] = [("Silver", 60, 40), ("Gold", 200, 150)];

/// Who of the cast is a member beside the caller, and in which role: loyalty is not for customers alone.
pub(super) const MEMBERS: [(&str, &str); 4] =
    [("friend", "customer"), ("lantern", "dealer"), ("pressing", "supplier"), ("journalist", "media")];

/// The programme as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// `programs/{id}`.
    pub name: String,
    /// What unit types are called, by `programs/{id}/unitTypes/{id}`.
    pub units: HashMap<String, String>,
}

impl Program {
    /// What a unit type is called.
    #[must_use]
    pub fn unit(&self, name: &str) -> String {
        self.units.get(name).cloned().unwrap_or_else(|| "units".to_owned())
    }
}

/// Finds the programme, or founds and publishes it.
pub(super) async fn found(clients: &Clients, system: &str) -> Result<Program, Trouble> {
    let request = ly::ListProgramsRequest { page_size: PAGE, ..Default::default() };
    let there =
        clients.read("ListPrograms", request, async |r| clients.programs().list_programs(r).await).await?.programs;
    let published = there
        .into_iter()
        .find(|program| program.display_name == NAME && program.state() == ly::ProgramState::Published);
    match published {
        Some(program) => Ok(Program { units: units(clients, &program.name).await?, name: program.name }),
        None => Founding { clients, system }.run().await,
    }
}

async fn units(clients: &Clients, program: &str) -> Result<HashMap<String, String>, Trouble> {
    let request = ly::ListUnitTypesRequest { program: program.to_owned(), page_size: PAGE, ..Default::default() };
    let answer = clients.read("ListUnitTypes", request, async |r| clients.programs().list_unit_types(r).await).await?;
    Ok(answer.unit_types.into_iter().map(|unit| (unit.name, unit.display_name)).collect())
}

/// One founding under way. Its request ids depend on the content alone, so that one that was broken off is taken up.
struct Founding<'a> {
    clients: &'a Clients,
    system: &'a str,
}

impl Founding<'_> {
    fn id(&self, what: &str) -> String {
        request_id(&["programme", self.system, what]).to_string()
    }

    async fn run(&self) -> Result<Program, Trouble> {
        let clients = self.clients;
        let request = ly::CreateProgramRequest {
            program: Some(ly::Program {
                display_name: NAME.to_owned(),
                time_zone: "America/New_York".to_owned(),
                tier_window: ly::TierWindow::Year.into(),
                ..Default::default()
            }),
            request_id: self.id("programme"),
        };
        let program =
            clients.write("CreateProgram", request, async |r| clients.programs().create_program(r).await).await?.name;
        let mut names: HashMap<&str, String> = HashMap::new();
        for (unit, kind, months) in UNITS {
            names.insert(unit, self.unit(&program, unit, kind, months).await?);
        }
        let unit_of = |unit: &str| names.get(unit).cloned().unwrap_or_default();
        for (rule, unit, interaction, fixed) in RULES {
            self.rule(&program, rule, unit_of(unit), interaction, fixed).await?;
        }
        for (tier, entry, keep) in TIERS {
            self.tier(&program, tier, unit_of("credits"), entry, keep).await?;
        }
        let request =
            ly::PublishProgramRequest { name: program.clone(), request_id: self.id("publish"), ..Default::default() };
        clients.write("PublishProgram", request, async |r| clients.programs().publish_program(r).await).await?;
        let units = names.into_iter().map(|(unit, name)| (name, unit.to_owned())).collect();
        Ok(Program { name: program, units })
    }

    async fn unit(
        &self,
        program: &str,
        unit: &str,
        kind: ly::UnitKind,
        months: Option<i32>,
    ) -> Result<String, Trouble> {
        let request = ly::CreateUnitTypeRequest {
            program: program.to_owned(),
            unit_type: Some(ly::UnitType {
                display_name: unit.to_owned(),
                kind: kind.into(),
                expiry: months.map(|count| ly::Expiry { kind: ly::ExpiryKind::Months.into(), count }),
                ..Default::default()
            }),
            request_id: self.id(unit),
        };
        let clients = self.clients;
        let made =
            clients.write("CreateUnitType", request, async |r| clients.programs().create_unit_type(r).await).await?;
        Ok(made.name)
    }

    async fn rule(
        &self,
        program: &str,
        rule: &str,
        unit_type: String,
        interaction: Option<&str>,
        fixed: Option<i64>,
    ) -> Result<(), Trouble> {
        let trigger = match interaction {
            Some(kind) => ly::EarningTrigger {
                kind: ly::TriggerKind::Interaction.into(),
                interaction_kind: kind.to_owned(),
                ..Default::default()
            },
            None => ly::EarningTrigger { kind: ly::TriggerKind::SurveyResponse.into(), ..Default::default() },
        };
        let award = match fixed {
            Some(units) => Award::FixedUnits(units),
            None => Award::PerAmount(ly::UnitsPerAmount {
                units: 1,
                amount: Some(wire::dollars(100)),
                rounding: ly::Rounding::Down.into(),
            }),
        };
        let request = ly::CreateEarningRuleRequest {
            program: program.to_owned(),
            earning_rule: Some(ly::EarningRule {
                display_name: rule.to_owned(),
                unit_type,
                trigger: Some(trigger),
                award: Some(award),
                ..Default::default()
            }),
            request_id: self.id(rule),
        };
        let clients = self.clients;
        clients.write("CreateEarningRule", request, async |r| clients.programs().create_earning_rule(r).await).await?;
        Ok(())
    }

    async fn tier(
        &self,
        program: &str,
        tier: &str,
        unit_type: String,
        entry_threshold: i64,
        keep_threshold: i64,
    ) -> Result<(), Trouble> {
        let request = ly::CreateTierRequest {
            program: program.to_owned(),
            tier: Some(ly::Tier {
                display_name: tier.to_owned(),
                unit_type,
                entry_threshold,
                keep_threshold,
                ..Default::default()
            }),
            request_id: self.id(tier),
        };
        let clients = self.clients;
        clients.write("CreateTier", request, async |r| clients.tiers().create_tier(r).await).await?;
        Ok(())
    }
}

/// Makes a party a member, unless it is one. Says whether it was made one now.
pub(super) async fn enroll(
    clients: &Clients,
    system: &str,
    program: &Program,
    party: &str,
    role_type: &str,
    joined: i64,
) -> Result<bool, Trouble> {
    if member(clients, program, party).await?.is_some() {
        return Ok(false);
    }
    let request = ly::EnrollMemberRequest {
        program: program.name.clone(),
        member: Some(ly::Member {
            party: party.to_owned(),
            role_type: role_type.to_owned(),
            joined_time: Some(wire::time(joined)),
            ..Default::default()
        }),
        request_id: request_id(&["member", system, party]).to_string(),
    };
    clients.write("EnrollMember", request, async |r| clients.members().enroll_member(r).await).await?;
    Ok(true)
}

/// The membership of a party.
pub(super) async fn member(clients: &Clients, program: &Program, party: &str) -> Result<Option<String>, Trouble> {
    let request = ly::ListMembersRequest {
        program: program.name.clone(),
        party: party.to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let page = clients.read("ListMembers", request, async |r| clients.members().list_members(r).await).await?;
    Ok(page.members.into_iter().next().map(|member| member.name))
}
