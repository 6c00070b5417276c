//! Room for data.

use rapport_server::{Options, system};

use super::Finding;

/// Below this a checkpoint or an erasure may not find the room it needs.
const LEAST: u64 = 64 << 20;
/// Below this share of the disk somebody should look.
const SHARE: u64 = 10;

pub(super) fn examine(options: &Options) -> Vec<Finding> {
    let disk = system::disk(&options.data);
    disk.map(|disk| judge(&options.data.display().to_string(), disk)).into_iter().collect()
}

fn judge(folder: &str, disk: system::Disk) -> Finding {
    const CHECK: &str = "disk.space";
    let found = format!("{} MiB free of {}", disk.free >> 20, disk.size >> 20);
    if disk.free < LEAST {
        return Finding::fail(CHECK, folder, found, "make room: writes are refused when the disk is full, reads go on");
    }
    if disk.free < disk.size / SHARE {
        return Finding::warn(CHECK, folder, found, "make room, or shorten store.feed_retention");
    }
    Finding::ok(CHECK, folder, found)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn little_room_is_told() {
        let with = |free| judge("data", system::Disk { size: 10 << 30, free, reserved: 0 }).verdict;
        assert_eq!([with(5 << 30), with(900 << 20), with(10 << 20)], [Verdict::Ok, Verdict::Warn, Verdict::Fail]);
    }
}
