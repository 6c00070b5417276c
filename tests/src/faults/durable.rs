//! Durability is counted: before a reply, the disk was told to keep what the reply says.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_testkit::cluster::Cluster;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology, rapport_binary};
use tonic::transport::Channel;

use super::load;

/// The flushes that a traced program has finished so far.
fn flushes(trace: &Path) -> usize {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    text.lines()
        .filter(|line| line.contains("sync(") || line.contains("sync resumed"))
        .filter(|line| line.contains("= 0"))
        .count()
}

/// Writes one after the other; each reply must have been preceded by a flush of its own.
async fn every_reply_follows_a_flush(channel: Channel, trace: &Path) {
    let mut client = InteractionServiceClient::new(channel);
    let party = load::party();
    client.record_interaction(load::request(&party, uuid::Uuid::now_v7())).await.expect("a first record");
    let writes = 40;
    for write in 0..writes {
        let before = flushes(trace);
        client.record_interaction(load::request(&party, uuid::Uuid::now_v7())).await.expect("a record");
        assert!(flushes(trace) > before, "write {write} was acknowledged without a flush");
    }
}

#[test]
fn fault_sqlite_flushes_before_each_reply() {
    rapport_testkit::block_on(async {
        let place = StorePlace::sqlite();
        let trace = place.data().join("flushes");
        let script = place.data().join("traced");
        // -D: the traced program keeps the process id, so that it is stopped like any other.
        let text = format!(
            "#!/bin/sh\nexec strace -D -f -qq -e trace=fsync,fdatasync -o '{}' '{}' \"$@\"\n",
            trace.display(),
            rapport_binary().display()
        );
        std::fs::write(&script, text).expect("the script is written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("the script can be run");
        let sandbox =
            Sandbox::builder(rapport::modules).place(place).binary(script).topology(Topology::Child).start().await;
        every_reply_follows_a_flush(sandbox.channel("interactions"), &trace).await;
        sandbox.stop().await;
    });
}

/// Traces a running server and all it starts from now on; ends with this value.
struct Tracer(std::process::Child);

impl Tracer {
    fn attach(pid: u32, trace: &Path) -> Tracer {
        let mut child = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
            .arg(trace)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed: tests/run sees to it");
        let status = PathBuf::from(format!("/proc/{pid}/status"));
        // Attached once the kernel says who traces the server.
        loop {
            let text = std::fs::read_to_string(&status).expect("the server runs");
            if text.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
                return Tracer(child);
            }
            assert!(child.try_wait().expect("strace can be asked").is_none(), "strace may not attach to the server");
            std::thread::yield_now();
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn fault_postgresql_flushes_before_each_reply() {
    rapport_testkit::block_on(async {
        let cluster = Cluster::start();
        let place = StorePlace::in_database(cluster.database().await);
        let trace = place.data().join("flushes");
        // Attached to the postmaster before the sandbox connects: its sessions are children that are traced from birth.
        let tracer = Tracer::attach(cluster.pid(), &trace);
        let sandbox = Sandbox::builder(rapport::modules).place(place).topology(Topology::Child).start().await;
        every_reply_follows_a_flush(sandbox.channel("interactions"), &trace).await;
        sandbox.stop().await;
        drop(tracer);
    });
}
