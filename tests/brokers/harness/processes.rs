//! No process outlives its test, and a test can wait for what a process logs.

use crate::support::DEADLINE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::logged::Logged;
use crate::support::process::{Process, Signal, is_running};
use crate::support::sprag;
use crate::support::wait::eventually;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;

/// Set in the copy of this test program that is killed.
const IN_CHILD: &str = "SPRAG_HARNESS_CHILD";

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Says that it is ready, and waits. On SIGTERM, it says goodbye and exits with 7.
fn talker() -> Command {
    let script = r#"
        $| = 1;
        $SIG{TERM} = sub { print qq({"message":"bye"}\n); exit 7 };
        print STDERR "plain text\n";
        print qq({"level":"INFO","fields":{"message":"ready","shard":3}}\n);
        select(undef, undef, undef, 600);
    "#;
    let mut command = Command::new("perl");
    command.args(["-e", script]);
    command
}

#[test]
fn a_test_that_panics_leaves_no_broker_behind() {
    let _turn = turn();
    let (started, pid) = channel();
    let test = std::thread::spawn(move || {
        let mut broker = Broker::start(Version::V4_3);
        broker.stop_signal();
        started.send(broker.pid()).unwrap();
        panic!("on purpose: this test shows that its broker ends with it");
    });
    let pid = pid.recv().unwrap();
    assert!(test.join().is_err());
    assert!(!is_running(pid));
}

#[test]
fn a_child_survives_the_thread_that_started_it() {
    let starter = std::thread::spawn(|| {
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        (Path::new("/proc").join(thread), Logged::spawn("a program that logs", talker()))
    });
    let (thread, mut process) = starter.join().unwrap();
    process.wait_for(DEADLINE, "that it is ready", |line| line.message() == "ready");
    // The kernel sends the "parent died" signal before it forgets the thread.
    eventually(DEADLINE, "the end of the thread that started it", || !thread.exists());
    process.signal(Signal::Term);
    assert_eq!(process.wait_for_exit(DEADLINE).code(), Some(7), "it was ended by another signal");
}

#[test]
fn a_killed_test_process_leaves_nothing_behind() {
    if std::env::var_os(IN_CHILD).is_some() {
        let child = Process::spawn("sleep", shell("exec sleep 600"));
        eprintln!("started={}", child.pid());
        eventually(DEADLINE * 10, "to be killed", || false);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("harness::processes::a_killed_test_process_leaves_nothing_behind")
        .env(IN_CHILD, "1");
    let mut test = Logged::spawn("a copy of this test", command);
    let line = test.wait_for(DEADLINE, "its child's id", |line| line.text.contains("started="));
    let pid: u32 = line.text.rsplit('=').next().unwrap().parse().unwrap();
    assert!(is_running(pid) && is_running(test.pid()));
    test.kill();
    eventually(DEADLINE, "the child of the killed test to be gone", || !is_running(pid));
}

#[test]
fn a_logged_process_is_followed_line_by_line() {
    let mut process = Logged::spawn("a program that logs", talker());
    let ready = process.wait_for(DEADLINE, "that it is ready", |line| line.message() == "ready");
    assert_eq!(ready.field("shard"), Some(&serde_json::json!(3)));
    assert_eq!(ready.field("level"), Some(&serde_json::json!("INFO")));
    let plain = process.wait_for(DEADLINE, "its plain text", |line| line.json.is_none());
    assert_eq!(plain.message(), "plain text");
    let mark = process.mark();
    assert_eq!(process.exit_status(), None);
    process.signal(Signal::Term);
    process.wait_for_after(mark, DEADLINE, "its goodbye", |line| line.message() == "bye");
    assert_eq!(process.wait_for_exit(DEADLINE).code(), Some(7));
    assert_eq!(process.log().len(), 3);
}

#[test]
fn the_built_program_runs() {
    let (status, lines) = sprag::run(&["--version"], DEADLINE);
    assert!(status.success());
    assert_eq!(lines[0].text, concat!("sprag ", env!("CARGO_PKG_VERSION")));
}
