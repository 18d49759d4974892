//! Two small programs that move from `DashMap` to the typed map. Each stands here twice, in two
//! files that differ in their types and in at most five other lines.

#[path = "moves/once_map_dashmap.rs"]
mod once_map_dashmap;
#[path = "moves/once_map_keystore.rs"]
mod once_map_keystore;
#[path = "moves/sessions_dashmap.rs"]
mod sessions_dashmap;
#[path = "moves/sessions_keystore.rs"]
mod sessions_keystore;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Maximum number of lines that differ in either version, apart from those that name types.
const MAX_OTHER_LINES: usize = 5;

/// Returns whether a line only names types: an import, a derive, the field of the map, or the first
/// line of the file, which says which map it is.
fn names_types(line: &str) -> bool {
    let line = line.trim_start();
    let starts = ["//!", "use ", "#[derive(", "items: ", "sessions: "];
    starts.iter().any(|start| line.starts_with(start))
}

/// Returns the lines of `from` that are not in the longest sequence of lines that both texts have.
fn other_lines<'t>(from: &'t str, to: &str) -> Vec<&'t str> {
    let (from, to): (Vec<_>, Vec<_>) = (from.lines().collect(), to.lines().collect());
    // The length of the longest common sequence of the lines from `i` and from `j` on.
    let mut common = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            common[i][j] = if from[i] == to[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut others) = (0, 0, Vec::new());
    while i < from.len() {
        if j < to.len() && from[i] == to[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < to.len() && common[i][j + 1] > common[i + 1][j] {
            j += 1;
        } else {
            others.push(from[i]);
            i += 1;
        }
    }
    others
}

#[track_caller]
fn assert_small_move(before: &str, after: &str) {
    for (from, to) in [(before, after), (after, before)] {
        let others = other_lines(from, to);
        assert!(!others.is_empty(), "the two files are not the same");
        let others: Vec<_> = others.into_iter().filter(|line| !names_types(line)).collect();
        assert!(others.len() <= MAX_OTHER_LINES, "{others:#?}");
    }
}

#[test]
fn differing_lines_are_found() {
    assert_eq!(other_lines("a\nb\nc\nd", "a\nx\nc"), ["b", "d"]);
    assert_eq!(other_lines("a\nx\nc", "a\nb\nc\nd"), ["x"]);
    assert_eq!(other_lines("a\nb", "a\nb"), [""; 0]);
}

#[test]
fn a_once_map_moves_with_few_lines() {
    assert_small_move(
        include_str!("moves/once_map_dashmap.rs"),
        include_str!("moves/once_map_keystore.rs"),
    );
}

#[test]
fn a_session_cache_moves_with_few_lines() {
    assert_small_move(
        include_str!("moves/sessions_dashmap.rs"),
        include_str!("moves/sessions_keystore.rs"),
    );
}

/// Makes a test of a once map. Both versions pass it.
macro_rules! once_map_test {
    ($name:ident, $module:ident) => {
        #[test]
        fn $name() {
            let (map, tasks) = ($module::OnceMap::default(), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for n in 0..500 {
                            let package = format!("package {n}");
                            if map.register(&package) {
                                assert_eq!(map.get(&package), None);
                                tasks.fetch_add(1, Relaxed);
                                map.done(&package, vec![n.to_string(), "2.0".to_owned()]);
                            }
                        }
                    });
                }
            });
            assert_eq!(tasks.into_inner(), 500, "each task is done once");
            for n in 0..500 {
                let expected = Some(vec![n.to_string(), "2.0".to_owned()]);
                assert_eq!(map.get(&format!("package {n}")), expected);
            }
            assert_eq!(map.get("absent"), None);
            assert!(format!("{map:?}").starts_with("OnceMap"));
        }
    };
}

once_map_test!(a_once_map_over_dashmap_does_each_task_once, once_map_dashmap);
once_map_test!(a_once_map_over_keystore_does_each_task_once, once_map_keystore);

/// Makes a test of a session cache. Both versions pass it.
macro_rules! sessions_test {
    ($name:ident, $module:ident) => {
        #[test]
        fn $name() {
            use $module::{Session, Sessions};

            let sessions = Sessions::default();
            assert_eq!(sessions.insert("t1".to_owned(), "ann", 100), None);
            assert_eq!(sessions.insert("t2".to_owned(), "bob", 100), None);
            let replaced = Session { user: "ann".to_owned(), seen: 100 };
            assert_eq!(sessions.insert("t1".to_owned(), "ann", 200), Some(replaced));
            assert!(sessions.touch("t1", 500));
            assert!(!sessions.touch("t3", 500));
            sessions.expire(100 + Sessions::LIFETIME);
            assert_eq!((sessions.len(), sessions.user("t2")), (1, None));
            assert_eq!(sessions.user("t1").as_deref(), Some("ann"));
            sessions.expire(500 + Sessions::LIFETIME);
            assert_eq!(sessions.len(), 0);
        }
    };
}

sessions_test!(sessions_over_dashmap_expire, sessions_dashmap);
sessions_test!(sessions_over_keystore_expire, sessions_keystore);
