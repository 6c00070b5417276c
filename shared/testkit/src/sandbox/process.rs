use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a process may take to listen, on a machine that runs other tests besides.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);
const LISTENING: &str = "rapport listening on ";

/// A process of the real binary. It is killed with this value.
pub(super) struct Process {
    binary: Option<PathBuf>,
    config: PathBuf,
    log: PathBuf,
    service: Option<String>,
    env: Vec<(String, String)>,
    child: Option<Child>,
}

impl Process {
    pub(super) fn new(
        binary: Option<PathBuf>,
        config: PathBuf,
        log: PathBuf,
        service: Option<String>,
        env: Vec<(String, String)>,
    ) -> Process {
        Process { binary, config, log, service, env, child: None }
    }

    pub(super) fn config(&self) -> &Path {
        &self.config
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(super) async fn start(&mut self) {
        assert!(self.pid().is_none(), "the process runs already");
        let log = File::options().create(true).append(true).open(&self.log).expect("the process's log");
        let mut command = Command::new(self.binary.clone().unwrap_or_else(rapport_binary));
        command.arg("serve").arg("--config").arg(&self.config);
        if let Some(service) = &self.service {
            command.args(["--service", service]);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RAPPORT__") {
                command.env_remove(name);
            }
        }
        command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = child.stdout.take().expect("a pipe");
        self.child = Some(child);
        let mut lines = BufReader::new(stdout).lines();
        let listens = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains(LISTENING) {
                    return true;
                }
            }
            false
        };
        let listens = tokio::time::timeout(START, listens).await;
        if listens != Ok(true) {
            panic!("the process does not listen ({listens:?}); it logged:\n{}", self.log());
        }
        // The rest is read and dropped, so that the process never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    }

    pub(super) async fn kill(&mut self) {
        let mut child = self.child.take().expect("the process does not run");
        child.kill().await.expect("the process can be killed");
    }

    pub(super) async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("the process does not run");
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(status) => {
                self.child = None;
                status.expect("the process can be waited for")
            }
            Err(_) => panic!("the process did not end within {limit:?}; it logged:\n{}", self.log()),
        }
    }

    pub(super) async fn terminate(&mut self) -> ExitStatus {
        let pid = self.pid().expect("the process does not run").to_string();
        // The shell's own kill: the program of that name is not installed everywhere.
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "process {pid} cannot be signalled");
        self.wait(STOP).await
    }
}

/// The `rapport` binary of this build: `RAPPORT_TEST_BINARY`, or the one beside the test in the target folder.
///
/// # Panics
/// If it was not built.
pub fn rapport_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("RAPPORT_TEST_BINARY") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the path of this test");
    let found = test.ancestors().skip(1).take(3).map(|folder| folder.join("rapport")).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("the rapport binary is not built: run the tests by tests/run, or type cargo build -p rapport")
    })
}
