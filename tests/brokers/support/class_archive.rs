//! The classes of a broker as the JVM keeps them (class data sharing): a broker that finds them
//! there starts with half of the work.

use super::artifacts::Version;
use super::broker;
use std::fs::{self, File};

/// Makes the archive of this version, if it is not there yet: by a broker that starts, ends, and
/// leaves its classes. Without one, brokers only start slower.
pub(super) fn ensure(version: Version) {
    let archive = version.class_archive();
    // Held until the end of this function: another test process waits here, then finds the archive.
    let lock = File::create(archive.with_extension("lock")).expect("a lock file for the archive");
    lock.lock().expect("the lock on the archive of classes");
    if archive.is_file() {
        return;
    }
    let partial = archive.with_extension("partial");
    let _ = fs::remove_file(&partial);
    broker::run_once(version, format!("-XX:ArchiveClassesAtExit={}", partial.display()));
    if let Err(error) = fs::rename(&partial, &archive) {
        eprintln!("Java made no archive of the classes of Kafka {}: {error}", version.number());
    }
}
