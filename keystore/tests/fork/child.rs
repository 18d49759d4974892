//! Forking, and waiting for what comes of it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

/// Seconds after which a child counts as stuck.
const PATIENCE: u32 = 60;

/// A child of this process.
#[must_use = "nothing of what it finds is known until it was waited for"]
pub(crate) struct Child(libc::pid_t);

/// Forks. The child does `work`, which has a copy of all that it borrows, and ends without a
/// destructor or anything else that the parent would do at its end as well.
pub(crate) fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: the child goes on with this thread alone. What it uses is the system's allocator,
    // which glibc makes usable in every child, and stores, of which that is what is tested.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: nobody handles the signal, so that it ends the child.
            unsafe { libc::alarm(PATIENCE) };
            let panicked = catch_unwind(AssertUnwindSafe(work)).is_err();
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(panicked)) }
        }
        id => Child(id),
    }
}

impl Child {
    /// Waits until the child has ended, which it must have done as it should.
    #[track_caller]
    pub(crate) fn wait(self) {
        let mut status = 0;
        // SAFETY: the status is a number of ours.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(ended, self.0, "waiting for the child: {}", io::Error::last_os_error());
        // A panic has said on standard error what it was.
        let status = ExitStatus::from_raw(status);
        assert!(status.success(), "the child ended with {status}; SIGALRM is that of {PATIENCE} s");
    }
}
