//! Suites: files of scenarios.
//!
//! ```toml
//! about = "what it is for"        # one line, for the list of suites
//! rounds = 5                      # how often everything is measured, at most
//! budget_seconds = 160            # no round begins that would not be over by then
//!
//! [defaults]                      # fields of every scenario that does not say otherwise
//! keys = 200_000
//!
//! [[scenario]]
//! name = "get Zipf"
//! mix = { get = 100 }
//! distribution = { zipfian = { theta = 0.99 } }
//! ```
//!
//! Those that come with the harness lie in `keystore-bench/suites`, and are part of the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{Error, Result};
use crate::plan::Rounds;
use crate::scenario::Scenario;

/// Rounds where a file does not say.
const DEFAULT_ROUNDS: usize = 5;

/// The suites that come with the harness: name and content.
const BUILT_IN: [(&str, &str); 8] = [
    ("quick", include_str!("../suites/quick.toml")),
    ("million", include_str!("../suites/million.toml")),
    ("ycsb", include_str!("../suites/ycsb.toml")),
    ("conc-map", include_str!("../suites/conc-map.toml")),
    ("growth", include_str!("../suites/growth.toml")),
    ("threads", include_str!("../suites/threads.toml")),
    ("predecessor", include_str!("../suites/predecessor.toml")),
    ("smoke", include_str!("../suites/smoke.toml")),
];

/// Scenarios that are measured together.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Its name: that of the file, without `.toml`.
    pub name: String,
    /// What it is for, in a line.
    pub about: String,
    /// How often everything is measured.
    pub rounds: Rounds,
    /// The scenarios, in order.
    pub scenarios: Vec<Scenario>,
}

/// A suite as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    #[serde(default)]
    about: String,
    rounds: Option<usize>,
    budget_seconds: Option<f64>,
    #[serde(default)]
    defaults: toml::Table,
    #[serde(default)]
    scenario: Vec<Spanned<toml::Table>>,
}

impl Suite {
    /// The names of the suites that come with the harness.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|&(name, _)| name)
    }

    /// A suite that comes with the harness.
    ///
    /// # Errors
    /// [`Error::Unknown`] where there is none of this name.
    pub fn named(name: &str) -> Result<Self> {
        let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            return Err(Error::unknown("suite", name, &BUILT_IN.map(|(known, _)| known)));
        };
        Self::parse(Path::new(&format!("{name}.toml")), text)
    }

    /// Reads a suite of one's own. Files that its scenarios name are looked for beside it.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read, [`Error::Line`] with the line that is wrong, and what is.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::unreadable(path, source))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |offset: usize, reason: String| {
            let before = text.as_bytes().get(..offset).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Error::Line { path: path.to_owned(), line, reason }
        };
        let file: SuiteFile = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        if file.scenario.is_empty() {
            return Err(wrong(
                0,
                "the file holds no scenario: at least one [[scenario]] is needed".to_owned(),
            ));
        }
        if file.rounds == Some(0) {
            return Err(wrong(0, "rounds is 0: it must be at least 1".to_owned()));
        }
        let budget = match file.budget_seconds.map(Duration::try_from_secs_f64).transpose() {
            Ok(budget) => budget,
            Err(error) => return Err(wrong(0, format!("budget_seconds: {error}"))),
        };
        let mut scenarios: Vec<Scenario> = Vec::with_capacity(file.scenario.len());
        for table in file.scenario {
            let at = table.span().start;
            let mut fields = file.defaults.clone();
            fields.extend(table.into_inner());
            let name = fields.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            let mut scenario: Scenario = fields.try_into().map_err(|error: toml::de::Error| {
                wrong(at, format!("scenario {name:?}: {}", error.message()))
            })?;
            scenario.validate().map_err(|error| wrong(at, error.to_string()))?;
            if scenarios.iter().any(|other| other.name == scenario.name) {
                return Err(wrong(at, format!("scenario {name:?}: there is another of this name")));
            }
            for file in [&mut scenario.keys_from, &mut scenario.trace].into_iter().flatten() {
                *file = beside(path, file);
            }
            scenarios.push(scenario);
        }
        Ok(Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            about: file.about,
            rounds: Rounds { at_most: file.rounds.unwrap_or(DEFAULT_ROUNDS), budget },
            scenarios,
        })
    }

    /// Keeps the scenarios of these names, in the order of the suite; all of them where no name is given.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that no scenario has.
    pub fn keep(&mut self, names: &[String]) -> Result<()> {
        let known: Vec<String> = self.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(Error::unknown("scenario", name, &known));
        }
        self.scenarios.retain(|scenario| names.is_empty() || names.contains(&scenario.name));
        Ok(())
    }
}

/// A file that another one names: beside that one, unless its path is absolute.
fn beside(path: &Path, file: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::KeyDistribution;
    use crate::scenario::{Length, Mix};
    use crate::size::Size;

    fn parse(text: &str) -> Result<Suite> {
        Suite::parse(Path::new("folder/mine.toml"), text)
    }

    #[test]
    fn every_suite_that_comes_along_is_right() {
        for name in Suite::names() {
            let suite = Suite::named(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(suite.name, name);
            assert!(!suite.about.is_empty() && !suite.scenarios.is_empty(), "{name}");
            assert!(suite.scenarios.iter().all(|scenario| !scenario.about.is_empty()), "{name}");
        }
    }

    #[test]
    fn the_catalogue_has_every_id() {
        let expected = [
            ("ST2-CORE", 5),
            ("ST2-CW", 2),
            ("ST2-DIST", 3),
            ("ST2-VKS", 4),
            ("ST2-RSZ", 3),
            ("ST2-MEM", 3),
            ("MT2-CORE", 6),
            ("MT2-CW", 6),
            ("MT2-MIX", 9),
            ("MT2-DIST", 6),
            ("MT2-RSZ", 6),
            ("MT2-VKS", 8),
            ("MT2-OVER", 3),
        ];
        let ids =
            expected.iter().flat_map(|&(group, count)| (1..=count).map(move |n| format!("{group}-{n:03}")));
        let suite = Suite::named("predecessor").unwrap();
        assert!(suite.scenarios.iter().map(|scenario| scenario.name.clone()).eq(ids));
    }

    #[test]
    fn a_scenario_has_the_defaults_of_its_file_and_says_otherwise_where_it_likes() {
        let suite = parse(
            "rounds = 2\nbudget_seconds = 1.5\n[defaults]\nkeys = 77\nmix = { get = 100 }\n\
             [[scenario]]\nname = 'one'\nkeys_from = 'words.txt'\n\
             [[scenario]]\nname = 'two'\nkeys = 8\nmix = { set = 100 }\nlength = { operations = 5 }\n\
             distribution = { hot-set = { keys = 1, operations = 50 } }\nvalue_size = { min = 16, max = 20 }\n\
             [[scenario]]\nname = 'three'\ntrace = '/tmp/t.csv'\nmix = {}\nlength = 'once'\n",
        )
        .unwrap();
        assert_eq!(suite.rounds, Rounds { at_most: 2, budget: Some(Duration::from_millis(1500)) });
        let [one, two, three] = suite.scenarios.as_slice() else { panic!("{suite:?}") };
        assert_eq!((one.keys, one.mix.get, one.length), (77, 100, Length::Seconds(1.0)));
        assert_eq!(one.keys_from.as_deref(), Some(Path::new("folder/words.txt")));
        assert_eq!(
            (two.keys, two.mix, two.length),
            (8, Mix { set: 100, ..Mix::default() }, Length::Operations(5))
        );
        assert_eq!(two.distribution, KeyDistribution::HotSet { keys: 1, operations: 50 });
        assert_eq!((two.value_size.min(), two.value_size.max()), (16, 20));
        assert_eq!(one.value_size, Size::Fixed(64));
        assert_eq!((three.trace.as_deref(), three.length), (Some(Path::new("/tmp/t.csv")), Length::Once));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        let wrong = |text: &str, line: usize, part: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.is_usage());
            let said = error.to_string();
            assert!(said.starts_with(&format!("folder/mine.toml:{line}: ")), "{said}");
            assert!(said.contains(part), "{said}");
        };
        let good = "[[scenario]]\nname = 'a'\nmix = { get = 100 }\n";
        wrong("", 1, "no scenario");
        wrong("rounds = 0\n[[scenario]]\nname = 'a'\n", 1, "rounds is 0");
        wrong("budget_seconds = -1\n[[scenario]]\nname = 'a'\n", 1, "budget_seconds");
        wrong(
            &format!("{good}[[scenario]]\nname = 'b'\nmix = {{ get = 90 }}\n"),
            4,
            "the sum of the mix is 90: it must be 100",
        );
        wrong(&format!("{good}colour = 'red'\n"), 1, "unknown field `colour`");
        wrong(&format!("{good}threads = [0]\n"), 1, "threads is 0");
        wrong(&format!("{good}value_size = 'big'\n"), 1, "a size must be a number of bytes");
        wrong(&format!("{good}distribution = 'zipf'\n"), 1, "unknown variant `zipf`, expected");
        wrong(&format!("{good}{good}"), 4, "there is another of this name");
        wrong("[[scenario]]\nmix = { get = 100 }\n", 1, "missing field `name`");
        wrong(&format!("{good}[[scenario]\n"), 4, "");
        wrong(&format!("{good}\nseconds\n"), 5, "");
        wrong(&format!("seconds = 3\n{good}"), 1, "unknown field `seconds`");
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest() {
        let error = Suite::named("yscb").unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().ends_with("did you mean \"ycsb\"?"), "{error}");
        let mut suite = Suite::named("quick").unwrap();
        let error = suite.keep(&["get zipf".to_owned()]).unwrap_err().to_string();
        assert!(error.ends_with("did you mean \"get Zipf\"?"), "{error}");
        suite.keep(&["set uniform".to_owned(), "get Zipf".to_owned()]).unwrap();
        let names: Vec<&str> = suite.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        assert_eq!(names, ["get Zipf", "set uniform"]);
    }
}
