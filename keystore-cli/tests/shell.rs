//! Tests of `keystore shell` with input from a pipe.

mod common;

use common::{keystore, keystore_fed};

#[test]
fn verbs_from_a_pipe_answer_a_line_each() {
    let lines =
        b"set a 1\nset \"a key\" 'with a value'\r\n\n# a comment\nget a\nget 'a key'\nincr a 41\nexists b\n\
                  insert b 2\ncas b 2 3\ntake b\ncount\nscan\ndel a\ncount";
    let ran = keystore_fed(&["shell"], lines);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(
        ran.out,
        "created\ncreated\n1\n\"with a value\"\n42\nfalse\ncreated\nexchanged\n3\n2\na\t42\n\"a key\"\t\"with a value\"\ndeleted\n1\n"
    );
}

#[test]
fn a_refused_line_is_numbered_the_rest_is_done_and_the_exit_code_is_1() {
    let ran = keystore_fed(&["shell"], b"set a 1\nfrob\nget\nget nothing\nset 'open\nget a\n");
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "created\n1\n");
    assert_eq!(
        ran.err,
        "line 2: unknown operation frob: `help` lists all\n\
         line 3: usage: get KEY\n\
         line 4: key not found: nothing\n\
         line 5: a quote is not closed, or the line ends with a backslash\n"
    );
}

#[test]
fn quit_ends_it_and_keeps_the_exit_code() {
    let ran = keystore_fed(&["shell"], b"set a 1\nquit\nset b 2\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "created\n"));
    let ran = keystore_fed(&["shell"], b"get a\nexit\n");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn keys_and_values_are_bytes() {
    let ran = keystore_fed(&["shell"], b"set caf\xe9 \xff\nget caf\xe9\nscan caf\n");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.out, "created\n\\xff\ncaf\\xe9\t\\xff\n");
}

#[test]
fn what_is_printed_can_be_fed_back() {
    let given = keystore_fed(
        &["shell"],
        b"set \"a b\" 'x\\ny'\nset '' 1\nset \\n \\u{202e}\nset \\xff '\"'\nscan\n",
    );
    assert_eq!(
        given.out,
        "created\ncreated\ncreated\n\\n\t\\u{202e}\n\"a b\"\tx\\\\ny\n\\xff\t\"\\\"\"\n"
    );
    let entries: String = given.out.lines().skip(3).map(|entry| format!("set {entry}\n")).collect();
    let again = keystore_fed(&["shell"], format!("{entries}scan\n").as_bytes());
    assert_eq!((again.code, again.out), (Some(0), given.out));
}

#[test]
fn raw_values_are_exact() {
    let ran = keystore_fed(&["shell", "--raw"], b"set k \"a \\\\ b\\n\"\nget k\nscan\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "created\na \\ b\n\nk\ta \\ b\n\n"));
}

#[test]
fn a_scan_says_how_many_more_there_are() {
    let mut lines: String =
        (0..150).map(|number| format!("set key{number:03} {number}\n")).collect();
    lines.push_str("scan key\nscan key14 2\n");
    let ran = keystore_fed(&["shell", "--backend", "rwlock", "--pool", "system"], lines.as_bytes());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), "(50 more)\n(8 more)\n"));
    assert!(ran.out.ends_with("key099\t99\nkey140\t140\nkey141\t141\n"), "{}", ran.out);
}

#[test]
fn nothing_to_do_is_no_failure() {
    assert_eq!(keystore(&["shell"]).code, Some(0));
}

#[test]
fn wrong_arguments_exit_with_2() {
    for arguments in
        [&["--backend", "all"][..], &["--pool", "heap"], &["--buckets", "0"], &["file"]]
    {
        let ran = keystore(&[&["shell"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(arguments[arguments.len() - 1]), "{}", ran.err);
    }
}
