//! S8: time from exec to the first answered RPC on an empty folder, size of the binary, idle memory.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rapport_proto::stakeholders::v1::ListPartiesRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_testkit::port::free_port;
use rapport_testkit::sandbox::rapport_binary;
use tokio::process::Command;
use tonic::transport::Endpoint;

use crate::median;

/// Starts the real binary a few times and measures it.
pub(crate) async fn measure() {
    let binary = rapport_binary();
    let size = std::fs::metadata(&binary).unwrap().len() as f64 / 1e6;
    let (mut first, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let started = Instant::now();
        let child = Command::new(&binary)
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--admin",
                &format!("127.0.0.1:{}", free_port()),
                "--data",
            ])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(_) if started.elapsed() < Duration::from_secs(30) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        PartyServiceClient::new(channel).list_parties(ListPartiesRequest::default()).await.unwrap();
        first.push(started.elapsed().as_secs_f64() * 1e3);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        memory.push(resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0);
    }
    println!(
        "first RPC {:.0} ms after exec on an empty folder (goal 300), binary {size:.1} MB (goal 60), idle memory {:.0} MiB (goal 50)",
        median(first),
        median(memory)
    );
}
