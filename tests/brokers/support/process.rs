//! Child processes that never outlive their test. Each is ended by its id on drop, also during a
//! panic, and by the kernel if the test process itself is killed.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{OnceLock, mpsc};
use std::thread;

/// A signal that tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM: asks the process to end.
    Term,
    /// SIGKILL: a crash.
    Kill,
    /// SIGSTOP: pauses the process, so that it may become a zombie. Its sockets stay open.
    Stop,
    /// SIGCONT: ends the pause.
    Continue,
}

/// A running child process, owned by the test.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`. `name` appears in messages.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub(crate) fn spawn(name: &str, command: Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn_from_lasting_thread(command)
            .unwrap_or_else(|error| panic!("cannot start {name} ({program}): {error}"));
        Self { name: name.to_owned(), child }
    }

    /// The process id. The kernel does not reuse it before the exit status has been read.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for access to its pipes.
    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, or `None` while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        let name = &self.name;
        self.child
            .try_wait()
            .unwrap_or_else(|error| panic!("cannot get the exit status of {name}: {error}"))
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If the process has already ended: a test that signals a dead process tests nothing.
    #[track_caller]
    pub(crate) fn signal(&mut self, signal: Signal) {
        if let Some(status) = self.exit_status() {
            panic!("cannot send {signal:?} to {}: it ended with {status}", self.name);
        }
        self.send(signal)
            .unwrap_or_else(|error| panic!("cannot send {signal:?} to {}: {error}", self.name));
    }

    /// Sends SIGKILL, whether the process is stopped or not, and waits until it is gone. A second
    /// call does nothing.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        if let Some(status) = self.exit_status() {
            return status;
        }
        let name = &self.name;
        self.send(Signal::Kill).unwrap_or_else(|error| panic!("cannot kill {name}: {error}"));
        self.child.wait().unwrap_or_else(|error| panic!("cannot wait for {name}: {error}"))
    }

    /// Must be called before the child has been waited for: until then, the kernel keeps its id.
    fn send(&self, signal: Signal) -> io::Result<()> {
        let number = match signal {
            Signal::Term => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        let pid = libc::pid_t::try_from(self.child.id()).map_err(io::Error::other)?;
        // SAFETY: kill takes no pointers; the id is that of a child not yet waited for.
        match unsafe { libc::kill(pid, number) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // No panic here: this also runs while a failed test unwinds.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether a process with this id is running. A zombie counts as gone.
pub(crate) fn is_running(pid: u32) -> bool {
    // The state follows the command name, which may itself contain spaces and parentheses.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim().starts_with('Z'))
}

/// The CPU time that a process has used so far, in seconds.
#[track_caller]
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // Fields 14 and 15 are user and system time. Field 3 is the first one after the command name.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().expect("ticks")).sum();
    // SAFETY: sysconf takes no pointers.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    f64::from(ticks) / f64::from(u32::try_from(per_second).expect("ticks per second"))
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts every child from one thread that lives as long as the test process. The kernel sends its
/// "parent died" signal when the *thread* that forked ends, and a test may start a child from a
/// helper thread.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (command, reply) in inbox {
                    let _ = reply.send(spawn_dying_with_parent(command));
                }
            })
            .expect("a thread that starts child processes");
        orders
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn spawn_dying_with_parent(mut command: Command) -> io::Result<Child> {
    let parent = std::process::id();
    let die_with_parent = move || {
        // SAFETY: prctl and getppid take no pointers and are async-signal-safe.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died between the fork and the line above.
        match u32::try_from(unsafe { libc::getppid() }) {
            Ok(pid) if pid == parent => Ok(()),
            Ok(_) | Err(_) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    };
    // SAFETY: the closure runs between fork and exec; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(die_with_parent) };
    command.spawn()
}
