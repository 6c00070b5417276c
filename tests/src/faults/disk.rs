//! A full disk under SQLite: writes are refused, reads are served, and everything works again once there is room.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rapport_proto::interactions::v1::GetInteractionRequest;
use rapport_proto::interactions::v1::interaction_service_client::InteractionServiceClient;
use rapport_testkit::Code;
use rapport_testkit::asserts::reason;
use rapport_testkit::place::StorePlace;
use rapport_testkit::sandbox::{Sandbox, Topology, rapport_binary};

use super::load::{self, Book};

/// A program that starts the server with its data folder on a file system of 6 MiB in a mount namespace of its own.
fn on_a_small_disk(place: &StorePlace) -> PathBuf {
    let data = place.data().join("all");
    let script = place.data().join("small-disk");
    let text = format!(
        "#!/bin/sh\nmkdir -p '{data}'\n[ \"$(id -u)\" = 0 ] && as= || as=r\n\
         exec unshare -${{as}}m sh -c 'mount -t tmpfs -o size=6m none \"{data}\" && exec \"{binary}\" \"$@\"' rapport \"$@\"\n",
        data = data.display(),
        binary = rapport_binary().display(),
    );
    std::fs::write(&script, text).expect("the script is written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("the script can be run");
    script
}

#[test]
fn fault_a_full_disk_refuses_writes_serves_reads_and_recovers() {
    rapport_testkit::block_on(async {
        let place = StorePlace::sqlite();
        let script = on_a_small_disk(&place);
        let sandbox =
            Sandbox::builder(rapport::modules).place(place).binary(script).topology(Topology::Child).start().await;
        let party = load::party();
        let book = Book::default();
        let channel = sandbox.channel("interactions");
        let mut client = InteractionServiceClient::new(channel.clone());
        let first = book.send();
        let kept = client.record_interaction(load::request(&party, first)).await.expect("there is room").into_inner();
        book.acknowledge(first, kept.name.clone());

        // The server's own view of the folder, through its mount namespace.
        let data = sandbox.data("interactions");
        let inside = PathBuf::from(format!("/proc/{}/root{}", sandbox.pid("interactions"), data.display()));
        let ballast = inside.join("ballast");
        let filled = std::fs::write(&ballast, vec![0_u8; 64 << 20]).expect_err("the disk is full");
        assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull, "{filled}");

        let mut refused = 0;
        for _ in 0..500 {
            let request_id = book.send();
            match client.record_interaction(load::request(&party, request_id)).await {
                Ok(reply) => book.acknowledge(request_id, reply.into_inner().name),
                Err(status) => {
                    assert_eq!(reason(&status).as_deref(), Some("STORE_FULL"), "{status:?}");
                    assert!(matches!(status.code(), Code::ResourceExhausted | Code::Unavailable), "{status:?}");
                    refused += 1;
                }
            }
            if refused >= 20 {
                break;
            }
        }
        assert!(refused >= 20, "vacuous: the disk never was full for the server");
        let request = GetInteractionRequest { name: kept.name.clone(), version: 0 };
        let read = client.get_interaction(request).await.expect("reads are served").into_inner();
        assert_eq!(read, kept);

        std::fs::remove_file(&ballast).expect("there is room again");
        let audit = load::audit(&channel, &party, &book).await;
        assert_eq!(audit.names.len(), book.entries().len());
        load::feed(&channel, &audit.names).await;
        sandbox.stop().await;
    });
}
