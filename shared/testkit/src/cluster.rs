//! A PostgreSQL cluster of one test's own, which may be stopped and started under the system.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::port::free_port;
use crate::postgres::TestDatabase;

/// How a cluster is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended in order.
    Fast,
    /// As in a crash: nothing is flushed, the next start recovers from the log.
    Immediate,
}

/// A running cluster on a free loopback port, removed with this value. `fsync` is on.
#[derive(Debug)]
pub struct Cluster {
    binaries: PathBuf,
    owner: Option<(u32, u32)>,
    home: TempDir,
    port: u16,
    running: bool,
}

impl Cluster {
    /// Makes and starts a cluster from the binaries that are installed. As root it runs as `postgres` or `nobody`,
    /// because PostgreSQL refuses to run as root.
    pub fn start() -> Cluster {
        let owner = owner();
        // Not TMPDIR: the other user must be able to enter it.
        let home = tempfile::Builder::new().prefix("rapport-cluster.").tempdir_in("/tmp").expect("a folder in /tmp");
        if let Some((user, group)) = owner {
            chown(home.path(), Some(user), Some(group)).expect("hand the cluster's folder to its user");
        }
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("open the cluster's folder");
        let mut cluster = Cluster { binaries: binaries(), owner, home, port: free_port(), running: false };
        cluster.initialise();
        cluster.start_again();
        cluster
    }

    fn initialise(&self) {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
        finish("initdb", &mut initdb, None);
        let mut settings =
            fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("the cluster's settings");
        settings
            .write_all(
                b"listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n\
                  shared_buffers = 64MB\n",
            )
            .expect("write the cluster's settings");
    }

    /// Starts the stopped cluster on the same port and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(!self.running, "the cluster runs already");
        let log = self.home.path().join("server.log");
        let mut start = self.command("pg_ctl");
        start.args(["-w", "-t", "60", "-s", "-D"]).arg(self.data()).arg("-l").arg(&log).args([
            "-o",
            &format!("-p {}", self.port),
            "start",
        ]);
        finish("pg_ctl start", &mut start, Some(&log));
        self.running = true;
    }

    /// Stops the cluster and waits until it is gone.
    pub fn stop(&mut self, how: Stop) {
        assert!(self.running, "the cluster does not run");
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let mut stop = self.command("pg_ctl");
        stop.args(["-w", "-t", "60", "-s", "-m", mode, "-D"]).arg(self.data()).arg("stop");
        finish("pg_ctl stop", &mut stop, None);
        self.running = false;
    }

    /// The address of the cluster, as a role that may do everything.
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// An empty database on this cluster.
    pub async fn database(&self) -> TestDatabase {
        TestDatabase::create_on(&self.admin_url()).await
    }

    /// The process id of the server, for counting what it does.
    pub fn pid(&self) -> u32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).expect("a running server has a pid file");
        file.lines().next().and_then(|line| line.trim().parse().ok()).expect("the pid stands in the first line")
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir("/").env("HOME", self.home.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // The server must not get this process's streams, or a test runner would wait for it.
        command.process_group(0);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.running {
            let mut stop = self.command("pg_ctl");
            stop.args(["-w", "-s", "-m", "immediate", "-D"]).arg(self.data()).arg("stop");
            let _stopped = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn finish(what: &str, command: &mut Command, log: Option<&Path>) {
    // A file and not a pipe: the server inherits it, and a pipe would stay open as long as the server runs.
    let output = tempfile::NamedTempFile::new().expect("a temporary file");
    let stream = || output.reopen().expect("the temporary file again");
    let status = command.stdout(stream()).stderr(stream()).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        let said = fs::read_to_string(output.path()).unwrap_or_default();
        let logged = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        panic!("{what} failed ({status:?}): {said}{logged}");
    }
}

/// The user and group a server runs as; `None` when this process may start it itself.
fn owner() -> Option<(u32, u32)> {
    if id(&["-u"])? != 0 {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find(|user| id(&["-u", user]).is_some());
    let user = user.expect("as root PostgreSQL needs the user postgres or nobody");
    Some((id(&["-u", user])?, id(&["-g", user])?))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}

/// The folder of PostgreSQL's server programs: `RAPPORT_TEST_POSTGRES_BIN`, the PATH, or the usual places.
fn binaries() -> PathBuf {
    let named = std::env::var_os("RAPPORT_TEST_POSTGRES_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort_by_key(|folder| {
        let version = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    named
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(versions.into_iter().map(|folder| folder.join("bin")))
        .chain([PathBuf::from("/usr/local/pgsql/bin")])
        .find(|folder| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
        .unwrap_or_else(|| {
            panic!(
                "this test stops and starts a PostgreSQL of its own, but initdb and pg_ctl were not found: run the tests \
                 by tests/run, or set RAPPORT_TEST_POSTGRES_BIN to their folder"
            )
        })
}
