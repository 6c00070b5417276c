//! Sealed columns, keys that can be destroyed, blind indexes, page tokens.

use std::sync::Arc;

use rapport_store::sea_orm::ConnectionTrait;
use rapport_store::{Binding, Outbox, StoreError, Subject, Tx, Work};
use rapport_types::Uuid;
use rapport_types::error::Kind;
use rapport_types::reason;

use crate::bed::Bed;
use crate::toy::tenant;

crate::on_both_stores!(sealed_until_the_key_is_destroyed, replicas_seal_with_the_same_keys, page_tokens, blind_indexes);
crate::on_postgres!(a_key_that_the_database_lost_seals_nothing_more);

struct Seal {
    subjects: Vec<Subject>,
    destroy: bool,
}

#[async_trait::async_trait]
impl Work for Seal {
    type Output = Vec<Vec<u8>>;

    async fn run(&self, tx: &Tx, _out: &mut Outbox) -> Result<Self::Output, StoreError> {
        let keys = tx.keys(&self.subjects).await?;
        let again = tx.keys(&self.subjects).await?;
        let mut sealed = Vec::new();
        for subject in &self.subjects {
            let bytes = keys.seal(subject, "note", b"secret")?;
            assert_eq!(again.unseal(subject, "note", &bytes)?.unwrap(), b"secret");
            sealed.push(bytes);
        }
        if self.destroy {
            tx.destroy_keys(&self.subjects).await?;
        }
        Ok(sealed)
    }
}

fn seal(subjects: &[Subject]) -> Seal {
    Seal { subjects: subjects.to_vec(), destroy: false }
}

async fn sealed_until_the_key_is_destroyed(bed: Arc<Bed>) {
    let store = bed.store().await;
    let ana = Subject::of(&tenant("acme"), Uuid::now_v7());
    let ben = Subject::of(&tenant("acme"), Uuid::now_v7());
    let both = [ana.clone(), ben.clone()];
    let sealed = store.run(seal(&both)).await.unwrap().reply;
    assert_eq!(store.unseal(&ana, "note", &sealed[0]).await.unwrap().unwrap(), b"secret");
    // under another field, another subject, another tenant it does not open
    assert!(store.unseal(&ana, "name", &sealed[0]).await.is_err());
    assert!(store.unseal(&ben, "note", &sealed[0]).await.is_err());
    let elsewhere = Subject::of(&tenant("other"), ana.id);
    assert_eq!(store.unseal(&elsewhere, "note", &sealed[0]).await.unwrap(), None);
    store.close().await;

    let store = bed.store().await;
    let many = [(ben.clone(), sealed[1].clone()), (ana.clone(), sealed[0].clone())];
    let opened = store.unseal_many("note", &many).await.unwrap();
    assert!(opened.iter().all(|plain| plain.as_deref() == Some(b"secret".as_slice())));

    let destroy = Seal { subjects: vec![ana.clone()], destroy: true };
    let last = store.run(destroy).await.unwrap().reply;
    assert_eq!(store.unseal(&ana, "note", &sealed[0]).await.unwrap(), None);
    assert_eq!(store.unseal(&ana, "note", &last[0]).await.unwrap(), None);
    assert!(store.unseal(&ben, "note", &sealed[1]).await.unwrap().is_some());
    let error = store.run(seal(std::slice::from_ref(&ana))).await.unwrap_err();
    assert_eq!(error.reason, reason::ERASED);
    store.close().await;

    let store = bed.store().await;
    assert_eq!(store.unseal(&ana, "note", &sealed[0]).await.unwrap(), None);
    assert!(store.run(seal(&[ana])).await.is_err());
}

async fn replicas_seal_with_the_same_keys(bed: Arc<Bed>) {
    let stores = bed.replicas(2).await;
    let mut calls = Vec::new();
    let subjects: Vec<_> = (0..10).map(|_| Subject::of(&tenant("acme"), Uuid::now_v7())).collect();
    for n in 0..20 {
        let store = stores[n % stores.len()].clone();
        let mut some = subjects.clone();
        if n % 2 == 0 {
            some.reverse();
        }
        calls.push(tokio::spawn(async move { (some.clone(), store.run(seal(&some)).await.unwrap().reply) }));
    }
    for call in calls {
        let (subjects, sealed) = call.await.unwrap();
        for (subject, bytes) in subjects.iter().zip(sealed) {
            for store in &stores {
                assert_eq!(store.unseal(subject, "note", &bytes).await.unwrap().unwrap(), b"secret");
            }
        }
    }
}

async fn a_key_that_the_database_lost_seals_nothing_more(bed: Arc<Bed>) {
    let stores = bed.replicas(2).await;
    let ana = Subject::of(&tenant("acme"), Uuid::now_v7());
    let sealed = stores[0].run(seal(std::slice::from_ref(&ana))).await.unwrap().reply;
    assert!(stores[1].unseal(&ana, "note", &sealed[0]).await.unwrap().is_some(), "both know the key");
    // What a crash does to a commit that was not flushed: it takes the row, and every connection.
    let outside = bed.outside().await;
    outside
        .execute_unprepared(
            "DELETE FROM subject_key; SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity \
             WHERE application_name = 'rapport' AND datname = current_database()",
        )
        .await
        .unwrap();
    let sealed = stores[0].run(seal(std::slice::from_ref(&ana))).await.unwrap().reply;
    for store in [&bed.store().await, &stores[1]] {
        // Whoever has the bytes has read them, on a connection that was not cut.
        while let Err(error) = store.ready().await {
            assert_eq!(error.kind, Kind::Unavailable, "{error:?}");
        }
        let opened = store.unseal(&ana, "note", &sealed[0]).await.unwrap();
        assert_eq!(opened.expect("the key is in the database"), b"secret");
    }
}

async fn page_tokens(bed: Arc<Bed>) {
    let store = bed.store().await;
    let here = Binding::new(&tenant("acme"), "List", "", "");
    let there = Binding::new(&tenant("other"), "List", "", "");
    let token = store.pages().seal(&here, &7_i64).unwrap();
    assert_eq!(store.pages().open::<i64>(&here, &token).unwrap(), Some(7));
    for error in [
        store.pages().open::<i64>(&there, &token).unwrap_err(),
        store.pages().open::<i64>(&here, "forged").unwrap_err(),
    ] {
        assert_eq!(error.violations[0].reason, reason::INVALID_PAGE_TOKEN);
        assert_eq!(error.violations[0].field, "page_token");
    }
    store.close().await;
    let store = bed.store().await;
    assert_eq!(store.pages().open::<i64>(&here, &token).unwrap(), Some(7), "a restart forgets no page");
}

async fn blind_indexes(bed: Arc<Bed>) {
    let store = bed.store().await;
    let one = store.blind(&tenant("acme"), "identifier", "phone|+49301234567");
    assert_ne!(one, store.blind(&tenant("other"), "identifier", "phone|+49301234567"));
    store.close().await;
    let store = bed.store().await;
    assert_eq!(one, store.blind(&tenant("acme"), "identifier", "phone|+49301234567"));
}
