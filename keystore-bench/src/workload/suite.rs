//! Reads suites, which are files of scenarios.
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
//! The built-in suites are in `keystore-bench/suites` and are compiled into the program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keystore_text::input::Input;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result, nearest};
use crate::workload::scenario::Scenario;

/// Limits of the number of rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    /// Maximum number of rounds, at least 1.
    pub at_most: usize,
    /// Time limit of all rounds together. A round starts only if it would end in time, assuming
    /// that it takes as long as the slowest round so far.
    pub budget: Option<Duration>,
}

/// Default number of rounds.
const DEFAULT_ROUNDS: usize = 5;

/// Names and contents of the built-in suites.
const BUILT_IN: [(&str, &str); 9] = [
    ("quick", include_str!("../../suites/quick.toml")),
    ("million", include_str!("../../suites/million.toml")),
    ("ycsb", include_str!("../../suites/ycsb.toml")),
    ("conc-map", include_str!("../../suites/conc-map.toml")),
    ("growth", include_str!("../../suites/growth.toml")),
    ("threads", include_str!("../../suites/threads.toml")),
    ("burst", include_str!("../../suites/burst.toml")),
    ("predecessor", include_str!("../../suites/predecessor.toml")),
    ("smoke", include_str!("../../suites/smoke.toml")),
];

/// A list of scenarios that are measured together.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Name of the file, without `.toml`.
    pub name: String,
    /// Purpose of the suite, in one line.
    pub about: String,
    /// Limits of the number of rounds.
    pub rounds: Rounds,
    /// Scenarios in order.
    pub scenarios: Vec<Scenario>,
}

/// A suite as written in a file.
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
    scenario: Vec<toml::Table>,
}

impl Suite {
    /// Returns the names of the built-in suites.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|&(name, _)| name)
    }

    /// Returns a built-in suite.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no suite of this name.
    pub fn named(name: &str) -> Result<Self> {
        let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            return Err(Error::unknown("suite", name, &BUILT_IN.map(|(known, _)| known)));
        };
        Self::parse(Path::new(&format!("{name}.toml")), text)
    }

    /// Reads a suite from a file. Relative paths in its scenarios start at the folder of the file.
    ///
    /// # Errors
    /// [`Error::Text`] if the file cannot be read, or with the number of the malformed line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = Input::open(path)?.text()?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |offset: usize, reason: String| {
            let before = text.as_bytes().get(..offset).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Error::line(path, line, reason)
        };
        let at_error = |error: toml::de::Error| {
            wrong(error.span().map_or(0, |span| span.start), with_nearest(error.message()))
        };
        let places = Places::of(text).map_err(at_error)?;
        let file: SuiteFile = toml::from_str(text).map_err(at_error)?;
        if file.scenario.is_empty() {
            return Err(wrong(
                0,
                "the file holds no scenario: at least one [[scenario]] is needed".to_owned(),
            ));
        }
        if file.rounds == Some(0) {
            return Err(wrong(
                places.top("rounds"),
                "rounds is 0: it must be at least 1".to_owned(),
            ));
        }
        let budget = match file.budget_seconds.map(Duration::try_from_secs_f64).transpose() {
            Ok(budget) => budget,
            Err(error) => {
                return Err(wrong(
                    places.top("budget_seconds"),
                    format!("budget_seconds: {error}"),
                ));
            }
        };
        let mut scenarios: Vec<Scenario> = Vec::with_capacity(file.scenario.len());
        for (number, table) in file.scenario.into_iter().enumerate() {
            let mut fields = file.defaults.clone();
            fields.extend(table);
            let name =
                fields.get("name").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            let mut scenario: Scenario =
                serde_path_to_error::deserialize(fields).map_err(|error| {
                    let field = error.path().to_string();
                    let message = error.into_inner().message().to_owned();
                    // The error names the table. The message quotes the unknown field in it, whose
                    // position is more exact.
                    let known = quoted(&message).next().map(|name| format!("{field}.{name}"));
                    let place = places.field(number, known.as_deref().unwrap_or(&field), &field);
                    let of = if field == "." { String::new() } else { format!("{field}: ") };
                    wrong(place, format!("scenario {name:?}: {of}{}", with_nearest(&message)))
                })?;
            scenario.validate().map_err(|error| {
                let place = match &error {
                    Error::Scenario { field, value, .. } => {
                        places.field(number, &path_of(field, value), field)
                    }
                    _ => places.scenario(number),
                };
                wrong(place, error.to_string())
            })?;
            if scenarios.iter().any(|other| other.name == scenario.name) {
                let place = places.field(number, "name", "name");
                return Err(wrong(
                    place,
                    format!("scenario {name:?}: there is another of this name"),
                ));
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

    /// Appends the scenarios of another suite, which was read from `path`.
    ///
    /// # Errors
    /// [`Error::Suite`] if both suites have a scenario of the same name, because a name must
    /// identify a scenario in the results.
    pub fn append(&mut self, other: Self, path: &Path) -> Result<()> {
        let is_taken =
            |scenario: &Scenario| self.scenarios.iter().any(|own| own.name == scenario.name);
        if let Some(second) = other.scenarios.iter().find(|scenario| is_taken(scenario)) {
            return Err(Error::Suite { path: path.to_owned(), scenario: second.name.clone() });
        }
        self.scenarios.extend(other.scenarios);
        Ok(())
    }

    /// Keeps the scenarios of these names, in the order of the suite. Keeps all scenarios if there
    /// are no names.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that no scenario has.
    pub fn keep(&mut self, names: &[String]) -> Result<()> {
        let known: Vec<String> =
            self.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(Error::unknown("scenario", name, &known));
        }
        self.scenarios.retain(|scenario| names.is_empty() || names.contains(&scenario.name));
        Ok(())
    }
}

/// Offsets of the fields in a file.
struct Places<'a> {
    file: DeTable<'a>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Result<Self, toml::de::Error> {
        Ok(Self { file: DeTable::parse(text)?.into_inner() })
    }

    /// Returns the offset of a top-level field.
    fn top(&self, field: &str) -> usize {
        key(&self.file, field).map_or(0, |(place, _)| place)
    }

    /// Returns the offset of a scenario's first field.
    fn scenario(&self, number: usize) -> usize {
        self.table(number).map_or(0, |table| table.span().start)
    }

    fn table(&self, number: usize) -> Option<&Spanned<DeValue<'a>>> {
        match key(&self.file, "scenario")?.1.get_ref() {
            DeValue::Array(scenarios) => scenarios.get(number),
            _ => None,
        }
    }

    /// Returns the offset of a field of a scenario, such as `mix.get`, or of the innermost table
    /// that contains it. Searches the scenario first, then the defaults. If neither has `path`,
    /// searches for `or` in the same way. Otherwise, returns the offset of the scenario.
    fn field(&self, number: usize, path: &str, or: &str) -> usize {
        let scenario = self.table(number).map(Spanned::get_ref);
        let defaults = key(&self.file, "defaults").map(|(_, value)| value.get_ref());
        let mut found = [path, or].into_iter().flat_map(|path| {
            [scenario, defaults].into_iter().flatten().filter_map(move |table| deepest(table, path))
        });
        found.next().unwrap_or_else(|| self.scenario(number))
    }
}

/// Returns the offset and the value of a field of a table.
fn key<'t, 'a>(table: &'t DeTable<'a>, name: &str) -> Option<(usize, &'t Spanned<DeValue<'a>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value))
}

/// Returns the offset of the deepest part of a path (`value_size.min`) that a table contains.
/// Returns `None` if the table lacks the first part.
fn deepest(table: &DeValue<'_>, path: &str) -> Option<usize> {
    let mut parts = path.split('.').filter(|part| !part.is_empty());
    let DeValue::Table(fields) = table else { return None };
    let (mut place, mut value) = key(fields, parts.next()?)?;
    for part in parts {
        let DeValue::Table(fields) = value.get_ref() else { break };
        let Some((next, inner)) = key(fields, part) else { break };
        (place, value) = (next, inner);
    }
    Some(place)
}

/// Returns the path in a file of the field that [`Scenario::validate`] names.
fn path_of(field: &str, value: &str) -> String {
    match field {
        "the sum of the mix" => "mix".to_owned(),
        "seconds" | "operations" => format!("length.{field}"),
        // The error of the configuration names the invalid field.
        "config" => {
            match value
                .split(|c: char| c != '_' && !c.is_alphanumeric())
                .find(|word| word.contains('_'))
            {
                Some(inner) => format!("config.{inner}"),
                None => "config".to_owned(),
            }
        }
        field => field.to_owned(),
    }
}

/// Returns the names in backquotes in a message about an unknown name: the unknown name first, then
/// the known names.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    let unknown = message.starts_with("unknown ");
    message.split('`').skip(1).step_by(2).filter(move |_| unknown)
}

/// Adds the nearest known name to a message about an unknown name.
fn with_nearest(message: &str) -> String {
    let mut names = quoted(message);
    let Some(wrong) = names.next() else { return message.to_owned() };
    format!("{message}{}", nearest(wrong, names))
}

/// Resolves a path in a file relative to the folder of that file. An absolute path stays as it is.
fn beside(path: &Path, file: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::distribution::KeyDistribution;
    use crate::workload::operation::Mix;
    use crate::workload::scenario::Length;
    use crate::workload::size::Size;

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
        let ids = expected
            .iter()
            .flat_map(|&(group, count)| (1..=count).map(move |n| format!("{group}-{n:03}")));
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
        assert_eq!(
            (three.trace.as_deref(), three.length),
            (Some(Path::new("/tmp/t.csv")), Length::Once)
        );
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
        wrong("about = 'x'\nrounds = 0\n[[scenario]]\nname = 'a'\n", 2, "rounds is 0");
        wrong("about = ''\nbudget_seconds = -1\n[[scenario]]\nname = 'a'\n", 2, "budget_seconds");
        wrong(
            &format!("{good}[[scenario]]\nname = 'b'\nmix = {{ get = 90 }}\n"),
            6,
            "the sum of the mix is 90: it must be 100",
        );
        wrong(&format!("{good}colour = 'red'\n"), 4, "unknown field `colour`");
        wrong(&format!("{good}threads = [0]\n"), 4, "threads is 0");
        wrong(
            &format!("{good}value_size = 'big'\n"),
            4,
            "value_size: a size must be a number of bytes",
        );
        wrong(&format!("{good}\nlength = {{ seconds = -1.0 }}\n"), 5, "seconds is -1");
        wrong(&format!("{good}\nkeys = 'many'\n"), 5, "keys: invalid type: string \"many\"");
        wrong(&format!("{good}[scenario.config]\n\ninitial_buckets = 3\n"), 6, "config is");
        wrong(&format!("[defaults]\n\nkeys = 0\n{good}"), 3, "keys is 0");
        wrong(&format!("[defaults]\n\nkeys = 0\n{good}keys = 0\n"), 7, "keys is 0");
        wrong(&format!("{good}{good}"), 5, "there is another of this name");
        wrong("rounds = 1\n[[scenario]]\nmix = { get = 100 }\n", 2, "missing field `name`");
        wrong(&format!("{good}[[scenario]\n"), 4, "");
        wrong(&format!("{good}\nseconds\n"), 5, "");
        wrong(&format!("seconds = 3\n{good}"), 1, "unknown field `seconds`");
    }

    #[test]
    fn a_name_that_is_not_known_is_told_with_its_line_and_the_nearest() {
        let told = |text: &str, line: usize, end: &str| {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.starts_with(&format!("folder/mine.toml:{line}: ")), "{said}");
            assert!(said.ends_with(end), "{said}");
        };
        let good = "[[scenario]]\nname = 'a'\nmix = { get = 100 }\n";
        told(&format!("roundes = 3\n{good}"), 1, "did you mean \"rounds\"?");
        told(&format!("{good}\ntread = [1]\n"), 5, "did you mean \"threads\"?");
        told(&format!("{good}\ndistribution = 'zipfain'\n"), 5, "did you mean \"zipfian\"?");
        told("[[scenario]]\nname = 'a'\nmix = { gets = 100 }\n", 3, "did you mean \"get\"?");
        told(&format!("{good}length = {{ second = 1 }}\n"), 4, "did you mean \"seconds\"?");
        told(&format!("[defaults]\nkeys = 3\nbatches = 4\n{good}"), 3, "did you mean \"batch\"?");
        told(
            &format!("{good}config = {{ initial_bucket = 8 }}\n"),
            4,
            "did you mean \"initial_buckets\"?",
        );
        told(
            &format!("{good}[scenario.config]\nshrinking = 'x'\n\ncounter = false\n"),
            7,
            "did you mean \"counters\"?",
        );
    }

    /// Compares the numbers in names and descriptions with the fields, so that no text is false.
    #[test]
    fn what_the_name_and_the_description_of_a_scenario_say_is_what_it_does() {
        let number = |text: &str| -> Option<usize> {
            let plain: String = text.chars().filter(|c| *c != ',').collect();
            let digits = plain.trim_end_matches(['k', 'M']);
            let unit = match plain.chars().last()? {
                'k' => 1_000,
                'M' => 1_000_000,
                _ => 1,
            };
            Some(digits.parse::<usize>().ok()? * unit)
        };
        let mut checked = 0;
        for suite in Suite::names().map(|name| Suite::named(name).unwrap()) {
            for scenario in suite.scenarios {
                let said = format!("{} {}", scenario.name, scenario.about);
                let words: Vec<&str> = said
                    .split_whitespace()
                    .map(|word| word.trim_end_matches([',', '.', ':', ';']))
                    .collect();
                let mut check = |told: usize, is: usize, what: &str| {
                    assert_eq!(told, is, "{}, {what}: {said}", scenario.name);
                    checked += 1;
                };
                for pair in words.windows(3) {
                    let [first, middle, last] = pair else { unreachable!() };
                    match (*first, number(middle), *last) {
                        ("at" | "to", Some(keys), _) if middle.ends_with(['k', 'M']) => {
                            check(keys, scenario.keys, "keys")
                        }
                        ("batches", None, last) if *middle == "of" => {
                            check(
                                number(last).expect("a batch has a size"),
                                scenario.batch,
                                "batch",
                            );
                        }
                        (_, Some(keys), "keys") => check(keys, scenario.keys, "keys"),
                        (_, Some(threads), "threads" | "thread") if scenario.burst.is_none() => {
                            check(threads, *scenario.threads.last().unwrap(), "threads");
                        }
                        (_, Some(threads), "threads") => {
                            check(threads, scenario.burst.unwrap(), "burst")
                        }
                        _ => {}
                    }
                }
                if let Some(mix) = words.iter().find_map(|word| word.split_once('/'))
                    && let (Some(reads), Some(writes)) = (number(mix.0), number(mix.1))
                {
                    let lookups = usize::from(scenario.mix.get + scenario.mix.get_many);
                    let told =
                        if said.contains("set-heavy") { (writes, reads) } else { (reads, writes) };
                    assert_eq!(told, (lookups, 100 - lookups), "{}: {said}", scenario.name);
                    checked += 1;
                }
            }
        }
        assert!(checked > 100, "{checked} statements were found");
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
        let names: Vec<&str> =
            suite.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        assert_eq!(names, ["get Zipf", "set uniform"]);
    }

    #[test]
    fn two_files_with_a_scenario_of_one_name_are_refused() {
        let text = "[[scenario]]\nname = \"s\"\nmix = { get = 100 }\n";
        let mut first = Suite::parse(Path::new("a.toml"), text).unwrap();
        let second = Suite::parse(Path::new("b.toml"), text).unwrap();
        let error = first.append(second, Path::new("b.toml")).unwrap_err();
        assert!(error.is_usage());
        assert_eq!(error.to_string(), "b.toml: scenario \"s\": another file has one of this name");
        let other = Suite::parse(Path::new("c.toml"), &text.replace("\"s\"", "\"t\"")).unwrap();
        first.append(other, Path::new("c.toml")).unwrap();
        assert_eq!(first.scenarios.len(), 2);
    }
}
