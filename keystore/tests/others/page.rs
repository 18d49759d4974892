//! Checks that the page `docs/other-maps.md` lists exactly the checks of this program.

use std::collections::BTreeSet;

use crate::MODULES;
use crate::check::{Check, checks};
use crate::combination::Combination;

pub(crate) const CHECKS: &[Check] = checks![shared: the_page_lists_each_check];

const PAGE: &str = include_str!("../../../docs/other-maps.md");

fn the_page_lists_each_check(_: &Combination) {
    let mut listed = BTreeSet::new();
    for row in PAGE.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [report, _, _, name] = cells[..] else { panic!("not four cells: {row}") };
        let name = name.trim_matches('`');
        assert!(listed.insert(name), "{name} is listed twice");
        // The report is a link whose text is `project#number`.
        let text = report.trim_start_matches('[').split(']').next().expect("a link");
        let (project, number) = text.split_once('#').expect("a project and a number");
        let start = format!("{}_{number}_", project.replace('-', "_").to_lowercase());
        assert!(name.starts_with(&start), "{name} is not named after {text}");
    }
    let checks: BTreeSet<_> =
        MODULES.iter().flat_map(|(_, checks)| *checks).map(|check| check.name).collect();
    assert_eq!(listed, checks);
}
