//! `rapport import` of parties and interactions against 1000-row INSERTs of the same rows.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use rapport_store::Rows;
use rapport_store::sea_orm::{DatabaseConnection, TransactionTrait as _, Value};
use rapport_testkit::sandbox::rapport_binary;
use uuid::Uuid;

use crate::host::{Host, Side};
use crate::naive::connect;
use crate::raw;
use crate::write::{place, shape_of, store};
use crate::{Plan, median};

const ROWS: usize = 1000;

/// The real binary imports a file; then the rows that this made are inserted into the same tables of another database.
pub(crate) async fn measure(plan: &Plan, rows: usize, admin: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut imported, mut inserted, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let (mut recorded, mut raw_recorded) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let ours = Host::start(Side::Parties, place(admin).await).await;
        let file = folder.path().join("parties.csv");
        std::fs::write(&file, parties(rows)).unwrap();
        imported.push(import("parties", &file, &ours.address, rows).await);
        again.push(import("parties", &file, &ours.address, rows).await);
        let left = Left::by(&ours).await;
        let other = Host::start(Side::Parties, place(admin).await).await;
        let database = connect(&other.place().data().join("all"), other.place().url(), "stakeholders").await;
        inserted.push(timed(rows, insert(&database, &left, rows)).await);

        let ours = Host::start(Side::Ours, place(admin).await).await;
        let file = folder.path().join("interactions.csv");
        std::fs::write(&file, interactions(rows)).unwrap();
        recorded.push(import("interactions", &file, &ours.address, rows).await);
        let shape = shape_of(&ours).await.named();
        let other = Host::start(Side::Naive, place(admin).await).await;
        let database = connect(&other.place().data().join("all"), other.place().url(), "interactions").await;
        raw_recorded.push(timed(rows, raw::fill(&database, shape, rows)).await);
    }
    let (parties, raw_parties, again) = (median(imported), median(inserted), median(again));
    let (contacts, raw_contacts) = (median(recorded), median(raw_recorded));
    println!(
        "\nrapport import of {rows} rows, start of the program included, {}: parties {parties:.0} rows/s, raw 1000-row INSERT \
         {raw_parties:.0} rows/s, ratio {:.2}x (goal 0.50), the same file again {again:.0} rows/s; interactions {contacts:.0} \
         rows/s, raw {raw_contacts:.0} rows/s, ratio {:.2}x",
        store(admin),
        parties / raw_parties,
        contacts / raw_contacts,
    );
}

async fn timed(rows: usize, work: impl Future<Output = ()>) -> f64 {
    let started = Instant::now();
    work.await;
    rows as f64 / started.elapsed().as_secs_f64()
}

/// Rows a second of the real binary.
async fn import(kind: &str, file: &Path, address: &str, rows: usize) -> f64 {
    let started = Instant::now();
    let output = tokio::process::Command::new(rapport_binary())
        .args(["import", kind])
        .arg(file)
        .args(["--address", address])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rows as f64 / started.elapsed().as_secs_f64()
}

fn parties(rows: usize) -> String {
    let mut text = String::from("kind,display_name,identifier.crm,phone,role,country_code\n");
    for row in 0..rows {
        let phone = 2_000_000_000 + row;
        writeln!(text, "individual,Somebody Number {row},k-{row},+1{phone},customer,US").unwrap();
    }
    text
}

fn interactions(rows: usize) -> String {
    let mut text = String::from("kind,medium,direction,occurred_time,party,role,topics,subject_line,body,record_id\n");
    for row in 0..rows {
        let (day, minute, who) = (1 + row % 28, row / 28 % 60, row % 10_000);
        writeln!(
            text,
            "inquiry,phone,inbound,2026-01-{day:02}T10:{minute:02}:00Z,crm:k-{who},customer,delivery,where is my order,the \
             parcel should have come on tuesday and it is friday now,r-{row}"
        )
        .unwrap();
    }
    text
}

/// How many bytes an imported party leaves in its history, in the answer for a retry, and in each event.
struct Left {
    sealed: usize,
    reply: usize,
    payload: usize,
}

impl Left {
    async fn by(ours: &Host) -> Left {
        let database = connect(&ours.place().data().join("all"), ours.place().url(), "stakeholders").await;
        let lengths = [
            "avg(length(sealed)) FROM party_history",
            "avg(length(reply)) FROM idempotency",
            "avg(length(payload)) FROM outbox",
        ];
        let [sealed, reply, payload] = raw::numbers(&database, lengths).await;
        Left { sealed, reply, payload }
    }
}

/// What an imported party leaves: its card, where it is found (by its key and its phone), its role, its history and the
/// key to that, its three events, its request.
async fn insert(database: &DatabaseConnection, left: &Left, rows: usize) {
    let text = |text: &str| Value::String(Some(text.to_owned()));
    let bytes = |length: usize| Value::Bytes(Some(vec![7; length]));
    let big = |number: i64| Value::BigInt(Some(number));
    let flag = |flag: bool| Value::Bool(Some(flag));
    let id = |id: Uuid| Value::Uuid(Some(id));
    let profile = |phone: &str| {
        let media = format!(
            r#"{{"country_code":"US","display_name":"Somebody","media":[{{"country_code":"US","kind":"phone","normalized":"{phone}","value":"{phone}"}}]}}"#
        );
        Value::Json(Some(Box::new(serde_json::from_str(&media).unwrap())))
    };
    let empty = Value::Json(Some(Box::new(serde_json::json!({}))));
    for chunk in 0..rows.div_ceil(ROWS) {
        let mut party = Rows::new(
            "party",
            &[
                "tenant",
                "id",
                "kind",
                "lifecycle",
                "display_name",
                "display_key",
                "language_code",
                "country_code",
                "ceased",
                "profile",
                "version",
                "created_at",
                "updated_at",
            ],
        );
        let mut identifier = Rows::new(
            "party_identifier",
            &[
                "tenant",
                "scheme",
                "value",
                "party_id",
                "source",
                "strength",
                "given",
                "shared",
                "verification",
                "valid_from",
                "valid_until",
                "created_at",
            ],
        );
        let mut role = Rows::new(
            "party_role",
            &[
                "tenant",
                "party_id",
                "id",
                "role_type",
                "scope",
                "status",
                "valid_from",
                "valid_until",
                "end_reason",
                "provenance",
                "created_at",
                "updated_at",
            ],
        );
        let mut history =
            Rows::new("party_history", &["tenant", "party_id", "version", "recorded_at", "principal", "sealed"]);
        let mut keys = Rows::new("subject_key", &["tenant", "subject", "wrapped", "created_at"]);
        let mut idempotency = Rows::new(
            "idempotency",
            &["tenant", "request_id", "asker", "fingerprint", "subject", "reply", "created_at"],
        );
        let mut outbox = Rows::new(
            "outbox",
            &["batch", "place", "tenant", "kind", "aggregate", "version", "occurred_at", "payload"],
        );
        let feed = i64::from_be_bytes(Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) >> 1;
        for row in 0..ROWS.min(rows - chunk * ROWS) {
            let (own, n) = (Uuid::now_v7(), chunk * ROWS + row);
            let (phone, key) = (format!("+1{}", 2_000_000_000_usize + n), format!("k-{n}"));
            let (tenant, name) = (text("local"), text(&format!("Somebody Number {n}")));
            party.push([
                tenant.clone(),
                id(own),
                text("individual"),
                text("identified"),
                name.clone(),
                name,
                text(""),
                text("US"),
                flag(false),
                profile(&phone),
                big(3),
                big(0),
                big(0),
            ]);
            for (scheme, value, source, strength) in
                [("crm", &key, "claim", "unique"), ("tel", &phone, "medium", "medium")]
            {
                identifier.push([
                    tenant.clone(),
                    text(scheme),
                    text(value),
                    id(own),
                    text(source),
                    text(strength),
                    text(value),
                    flag(false),
                    text("unverified"),
                    big(i64::MIN / 2),
                    big(i64::MAX / 2),
                    big(0),
                ]);
            }
            role.push([
                tenant.clone(),
                id(own),
                id(Uuid::now_v7()),
                text("customer"),
                text(""),
                text("active"),
                big(0),
                big(i64::MAX / 2),
                text(""),
                empty.clone(),
                big(0),
                big(0),
            ]);
            history.push([tenant.clone(), id(own), big(3), big(0), text("local"), bytes(left.sealed)]);
            keys.push([tenant.clone(), id(own), bytes(60), big(0)]);
            idempotency.push([
                tenant.clone(),
                id(Uuid::new_v4()),
                big(7),
                bytes(32),
                id(own),
                bytes(left.reply),
                big(0),
            ]);
            for (place, kind) in [(0, "PartyCreated"), (1, "IdentifierClaimed"), (2, "RoleAssigned")] {
                outbox.push([
                    big(feed),
                    big((row * 3 + place) as i64),
                    tenant.clone(),
                    text(&format!("rapport.stakeholders.v1.{kind}")),
                    text(&format!("parties/{own}")),
                    big(place as i64 + 1),
                    big(0),
                    bytes(left.payload),
                ]);
            }
        }
        let tx = database.begin().await.unwrap();
        for rows in [party, identifier, role, history, keys, idempotency, outbox] {
            rows.insert(&tx).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}
