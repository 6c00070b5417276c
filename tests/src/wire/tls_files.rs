//! Certificates, keys and tokens that change while the server runs, and files that cannot be used at all.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rapport_proto::stakeholders::v1::GetPartyRequest;
use rapport_proto::stakeholders::v1::party_service_client::PartyServiceClient;
use rapport_rpc::tls::ClientTls;
use rapport_server::{Options, Sources, TlsOptions};
use rapport_testkit::Code;
use rapport_testkit::authority::{Authority, write};
use rapport_testkit::sandbox::{Sandbox, Topology};
use rapport_types::World;
use rapport_types::time::Timestamp;

use super::tls::{client, create, identity, metric, over};

const ANA: &str = "token-of-ana-0000001";
const BO: &str = "token-of-bo-00000002";
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until the answer is the one that is waited for.
pub(crate) async fn eventually<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, mut ask: impl AsyncFnMut() -> T) {
    let begun = Instant::now();
    loop {
        let found = ask().await;
        if found == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} is {found:?}, waited for {wanted:?}");
    }
}

/// When the certificate ends that a new connection is shown.
async fn shown(address: SocketAddr, tls: &ClientTls) -> Option<Timestamp> {
    let shown = tls.handshake(&format!("https://{address}")).await.ok()?;
    shown.validity.map(|validity| validity.not_after)
}

fn year(year: u16) -> Option<Timestamp> {
    Timestamp::parse(&format!("{year}-01-01T00:00:00Z")).ok()
}

fn tokens(all: &[&str]) -> String {
    let one = |token: &&str| {
        format!(
            "{{token = \"{token}\", tenant = \"acme\", principal = \"users/{}\", roles = [\"admin\"]}}",
            &token[9..12]
        )
    };
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[test]
fn files_that_change_count_without_a_restart() {
    rapport_testkit::block_on(async {
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        let names = ["127.0.0.1", "localhost"];
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let (certificate, key) = old.issue_until(&names, 2100).write(folder, "server");
        let file = write(folder, "tokens", &tokens(&[ANA]));
        let sandbox = Sandbox::builder(rapport::modules)
            .topology(Topology::Child)
            .setting("tls.certificate", certificate.display().to_string())
            .setting("tls.key", key.display().to_string())
            .setting("auth.tokens_file", file.display().to_string())
            .setting("reload.every", "50ms")
            .start()
            .await;
        let (address, admin) = (sandbox.address("stakeholders"), sandbox.admin_address("stakeholders"));
        let (trusts_old, trusts_new) = (client(&old.certificate(), None), client(&new.certificate(), None));
        let mut parties = PartyServiceClient::new(over(address, &trusts_old, ANA));
        let party = parties.create_party(create("Ana")).await.expect("created").into_inner().name;
        let get = || GetPartyRequest { name: party.clone() };
        let failing = "rapport_reload_failing{rapport_files=\"tls\"}";
        assert_eq!(metric(admin, failing).await, Some(0.0));
        // A client whose authorities change in place; it has not connected yet.
        let moving = client(&old.certificate(), None);
        let mut moved = PartyServiceClient::new(over(address, &moving, ANA));

        // The key comes first, as a copy of both would have it: what does not belong together is not used.
        let next = new.issue_until(&names, 2200);
        write(folder, "server.key", &next.key);
        eventually("the reload", Some(1.0), async || metric(admin, failing).await).await;
        assert_eq!(shown(address, &trusts_old).await, year(2100));
        assert!(sandbox.log("stakeholders").contains("the private key is not that of the certificate beside it"));
        write(folder, "server.pem", &next.certificate);
        eventually("the certificate", year(2200), async || shown(address, &trusts_new).await).await;
        eventually("the reload", Some(0.0), async || metric(admin, failing).await).await;
        assert_eq!(shown(address, &trusts_old).await, None, "a new connection sees the new certificate");
        assert_eq!(moved.get_party(get()).await.map_err(|status| status.code()).err(), Some(Code::Unavailable));
        moving.replace(&identity(&new.certificate(), None), World::system().now()).expect("an authority");
        moved.get_party(get()).await.expect("the same channel connects by the authorities of now");
        // The client that trusts the old one alone could not connect anew: its connection is still the first one.
        parties.get_party(get()).await.expect("an old connection goes on");

        // A file that is cut off keeps the old one; so does one that has expired.
        let expired = new.issue_until(&names, 2010);
        for (wrong, told) in [
            (next.certificate[..next.certificate.len() / 2].to_owned(), "the file is cut off"),
            (expired.certificate, "the certificate expired on 2010-01-01"),
        ] {
            write(folder, "server.pem", &wrong);
            eventually("the log", true, async || sandbox.log("stakeholders").contains(told)).await;
            assert_eq!(metric(admin, failing).await, Some(1.0));
            assert_eq!(shown(address, &trusts_new).await, year(2200));
        }
        write(folder, "server.pem", &next.certificate);
        eventually("the reload", Some(0.0), async || metric(admin, failing).await).await;

        tokens_change(address, admin, &trusts_new, folder, &party).await;
        // On SIGHUP everything is read again, changed or not.
        let done = "rapport_reloads_total{rapport_files=\"tls\",rapport_result=\"done\"}";
        let before = metric(admin, done).await.expect("told");
        let sent = Command::new("sh").args(["-c", &format!("kill -HUP {}", sandbox.pid("stakeholders"))]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        eventually("the count", true, async || metric(admin, done).await > Some(before)).await;
        parties.get_party(get()).await.expect_err("the token of this old connection is not known any more");
        the_configuration_counts_too(&sandbox, &trusts_new, &party).await;
        sandbox.stop().await;
    });
}

async fn tokens_change(address: SocketAddr, admin: SocketAddr, tls: &ClientTls, folder: &Path, party: &str) {
    let code = async |token: &str| {
        let mut parties = PartyServiceClient::new(over(address, tls, token));
        let answer = parties.get_party(GetPartyRequest { name: party.to_owned() }).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    assert_eq!((code(ANA).await, code(BO).await), (Code::Ok, Code::Unauthenticated));
    write(folder, "tokens", &tokens(&[ANA, BO]));
    eventually("what Bo gets", Code::Ok, async || code(BO).await).await;
    assert_eq!(code(ANA).await, Code::Ok);
    write(folder, "tokens", &tokens(&[BO]));
    eventually("what Ana gets", Code::Unauthenticated, async || code(ANA).await).await;
    let failing = "rapport_reload_failing{rapport_files=\"auth.tokens\"}";
    // Half a file, a role that does not exist, and no token at all, which would let everybody in.
    for wrong in [&tokens(&[ANA])[..20], &tokens(&[ANA]).replace("\"admin\"", "\"wizard\""), "[]"] {
        write(folder, "tokens", wrong);
        eventually("the reload", Some(1.0), async || metric(admin, failing).await).await;
        assert_eq!((code(BO).await, code(ANA).await), (Code::Ok, Code::Unauthenticated), "{wrong}");
        write(folder, "tokens", &tokens(&[BO]));
        eventually("the reload", Some(0.0), async || metric(admin, failing).await).await;
    }
}

async fn the_configuration_counts_too(sandbox: &Sandbox, tls: &ClientTls, party: &str) {
    let config = sandbox.config("stakeholders");
    let text = std::fs::read_to_string(config).expect("the configuration");
    let mut table: toml::Table = text.parse().expect("TOML");
    let list: toml::Table = format!("tokens = {}", tokens(&[ANA])).parse().expect("TOML");
    table["auth"].as_table_mut().expect("a table").extend(list);
    let folder = config.parent().expect("a folder");
    let name = config.file_name().and_then(|name| name.to_str()).expect("a name");
    write(folder, name, &toml::to_string(&table).expect("TOML"));
    let address = sandbox.address("stakeholders");
    let mut parties = PartyServiceClient::new(over(address, tls, ANA));
    eventually("what Ana gets", true, async || {
        parties.get_party(GetPartyRequest { name: party.to_owned() }).await.is_ok()
    })
    .await;
}

/// What is wrong with files is said at the start, with the option, the path and what would be right.
#[test]
fn files_that_cannot_be_used_stop_the_start() {
    rapport_testkit::block_on(async {
        let ours = Authority::new("ours");
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str, text: &str| write(folder.path(), name, text);
        let good = ours.issue(&["localhost"]);
        let (certificate, key) = good.write(folder.path(), "good");
        let other = at("other.key", &ours.issue(&["localhost"]).key);
        let junk = at("junk.pem", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
        let cut = at("cut.pem", &good.certificate[..100]);
        let der = at("der.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let locked =
            at("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let bad_key = at("bad.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let empty = at("empty.pem", "");
        let expired = at("expired.pem", &ours.issue_until(&["localhost"], 2010).certificate);
        let none = PathBuf::new();
        let world = World::system();
        let load = |certificate: &PathBuf, key: &PathBuf, client_ca: &PathBuf| {
            let options = TlsOptions {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
                ..Options::defaults().expect("defaults").tls
            };
            options.load(world.clock.as_ref()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(load(&certificate, &key, &none), Ok(()));
        assert_eq!(load(&certificate, &key, &at("ca.pem", &ours.certificate())), Ok(()));
        for (certificate, key, client_ca, option, what) in [
            (
                &folder.path().join("nowhere.pem"),
                &key,
                &none,
                "tls.certificate ",
                "nowhere.pem: cannot be read: No such file",
            ),
            (&junk, &key, &none, "tls.certificate ", "junk.pem: what stands between BEGIN and END is no base64"),
            (
                &cut,
                &key,
                &none,
                "tls.certificate ",
                "cut.pem: a section has no line -----END …-----: the file is cut off",
            ),
            (&der, &key, &none, "tls.certificate ", "der.pem: its first certificate is no X.509 certificate"),
            (&empty, &key, &none, "tls.certificate ", "empty.pem: holds no certificate"),
            (&expired, &key, &none, "tls.certificate ", "expired.pem: the certificate expired on 2010-01-01T00:00:00Z"),
            (&key, &certificate, &none, "tls.certificate ", "good.key: holds a private key and no certificate"),
            (&certificate, &certificate, &none, "tls.key ", "good.pem: holds a certificate and no private key"),
            (&certificate, &other, &none, "tls.key ", "other.key: the private key is not that of the certificate"),
            (&certificate, &locked, &none, "tls.key ", "locked.key: the private key is locked by a password"),
            (&certificate, &bad_key, &none, "tls.key ", "bad.key: the private key is none that can be used"),
            (&certificate, &key, &empty, "tls.client_ca ", "empty.pem: holds no certificate"),
            (&certificate, &key, &der, "tls.client_ca ", "der.pem: holds what is no X.509 certificate"),
        ] {
            let error = load(certificate, key, client_ca).expect_err(what);
            assert!(error.starts_with(option) && error.contains(what), "{error}");
        }
        // The same by a start, which has touched nothing when it says so.
        let data = folder.path().join("data");
        let sources = Sources::default()
            .flag("--data", "data", data.display().to_string())
            .flag("--listen", "listen", "127.0.0.1:0")
            .flag("--admin", "admin.listen", "")
            .flag("test", "tls.certificate", certificate.display().to_string())
            .flag("test", "tls.key", other.display().to_string());
        let options = Options::load(&sources).expect("options");
        let error = rapport_server::start(options, rapport::modules(), world).await.expect_err("refused").to_string();
        assert!(error.starts_with("tls.key ") && !data.exists(), "{error}");
    });
}

/// Tokens that cannot be read are no reason to let everybody in.
#[test]
fn a_start_without_the_tokens_file_is_refused() {
    rapport_testkit::block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let file = write(folder.path(), "tokens", "[{token = \"hunter2hunter2hunter2\"}]");
        let sources = Sources::default().flag("--data", "data", folder.path().join("data").display().to_string()).flag(
            "test",
            "auth.tokens_file",
            file.display().to_string(),
        );
        let options = Options::load(&sources).expect("options");
        let error = rapport_server::start(options, rapport::modules(), World::system()).await.expect_err("refused");
        let text = error.to_string();
        assert!(text.contains("line 1: is no list of tokens") && !text.contains("hunter2"), "{text}");
    });
}
