//! `rapport doctor` on PostgreSQL: what only that store can have wrong.

use rapport::doctor::{self, Verdict};
use rapport_server::Secret;
use rapport_testkit::cluster::{Cluster, Stop};
use rapport_testkit::place::StorePlace;
use rapport_testkit::postgres::connect;
use rapport_testkit::sandbox::{Sandbox, Topology};
use sea_orm::{ConnectionTrait, Statement};

use super::doctor::{assert_healthy, examined, off, options, verdict};
use super::messages::person;
use super::pooler::pooler;
use super::stage::Stage;

#[test]
fn a_server_that_would_lose_something_is_told() {
    rapport_testkit::block_on(async {
        let mut cluster = Cluster::start();
        let place = StorePlace::in_database(cluster.database().await);
        let url = place.url().to_owned();
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::OneProcess)
            .place(place)
            .setting("store.max_readers", 4)
            .setting("store.batches_in_flight", 2);
        let mut stage = Stage::open(sandbox).await;
        stage.party(person("Healthy")).await;
        let healthy = options(stage.sandbox.config("scoring"));
        let findings = examined(&healthy).await;
        assert_healthy(&findings);
        for check in ["store.durable", "store.schema", "store.pooler", "store.connections", "clock.skew", "keys.match"]
        {
            assert_eq!(verdict(&findings, check, ""), Verdict::Ok, "{check}");
        }
        stage.sandbox.terminate("scoring").await;

        for (seconds, expected) in [(10, Verdict::Warn), (-3_600, Verdict::Fail)] {
            let findings = doctor::examine(&healthy, None, &off(seconds)).await;
            assert_eq!(verdict(&findings, "clock.skew", "the database"), expected, "{seconds} s");
        }
        settings_that_lose_writes(&cluster, &url, &healthy).await;
        let mut greedy = healthy.clone();
        greedy.store.max_readers = 1_000;
        assert_eq!(verdict(&examined(&greedy).await, "store.connections", ""), Verdict::Fail);
        for connections in [1, 2] {
            let mut pooled = healthy.clone();
            pooled.store.url = Secret::new(pooler(&url, connections).await);
            let verdict = verdict(&examined(&pooled).await, "store.pooler", "");
            assert_eq!(verdict, Verdict::Fail, "{connections} connections");
        }
        cluster.stop(Stop::Fast);
        assert_eq!(verdict(&examined(&healthy).await, "store.reachable", "stakeholders"), Verdict::Fail);
        cluster.start_again();
        assert_eq!(verdict(&examined(&healthy).await, "store.reachable", "scoring"), Verdict::Ok);
        stage.close().await;
    });
}

async fn settings_that_lose_writes(cluster: &Cluster, url: &str, healthy: &rapport_server::Options) {
    let admin = connect(&cluster.admin_url()).await;
    let show = async |setting: &str| -> String {
        let sql = Statement::from_string(admin.get_database_backend(), format!("SHOW {setting}"));
        admin.query_one_raw(sql).await.expect("shown").expect("a row").try_get_by_index(0).expect("text")
    };
    for setting in ["fsync", "full_page_writes"] {
        for (value, expected) in [("off", Verdict::Fail), ("on", Verdict::Ok)] {
            admin.execute_unprepared(&format!("ALTER SYSTEM SET {setting} = {value}")).await.expect("set");
            admin.execute_unprepared("SELECT pg_reload_conf()").await.expect("told");
            // The server's processes hear of it one after the other.
            while show(setting).await != value {
                tokio::task::yield_now().await;
            }
            let findings = loop {
                let findings = examined(healthy).await;
                if verdict(&findings, "store.durable", "scoring") == expected {
                    break findings;
                }
                assert_eq!(show(setting).await, value);
            };
            assert_eq!(verdict(&findings, "store.durable", "loyalty"), expected, "{setting} {value}");
        }
    }
    let name = url.rsplit('/').next().and_then(|name| name.split('?').next()).expect("a name");
    for (value, expected) in [("off", Verdict::Warn), ("on", Verdict::Ok)] {
        let sql = format!("ALTER DATABASE \"{name}\" SET synchronous_commit = {value}");
        admin.execute_unprepared(&sql).await.expect("set");
        assert_eq!(verdict(&examined(healthy).await, "store.durable", "scoring"), expected, "{value}");
    }
}
