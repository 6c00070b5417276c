//! Files that are read again when they change: certificates, keys, authorities, tokens.
//!
//! Their content is looked at every few seconds. That sees every way in which a file can change (Kubernetes swaps a link to a
//! folder, editors write another file and rename it, a copy writes in place), on every file system. What cannot be used is
//! tried again at every look, changed or not: a certificate comes into force, a disk answers again.

use std::fs;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::options::OptionsError;

type Apply = dyn Fn() -> Result<String, OptionsError> + Send + Sync;

/// Files that belong together, and what to do when one of them has changed.
pub(crate) struct Watched {
    name: &'static str,
    files: Vec<PathBuf>,
    hasher: RandomState,
    seen: Mutex<u64>,
    apply: Box<Apply>,
    applied: AtomicU64,
    failed: AtomicU64,
    failing: AtomicBool,
    /// What was wrong when it was last told.
    wrong: Mutex<String>,
}

/// How often something was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    pub(crate) name: &'static str,
    pub(crate) applied: u64,
    /// Without the tries that found the same fault again.
    pub(crate) failed: u64,
    /// What stands in the files now cannot be used.
    pub(crate) failing: bool,
}

impl Watched {
    /// `apply` reads the files and puts their content to use; it says what is in use then. They are read once more here, so
    /// that no change falls between the first reading and the first look.
    pub(crate) fn new<'a>(
        name: &'static str,
        files: impl IntoIterator<Item = &'a PathBuf>,
        apply: impl Fn() -> Result<String, OptionsError> + Send + Sync + 'static,
    ) -> Watched {
        let files: Vec<PathBuf> = files.into_iter().filter(|file| !file.as_os_str().is_empty()).cloned().collect();
        let watched = Watched {
            name,
            files,
            hasher: RandomState::new(),
            seen: Mutex::new(0),
            apply: Box::new(apply),
            applied: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            wrong: Mutex::default(),
        };
        let content = watched.content();
        // Told at the first look if it cannot be used any more.
        let seen = if (watched.apply)().is_ok() { content } else { !content };
        *watched.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        watched
    }

    /// A number that stands for the content of the files as they are now.
    fn content(&self) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for file in &self.files {
            // A file that is gone is another content too.
            fs::read(file).ok().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Looks at the files, and uses them if they have changed since they were last looked at, if they could not be used then,
    /// or in any case.
    fn look(&self, anyway: bool) {
        let now = self.content();
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now);
        let new = before != now || anyway;
        if !new && !self.failing.load(Ordering::Relaxed) {
            return;
        }
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.apply)() {
            Ok(what) => {
                self.applied.fetch_add(1, Ordering::Relaxed);
                self.failing.store(false, Ordering::Relaxed);
                wrong.clear();
                tracing::info!(reload = self.name, "read again: {what}");
            }
            Err(error) => {
                self.failing.store(true, Ordering::Relaxed);
                let text = error.to_string();
                // Tried again every few seconds, the same fault of the same files is told once.
                if new || *wrong != text {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(reload = self.name, "cannot be used, what was read before stays in use: {text}");
                    *wrong = text;
                }
            }
        }
    }
}

/// All that is read again. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reload {
    inner: Arc<Inner>,
}

struct Inner {
    all: Vec<Watched>,
    asked: Notify,
}

impl Reload {
    pub(crate) fn new(all: Vec<Watched>) -> Reload {
        Reload { inner: Arc::new(Inner { all, asked: Notify::new() }) }
    }

    /// Asks for everything to be read again soon.
    pub(crate) fn ask(&self) {
        self.inner.asked.notify_one();
    }

    /// What became of it so far.
    pub(crate) fn reloaded(&self) -> Vec<Reloaded> {
        let told = |one: &Watched| Reloaded {
            name: one.name,
            applied: one.applied.load(Ordering::Relaxed),
            failed: one.failed.load(Ordering::Relaxed),
            failing: one.failing.load(Ordering::Relaxed),
        };
        self.inner.all.iter().map(told).collect()
    }

    /// Looks every so often (never, if that is 0) and whenever it is asked to, until `cancel`.
    pub(crate) async fn watch(&self, every: Duration, cancel: CancellationToken) {
        loop {
            let rest = async {
                match every.is_zero() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(every).await,
                }
            };
            let anyway = tokio::select! {
                () = cancel.cancelled() => return,
                () = self.inner.asked.notified() => true,
                () = rest => false,
            };
            let inner = Arc::clone(&self.inner);
            // Files may be on a network.
            let looked = tokio::task::spawn_blocking(move || inner.all.iter().for_each(|one| one.look(anyway))).await;
            if let Err(error) = looked {
                tracing::error!(%error, "files could not be looked at");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_another_content_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, "one").unwrap();
        let (path, none) = (file.clone(), PathBuf::new());
        let watched = Watched::new("test", [&file, &none], move || match fs::read_to_string(&path) {
            Ok(text) if text != "bad" => Ok(text),
            _ => Err(OptionsError::one("bad")),
        });
        let told = |watched: &Watched| {
            let reload = |count: &AtomicU64| count.load(Ordering::Relaxed);
            (reload(&watched.applied), reload(&watched.failed), watched.failing.load(Ordering::Relaxed))
        };
        watched.look(false);
        assert_eq!(told(&watched), (0, 0, false));
        fs::write(&file, "two").unwrap();
        watched.look(false);
        watched.look(false);
        assert_eq!(told(&watched), (1, 0, false));
        fs::write(&file, "bad").unwrap();
        watched.look(false);
        watched.look(false);
        assert_eq!(told(&watched), (1, 1, true), "the same fault is told once");
        fs::remove_file(&file).unwrap();
        watched.look(false);
        assert_eq!(told(&watched), (1, 2, true));
        fs::write(&file, "two").unwrap();
        watched.look(false);
        assert_eq!(told(&watched), (2, 2, false), "what was good before is good again");
        watched.look(true);
        assert_eq!(told(&watched), (3, 2, false), "on demand in any case");
    }
    #[test]
    fn what_cannot_be_used_is_tried_again_without_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("certificate");
        fs::write(&file, "old").unwrap();
        let outside = Arc::new(Mutex::new("good"));
        let seen = Arc::clone(&outside);
        let watched = Watched::new("test", [&file], move || match *seen.lock().unwrap() {
            "good" => Ok("it".to_owned()),
            wrong => Err(OptionsError::one(wrong)),
        });
        let told =
            |watched: &Watched| (watched.applied.load(Ordering::Relaxed), watched.failed.load(Ordering::Relaxed));
        fs::write(&file, "new").unwrap();
        for (state, expected) in [
            ("not in force yet", (0, 1)),
            ("not in force yet", (0, 1)),
            ("no descriptors are left", (0, 2)),
            ("not in force yet", (0, 3)),
            ("good", (1, 3)),
            ("good", (1, 3)),
            // Nobody looks at what is in use until its files change.
            ("not in force yet", (1, 3)),
        ] {
            *outside.lock().unwrap() = state;
            watched.look(false);
            assert_eq!(told(&watched), expected, "{state}");
        }
        assert!(!watched.failing.load(Ordering::Relaxed));
    }
}
