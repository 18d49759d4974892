//! What the fuzzer found worth keeping, replayed: see `cargo xtask fuzz` and the folder `fuzz`.

#[path = "support/sequence.rs"]
mod sequence;
#[path = "support/steps.rs"]
mod steps;

use std::path::Path;

#[test]
fn every_kept_sequence_does_what_a_map_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/sequences");
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("the folder can be read").path();
        sequence::run(&std::fs::read(&path).expect("a file of the corpus can be read"));
        replayed += 1;
    }
    assert!(replayed >= 20, "{replayed} files in {}", folder.display());
}
