//! SQLite finds the ledger's rows by the indexes that were made for them, from the first day on and whatever the file
//! holds.
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
        "SELECT l.sequence, a.balance FROM (SELECT * FROM member_ledger WHERE (tenant, member_id) IN (VALUES (?, ?))) AS l \
         LEFT JOIN account AS a ON a.tenant = l.tenant AND a.member_id = l.member_id",
        "SEARCH a USING PRIMARY KEY (tenant=? AND member_id=?)",
    ),
    ("SELECT * FROM member WHERE (tenant, party) IN (VALUES (?, ?), (?, ?))", "member_party (tenant=? AND party=?)"),
    (
        "SELECT * FROM member WHERE (tenant, program_id, number) IN (VALUES (?, ?, ?))",
        "member_number (tenant=? AND program_id=? AND number=?)",
    ),
    (
        "SELECT * FROM member WHERE tenant = ? AND program_id = ? AND id > ? ORDER BY id LIMIT 0 + ?",
        "member_program (tenant=? AND program_id=? AND id>?)",
    ),
    (
        "SELECT * FROM lot WHERE remaining > 0 AND (tenant, member_id) IN (VALUES (?, ?), (?, ?))",
        "(tenant=? AND member_id=?)",
    ),
    (
        "SELECT * FROM lot WHERE remaining > 0 AND tenant = ? AND member_id = ? ORDER BY expires_at, earned_at, id",
        "(tenant=? AND member_id=?)",
    ),
    (
        "SELECT * FROM lot WHERE tenant = ? AND member_id = ? AND (expires_at, earned_at, id) > (?, ?, ?) \
         ORDER BY expires_at, earned_at, id LIMIT 0 + ?",
        "SEARCH lot USING PRIMARY KEY (tenant=? AND member_id=? AND (expires_at",
    ),
    // What was earned by a source that was somebody else's: rare, and in one member's journal.
    (
        "SELECT * FROM entry WHERE (tenant, member_id, transaction_id) IN (VALUES (?, ?, ?), (?, ?, ?))",
        "SEARCH entry USING PRIMARY KEY (tenant=? AND member_id=?)",
    ),
    (
        "DELETE FROM earned_by WHERE (tenant, source, member_id, rule_id) IN (VALUES (?, ?, ?, ?), (?, ?, ?, ?))",
        "SEARCH earned_by USING PRIMARY KEY (tenant=? AND source=? AND member_id=?)",
    ),
    (
        "SELECT * FROM entry WHERE tenant = ? AND member_id = ? AND sequence < ? ORDER BY sequence DESC LIMIT 0 + ?",
        "SEARCH entry USING PRIMARY KEY (tenant=? AND member_id=? AND sequence<?)",
    ),
    (
        "SELECT lot_id, amount FROM lot_use WHERE tenant = ? AND member_id = ? AND effective_at > ?",
        "SEARCH lot_use USING PRIMARY KEY (tenant=? AND member_id=? AND effective_at>?)",
    ),
    (
        "SELECT * FROM earned_by WHERE (tenant, source, member_id, rule_id) IN (VALUES (?, ?, ?, ?))",
        "SEARCH earned_by USING PRIMARY KEY (tenant=? AND source=?",
    ),
    (
        "SELECT month, units FROM earned_month WHERE tenant = ? AND member_id = ? AND unit_type_id = ?",
        "SEARCH earned_month USING PRIMARY KEY (tenant=? AND member_id=? AND unit_type_id=?)",
    ),
    (
        "SELECT unit_type_id, month, units FROM earned_month WHERE (tenant, member_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH earned_month USING PRIMARY KEY (tenant=? AND member_id=?)",
    ),
    (
        "SELECT CASE WHEN e.rule_id IS NOT NULL AND e.kind = 2 THEN COALESCE((SELECT MAX(a.effective_at) FROM entry AS a \
         WHERE a.tenant = e.tenant AND a.member_id = e.member_id AND a.kind = 1 AND a.rule_id = e.rule_id \
         AND a.source = e.source), e.effective_at) ELSE e.effective_at END AS effective_at, e.amount FROM entry AS e \
         WHERE e.tenant = ? AND e.member_id = ? AND e.unit_type_id = ? AND e.kind <> ? AND e.effective_at <= ?",
        "SEARCH e USING PRIMARY KEY (tenant=? AND member_id=?)",
    ),
    (
        "SELECT tenant, id, version FROM program WHERE (tenant, id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH program USING PRIMARY KEY (tenant=? AND id=?)",
    ),
    (
        "SELECT * FROM earning_rule WHERE (tenant, program_id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH earning_rule USING PRIMARY KEY (tenant=? AND program_id=?)",
    ),
    (
        "SELECT * FROM member WHERE (tenant, id) IN (VALUES (?, ?), (?, ?))",
        "SEARCH member USING PRIMARY KEY (tenant=? AND id=?)",
    ),
    (
        "SELECT tenant, member_id FROM account WHERE next_expires_at <= ? ORDER BY next_expires_at LIMIT 0 + ?",
        "account_due (next_expires_at<?)",
    ),
    (
        "SELECT tenant, member_id FROM member_ledger WHERE tier_until <= ? ORDER BY tier_until LIMIT 0 + ?",
        "member_ledger_due (tier_until<?)",
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
            assert!(!plan.contains("FOR ORDER BY"), "{statement}\nsorts: {plan}");
        }
        store.close().await;
    });
}
