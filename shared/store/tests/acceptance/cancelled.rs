//! Callers that leave: nothing acknowledged is lost, nothing is doubled, no session stays in a transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rapport_store::Sql;
use rapport_types::Uuid;

use crate::bed::{self, Bed};
use crate::toy::{self, deposit, scope};

crate::on_both_stores!(callers_that_leave_change_nothing);

async fn callers_that_leave_change_nothing(bed: Arc<Bed>) {
    let store = bed.store().await;
    let accounts: Arc<Vec<Uuid>> = Arc::new((0..50).map(|_| Uuid::now_v7()).collect());
    let mut callers = Vec::new();
    for caller in 0..32_usize {
        let (store, accounts) = (store.clone(), accounts.clone());
        callers.push(tokio::spawn(async move {
            let mut calls = Vec::new();
            for n in 0..80 * bed::size() {
                let (id, account) = (Uuid::new_v4(), accounts[(caller * 7 + n * 13) % accounts.len()]);
                // Most leave after 0 to 5 ms; one in four stays, so that there is something to lose on a slow machine too.
                let patience = match n % 4 {
                    0 => Duration::from_secs(30),
                    _ => Duration::from_micros(((caller * 977 + n * 613) % 5000) as u64),
                };
                let call = store.submit(scope(Some(id)), deposit(account, 1));
                let answer = tokio::time::timeout(patience, call).await;
                calls.push((id, account, answer.ok().map(|answer| answer.unwrap().reply)));
                // Who leaves and asks anew at once only makes a queue in which nobody is answered in time.
                while store.stats().open > 32 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            calls
        }));
    }
    let mut calls = Vec::new();
    for caller in callers {
        calls.extend(caller.await.unwrap());
    }
    while store.stats().open > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let acknowledged = calls.iter().filter(|call| call.2.is_some()).count();
    let before = store.feed_bounds().await.unwrap().1;
    // Everybody asks again: who was acknowledged gets the same answer, who left gets the first one or a new one.
    let mut unheard = 0;
    let mut expected: BTreeMap<Uuid, i64> = BTreeMap::new();
    let asked = calls.iter().map(|(id, account, _)| (scope(Some(*id)), deposit(*account, 1)));
    let answers = store.submit_many(asked.collect()).await;
    for ((_, account, reply), again) in calls.iter().zip(answers) {
        let again = again.unwrap();
        *expected.entry(*account).or_default() += 1;
        match reply {
            Some(reply) => {
                assert!(again.replayed, "an acknowledged write was lost");
                assert_eq!(again.reply, *reply);
            }
            None => unheard += usize::from(again.replayed),
        }
    }
    let total = calls.len();
    assert!(acknowledged * 20 > total, "too few acknowledged: {acknowledged} of {total}");
    assert!(unheard * 20 > total, "too few left in flight: {unheard} of {total}");
    assert_eq!(before, (acknowledged + unheard) as i64);
    let after = store.feed_bounds().await.unwrap().1;
    assert_eq!(after, total as i64);
    let balances = toy::balances(&store).await;
    for (account, count) in expected {
        assert_eq!(balances[&account], (count, count));
    }
    if bed.is_postgres() {
        let db = store.reader();
        let sessions = Sql::new(
            db,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .one(db)
        .await
        .unwrap()
        .unwrap();
        assert_eq!(sessions.try_get_by_index::<i64>(0).unwrap(), 0);
    }
}
