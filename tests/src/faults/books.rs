//! The ledger under `kill -9`: what was acknowledged is there once, and the books are at zero.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use rapport_proto::loyalty::v1::ledger_service_client::LedgerServiceClient;
use rapport_proto::loyalty::v1::{
    Account, AdjustBalanceRequest, Entry, GetBalancesRequest, ListEntriesRequest, PostAccrualRequest,
};
use rapport_testkit::asserts::{Bearer, is_replayed};
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_testkit::size;
use tonic::transport::Channel;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::club;
use crate::examples::Club;

const TOKEN: &str = "token-of-the-books";

/// The requests that were sent: how much each gives or takes, and the transaction that was acknowledged for it.
type Sent = Mutex<BTreeMap<Uuid, (i64, Option<String>)>>;

fn client(channel: Channel) -> LedgerServiceClient<tonic::service::interceptor::InterceptedService<Channel, Bearer>> {
    LedgerServiceClient::with_interceptor(channel, Bearer::new(TOKEN))
}

/// Gives or takes under a request id; the transaction, and whether it was there before.
async fn post(channel: Channel, club: &Club, id: Uuid, amount: i64) -> Result<(String, bool), Status> {
    let (member, unit_type, request_id) = (club.member.clone(), club.points.clone(), id.to_string());
    let mut ledger = client(channel);
    let answer = if amount > 0 {
        ledger.post_accrual(PostAccrualRequest { member, unit_type, amount, request_id, ..Default::default() }).await?
    } else {
        let reason = "a test".to_owned();
        ledger
            .adjust_balance(AdjustBalanceRequest {
                member,
                unit_type,
                amount,
                request_id,
                reason,
                ..Default::default()
            })
            .await?
    };
    let replayed = is_replayed(answer.metadata());
    Ok((answer.into_inner().name, replayed))
}

/// Posts until the server is gone.
async fn post_until_killed(channel: Channel, clubs: Arc<Vec<Club>>, sent: Arc<Sent>, caller: usize) {
    for n in caller.. {
        let id = Uuid::now_v7();
        // Three are given for each two that are taken, so that there is always something to take, and not always enough.
        let amount = if n % 2 == 0 { 3 } else { -2 };
        sent.lock().unwrap().insert(id, (amount, None));
        match post(channel.clone(), &clubs[n % clubs.len()], id, amount).await {
            Ok((name, _)) => {
                sent.lock().unwrap().insert(id, (amount, Some(name)));
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                sent.lock().unwrap().remove(&id);
            }
            Err(_) => return,
        }
    }
}

async fn journal(channel: &Channel, club: &Club) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            ListEntriesRequest { member: club.member.clone(), page_size: 500, page_token, ..Default::default() };
        let page = client(channel.clone()).list_entries(request).await.expect("the journal is read").into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

async fn answers(channel: &Channel, club: &Club) {
    let request = GetBalancesRequest { name: club.member.clone(), ..Default::default() };
    let answered = async {
        while client(channel.clone()).get_balances(request.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it answers again");
}

rapport_testkit::each_store! {
    async fn fault_kill_9_while_posting_leaves_the_books_at_zero(place: StorePlace) {
        let mut sandbox = Sandbox::builder(rapport::modules)
            .place(place)
            .topology(Topology::Child)
            .token(TOKEN, "acme", "users/ana", &["admin"])
            .start()
            .await;
        let mut clubs = Vec::new();
        for _ in 0..3 {
            let party = format!("parties/{}", Uuid::now_v7());
            clubs.push(club::make(sandbox.channel("loyalty"), Bearer::new(TOKEN), &party).await);
        }
        let clubs = Arc::new(clubs);
        let sent: Arc<Sent> = Arc::default();
        let kills: usize = size::pick(6, 300);
        for kill in 0..kills {
            let acknowledged = |sent: &Sent| sent.lock().unwrap().values().filter(|(_, name)| name.is_some()).count();
            let enough = acknowledged(&sent) + 20 + (kill * 37) % 150;
            let callers: Vec<_> = (0..24)
                .map(|caller| {
                    let (channel, clubs, sent) = (sandbox.channel("loyalty"), Arc::clone(&clubs), Arc::clone(&sent));
                    tokio::spawn(post_until_killed(channel, clubs, sent, caller))
                })
                .collect();
            while acknowledged(&sent) < enough {
                tokio::task::yield_now().await;
            }
            sandbox.kill_9("loyalty").await;
            for caller in callers {
                caller.await.expect("a caller ends when its server is gone");
            }
            sandbox.restart("loyalty").await;
            answers(&sandbox.channel("loyalty"), &clubs[0]).await;
        }

        let channel = sandbox.channel("loyalty");
        let journals = join_all(clubs.iter().map(|club| journal(&channel, club))).await;
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        for (club, entries) in clubs.iter().zip(&journals) {
            let mut held: BTreeMap<i32, i64> = BTreeMap::new();
            let mut balance = 0;
            for entry in entries.iter().rev() {
                assert_eq!(entry.legs.iter().map(|leg| leg.amount).sum::<i64>(), 0);
                for leg in &entry.legs {
                    *held.entry(leg.account).or_default() += leg.amount;
                }
                assert_eq!(entry.previous_balance, balance, "no row is missing and none is there twice");
                balance = entry.new_balance;
                assert!(balance >= 0);
                *kept.entry(entry.transaction.clone()).or_default() += 1;
            }
            assert_eq!(held.values().sum::<i64>(), 0, "the books are at zero");
            let request = GetBalancesRequest { name: club.member.clone(), ..Default::default() };
            let told = client(channel.clone()).get_balances(request).await.expect("told").into_inner();
            let points = told.balances.iter().find(|one| one.unit_type == club.points).expect("points");
            assert_eq!((points.available, held[&i32::from(Account::Member)]), (balance, balance));
        }
        assert!(kept.values().all(|times| *times == 1), "a transaction is one row");

        // Acknowledged postings are there; sent again, each gives its first answer.
        let all: Vec<(Uuid, (i64, Option<String>))> =
            sent.lock().unwrap().iter().map(|(id, what)| (*id, what.clone())).collect();
        let mut open = 0;
        for (_, (_, name)) in &all {
            match name {
                Some(name) => assert!(kept.contains_key(name), "{name} was acknowledged and is lost"),
                None => open += 1,
            }
        }
        for (id, (amount, name)) in all.iter().filter(|(_, (_, name))| name.is_some()).step_by(7) {
            // Whose it was does not matter to who asks: a wrong member would be another request.
            let mut found = None;
            for club in clubs.iter() {
                if let Ok((again, replayed)) = post(channel.clone(), club, *id, *amount).await {
                    found = Some((again, replayed));
                    break;
                }
            }
            assert_eq!(found, name.clone().map(|name| (name, true)));
        }
        println!("{kills} kills: {} acknowledged, {open} left open by a kill", all.len() - open);
        assert!(open >= kills, "vacuous: no call was open when the process was killed");
        sandbox.stop().await;
    }
}
