//! Callers that go away: nothing acknowledged is lost, nothing is doubled, no session is left in a transaction.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_store::sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::{Code, size};
use tonic::Status;

use super::load::{self, Book};

const LEFT: &str = "left by the caller";

/// How calls ended that were not answered with a reply, and how many did.
#[derive(Default)]
struct Ends(Mutex<BTreeMap<String, usize>>);

impl Ends {
    fn left(&self) {
        self.count(LEFT.to_owned());
    }

    /// Dropping a call resets its stream. After many resets the server ends the connection, and with it the calls of others
    /// on it: their clients make up a status then, which has a cause. One that the server told has none.
    fn failed(&self, status: &Status) {
        match status.source() {
            Some(_) => self.count("broken connection".to_owned()),
            None if status.code() == Code::Cancelled => self.count("CANCELLED".to_owned()),
            None => self.count(format!("WRONG {status:?}")),
        }
    }

    fn count(&self, how: String) {
        *self.0.lock().expect("no panic").entry(how).or_default() += 1;
    }

    fn left_so_far(&self) -> usize {
        self.0.lock().expect("no panic").get(LEFT).copied().unwrap_or_default()
    }

    /// How many there were, if each was one that leaving can cause.
    fn all(&self) -> usize {
        let ends = self.0.lock().expect("no panic");
        let wrong: Vec<_> = ends.iter().filter(|(how, _)| how.starts_with("WRONG")).collect();
        assert!(wrong.is_empty(), "answers that leaving does not explain: {wrong:#?}");
        println!("{ends:?}");
        ends.values().sum()
    }
}

rapport_testkit::each_store! {
    async fn fault_cancelled_calls_lose_and_double_nothing(place: StorePlace) {
        let wanted: usize = size::pick(2_500, 100_000);
        let url = place.url().to_owned();
        let sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Child).start().await;
        let party = load::party();
        let book = Arc::new(Book::default());
        let (started, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(Ends::default()));
        let mut callers = Vec::new();
        for caller in 0..32_u64 {
            let (book, started, ends) = (Arc::clone(&book), Arc::clone(&started), Arc::clone(&ends));
            let (party, channel) = (party.clone(), sandbox.channel("interactions"));
            callers.push(tokio::spawn(async move {
                let mut client = InteractionServiceClient::new(channel);
                let mut state = 0x2545_f491_4f6c_dd1d_u64.wrapping_mul(caller + 1);
                while ends.left_so_far() < wanted && started.fetch_add(1, Ordering::Relaxed) < 2 * wanted {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    // One in eight stays, so that there is something acknowledged to lose.
                    let patience = if state.is_multiple_of(8) { Duration::from_secs(10) } else { Duration::from_micros((state >> 8) % 5_000) };
                    let request_id = book.send();
                    match tokio::time::timeout(patience, client.record_interaction(load::request(&party, request_id))).await {
                        Ok(Ok(reply)) => book.acknowledge(request_id, reply.into_inner().name),
                        // Dropping the call resets its stream: the server's handler is dropped wherever it stands.
                        Err(_) => ends.left(),
                        Ok(Err(status)) => ends.failed(&status),
                    }
                }
            }));
        }
        for caller in callers {
            caller.await.expect("a caller ends");
        }
        let (calls, cancelled) = (started.load(Ordering::Relaxed), ends.all());
        let channel = sandbox.channel("interactions");
        let audit = load::audit(&channel, &party, &book).await;
        load::feed(&channel, &audit.names).await;
        println!(
            "{calls} calls: {} acknowledged, {cancelled} cancelled, of which {} had committed in flight",
            book.acknowledged(),
            audit.unacknowledged_effects
        );
        assert!(cancelled >= wanted, "vacuous: only {cancelled} of {calls} calls were cancelled");
        assert!(audit.unacknowledged_effects >= calls / 50, "vacuous: only {} committed in flight", audit.unacknowledged_effects);
        assert!(book.acknowledged() >= calls / 50, "vacuous: only {} acknowledged", book.acknowledged());
        if url != "sqlite" {
            let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND state LIKE 'idle in transaction%'";
            let database = Database::connect(&url).await.expect("the database answers");
            let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sessions)).await;
            let left: i64 = row.expect("the query runs").expect("one row").try_get_by_index(0).expect("a count");
            assert_eq!(left, 0, "sessions left in a transaction");
            database.close().await.expect("the connection closes");
        }
        sandbox.stop().await;
    }
}
