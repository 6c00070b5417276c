//! SQLite finds rows by the indexes that were made for them, from the first day on and whatever the file holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rapport_store::Store;
use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::plan::query_plan;
use rapport_types::id::World;

#[test]
fn every_hot_statement_searches_its_index() {
    block_on(async {
        let place = StorePlace::sqlite();
        let migrations = rapport_stakeholders::module().migrations();
        let store = Store::open(&place.options(), "stakeholders", migrations, World::system()).await.unwrap();
        for (statement, wanted) in [
            (
                "SELECT * FROM party WHERE (tenant, id) IN (VALUES (?, ?), (?, ?))",
                "SEARCH party USING PRIMARY KEY (tenant=? AND id=?)",
            ),
            (
                "SELECT * FROM party_identifier WHERE source = ? AND (tenant, party_id) IN (VALUES (?, ?), (?, ?))",
                "party_identifier_by_party (tenant=? AND party_id=? AND source=?)",
            ),
            (
                "DELETE FROM party_identifier WHERE source = ? AND (tenant, party_id) IN (VALUES (?, ?), (?, ?))",
                "party_identifier_by_party (tenant=? AND party_id=? AND source=?)",
            ),
            (
                "SELECT party_id FROM party_identifier WHERE strength = 'unique' AND (tenant, scheme, value) IN \
                 (VALUES (?, ?, ?), (?, ?, ?))",
                "party_identifier_unique (tenant=? AND scheme=? AND value=?)",
            ),
            (
                "SELECT * FROM party_identifier WHERE tenant = ? AND scheme = ? AND value = ? \
                 ORDER BY party_id, source LIMIT 0 + ?",
                "PRIMARY KEY (tenant=? AND scheme=? AND value=?)",
            ),
            (
                "SELECT v.tenant, (SELECT p.party_id FROM party_identifier AS p WHERE p.tenant = v.tenant \
                 AND p.scheme = v.scheme AND p.value = v.value AND p.source = 'claim' ORDER BY p.party_id LIMIT 1) AS first, \
                 (SELECT p.party_id FROM party_identifier AS p WHERE p.tenant = v.tenant AND p.scheme = v.scheme \
                 AND p.value = v.value AND p.source = 'claim' ORDER BY p.party_id DESC LIMIT 1) AS last FROM (SELECT column1 \
                 AS tenant, column2 AS scheme, column3 AS value FROM (VALUES (?, ?, ?), (?, ?, ?)) WHERE true LIMIT 0 + ?) AS v",
                "SEARCH p USING PRIMARY KEY (tenant=? AND scheme=? AND value=?)",
            ),
            (
                "SELECT * FROM party_role WHERE (tenant, party_id) IN (VALUES (?, ?), (?, ?))",
                "PRIMARY KEY (tenant=? AND party_id=?)",
            ),
            (
                "SELECT * FROM relationship WHERE (tenant, from_party, to_party) IN (VALUES (?, ?, ?), (?, ?, ?))",
                "relationship_between (tenant=? AND from_party=? AND to_party=?)",
            ),
            (
                "SELECT * FROM relationship WHERE tenant = ? AND from_party = ? AND valid_from <= ? AND valid_until > ? \
                 ORDER BY weight DESC, id LIMIT 0 + ?",
                "relationship_from (tenant=? AND from_party=?)",
            ),
            (
                "SELECT * FROM relationship WHERE tenant = ? AND to_party = ? AND relationship_type = ? \
                 AND valid_from <= ? AND valid_until > ? ORDER BY weight DESC, id LIMIT 0 + ?",
                "relationship_to_typed (tenant=? AND to_party=? AND relationship_type=?)",
            ),
            (
                "SELECT * FROM party p WHERE p.tenant = ? AND (p.display_key, p.id) > (?, ?) \
                 ORDER BY p.display_key, p.id LIMIT 0 + ?",
                "party_by_name (tenant=? AND (display_key,id)>(?,?))",
            ),
            (
                "SELECT * FROM consent WHERE tenant = ? AND party_id = ? AND recorded_at <= ? ORDER BY id",
                "PRIMARY KEY (tenant=? AND party_id=?)",
            ),
        ] {
            let plan = query_plan(&store, statement).await;
            assert!(plan.contains(wanted), "{statement}\nwants {wanted}\nhas {plan}");
            assert!(!plan.contains("USE TEMP B-TREE"), "{statement}\nsorts: {plan}");
        }
        store.close().await;
    });
}
