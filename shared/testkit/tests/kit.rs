//! The kit itself: what other tests rely on without looking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpStream;
use std::time::Duration;

use rapport_server::{Context, Module, Section, Services};
use rapport_store::{Migrations, Store};
use rapport_testkit::cluster::{Cluster, Stop};
use rapport_testkit::place::StorePlace;
use rapport_testkit::postgres::connect;
use rapport_testkit::sandbox::{Sandbox, StoreKind, Topology};
use rapport_testkit::{block_on, clock, each_store};
use rapport_types::World;
use sea_orm::ConnectionTrait;

struct Silent;

impl Module for Silent {
    fn name(&self) -> &'static str {
        "stakeholders"
    }

    fn configure(&mut self, _: &Section) -> Result<(), String> {
        Ok(())
    }

    fn migrations(&self) -> Migrations {
        Vec::new()
    }

    fn routes(&self, _cx: &Context, _routes: &mut Services) {}
}

fn modules() -> Vec<Box<dyn Module>> {
    vec![Box::new(Silent)]
}

each_store! {
    async fn stores_of_several_services_fit_in_one_place(place: StorePlace) {
        let one = Store::open(&place.options(), "stakeholders", Vec::new(), World::system()).await.unwrap();
        let two = Store::open(&place.options(), "scoring", Vec::new(), World::system()).await.unwrap();
        one.ready().await.unwrap();
        two.ready().await.unwrap();
        assert_ne!(one.epoch(), two.epoch());
    }
}

#[test]
fn a_sandbox_listens_and_starts_again_on_the_same_address() {
    block_on(async {
        for store in [StoreKind::Sqlite, StoreKind::Postgres] {
            let (world, clock) = clock::manual();
            let builder = Sandbox::builder(modules).store(store).topology(Topology::OneProcess).world(world);
            let mut sandbox = builder
                .token("0123456789abcdef", "acme", "users/ana", &["agent"])
                .setting("limits.calls", 7)
                .start()
                .await;
            let address = sandbox.address("stakeholders");
            assert_eq!(sandbox.running().addr(), address);
            sandbox.running().ready().await.unwrap();
            TcpStream::connect(address).unwrap();
            TcpStream::connect(sandbox.admin_address("stakeholders")).unwrap();
            let before = sandbox.running().context("stakeholders").unwrap().world.now();
            clock.advance(Duration::from_secs(60));
            let after = sandbox.running().context("stakeholders").unwrap().world.now();
            assert_eq!(after.since(before), Duration::from_secs(60));
            sandbox.restart("stakeholders").await;
            assert_eq!(sandbox.running().addr(), address);
            TcpStream::connect(address).unwrap();
            sandbox.stop().await;
            assert!(TcpStream::connect(address).is_err());
        }
    });
}

#[test]
fn fault_a_cluster_keeps_its_data_over_a_crash() {
    block_on(async {
        let mut cluster = Cluster::start();
        let database = cluster.database().await;
        let connection = connect(database.url()).await;
        connection.execute_unprepared("CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1)").await.unwrap();
        connection.close().await.unwrap();
        let pid = cluster.pid();
        cluster.stop(Stop::Immediate);
        cluster.start_again();
        assert_ne!(cluster.pid(), pid);
        let again = connect(database.url()).await;
        assert_eq!(again.execute_unprepared("SELECT n FROM kept").await.unwrap().rows_affected(), 1);
    });
}
