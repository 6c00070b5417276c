//! The demo's story on both stores and both topologies, and that it changes when the world does: nothing in it is a
//! constant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport::demo::cast::CALLER;
use rapport::demo::clients::{Clients, Ways};
use rapport::demo::purchases::Purchases;
use rapport::demo::report::{Context, Explained, Report};
use rapport::demo::screen::Kept;
use rapport::demo::story::{self, Change, Options};
use rapport_rpc::Transport;
use rapport_testkit::each_world;
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder, Topology};
use rapport_types::id::World;
use unicode_width::UnicodeWidthStr;

/// A few customers; `7` bought most and lately, and some others came back too.
const PURCHASES: &str = "cust,date,sales\n7,1998-01-03,20.00\n7,1998-02-03,11.50\n7,1998-03-01,9.99\n7,1998-03-01,5\n\
                         8,1998-02-14,31.20\n9,1997-12-24,15.00\n10,1997-11-02,12\n10,1998-01-20,14\n\
                         11,1997-10-11,8.50\n11,1997-12-01,9.50\n12,1997-10-30,40\n";

const TOKEN: &str = "token-of-the-shop-0001";

/// A system in which the shop is one tenant of several, so that every call carries a credential.
fn guarded(sandbox: SandboxBuilder) -> SandboxBuilder {
    sandbox.token(TOKEN, "shop", "users/mara", &["admin"])
}

fn clients(sandbox: &Sandbox) -> Clients {
    let way = |service: &str| Transport::channel(sandbox.channel(service));
    Clients::new(Ways {
        stakeholders: way("stakeholders"),
        interactions: way("interactions"),
        scoring: way("scoring"),
        loyalty: way("loyalty"),
    })
}

async fn tell(clients: &Clients, options: &Options) -> (Report, Vec<String>) {
    let mut kept = Kept::default();
    let report = story::run(clients, options, &mut kept).await.unwrap();
    (report, kept.lines)
}

fn options(content: &str) -> Options {
    let now = World::system().now().as_micros();
    Options::new(Purchases::parse("test.csv", content.as_bytes()).unwrap(), now)
}

fn near(report: &Report, name: &str) -> Option<i32> {
    report.neighbours.iter().find(|neighbour| neighbour.display_name == name).map(|neighbour| neighbour.depth)
}

fn may(context: &Context, purpose: &str) -> (bool, String) {
    let found = context.consents.iter().find(|consent| consent.purpose == purpose).unwrap();
    assert_eq!(found.channel, "phone");
    (found.allowed, found.reason.clone())
}

/// What the agent saw when it rang.
fn rang(report: &Report) -> &Context {
    report.context_before.as_ref().unwrap()
}

fn unhappy(context: &Context, name: &str) -> bool {
    context.unhappy.iter().any(|unhappy| unhappy.display_name == name)
}

/// What the world above says of the caller, her score and her case.
fn assert_story(report: &Report) {
    assert_eq!(report.caller, "7");
    assert_eq!(report.resolved.outcome, "resolved");
    assert_eq!(report.resolved.dialled, "(201) 555-0100");
    assert_eq!(report.resolved.understood, "+12015550100");
    assert!(!report.resolved.reasons.is_empty());
    let model = report.model.as_ref().unwrap();
    assert_eq!((model.customers, model.repeaters), (6, 3));
    assert!(["MBG/NBD", "Pareto/NBD"].contains(&model.alive_family.as_str()), "{model:?}");

    assert_eq!(near(report, "Ines Calloway"), Some(1));
    assert_eq!(near(report, "Backbeat Monthly"), Some(2));
    assert_eq!(near(report, "Northwater Pressing Works"), None, "further away than two steps");

    assert_eq!(report.before.count("order"), 4);
    assert_eq!(report.before.spent(), 46_49);
    assert_eq!(report.before.rows.len(), 7, "four orders and three deeds");
    assert_eq!(report.after.rows.len(), 8);
    assert_eq!(report.after.rows[0].interaction, report.complaint);
    assert!(report.health_after.value_micros < report.health_before.value_micros, "{report:?}");
    assert!(report.health_after.parts.iter().any(|part| part.interaction == report.complaint));
    for health in [&report.health_before, &report.health_after] {
        assert_eq!(health.parts.iter().map(|part| part.effect_micros).sum::<i64>(), health.value_micros);
    }
    assert_eq!(report.case.interactions, std::slice::from_ref(&report.complaint));
    assert_eq!((report.case.status.as_str(), report.case.open), ("in progress", 1));
    assert_screen(rang(report));
    assert_aftermath(report);
}

/// What the agent's screen says when it rings.
fn assert_screen(screen: &Context) {
    assert_eq!(screen.not_fresh, []);
    assert_eq!(screen.roles, [("customer".to_owned(), String::new())]);
    assert_eq!(may(screen, "service"), (true, "granted".into()));
    assert_eq!(may(screen, "marketing"), (false, "withdrawn".into()));
    assert_eq!(screen.last.len(), 7);
    assert!(screen.cases.is_empty());
    let health = screen.score("relationship-health").unwrap();
    assert!(health.facts == 7 && !health.reasons.is_empty(), "{health:?}");
    assert!(screen.score("engagement").unwrap().facts > 0);
    // So few customers do not show that any of them ever leaves.
    assert!((0.0..=1.0).contains(&screen.alive.unwrap()));
    assert!(screen.expected_purchases.unwrap() > 0.0 && screen.lifetime_cents.unwrap() > 0);
    // 20.00, 11.50, 9.99 and 5 dollars, each rounded down.
    assert_eq!(screen.members[0].of("points"), 20 + 11 + 9 + 5);
    assert_eq!(screen.members[0].of("credits"), 45);
    assert!(unhappy(screen, "Brightmere Foods"), "{:?}", screen.unhappy);
    assert!(!unhappy(screen, "Tess Ravenhill"));
}

/// What followed from a complaint solved and a promoter's answer, each once.
fn assert_aftermath(report: &Report) {
    let after = &report.aftermath;
    assert_eq!((after.case.as_str(), after.score, after.category.as_str()), ("resolved", 9, "promoter"));
    assert_eq!((after.survey.0, after.survey.3), (100.0, 1));
    assert_eq!((after.state.as_str(), after.gate.as_str()), ("accepted", ""));
    let points: Vec<_> = after.earned.iter().filter(|earned| earned.unit == "points").collect();
    assert_eq!(points.len(), 1, "{:?}", after.earned);
    assert_eq!((points[0].amount, points[0].previous, points[0].new), (50, 45, 95));
    assert!(after.earned.iter().any(|earned| earned.unit == "thanks" && earned.amount > 0), "{:?}", after.earned);

    let screen = &report.context_after;
    assert_eq!(screen.members[0].of("points"), 95);
    assert!(screen.cases.is_empty(), "the case is solved");
    assert_eq!(screen.last.len(), 9, "the call and the answer came to seven");
    assert_eq!(screen.last[0].kind, "survey-response");
    let health = |screen: &Context| screen.score("relationship-health").unwrap().value_micros;
    assert!(health(screen) < health(rang(report)));
}

each_world! {
    modules = rapport::modules;

    async fn the_caller_is_known_complains_and_the_relationship_suffers(sandbox: SandboxBuilder) {
        let mut sandbox = guarded(sandbox).start().await;
        let today = options(PURCHASES);
        let options = Options { now: today.now - 3 * 86_400_000_000, ..today.clone() };
        let (report, lines) = tell(&clients(&sandbox).with_token(TOKEN), &options).await;
        assert_story(&report);
        for line in &lines {
            assert!(line.width() <= 80, "{line}");
        }

        // Told again after a restart, on another day: nothing is recorded, and the call is the one that was.
        let services =
            if sandbox.topology() == Topology::Processes { sandbox.services() } else { vec!["scoring".to_owned()] };
        for service in services {
            sandbox.restart(&service).await;
        }
        let (again, _) = tell(&clients(&sandbox).with_token(TOKEN), &today).await;
        assert!(again.replayed && again.loaded.found_complete(), "{:?}", again.loaded);
        // The case was taken on then; now it is solved. The screen of that moment cannot be had again.
        let known = |report: &Report| Report {
            loaded: Default::default(),
            replayed: true,
            case: Default::default(),
            context_before: None,
            context_after: Default::default(),
            ..report.clone()
        };
        assert_eq!(known(&again), known(&report));
        assert_eq!((again.case.case.as_str(), again.case.status.as_str()), (report.case.case.as_str(), "resolved"));
        assert_eq!(again.context_after.members, report.context_after.members);
        assert_eq!(again.loaded.shift_days, report.loaded.shift_days);
        sandbox.stop().await;
    }
}

each_world! {
    modules = rapport::modules;

    async fn the_story_follows_the_world(sandbox: SandboxBuilder) {
        // Each of these is a tenant of its own: what one loads the others do not see.
        let tenants = ["plain", "parted", "left", "withdrawn", "silent", "other"];
        let token = |tenant: &str| format!("token-of-tenant-{tenant}");
        let mut sandbox = sandbox;
        for tenant in tenants {
            sandbox = sandbox.token(&token(tenant), tenant, "users/mara", &["admin"]);
        }
        let sandbox = sandbox.start().await;
        let told = async |tenant: &str, options: &Options| {
            tell(&clients(&sandbox).with_token(&token(tenant)), options).await.0
        };

        let plain = options(PURCHASES);
        let base = told("plain", &plain).await;
        assert_story(&base);

        let change = Change::EndTies(CALLER, "journalist");
        let parted = told("parted", &Options { changes: vec![change], ..plain.clone() }).await;
        assert_eq!((near(&parted, "Ines Calloway"), near(&parted, "Backbeat Monthly")), (None, None));
        assert_eq!(near(&parted, "Tess Ravenhill"), Some(1));

        // Without the tie to her employer nobody near is unhappy.
        let change = Change::EndTies(CALLER, "employer");
        let left = told("left", &Options { changes: vec![change], ..plain.clone() }).await;
        assert!(unhappy(rang(&base), "Brightmere Foods") && !unhappy(rang(&left), "Brightmere Foods"));
        assert_eq!(near(&left, "Brightmere Foods"), None);

        let change = Change::Withdraw { purpose: "service", channel: "phone" };
        let withdrawn = told("withdrawn", &Options { changes: vec![change], ..plain.clone() }).await;
        assert_eq!(may(rang(&withdrawn), "service"), (false, "withdrawn".into()));
        assert_eq!(may(rang(&withdrawn), "marketing"), may(rang(&base), "marketing"));
        assert_eq!(withdrawn.aftermath.state, "accepted");

        // Whoever took the consent back is not invited; the answer earns all the same.
        let change = Change::Withdraw { purpose: "advocacy", channel: "email" };
        let silent = told("silent", &Options { changes: vec![change], ..plain.clone() }).await;
        assert_eq!(
            (silent.aftermath.state.as_str(), silent.aftermath.gate.as_str()),
            ("suppressed", "consent withdrawn")
        );
        assert_eq!(silent.aftermath.earned.len(), 1);
        assert_eq!(silent.context_after.members[0].of("points"), 95);
        assert_eq!(silent.context_after.members[0].of("thanks"), 0);

        // Other purchases: another caller, another past, another score, another value.
        let purchases = "cust,date,sales\n1,1998-02-01,5\nx,1998-02-02,70.01\nx,1998-02-20,1\nx,1998-03-01,1\n\
                         2,1998-01-01,30\n2,1998-02-01,35\n3,1997-12-10,22\n";
        let other = told("other", &options(purchases)).await;
        assert_eq!(other.caller, "x");
        assert_ne!(rang(&other).display_name, rang(&base).display_name);
        assert_ne!(other.resolved.understood, base.resolved.understood);
        assert_eq!((other.before.count("order"), other.before.spent()), (3, 72_01));
        assert_ne!(other.health_before.value_micros, base.health_before.value_micros);
        assert!(other.health_after.value_micros < other.health_before.value_micros);
        assert_ne!(rang(&other).expected_purchases, rang(&base).expected_purchases);
        assert_ne!(rang(&other).lifetime_cents, rang(&base).lifetime_cents);
        assert_eq!(rang(&other).members[0].of("points"), 72);
        sandbox.stop().await;
    }
}

/// The same facts at the same moment give the same bits for the same reasons, wherever they are; and processes that
/// know no credentials find each other as well.
#[test]
fn separate_processes_tell_the_same_story_as_one() {
    rapport_testkit::block_on(async {
        let options = options(PURCHASES);
        let mut reports = Vec::new();
        for topology in [Topology::OneProcess, Topology::Processes] {
            let sandbox = Sandbox::builder(rapport::modules).topology(topology).start().await;
            reports.push(tell(&clients(&sandbox), &options).await.0);
            sandbox.stop().await;
        }
        let lines = |explained: &Explained| -> Vec<(String, i64)> {
            explained.parts.iter().map(|part| (part.reason.clone(), part.effect_micros)).collect()
        };
        let neighbours = |report: &Report| {
            let mut near: Vec<_> =
                report.neighbours.iter().map(|n| (n.display_name.clone(), n.depth, n.health_micros)).collect();
            near.sort();
            near
        };
        let [together, apart] = &reports[..] else { panic!("two topologies") };
        assert_eq!(apart.loaded, together.loaded);
        assert_eq!(rang(apart).consents, rang(together).consents);
        assert_eq!(rang(apart).members, rang(together).members);
        assert_eq!(rang(apart).lifetime_cents, rang(together).lifetime_cents);
        assert_eq!(apart.model.as_ref().map(|m| m.log_likelihood), together.model.as_ref().map(|m| m.log_likelihood));
        assert_eq!(neighbours(apart), neighbours(together));
        assert_eq!(lines(&apart.health_before), lines(&together.health_before));
        assert_eq!(lines(&apart.health_after), lines(&together.health_after));
    });
}
