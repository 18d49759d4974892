//! Compares what the documentation says about the harness with the code: defaults, suites and
//! tables. Also checks that the advice agrees with the published figures.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use keystore::{BackendKind, PoolKind};
use keystore_bench::lead::{CONFIDENCE, LEAST_LEAD};
use keystore_bench::report::Block;
use keystore_bench::{KeyDistribution, Length, SCHEMA, Scenario, Suite, advice};
use keystore_verify::value::MIN_VALUE_SIZE;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a page as a single line, so that line breaks do not hide a sentence.
fn sentences(name: &str) -> String {
    page(name).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in the page"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {begin:?}")).0
}

/// Returns the suite that a text describes.
fn suite(text: &str) -> Suite {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.toml");
    fs::write(&path, text).unwrap();
    Suite::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the cells of each line of a Markdown table.
fn cells(table: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| cell.trim().trim_matches('*').trim_start_matches('~').to_owned();
    let line = |line: &str| line.trim_matches('|').split('|').map(cell).collect();
    let ruled = |line: &&str| {
        line.starts_with('|') && !line.starts_with("| ---") && !line.starts_with("|---")
    };
    table.lines().filter(ruled).map(line).collect()
}

#[test]
fn the_scenario_of_the_page_is_valid_and_its_defaults_are_those_of_the_code() {
    let text = page("docs/benchmarks.md");
    let block =
        between(between(&text, "A file of scenarios;", "Keys are taken"), "```toml\n", "```");
    suite(block);
    let minimal = "[[scenario]]\nname = \"default\"\nmix = { get = 100 }\n";
    let (mut fields, mut documented) = (String::new(), Vec::new());
    for line in block.lines() {
        let Some((name, rest)) = line.split_once(" = ") else { continue };
        let name = name.trim_start_matches("# ");
        documented.push(name.to_owned());
        if let Some((_, default)) = rest.split_once("default: ") {
            if name == "rounds" {
                assert_eq!(default, suite(minimal).rounds.at_most.to_string(), "{line}");
            } else {
                fields.push_str(&format!("{name} = {default}\n"));
            }
        }
    }
    assert_eq!(
        suite(&format!("{minimal}{fields}")),
        suite(minimal),
        "defaults of the page:\n{fields}"
    );
    assert_eq!(suite(minimal).scenarios[0], Scenario::default());

    // The page names every field that has a default, and the default.
    let serde_json::Value::Object(all) = serde_json::to_value(Scenario::default()).unwrap() else {
        panic!("a scenario is an object");
    };
    for field in
        all.keys().filter(|field| !["name", "about", "mix", "config"].contains(&field.as_str()))
    {
        assert!(
            fields.contains(&format!("{field} = ")),
            "no default of {field} on the page:\n{fields}"
        );
    }
    for field in ["rate", "timeline_ms", "burst", "keys_from", "config", "about"] {
        assert!(documented.iter().any(|name| name == field), "{field} is not on the page");
    }
}

#[test]
fn the_numbers_of_the_pages_are_those_of_the_code() {
    let text = sentences("docs/benchmarks.md");
    let default = Scenario::default();
    let (key, value) = (default.key_size.fixed().unwrap(), default.value_size.fixed().unwrap());
    let quick = Suite::named("quick").unwrap();
    assert!(quick.rounds.budget.unwrap().as_secs() < 180, "in under three minutes");
    let burst = Suite::named("burst").unwrap().scenarios[0].burst.unwrap();
    assert_eq!(burst, 1000);
    for said in [
        format!("keys have {key} bytes and values {value}"),
        format!("**One call in {} is timed by itself**", default.time_every),
        format!("100 % lookups, `read_many` of {}", default.batch),
        format!("`schema` is the version of the form, {SCHEMA};"),
        format!("Values below {MIN_VALUE_SIZE} bytes are raised to {MIN_VALUE_SIZE}"),
        format!(
            "with {:.0} % confidence, lie over 1, and the ratio is at least {LEAST_LEAD}",
            100.0 * CONFIDENCE
        ),
        format!("within {:.0} % of the best", 100.0 * (1.0 - advice::NEAR)),
        "a burst of 1,000 threads".to_owned(),
        "in under three minutes on two processors".to_owned(),
    ] {
        assert!(text.contains(&said), "the page does not say: {said}");
    }
    let readme = sentences("keystore-bench/README.md");
    assert!(readme.contains("the default suite, in under three minutes"));
    // The default allocator of the harness is the one that the page about pools names.
    let pools = sentences("docs/pools.md");
    assert!(
        pools.contains(
            "The command and the harness use mimalloc as the global allocator by default."
        )
    );
    let manifest = page("keystore-bench/Cargo.toml");
    assert!(manifest.contains("default = [\"mimalloc\"]"));
}

#[test]
fn the_suites_of_the_pages_are_those_there_are() {
    let text = page("docs/benchmarks.md");
    let row = text.lines().find(|line| line.starts_with("| `--suite NAME` |")).unwrap();
    let named: Vec<&str> = row.split('`').skip(3).step_by(2).collect();
    assert_eq!(named, Suite::names().collect::<Vec<_>>());
    assert!(row.contains("`quick` (the default)"));
    let others = between(&text, "The other suites:", "### Your own scenario");
    for name in Suite::names().filter(|name| *name != "quick") {
        assert!(others.contains(&format!("- `{name}`: ")), "{name} is not described");
    }
    for name in ["README.md", "keystore-bench/README.md", "docs/benchmarks.md", "docs/backends.md"]
    {
        let text = sentences(name);
        for (_, after) in
            text.match_indices("--suite ").map(|(at, found)| text.split_at(at + found.len()))
        {
            let suite = after.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap();
            let known = Suite::names().any(|known| known == suite) || suite == "NAME";
            assert!(known, "{name} names a suite {suite:?}");
        }
    }
}

#[test]
fn the_table_of_the_quick_suite_says_what_it_does() {
    let text = page("docs/benchmarks.md");
    let table = cells(between(&text, "`quick`, 100,000 keys", "*Which one is like yours?*"));
    let quick = Suite::named("quick").unwrap().scenarios;
    assert_eq!(table.len(), 1 + quick.len());
    for (line, scenario) in table[1..].iter().zip(&quick) {
        let [name, start, operations, keys] = line.as_slice() else { panic!("{line:?}") };
        assert_eq!(*name, scenario.name);
        assert_eq!(start == "loaded", scenario.preload == 1.0, "{line:?}");
        assert_eq!(start == "empty", scenario.grows(), "{line:?}");
        let share = |what: &str| -> u8 {
            let part = operations.split(", ").find(|part| part.contains(what));
            part.map_or(0, |part| part.split(' ').next().unwrap().parse().unwrap())
        };
        if !operations.starts_with("the same") {
            let mix = scenario.mix;
            assert_eq!(share("lookups"), mix.get + mix.get_many, "{line:?}");
            assert_eq!((share("overwrites"), share("inserts")), (mix.set, mix.insert), "{line:?}");
        }
        let said = match scenario.distribution {
            KeyDistribution::Zipfian { theta } => format!("Zipfian, theta {theta}"),
            KeyDistribution::Uniform => "each as often as any other".to_owned(),
            _ => "each once".to_owned(),
        };
        assert!(keys.starts_with(&said) || keys.is_empty(), "{line:?}");
        let million = name.ends_with("1M");
        assert_eq!(scenario.keys, if million { 1_000_000 } else { 100_000 }, "{line:?}");
        assert!(!scenario.grows() || scenario.length == Length::Operations(scenario.keys as u64));
    }
}

/// Returns the published rates of the quick suite: the rate of each store for each run.
fn published() -> Vec<(String, BTreeMap<String, f64>)> {
    let text = page("docs/benchmarks.md");
    let block = Block::Figures.of(&text, "quick").expect("the page has a block of figures");
    let mut runs = Vec::new();
    for part in block.split("### Million operations a second, ").skip(1) {
        let threads = part.split(" (").next().unwrap();
        let table = cells(part.split("\n### ").next().unwrap());
        for (column, scenario) in table[0].iter().enumerate().skip(1) {
            let rate = |line: &Vec<String>| Some((line[0].clone(), line[column].parse().ok()?));
            runs.push((
                format!("{scenario}, {threads}"),
                table[1..].iter().filter_map(rate).collect(),
            ));
        }
    }
    runs.retain(|(_, rates): &(String, BTreeMap<String, f64>)| !rates.is_empty());
    runs
}

/// Returns each store's geometric mean of its shares of the best rate, the greatest first. Only
/// runs for which `of` returns `true` count.
fn means(of: impl Fn(&str) -> bool) -> Vec<(String, f64)> {
    let runs = published();
    let runs: Vec<_> = runs.iter().filter(|(run, _)| of(run)).collect();
    assert!(!runs.is_empty());
    let mean = |store: &String| {
        let share = |rates: &BTreeMap<String, f64>| {
            rates[store] / rates.values().copied().fold(0.0, f64::max)
        };
        (runs.iter().map(|(_, rates)| share(rates).ln()).sum::<f64>() / runs.len() as f64).exp()
    };
    let mut means: Vec<_> = runs[0].1.keys().map(|store| (store.clone(), mean(store))).collect();
    means.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    means
}

#[test]
fn the_advice_is_that_of_the_published_figures() {
    let text = page("docs/backends.md");
    let advice = Block::Advice.of(&text, "quick").expect("the page has a block of advice");
    let means = means(|_| true);
    // The block names a second store if the run could not decide between the two.
    let take = advice
        .lines()
        .find(|line| line.starts_with("- Take "))
        .expect("the block says what to take");
    assert!(take.starts_with(&format!("- Take {}", means[0].0)), "{take}: {means:?}");
    assert!(take.contains(&format!(": over {} runs ", published().len())), "{take}");
    let table = cells(advice.split("### Share").nth(1).unwrap());
    assert_eq!(table.len(), 1 + means.len());
    for line in &table[1..] {
        let (_, mean) = means.iter().find(|(store, _)| *store == line[0]).unwrap();
        let told: f64 = line[1].parse().unwrap();
        // The figures are rounded to three digits, and the percentage is rounded down.
        assert!((100.0 * mean - told).abs() < 1.5, "{line:?}: {mean}");
    }
}

#[test]
fn what_the_advice_says_in_short_is_what_the_figures_say() {
    let text = page("docs/backends.md");
    let short = cells(between(&text, "In short:", "This is the verdict"));
    let take = |load: &str| -> String {
        let line =
            short.iter().find(|line| line[0].starts_with(load)).unwrap_or_else(|| panic!("{load}"));
        line[1].split('`').skip(1).step_by(2).collect::<Vec<_>>().join("+")
    };
    // The verdict recommends the best store, or two stores if the run could not decide between
    // them. The default of the command and of the C library must be one of these.
    let default = format!("{}+{}", BackendKind::default(), PoolKind::default());
    assert_eq!(take("mixed"), default);
    let advice = Block::Advice.of(&text, "quick").expect("the page has a block of advice");
    let verdict = advice.lines().find_map(|line| line.strip_prefix("- Take ")).unwrap();
    let taken = verdict.split([':', ',']).next().unwrap();
    assert!(
        taken.split(" or ").any(|store| store == default),
        "{default} is not taken by: {verdict}"
    );
    let of = |means: &[(String, f64)], store: &str| {
        means.iter().find(|(name, _)| name == store).unwrap().1
    };
    let lookups = means(|run| run.starts_with("get "));
    assert!(
        of(&lookups, &take("nearly all lookups")) > of(&lookups, &take("mixed")),
        "{lookups:?}"
    );
    let growing = means(|run| run.starts_with("grow "));
    assert_eq!(take("only growing"), growing[0].0, "{growing:?}");
}

#[test]
fn the_readme_says_how_fast_it_is_by_the_published_figures() {
    let figures = page("docs/benchmarks.md");
    let block = Block::Figures.of(&figures, "million").expect("the page has the figures");
    let table = cells(block.split("### Ratio to the best peer").nth(1).unwrap());
    let ratio = |scenario: &str, store: &str| -> f64 {
        let column = table[0].iter().position(|cell| cell == store).unwrap();
        let row = table.iter().find(|row| row[0] == format!("{scenario}, 2 threads")).unwrap();
        row[column].parse().unwrap()
    };
    let claim = format!(
        "With a million keys and two threads, `rwlock` reads {:.1} times as fast as the best of four \
         other maps, and overwrites {:.1} times as fast; `epoch` reads batches {:.1} times as fast",
        ratio("get uniform", "rwlock+slab"),
        ratio("set uniform", "rwlock+slab"),
        ratio("get batch", "epoch+slab"),
    );
    assert!(sentences("README.md").contains(&claim), "the README does not say: {claim}");
}
