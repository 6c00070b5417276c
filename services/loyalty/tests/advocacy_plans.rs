//! SQLite finds invitations and what bears on them by the indexes that were made for them, whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::World;

/// The statements of `store`, written out: the same tables, keys and orders, fewer columns. A statement that is changed
/// there is to be changed here too. Each with what its plan has to say.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "SELECT id FROM invitation WHERE (tenant, id) IN (VALUES (?, ?), (?, ?))",
        "sqlite_autoindex_invitation_1 (tenant=? AND id=?)",
    ),
    (
        "SELECT id FROM invitation WHERE (tenant, response_id) IN (VALUES (?, ?), (?, ?))",
        "invitation_by_response (tenant=? AND response_id=?)",
    ),
    (
        "SELECT tenant, origin, id, sent_at FROM invitation WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?)) \
         AND sent_at > ?",
        "invitation_by_origin (tenant=? AND origin=?)",
    ),
    (
        "SELECT id FROM invitation WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT 0 + ?",
        "sqlite_autoindex_invitation_1",
    ),
    (
        "SELECT id FROM invitation WHERE tenant = ? AND (origin) IN (VALUES (?)) ORDER BY id DESC LIMIT 0 + ?",
        "invitation_by_origin (tenant=? AND origin=?)",
    ),
    (
        "SELECT id FROM invitation WHERE state = ? AND timer_at <= ? ORDER BY timer_at, tenant, id LIMIT 0 + ?",
        "invitation_by_timer (timer_at<?)",
    ),
    (
        "SELECT id FROM invitation WHERE state = ? AND timer_at <= ? AND (timer_at, tenant, id) > (?, ?, ?) \
         ORDER BY timer_at, tenant, id LIMIT 0 + ?",
        "invitation_by_timer (timer_at>? AND timer_at<?)",
    ),
    (
        "SELECT state, gate, COUNT(*) FROM invitation WHERE tenant = ? AND created_at >= ? AND created_at < ? \
         GROUP BY state, gate",
        "invitation_by_time (tenant=? AND created_at>? AND created_at<?)",
    ),
    (
        "SELECT tenant, origin, party FROM alias WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH alias USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT tenant, origin, party FROM alias WHERE (tenant, party) IN (VALUES (?, ?), (?, ?))",
        "alias_by_party (tenant=? AND party=?)",
    ),
    (
        "SELECT tenant, case_id FROM complaint WHERE (tenant, case_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH complaint USING PRIMARY KEY (tenant=? AND case_id=?)",
    ),
    (
        "SELECT case_id FROM complaint WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?)) AND open",
        "complaint_by_origin (tenant=? AND origin=?)",
    ),
    (
        "DELETE FROM advocacy WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "advocacy_by_interaction (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT source FROM unclaimed WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH unclaimed USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "DELETE FROM unclaimed WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH unclaimed USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT DISTINCT tenant, trigger_kind, trigger_word FROM earning_rule WHERE (tenant) IN (VALUES (?), (?))",
        "SEARCH earning_rule USING PRIMARY KEY (tenant=?)",
    ),
    (
        "DELETE FROM unclaimed WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "unclaimed_by_interaction (tenant=? AND interaction_id=?)",
    ),
];

#[test]
fn every_statement_searches_its_index() {
    block_on(async {
        let place = StorePlace::sqlite();
        let migrations = rapport_loyalty::module().migrations();
        let store = Store::open(&place.options(), "loyalty", migrations, World::system()).await.unwrap();
        for (statement, wanted) in STATEMENTS {
            let plan = query_plan(&store, statement).await;
            assert!(plan.contains(wanted), "{statement}\nwants {wanted}\nhas {plan}");
        }
        store.close().await;
    });
}
