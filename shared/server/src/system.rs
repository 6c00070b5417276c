//! What the operating system says of this process and of its data folder. `None` where it does not tell.

use std::path::Path;
use std::time::Duration;

/// The file system of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its size in bytes.
    pub size: u64,
    /// What this process can still write, in bytes.
    pub free: u64,
    /// What is kept for the system's administrator, in bytes.
    pub reserved: u64,
}

impl Disk {
    /// What is in use, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.size.saturating_sub(self.free).saturating_sub(self.reserved)
    }
}

/// The file system of a folder, or of the nearest folder above it that exists.
#[must_use]
pub fn disk(folder: &Path) -> Option<Disk> {
    let full = std::path::absolute(folder).ok()?;
    let known = full.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(known).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk {
        size: bytes(found.f_blocks),
        free: bytes(found.f_bavail),
        reserved: bytes(found.f_bfree.saturating_sub(found.f_bavail)),
    })
}

/// How many files and connections this process may have open.
#[must_use]
pub fn file_limit() -> Option<u64> {
    Some(rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Lets this process have as many files and connections open as the system allows it at all, and says how many. What it
/// begins with is made for programs that use the oldest way to wait for files, and is often fewer than its connections.
#[must_use = "fewer than are needed may be all that there are"]
pub fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // A system that refuses leaves what there was.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
    file_limit()
}

/// What this process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// CPU time, in user and in system mode.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub files: u64,
}

/// What this process uses, from /proc.
#[must_use]
pub fn process() -> Option<Process> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything in its parentheses, the state is field 3.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let per_second = rustix::param::clock_ticks_per_second();
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Process {
        cpu: Duration::from_millis(ticks.saturating_mul(1000).checked_div(per_second)?),
        memory: field(24)?.saturating_mul(page),
        threads: field(20)?,
        files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let process = process().unwrap();
        assert!(process.memory > 1 << 20 && process.threads >= 1 && process.files >= 3, "{process:?}");
        assert!(file_limit().unwrap() >= process.files);
        let disk = disk(Path::new("target/no/such/folder")).unwrap();
        assert!(disk.size > disk.free && disk.used() > 0, "{disk:?}");
    }
}
