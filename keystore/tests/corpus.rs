//! Replays the inputs of the fuzzer that the repository keeps: see `cargo xtask fuzz` and the
//! folder `fuzz`.

#[path = "support/packed.rs"]
mod packed;
#[path = "support/sequence.rs"]
mod sequence;
#[path = "support/steps.rs"]
mod steps;

use std::collections::BTreeSet;

/// The packed corpus.
const CORPUS: &str = include_str!("corpus.hex");

#[test]
fn every_kept_sequence_does_what_a_map_does() {
    let mut replayed = 0;
    for input in packed::unpack(CORPUS).expect("the corpus can be unpacked") {
        sequence::run(&input);
        replayed += 1;
    }
    assert!(replayed >= 20, "{replayed} inputs in corpus.hex");
}

#[test]
fn the_corpus_is_packed_as_its_inputs_pack() {
    let inputs = packed::unpack(CORPUS).expect("the corpus can be unpacked");
    assert_eq!(packed::pack(&inputs), CORPUS);
}

#[test]
fn inputs_pack_and_unpack_and_what_is_no_input_is_named() {
    let inputs =
        BTreeSet::from([vec![], vec![0], vec![0, 0], vec![0x0a, 0xff, b'#'], (0..=255).collect()]);
    let text = packed::pack(&inputs);
    assert!(text.lines().any(|line| line == "0aff23"), "{text}");
    assert_eq!(packed::unpack(&text), Ok(inputs));
    for wrong in ["abc", "0g", "+1", "0 "] {
        let text = format!("# a comment\n00\n{wrong}\n");
        assert_eq!(packed::unpack(&text), Err(format!("line 3: {wrong:?}")));
    }
}
