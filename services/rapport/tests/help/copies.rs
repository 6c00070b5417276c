//! docs/backup.md, typed: a store is copied while it is served, a server stands on the copy, and both tell the same.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};

use rapport_testkit::block_on;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::Sandbox;
use rapport_types::Uuid;

use super::guides::blocks;
use super::{Desk, Path, send, symlink, text};

const PAGE: &str = include_str!("../../../../docs/backup.md");

/// Where the page has the restored server listen.
const RESTORED: &str = "127.0.0.1:50061";

/// The block of the page in which this is typed.
fn block(command: &str) -> String {
    let mut blocks = blocks(PAGE).into_iter().filter(|(language, block)| language == "sh" && block.contains(command));
    let (_, block) = blocks.next().unwrap();
    assert!(blocks.next().is_none(), "{command} is typed twice");
    block
}

/// Types a block that ends.
fn ends(desk: &Desk, block: &str, address: &str) {
    let script = format!("set -eo pipefail\n{}", desk.prepared(block));
    let output = desk.shell(&script, address).output().unwrap();
    let told = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}\n{told}");
}

/// Types the line that serves, and waits until it says where it listens.
fn serves(desk: &Desk, line: &str, address: &str) -> (Child, String) {
    let script = desk.prepared(line).replace("rapport serve", "exec rapport serve");
    let mut child = desk.shell(&script, address).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut lines = said.by_ref().lines().map_while(Result::ok);
    let listens = lines.find_map(|line| line.strip_prefix("rapport listening on ").map(str::to_owned));
    // It says more, and somebody has to be there for it.
    child.stdout = Some(said.into_inner());
    (child, listens.unwrap_or_else(|| panic!("{script} does not serve")))
}

/// Types the blocks that copy, restore and compare, with parties in the store.
fn copied(desk: &Desk, data: &Path, address: &str, copy: &str, restore: &str) {
    symlink(data, desk.path().join("data")).unwrap();
    ends(desk, "rapport import parties contacts.csv", address);
    ends(desk, &block(copy), address);
    let restore = block(restore);
    let (before, serve) = restore.trim_end().rsplit_once('\n').unwrap();
    ends(desk, before, address);
    let (mut server, listens) = serves(desk, serve, address);
    ends(desk, &block("cmp before.jsonl").replace(RESTORED, &listens), address);
    send("TERM", server.id());
    assert!(server.wait().unwrap().success());
    let told = std::fs::read_to_string(desk.path().join("after.jsonl")).unwrap();
    assert!(told.contains("Ana Souza"), "{told}");
}

#[test]
fn a_copy_of_the_embedded_store_is_served_as_the_page_says() {
    block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).start().await;
        let (data, address) = (sandbox.data("stakeholders"), sandbox.address("stakeholders").to_string());
        tokio::task::block_in_place(|| {
            copied(&Desk::new(None, Vec::new()), &data, &address, "rapport backup", "./backup/2026-01-31/*.db");
        });
        sandbox.stop().await;
    });
}

#[test]
fn a_dump_of_postgres_is_served_as_the_page_says() {
    block_on(async {
        let sandbox = Sandbox::builder(rapport::modules).place(StorePlace::postgres().await).start().await;
        let (data, address) = (sandbox.data("stakeholders"), sandbox.address("stakeholders").to_string());
        let url = sandbox.place().url().to_owned();
        let (server, _) = url.rsplit_once('/').unwrap();
        let name = format!("rapport_test_{}", Uuid::new_v4().simple());
        let tools = std::env::var("RAPPORT_TEST_POSTGRES_BIN").map(|tools| format!("{tools}/")).unwrap_or_default();
        let places = vec![
            ("createdb rapport_restored", format!("{tools}createdb --maintenance-db='{server}/postgres' {name}")),
            ("pg_dump ", format!("{tools}pg_dump ")),
            ("pg_restore ", format!("{tools}pg_restore ")),
            ("$DATABASE_URL", url.clone()),
            ("$RESTORED_URL", format!("{server}/{name}")),
        ];
        tokio::task::block_in_place(|| {
            let desk = Desk::new(None, places);
            copied(&desk, &data, &address, "pg_dump", "pg_restore");
            ends(&desk, &format!("{tools}dropdb --maintenance-db='{server}/postgres' {name}"), &address);
        });
        sandbox.stop().await;
    });
}
