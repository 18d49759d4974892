//! The upper bound of this process's memory. Requests that exceed it are refused at once.
//!
//! An allocator's answer says little: a system that overcommits hands out addresses for more memory
//! than it has, and kills the process when it touches them. But the system tells an upper bound:
//! the memory and swap of the machine, the limits of the process's control groups, and its resource
//! limits. A request that exceeds the bound can never fit.
//!
//! The bound is read from the system each time, since it may change while the process runs. Reading
//! it takes microseconds, so only requests of [`CHECKED_FROM`] bytes and more are checked. The
//! bound is known on Linux; elsewhere there is none.

use std::alloc::{Layout, alloc, dealloc};
use std::hint::black_box;

use crate::error::{Error, Result};

/// Smallest request in bytes that is checked: 16 MiB.
pub const CHECKED_FROM: usize = 16 << 20;

/// Refuses `requested` bytes if the system can never give this process so many. The check says
/// nothing about the memory that is free now: the allocator may still refuse a request that passes.
///
/// # Errors
/// Returns [`Error::OutOfMemory`], -10, if the request can never fit.
pub fn check_fits(requested: usize) -> Result<()> {
    if requested < CHECKED_FROM || requested as u64 <= system::bound(requested as u64) {
        Ok(())
    } else {
        Err(Error::OutOfMemory { requested })
    }
}

/// Returns whether the allocator has a block of `bytes` bytes now. Use it before a call into a
/// crate that ends the process if there is no memory: the block is freed, so that the crate can get
/// it.
pub(crate) fn allocator_has(bytes: usize) -> bool {
    let Ok(layout) = Layout::from_size_align(bytes.max(1), 16) else { return false };
    // SAFETY: the layout has a size, and the block is freed with the same layout. `black_box` keeps
    // the compiler from removing the pair of calls.
    unsafe {
        let block = black_box(alloc(layout));
        if !block.is_null() {
            dealloc(block, layout);
        }
        !block.is_null()
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use std::fs::File;
    use std::io::Read;

    use rustix::process::{Resource, getrlimit};
    use rustix::system::sysinfo;

    /// The most bytes that this process can have. If that is less than `needed`, not every limit
    /// has been read.
    pub(super) fn bound(needed: u64) -> u64 {
        let limits = [Resource::As, Resource::Data].map(|resource| getrlimit(resource).current);
        let own = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
        let machine = sysinfo();
        let bytes = |units: u64| units.saturating_mul(u64::from(machine.mem_unit));
        let swap = bytes(machine.totalswap as u64);
        let cheap = own.min(bytes(machine.totalram as u64).saturating_add(swap));
        if cheap < needed { cheap } else { cheap.min(group_bound(swap)) }
    }

    /// Returns the most bytes that the control groups of this process allow it, `swap` bytes of
    /// swap included.
    fn group_bound(swap: u64) -> u64 {
        let (Some(groups), Some(mounts)) =
            (read("/proc/self/cgroup"), read("/proc/self/mountinfo"))
        else {
            return u64::MAX;
        };
        let number = |path: &str| read(path)?.trim().parse().ok();
        super::group_limit(&groups, &mounts, number)
            .map_or(u64::MAX, |limit| limit.saturating_add(swap))
    }

    /// Returns the content of a file, if it exists and there is memory for its content.
    fn read(path: &str) -> Option<String> {
        let mut content = String::new();
        File::open(path).ok()?.read_to_string(&mut content).ok()?;
        Some(content)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    pub(super) fn bound(_: u64) -> u64 {
        u64::MAX
    }
}

/// Greatest length of a path that the standard library opens without an allocation, which could
/// abort.
#[cfg(any(test, all(target_os = "linux", not(miri))))]
const PATH_BYTES: usize = 383;

/// Returns the smallest memory limit in bytes of the control groups that a process is in, and of
/// the groups that contain them.
///
/// `groups` and `mounts` are the content of `/proc/self/cgroup` and `/proc/self/mountinfo`, and
/// `number` reads a file that holds a number. A system may have both versions of control groups, so
/// this looks at both.
#[cfg(any(test, all(target_os = "linux", not(miri))))]
fn group_limit(groups: &str, mounts: &str, number: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut limit: Option<u64> = None;
    for line in groups.lines() {
        // "4:memory:/path" in version 1, "0::/path" in version 2.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (kind, file) = match controllers {
            "" => ("cgroup2", "/memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("cgroup", "/memory.limit_in_bytes")
            }
            _ => continue,
        };
        let Some((root, point)) = mounts.lines().find_map(|mount| mount_of(mount, kind)) else {
            continue;
        };
        // Inside a container, the mount may begin below the root of the hierarchy.
        let inside =
            path.strip_prefix(root.trim_end_matches('/')).filter(|rest| !rest.contains(".."));
        let mut group = inside.unwrap_or("").trim_end_matches('/');
        loop {
            let mut place = String::new();
            if point.len() + group.len() + file.len() <= PATH_BYTES
                && place.try_reserve(PATH_BYTES).is_ok()
            {
                [point, group, file].into_iter().for_each(|part| place.push_str(part));
                limit = limit.into_iter().chain(number(&place)).min();
            }
            let Some(parent) = group.rfind('/') else { break };
            group = &group[..parent];
        }
    }
    limit
}

/// Parses a line of `mountinfo`. If it mounts control groups of this kind with the memory
/// controller, returns the group at which the mount begins and the directory that it is mounted on.
#[cfg(any(test, all(target_os = "linux", not(miri))))]
fn mount_of<'m>(line: &'m str, kind: &str) -> Option<(&'m str, &'m str)> {
    // "35 31 0:32 /root /mount/point options - type source super,options"
    let (place, system) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut system = system.split(' ');
    let is_memory =
        kind == "cgroup2" || system.clone().nth(2)?.split(',').any(|option| option == "memory");
    (system.next()? == kind && is_memory).then_some((root, point))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
23 1 0:21 / /proc rw - proc proc rw
34 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn limit(groups: &str, mounts: &str, files: &[(&str, u64)]) -> Option<u64> {
        let number =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|&(_, number)| number);
        group_limit(groups, mounts, number)
    }

    #[test]
    fn the_smallest_limit_on_the_way_to_the_root_counts_in_both_versions() {
        let files = [
            ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", 300),
            ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", 200),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", 9_223_372_036_854_771_712),
            ("/sys/fs/cgroup/unified/x/y/memory.max", 100),
            ("/sys/fs/cgroup/unified/x/memory.max", 150),
        ];
        assert_eq!(limit("4:memory:/a/b\n1:cpu:/\n", MOUNTS, &files), Some(200));
        assert_eq!(limit("4:memory:/a/b\n0::/x/y\n", MOUNTS, &files), Some(100));
        assert_eq!(limit("0::/x\n", MOUNTS, &files), Some(150));
        assert_eq!(limit("9:cpu,memory:/\n", MOUNTS, &files), Some(9_223_372_036_854_771_712));
        assert_eq!(limit("0::/elsewhere\n", MOUNTS, &files), None);
        assert_eq!(limit("1:cpu:/a/b\n", MOUNTS, &files), None);
    }

    #[test]
    fn a_group_that_is_mounted_in_a_container_is_found() {
        let mounts = "41 31 0:38 /docker/1234 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let files = [
            ("/sys/fs/cgroup/memory.max", 1_000),
            ("/sys/fs/cgroup/inner/memory.max", 500),
            ("/memory.max", 1),
        ];
        assert_eq!(limit("0::/docker/1234\n", mounts, &files), Some(1_000));
        assert_eq!(limit("0::/docker/1234/inner\n", mounts, &files), Some(500));
        // In another namespace, the path leads out of the mount.
        assert_eq!(limit("0::/../../other\n", mounts, &files), Some(1_000));
        let namespaced = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(limit("0::/\n", namespaced, &files), Some(1_000));
    }

    #[test]
    fn what_is_not_a_description_of_groups_is_passed_over() {
        for (groups, mounts) in
            [("", ""), ("0::", "-"), ("::\nx", " - \n - cgroup2"), ("0", MOUNTS)]
        {
            assert_eq!(limit(groups, mounts, &[]), None, "{groups:?} {mounts:?}");
        }
    }

    #[test]
    fn a_small_request_fits_and_one_larger_than_any_machine_does_not() {
        assert_eq!(check_fits(CHECKED_FROM - 1), Ok(()));
        assert_eq!(check_fits(CHECKED_FROM), Ok(()));
        if cfg!(all(target_os = "linux", not(miri))) {
            assert_eq!(check_fits(1 << 60), Err(Error::OutOfMemory { requested: 1 << 60 }));
        }
    }
}
