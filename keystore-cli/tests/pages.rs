//! Tests of `keystore completions` and `keystore man`.

mod common;

use common::keystore;

#[test]
fn every_shell_has_completions_that_name_the_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = keystore(&["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        let words = ["stress", "load", "shell", "longest-line", "skip-bad", "jsonl", "dashmap"];
        // The scripts for elvish and PowerShell complete no values.
        let some = if matches!(shell, "bash" | "zsh" | "fish") { words.len() } else { 5 };
        for word in &words[..some] {
            assert!(ran.out.contains(word), "{shell} does not complete {word}");
        }
    }
    let ran = keystore(&["completions", "csh"]);
    assert!(ran.code == Some(2) && ran.err.contains("csh"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_formats() {
    let complete = |words: &str| {
        let script = format!(
            "source <(\"$0\" completions bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _keystore keystore \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_keystore")]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        common::run(command, b"")
    };
    let ran = complete("keystore lo");
    assert_eq!(ran.out, "load\n", "{ran:?}");
    let ran = complete("keystore load --format ''");
    assert_eq!(ran.out, "words lines tsv csv jsonl\n", "{ran:?}");
}

#[test]
fn each_command_has_a_manual_page() {
    let ran = keystore(&["man"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.contains(".TH keystore 1") && ran.out.contains("Exit codes"), "{}", ran.out);
    for (command, word) in [
        ("stress", "threads"),
        ("load", "format"),
        ("shell", "raw"),
        ("completions", "bash"),
        ("man", "page"),
    ] {
        let ran = keystore(&["man", command]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.out.contains(&format!(".TH keystore-{command} 1")), "{}", ran.out);
        assert!(
            ran.out.contains(&format!("keystore {command}")) && ran.out.contains(word),
            "{}",
            ran.out
        );
    }
    let ran = keystore(&["man", "frob"]);
    assert!(ran.code == Some(2) && ran.err.contains("stress, load, shell"), "{ran:?}");
}
