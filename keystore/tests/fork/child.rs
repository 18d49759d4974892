//! Forks a child, and waits for its result.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

/// Time after which a child counts as stuck, seconds.
const PATIENCE: u32 = 60;

/// A child of this process.
#[must_use = "nothing of what it finds is known until it was waited for"]
pub(crate) struct Child(libc::pid_t);

/// Forks. The child runs `work`, which sees copies of all that it borrows. Then it ends at once,
/// without destructors and exit handlers, because the parent runs these at its own end.
pub(crate) fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: the child goes on with this thread alone. It uses the system's allocator, which glibc
    // makes usable in every child. It also uses stores, and the checks test that these are usable.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: nothing handles the signal, so it ends the child.
            unsafe { libc::alarm(PATIENCE) };
            let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
            // SAFETY: the call ends the process at once.
            unsafe { libc::_exit(i32::from(panicked)) }
        }
        id => Child(id),
    }
}

impl Child {
    /// Waits until the child has ended, and checks that it succeeded.
    #[track_caller]
    pub(crate) fn wait(self) {
        let mut status = 0;
        // SAFETY: `status` is a local variable that lives during the call.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(ended, self.0, "waiting for the child: {}", io::Error::last_os_error());
        // If the child panicked, its message is on standard error.
        let status = ExitStatus::from_raw(status);
        assert!(
            status.success(),
            "the child ended with {status}; SIGALRM means that it was stuck for {PATIENCE} s"
        );
    }
}
