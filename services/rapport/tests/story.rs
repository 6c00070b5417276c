//! The demo's story on both stores and both topologies, and that it changes when the world does: nothing in it is a
//! constant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport::demo::cast::CALLER;
use rapport::demo::clients::Clients;
use rapport::demo::purchases::Purchases;
use rapport::demo::report::{Explained, Report};
use rapport::demo::screen::Kept;
use rapport::demo::story::{self, Change, Options};
use rapport_rpc::Transport;
use rapport_testkit::each_world;
use rapport_testkit::sandbox::{Sandbox, SandboxBuilder, Topology};
use rapport_types::id::World;
use unicode_width::UnicodeWidthStr;

/// A few customers; `7` bought most and lately.
const PURCHASES: &str = "cust,date,sales\n7,1998-01-03,20.00\n7,1998-02-03,11.50\n7,1998-03-01,9.99\n7,1998-03-01,5\n\
                         8,1998-02-14,31.20\n9,1997-12-24,15.00\n";

const TOKEN: &str = "token-of-the-shop-0001";

/// A system in which the shop is one tenant of several, so that every call carries a credential.
fn guarded(sandbox: SandboxBuilder) -> SandboxBuilder {
    sandbox.token(TOKEN, "shop", "users/mara", &["admin"])
}

fn clients(sandbox: &Sandbox) -> Clients {
    let way = |service: &str| Transport::channel(sandbox.channel(service));
    Clients::new(way("stakeholders"), way("interactions"), way("scoring"))
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

fn may(report: &Report, purpose: &str, channel: &str) -> (bool, String) {
    let consents = &report.profile.consents;
    let found = consents.iter().find(|c| c.purpose == purpose && c.channel == channel).unwrap();
    (found.allowed, found.reason.clone())
}

/// What the world above says of the caller, her score and her case.
fn assert_story(report: &Report) {
    assert_eq!(report.caller, "7");
    assert_eq!(report.resolved.outcome, "matched");
    assert_eq!(report.resolved.dialled, "(201) 555-0100");
    assert_eq!(report.resolved.understood, "+12015550100");
    assert_eq!(report.resolved.reasons[0].0, "contact medium");
    assert_eq!(report.profile.roles[0].role_type, "customer");

    assert_eq!(may(report, "service", "phone"), (true, "granted".into()));
    assert_eq!(may(report, "marketing", "phone"), (false, "withdrawn".into()));
    assert_eq!(may(report, "reference", "phone"), (false, "no consent".into()));

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
}

each_world! {
    modules = rapport::modules;

    async fn the_caller_is_known_complains_and_the_relationship_suffers(sandbox: SandboxBuilder) {
        let mut sandbox = guarded(sandbox).start().await;
        let options = options(PURCHASES);
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
        let later = Options { now: options.now + 3 * 86_400_000_000, ..options };
        let (again, _) = tell(&clients(&sandbox).with_token(TOKEN), &later).await;
        assert!(again.replayed && again.loaded.found_complete(), "{:?}", again.loaded);
        let known = |report: &Report| Report { loaded: Default::default(), replayed: true, ..report.clone() };
        assert_eq!(known(&again), known(&report));
        assert_eq!(again.loaded.shift_days, report.loaded.shift_days);
        sandbox.stop().await;
    }

    async fn the_story_follows_the_world(sandbox: SandboxBuilder) {
        // Each of these is a tenant of its own: what one loads the others do not see.
        let tenants = ["plain", "parted", "withdrawn", "other"];
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

        let change = Change::Withdraw { purpose: "service", channel: "phone" };
        let withdrawn = told("withdrawn", &Options { changes: vec![change], ..plain.clone() }).await;
        assert_eq!(may(&withdrawn, "service", "phone"), (false, "withdrawn".into()));
        assert_eq!(may(&withdrawn, "marketing", "email"), may(&base, "marketing", "email"));

        // Other purchases: another caller, another past, another score.
        let purchases = "cust,date,sales\n1,1998-02-01,5\nx,1998-02-02,70.01\nx,1998-02-20,1\nx,1998-03-01,1\n";
        let other = told("other", &options(purchases)).await;
        assert_eq!(other.caller, "x");
        assert_ne!(other.profile.display_name, base.profile.display_name);
        assert_ne!(other.resolved.understood, base.resolved.understood);
        assert_eq!((other.before.count("order"), other.before.spent()), (3, 72_01));
        assert_ne!(other.health_before.value_micros, base.health_before.value_micros);
        assert!(other.health_after.value_micros < other.health_before.value_micros);
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
        assert_eq!(apart.profile.consents, together.profile.consents);
        assert_eq!(neighbours(apart), neighbours(together));
        assert_eq!(lines(&apart.health_before), lines(&together.health_before));
        assert_eq!(lines(&apart.health_after), lines(&together.health_after));
    });
}
