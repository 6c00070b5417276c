//! The whole story while its processes are killed one after the other: every event is applied once all the same, and
//! the books are at zero.

use std::io;
use std::time::{Duration, Instant};

use rapport::demo::card::Card;
use rapport::demo::clients::{Clients, Ways};
use rapport::demo::purchases::Purchases;
use rapport::demo::report::Report;
use rapport::demo::screen::Show;
use rapport::demo::story::{self, Options};
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::member_service_client::MemberServiceClient;
use rapport_proto::loyalty::v1::program_service_client::ProgramServiceClient;
use rapport_proto::loyalty::v1::{GetBalancesRequest, ListEntriesRequest, ListMembersRequest, ListProgramsRequest};
use rapport_rpc::Transport;
use rapport_testkit::asserts::Bearer;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use rapport_types::id::World;
use tokio::sync::mpsc;

const PURCHASES: &str = "cust,date,sales\n7,1998-01-03,20.00\n7,1998-02-03,11.50\n7,1998-03-01,9.99\n7,1998-03-01,5\n\
                         8,1998-02-14,31.20\n9,1997-12-24,15.00\n10,1997-11-02,12\n10,1998-01-20,14\n";
/// What the caller's purchases and her answer to the survey come to.
const POINTS: i64 = 20 + 11 + 9 + 5 + 50;

/// How long it may take until all services hear each other again.
const REUNION: Duration = Duration::from_secs(30);

/// Tells when each card of the story is shown.
struct Moments(mpsc::UnboundedSender<()>);

impl Show for Moments {
    fn card(&mut self, _card: &Card) -> io::Result<()> {
        self.0.send(()).map_err(|_| io::Error::other("nobody listens"))
    }

    fn say(&mut self, _text: &str) -> io::Result<()> {
        Ok(())
    }

    fn lines(&mut self, _lines: &[String]) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _task: &'static str, _done: usize, _total: usize) {}
}

fn clients(sandbox: &Sandbox, token: &str) -> Clients {
    let way = |service: &str| Transport::channel(sandbox.channel(service));
    let ways = Ways {
        stakeholders: way("stakeholders"),
        interactions: way("interactions"),
        scoring: way("scoring"),
        loyalty: way("loyalty"),
    };
    Clients::new(ways).with_token(token)
}

async fn tell(clients: Clients, options: Options, moments: mpsc::UnboundedSender<()>) -> Report {
    story::run(&clients, &options, &mut Moments(moments)).await.expect("the story is told")
}

/// Kills a process and starts it again, another one each time.
async fn kill(sandbox: &mut Sandbox, nth: usize) {
    let service = rapport::SERVICES[nth % rapport::SERVICES.len()];
    sandbox.kill_9(service).await;
    sandbox.restart(service).await;
}

/// The story once more, when whoever was killed last is heard by all again: until then contexts say who is not.
async fn tell_in_peace(clients: &Clients, options: &Options) -> Report {
    let begun = Instant::now();
    loop {
        let (moments, _shown) = mpsc::unbounded_channel();
        let again = tell(clients.clone(), options.clone(), moments).await;
        let not_fresh = &again.context_after.not_fresh;
        if not_fresh.is_empty() {
            return again;
        }
        assert!(begun.elapsed() < REUNION, "still not fresh: {not_fresh:?}");
    }
}

/// The legs of every entry sum to zero, and each balance is the sum of its entries.
async fn assert_books(sandbox: &Sandbox, token: &str) {
    let channel = sandbox.channel("loyalty");
    let mut programs = ProgramServiceClient::with_interceptor(channel.clone(), Bearer::new(token));
    let mut members = MemberServiceClient::with_interceptor(channel.clone(), Bearer::new(token));
    let mut ledger = LedgerServiceClient::with_interceptor(channel, Bearer::new(token));
    let there =
        programs.list_programs(ListProgramsRequest::default()).await.expect("programmes are listed").into_inner();
    assert_eq!(there.programs.len(), 1, "founded once");
    let program = there.programs[0].name.clone();
    let everybody = ListMembersRequest { program, page_size: 500, ..Default::default() };
    let everybody = members.list_members(everybody).await.expect("members are listed").into_inner().members;
    assert!(everybody.len() >= 2, "vacuous: {everybody:?}");
    for member in everybody {
        let entries = ListEntriesRequest { member: member.name.clone(), page_size: 500, ..Default::default() };
        let entries = ledger.list_entries(entries).await.expect("entries are listed").into_inner().entries;
        for entry in &entries {
            assert_eq!(entry.legs.iter().map(|leg| leg.amount).sum::<i64>(), 0, "{entry:?}");
        }
        let balances = GetBalancesRequest { name: member.name, ..Default::default() };
        let balances = ledger.get_balances(balances).await.expect("balances are given").into_inner().balances;
        for balance in balances {
            let of_unit = entries.iter().filter(|entry| entry.unit_type == balance.unit_type);
            let sum: i64 = of_unit.map(|entry| entry.new_balance - entry.previous_balance).sum();
            assert_eq!(balance.available + balance.pending, sum, "{balance:?}");
        }
    }
}

rapport_testkit::each_store! {
    async fn fault_the_story_survives_the_death_of_each_process(place: StorePlace) {
        let runs: usize = size::pick(1, 8);
        let token = |run: usize| format!("token-of-tenant-{run:04}");
        let mut sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Processes);
        for run in 0..runs {
            sandbox = sandbox.token(&token(run), &format!("tenant-{run}"), "users/mara", &["admin"]);
        }
        let mut sandbox = sandbox.start().await;
        let purchases = Purchases::parse("test.csv", PURCHASES.as_bytes()).expect("purchases");
        let options = Options::new(purchases, World::system().now().as_micros());
        for run in 0..runs {
            let (moments, mut shown) = mpsc::unbounded_channel();
            let telling = tell(clients(&sandbox, &token(run)), options.clone(), moments);
            // One process after the other without pause: at a card, or at a moment that no step chooses.
            let killing = async {
                let (mut kills, mut amid) = (0, 0);
                loop {
                    let moment = Duration::from_millis((kills as u64 * 37 + run as u64 * 53) % 20);
                    tokio::select! {
                        biased;
                        card = shown.recv() => if card.is_none() { break },
                        () = tokio::time::sleep(moment) => amid += 1,
                    }
                    kill(&mut sandbox, kills + run).await;
                    kills += 1;
                }
                (kills, amid)
            };
            let (report, (kills, amid)) = tokio::join!(telling, killing);
            println!("{kills} kills, {amid} of them between two cards");
            assert!(kills >= 10 && amid >= 3, "vacuous: only {kills} kills, {amid} of them between two cards");

            // Told again in peace: nothing was lost, nothing is there twice.
            let again = tell_in_peace(&clients(&sandbox, &token(run)), &options).await;
            assert!(again.replayed && again.loaded.found_complete(), "{:?}", again.loaded);
            assert_eq!(again.aftermath, report.aftermath);
            assert_eq!(again.health_after, report.health_after);
            assert_eq!(again.after, report.after);
            assert_eq!(again.case.interactions, std::slice::from_ref(&again.complaint));
            assert_eq!(again.context_after.members[0].of("points"), POINTS);
            assert_eq!(again.context_after.last.iter().filter(|row| row.kind == "survey-response").count(), 1);
            assert_books(&sandbox, &token(run)).await;
        }
        sandbox.stop().await;
    }
}
