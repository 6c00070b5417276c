//! SQLite finds rows by the indexes that were made for them, from the first day on and whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::World;

/// Each statement as `store` makes it, and what its plan has to say.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "SELECT * FROM accumulator WHERE (tenant, origin, definition, era) IN (VALUES (?, ?, ?, ?), (?, ?, ?, ?))",
        // Eras are few: whether their column is searched too makes no difference.
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=? AND definition=?",
    ),
    (
        "SELECT * FROM accumulator WHERE tenant = ? AND (origin) IN (VALUES (?), (?))",
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT DISTINCT tenant, origin FROM accumulator WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH accumulator USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT tenant, origin, party FROM alias WHERE (tenant, origin) IN (VALUES (?, ?), (?, ?))",
        "SEARCH alias USING PRIMARY KEY (tenant=? AND origin=?)",
    ),
    (
        "SELECT origin, party FROM alias WHERE tenant = ? AND origin = ? \
         UNION ALL SELECT origin, party FROM alias WHERE tenant = ? AND party = ?",
        "alias_by_party (tenant=? AND party=?)",
    ),
    (
        "SELECT * FROM contribution WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "sqlite_autoindex_contribution_1 (tenant=? AND interaction_id=?)",
    ),
    (
        "SELECT * FROM contribution WHERE tenant = ? AND definition = ? AND occurred_at <= ? \
         AND (origin) IN (VALUES (?), (?)) LIMIT 100000",
        "contribution_by_origin (tenant=? AND origin=? AND definition=? AND occurred_at<?)",
    ),
    (
        "SELECT * FROM superseded WHERE (tenant, interaction_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH superseded USING PRIMARY KEY (tenant=? AND interaction_id=?)",
    ),
];

#[test]
fn every_statement_searches_its_index() {
    block_on(async {
        let place = StorePlace::sqlite();
        let migrations = rapport_scoring::module().migrations();
        let store = Store::open(&place.options(), "scoring", migrations, World::system()).await.unwrap();
        for (statement, wanted) in STATEMENTS {
            let plan = query_plan(&store, statement).await;
            assert!(plan.contains(wanted), "{statement}\nwants {wanted}\nhas {plan}");
            assert!(!plan.contains("FOR ORDER BY"), "{statement}\nsorts: {plan}");
        }
        store.close().await;
    });
}
