use keystore::Combination;

use super::*;
use crate::measure::limit::{LineRate, Pages};
use crate::measure::metrics::{Latency, Spread};
use crate::peers::PeerKind;
use crate::plot::tests::{with_peer, with_scenarios};
use crate::results::Row;
use crate::results::compare::Comparison;
use crate::results::tests::tiny;

fn rate(median: f64, spread: f64) -> Spread {
    Spread { median, low: median - spread, high: median + spread, ..Spread::default() }
}

#[test]
fn the_text_has_a_line_for_every_combination_and_a_verdict_for_every_run() {
    let results = tiny();
    let text = text(&results);
    for combination in Combination::all() {
        // There are five tables with one line per combination: two of throughput (one for each
        // number of threads), memory, growth, and standings. The table of the memory limit has
        // combinations as columns.
        let line = |line: &&str| line.trim_start().starts_with(&combination.to_string());
        assert_eq!(text.lines().filter(line).count(), 5, "{text}");
    }
    for winner in results.winners() {
        assert!(text.contains(&winner_text(&results, &winner)), "{text}");
    }
    assert!(text.contains("the harness itself: ") && text.contains("one after"), "{text}");
    for table in tables::throughput(&results, true) {
        let stars = table.lines.iter().flatten().filter(|cell| cell.ends_with('*')).count();
        assert!(stars >= table.columns.len() - 1, "every column has a best: {table:?}");
        assert!(table.lines[0][1].contains(" ±"), "{table:?}");
    }
}

/// Returns the first scenario with two threads. Its first three stores have these rates in five
/// rounds.
fn three_stores(rates: [[f64; 5]; 3]) -> Results {
    let mut results = tiny();
    results.scenarios.truncate(1);
    results.scenarios[0].scenario.threads = vec![2];
    let name = results.scenarios[0].scenario.name.clone();
    results.rows.retain(|row| row.scenario == name && row.threads == 2);
    results.rows.truncate(3);
    for (row, rates) in results.rows.iter_mut().zip(rates) {
        set_rounds(row, &rates);
    }
    results
}

fn set_rounds(row: &mut Row, rounds: &[f64]) {
    row.rounds = rounds.to_vec();
    row.ops_per_sec = Spread::of(rounds);
}

/// Returns rates that differ more between rounds than between stores. Within each round, the
/// difference between stores is clear.
fn steadily(rate: f64) -> [f64; 5] {
    [0.2, 1.0, 2.0, 0.9, 1.0].map(|of| of * rate)
}

#[test]
fn a_winner_is_told_with_bounds_and_confidence_or_not_told_apart() {
    let sentence = |results: &Results| winner_text(results, &results.winners()[0]);
    let mut results = three_stores([steadily(2e6), steadily(8e6), steadily(4e6)]);
    assert_eq!(
        sentence(&results),
        "rwlock+arena with 8.00 M/s, ahead of the next, rwlock+system: 2.00 times, 2.00 to 2.00, over 99.9 % sure; \
         4.00 times the last, rwlock+slab"
    );
    // The third store is half as fast on average in the rounds that test, but about equally fast in
    // one of them. So the difference is within the bounds.
    set_rounds(&mut results.rows[2], &[1.5e6, 7.0e6, 6.0e6, 7.0e6, 3e6]);
    let said = sentence(&results);
    assert_eq!(
        said,
        "rwlock+arena with 8.00 M/s; not told apart from rwlock+system; 4.00 times the last, rwlock+slab"
    );
    assert!(!said.contains("2.00 times the next"));
}

#[test]
fn the_fastest_is_named_also_if_it_is_a_map_of_others() {
    let mut results = three_stores([steadily(2e6), steadily(8e6), steadily(4e6)]);
    results.rows[1].store = crate::measure::candidate::Candidate::Peer(PeerKind::Papaya);
    let said = winner_text(&results, &results.winners()[0]);
    assert!(
        said.starts_with("papaya with 8.00 M/s, ahead of the next, rwlock+system: 2.00 times"),
        "{said}"
    );
    assert!(
        said.contains("papaya is ahead of the best of ours, rwlock+system: 2.00 times"),
        "{said}"
    );
    assert!(text(&results).contains("Verdict: Take papaya: "), "{}", text(&results));
    assert_eq!(
        tables::summary_against_peers(&results).unwrap(),
        "The best of ours against the best peer: faster in 0, not told apart in 0, slower in 1 of 1 runs."
    );
}

#[test]
fn the_verdict_stands_first_and_says_which_store_how_surely_and_on_what() {
    let mut results = three_stores([steadily(2e6), steadily(8e6), steadily(4e6)]);
    results.command = "cargo xtask bench --keys 50".to_owned();
    results.machine.processors = 2;
    let (text, page, document) = (text(&results), html(&results, &[]), markdown(&results));
    let take = "Take rwlock+arena: over 1 run it has 100 % of the rate of the fastest store on average, is within 5 % \
                of it in 1, and has 100 % at worst (get uniform, 2 threads).";
    assert!(text.starts_with(&format!("Verdict: {take}\n")), "{text}");
    assert!(page.find(take).unwrap() < page.find("Which is fastest").unwrap(), "{page}");
    assert!(
        document.find(take).unwrap() < document.find("## Which is fastest").unwrap(),
        "{document}"
    );
    for said in ["2 processors are few", "50 keys of 16 B, values of 16 B; 5 rounds; "] {
        assert!(
            text.contains(said) && page.contains(said) && document.contains(said),
            "{said}: {text}"
        );
    }
    assert!(text.contains("5 rounds; `cargo xtask bench --keys 50`."), "{text}");
    assert!(text.contains("The choice is the same in 100 % of the draws"), "{text}");
    results.machine.processors = 64;
    assert!(!super::text(&results).contains("are few"));
}

#[test]
fn a_verdict_that_chance_may_have_made_names_both_stores() {
    let swinging = [4e6, 9e6, 3e6, 8e6, 5.5e6];
    let results = three_stores([[1e6; 5], swinging, [5e6; 5]]);
    let first = verdict(&results).remove(0);
    assert!(
        first.starts_with(
            "Take rwlock+arena or rwlock+system, between which this run does not decide: "
        ),
        "{first}"
    );
    assert!(text(&results).contains("% of the draws only"), "{}", text(&results));
}

#[test]
fn one_round_gives_no_verdict_and_no_ratio() {
    let mut results = with_peer(tiny(), PeerKind::Papaya, 0.5);
    for row in &mut results.rows {
        row.rounds.truncate(1);
    }
    let text = text(&results);
    assert!(text.starts_with("Verdict: No verdict: one round says too little."), "{text}");
    assert!(
        tables::peers(&results).is_none()
            && plot::all(&results).unwrap().iter().all(|p| p.name != "peers")
    );
    assert!(
        results.winners().iter().all(|winner| !winner_text(&results, winner).contains(" times")),
        "{text}"
    );
}

#[test]
fn a_fixed_rate_shows_its_latencies_and_says_if_it_was_not_reached() {
    let mut results = three_stores([[1000.0; 5], [995.0; 5], [400.0; 5]]);
    results.scenarios[0].scenario.rate = Some(1000.0);
    for row in &mut results.rows {
        row.response_ns =
            Some(Latency { samples: 9, p50: 1500, p99: 2_340_000, ..Latency::default() });
    }
    let text = text(&results);
    assert!(
        text.contains("from when it was due") && text.contains("p99.9") && text.contains("2.3 ms"),
        "{text}"
    );
    let said = "The rate of 1,000 operations a second was NOT reached in 1 of 3 rows of get uniform: rwlock+system with 2 \
                threads did 400.";
    assert!(text.contains(said), "{text}");
    assert_eq!(text.matches("NOT REACHED: 400").count(), 1, "{text}");
    assert!(html(&results, &[]).contains(said) && markdown(&results).contains(said));
    assert!(text.starts_with("Verdict: No verdict: at a fixed rate"), "{text}");
    assert!(!text.contains("Fastest"), "nobody wins at a fixed rate: {text}");
    assert!(tables::throughput(&results, true)[0].lines.iter().all(|line| !line[1].ends_with('*')));
}

#[test]
fn every_scenario_that_looks_up_tells_how_often_it_found_its_key() {
    let mut results = tiny();
    let (text, page) = (text(&results), html(&results, &[]));
    assert!(
        text.contains("Hit ratio")
            && page.contains("Hit ratio")
            && markdown(&results).contains("Hit ratio")
    );
    assert!(!text.contains("found their key in"), "all were found: {text}");
    for measured in &results.scenarios {
        let scenario = &measured.scenario;
        let told =
            tables::hits(&results).unwrap().lines.iter().any(|line| line[0] == scenario.name);
        assert_eq!(told, scenario.looks_up(), "{}", scenario.name);
    }
    let name = results.scenarios[0].scenario.name.clone();
    for row in results.rows.iter_mut().filter(|row| row.scenario == name) {
        row.misses = row.lookups;
    }
    let text = super::text(&results);
    assert!(
        text.contains(&format!("Lookups of {name} found their key in 0 % of all cases")),
        "{text}"
    );
    assert_eq!(
        [1.0, 0.99999, 0.5, 0.0001, 0.0].map(sentences::hits_text),
        ["100", "over 99.9", "50.0", "under 0.1", "0"]
    );
}

#[test]
fn a_burst_of_threads_shows_the_rate_before_and_after_and_their_ratio() {
    let mut results = three_stores([steadily(2e6), steadily(8e6), steadily(4e6)]);
    results.scenarios[0].scenario.burst = Some(1000);
    assert!(tables::bursts(&results).is_none());
    results.rows[1].before = steadily(16e6).to_vec();
    let table = tables::bursts(&results).unwrap();
    assert_eq!(
        table.lines,
        [[
            "get uniform, 2 threads",
            "rwlock+arena",
            "1,000",
            "16.0",
            "8.00",
            "0.50 (0.50 to 0.50)"
        ]]
    );
    assert!(
        text(&results).contains("After a burst") && html(&results, &[]).contains("After a burst")
    );
}

#[test]
fn a_description_says_what_was_asked_and_not_what_the_defaults_say() {
    let measured = |change: &dyn Fn(&mut crate::results::Measured)| {
        let mut measured = tiny().scenarios.remove(0);
        measured.scenario.about = "About.".to_owned();
        change(&mut measured);
        sentences::description(&measured)
    };
    let batch = measured(&|m| {
        m.scenario.mix = crate::Mix { get_many: 100, ..Default::default() };
        m.scenario.batch = 7;
    });
    assert!(
        batch.starts_with(
            "About. Operations: 100 % get_many in batches of 7, keys uniform; 50 keys"
        ),
        "{batch}"
    );
    let trace = measured(&|m| {
        m.scenario.trace = Some("t.csv".into());
        m.scenario.value_size = 64.into();
        m.mean_value_len = 123.4;
    });
    assert!(trace.contains("values of 123.4 B on average") && !trace.contains("64 B"), "{trace}");
    let latest = measured(&|m| {
        m.scenario.distribution = crate::KeyDistribution::Latest;
        m.scenario.length = crate::Length::Operations(2_000_000);
    });
    assert!(
        latest.contains("at most 2,000,000 operations"),
        "the stream ends with the keys: {latest}"
    );
}

#[test]
fn the_folder_holds_the_results_the_plots_and_a_page_that_needs_nothing_else() {
    let results = tiny();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a").join("b");
    let report = write(&results, &folder).unwrap();
    let page = fs::read_to_string(&report).unwrap();
    let count = |kind: &str| {
        let of_kind = |path: PathBuf| path.extension().is_some_and(|extension| extension == kind);
        fs::read_dir(&folder)
            .unwrap()
            .filter(|entry| of_kind(entry.as_ref().unwrap().path()))
            .count()
    };
    let plots = plot::all(&results).unwrap().len();
    assert_eq!((count("svg"), count("png")), (plots, plots));
    assert_eq!(page.matches("<svg ").count(), plots, "every plot has a section");
    assert!(
        !page.contains("src=") && !page.contains("href=") && !page.contains("<script"),
        "it needs another file"
    );
    assert!(!page.contains("Do not trust") && !page.contains("Interrupted"));
    assert!(Results::load(&folder.join("results.json")).unwrap() == results);
    assert!(fs::read_to_string(folder.join("results.md")).unwrap() == markdown(&results));
    assert!(fs::read_to_string(folder.join("results.csv")).unwrap() == csv(&results).unwrap());
    assert!(
        page.contains("values of 16 B,") && page.contains("made, 16 B each"),
        "a size has one unit: {page}"
    );
    check_tags(&page);
}

fn check_tags(page: &str) {
    for tag in ["table", "tr", "td", "th", "div", "h2", "h3", "p", "details", "summary"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn plots_of_an_earlier_report_are_removed_and_nothing_else() {
    let mut results = tiny();
    results.scenarios.truncate(1);
    let name = results.scenarios[0].scenario.name.clone();
    results.rows.retain(|row| row.scenario == name);
    let folder = tempfile::tempdir().unwrap();
    let old = ["peers.svg", "peers.png", "latency-gone.svg", "timeline-a-b-3.png"];
    let others = [
        "heatmap.txt",
        "latencies.svg",
        "latency-.svg",
        "latency-Mine.svg",
        "my-latency-gone.svg",
        "logo.png",
        "sizes.png",
    ];
    for name in old.iter().chain(&others) {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    write(&results, folder.path()).unwrap();
    for name in old {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
    for name in others {
        assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "x", "{name}");
    }
    assert!(
        folder.path().join("heatmap.svg").exists() && folder.path().join("heatmap.png").exists()
    );
}

#[test]
fn a_failed_verification_stands_at_the_top_of_the_page() {
    let mut results = tiny();
    results.rows[0].verification.missing = 1;
    let page = html(&results, &[]);
    let (before, _) = page.split_once("Verdict").unwrap();
    assert!(before.contains("Do not trust these numbers"));
    assert!(markdown(&results).contains("Do not trust") && text(&results).contains("Do not trust"));
}

#[test]
fn what_the_reader_must_know_stands_at_the_top() {
    let mut results = tiny();
    results.interrupted = true;
    results.suite = "ycsb".to_owned();
    for row in &mut results.rows {
        row.rounds.truncate(1);
    }
    let page = html(&results, &[]);
    let (before, _) = page.split_once("Which is fastest").unwrap();
    for words in ["Interrupted", "One round only", "E is left out"] {
        assert!(before.contains(words), "{words}");
        assert!(text(&results).contains(words) && markdown(&results).contains(words), "{words}");
    }
    for row in results.rows.iter_mut().skip(1) {
        row.rounds = vec![1.0; 5];
    }
    let page = html(&results, &[]);
    assert!(page.contains("1 to 5 rounds") && page.contains("94 % where most"), "{page}");
}

#[test]
fn names_cannot_break_the_page() {
    let mut results = tiny();
    let evil = "<b>&\"|";
    let old = std::mem::replace(&mut results.scenarios[0].scenario.name, evil.to_owned());
    for row in results.rows.iter_mut().filter(|row| row.scenario == old) {
        row.scenario = evil.to_owned();
    }
    let page = html(&results, &plot::all(&results).unwrap());
    assert!(!page.contains("<b>&") && page.contains("&lt;b&gt;&amp;&quot;"));
    for line in
        markdown(&results).lines().filter(|line| line.starts_with('|') && line.contains("&\""))
    {
        assert!(line.contains("\\<b\\>&\"\\|"), "{line}");
    }
}

#[test]
fn peers_have_their_sheet_and_their_lines() {
    let mut results = with_peer(tiny(), PeerKind::Papaya, 0.5);
    results.limits =
        vec![LineRate { pages: Pages::Huge, threads: 2, in_flight: 16, lines_per_sec: 1e8 }];
    let table = tables::peers(&results).unwrap();
    assert_eq!(table.columns[..4], ["", "best peer", "M/s", "rwlock+slab"]);
    assert_eq!(table.columns.len(), 3 + 9);
    let runs: usize =
        results.scenarios.iter().map(|measured| measured.scenario.threads.len()).sum();
    assert_eq!(table.lines.len(), runs);
    // The peer is a copy of the fifth combination at half the rate.
    assert!(
        table
            .lines
            .iter()
            .all(|line| line[1] == "papaya"
                && line[3 + 4].trim_start_matches('~').starts_with("2.00")),
        "{table:?}"
    );
    let (text, page) = (text(&results), html(&results, &plot::all(&results).unwrap()));
    assert!(
        text.contains("Ratio to the best peer") && text.contains("Share of the memory limit"),
        "{text}"
    );
    assert!(page.contains("Beside other people's maps") && page.contains("ours and the best peer"));
    assert!(page.contains("papaya (papaya 0.2.5)"));
    check_tags(&page);
    assert!(tables::peers(&tiny()).is_none());
    assert!(!html(&tiny(), &[]).contains("Beside other people's maps"));
    let share = tables::share_of_limit(&results).unwrap();
    let with_two =
        results.scenarios.iter().filter(|measured| measured.scenario.threads.contains(&2)).count();
    assert_eq!(share.lines.len(), with_two, "the limit is known for two threads");
}

#[test]
fn many_scenarios_are_lines() {
    let results = with_scenarios(tiny(), 64);
    let table = &tables::throughput(&results, false)[0];
    assert_eq!((table.lines.len(), table.columns.len()), (64, 1 + 9));
    let few = &tables::throughput(&tiny(), false)[0];
    assert_eq!((few.lines.len(), few.columns.len()), (9, 1 + tiny().scenarios.len()));
    let page = html(&results, &[]);
    assert!(page.contains("<details>"), "long tables are folded");
    check_tags(&page);
}

#[test]
fn the_csv_has_a_line_for_every_row_and_a_name_for_every_column() {
    let mut results = with_peer(tiny(), PeerKind::SccHashMap, 0.5);
    results.rows[0].response_ns = Some(results.rows[0].latency_ns);
    results.rows[1].verification.missing = 2;
    results.rows[1].verification.wrong = 3;
    let text = csv(&results).unwrap();
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), results.rows.len());
    let cell = |row: usize, name: &str| {
        let column =
            header.iter().position(|other| other == name).unwrap_or_else(|| panic!("no {name}"));
        rows[row][column].to_owned()
    };
    for (n, row) in results.rows.iter().enumerate() {
        assert_eq!(cell(n, "store"), row.store.to_string());
        assert_eq!(cell(n, "scenario"), row.scenario);
        assert_eq!(cell(n, "lookups"), row.lookups.to_string());
        assert_eq!(cell(n, "hit_ratio").is_empty(), row.lookups == 0);
        assert_eq!(cell(n, "p99_9_ns"), row.latency_ns.p999.to_string());
        assert_eq!(cell(n, "resident_bytes"), row.memory.resident_bytes.to_string());
        assert_eq!(cell(n, "ops_median"), format!("{:.1}", row.ops_per_sec.median));
    }
    assert_eq!([cell(0, "backend"), cell(0, "pool")], ["rwlock", "slab"]);
    assert_eq!(cell(0, "response_max_ns"), results.rows[0].latency_ns.max.to_string());
    assert_eq!(cell(1, "response_max_ns"), "");
    let failure = ["missing_count", "failure_count", "verification_passed"];
    assert_eq!(failure.map(|name| cell(0, name)), ["0", "0", "true"]);
    assert_eq!(failure.map(|name| cell(1, name)), ["2", "5", "false"]);
    let last = rows.len() - 1;
    assert_eq!(
        ["store", "backend", "node_bytes"].map(|name| cell(last, name)),
        ["scc-hashmap", "", ""]
    );
}

#[test]
fn a_comparison_tells_differences_first_and_what_it_comes_to() {
    let (mut old, mut new) = (tiny(), tiny());
    for row in old.rows.iter_mut().chain(&mut new.rows) {
        row.rounds = vec![1e6; 5];
        row.ops_per_sec = rate(1e6, 5e4);
    }
    new.rows[3].ops_per_sec = rate(2e6, 5e4);
    new.rows[4].ops_per_sec = rate(2.5e5, 1e4);
    new.rows.remove(0);
    let text = comparison_text(&Comparison::of(&new, &old).unwrap());
    let lines: Vec<&str> = text.lines().skip(4).collect();
    assert!(lines[0].contains("slower") && lines[0].contains("0.25"), "{text}");
    assert!(lines[1].contains("faster") && lines[1].contains("2.00"), "{text}");
    let expected = format!(
        "1 faster, 1 slower, {} no difference (bounds of 94 %); rows left out, which one side lacks: 1\n",
        new.rows.len() - 2
    );
    assert!(text.ends_with(&expected), "{text}");
}

#[test]
fn markdown_tables_have_as_many_cells_in_every_line() {
    let page = markdown(&with_peer(tiny(), PeerKind::Papaya, 0.5));
    let mut columns = None;
    for line in page.lines() {
        if !line.starts_with('|') {
            columns = None;
            continue;
        }
        let cells = line.replace("\\|", "").matches('|').count();
        assert_eq!(*columns.get_or_insert(cells), cells, "{line}");
    }
    assert!(page.contains("- processor: ") && page.contains("**"), "{page}");
}

#[test]
fn foreign_text_cannot_turn_or_hide_text_on_the_pages() {
    let mut results = tiny();
    results.suite = "a\u{202e}b\u{1b}[31m\nc\u{200b}".to_owned();
    results.machine.processor = "\u{2066}x\u{7}".to_owned();
    for page in [html(&results, &[]), markdown(&results)] {
        let hidden = page.chars().find(|&c| c != '\n' && !keystore_text::console::is_plain(c));
        assert_eq!(hidden, None);
        assert!(page.contains("u{202e}b"), "{page}");
    }
}

#[test]
fn an_interrupted_run_gives_no_verdict_and_says_how_far_it_came() {
    let mut results = three_stores([steadily(2e6), steadily(8e6), steadily(4e6)]);
    (results.interrupted, results.planned_runs) = (true, 40);
    let first = |results: &Results| verdict(results).remove(0);
    assert_eq!(first(&results), "No verdict: the run was interrupted after 15 of 40 runs.");
    assert!(tables::standings(&results).is_none());
    results.rows.clear();
    assert_eq!(first(&results), "No verdict: the run was interrupted after 0 of 40 runs.");
    results.interrupted = false;
    assert_eq!(first(&results), "No verdict: no store was measured.");
}

#[test]
fn a_scenario_with_a_name_as_long_as_a_file_name_has_its_report() {
    let mut results = tiny();
    results.scenarios.truncate(1);
    let short = results.scenarios[0].scenario.name.clone();
    let long = "long ".repeat(51);
    results.rows.retain(|row| row.scenario == short);
    results.rows.iter_mut().for_each(|row| row.scenario.clone_from(&long));
    results.scenarios[0].scenario.name = long;
    let folder = tempfile::tempdir().unwrap();
    write(&results, folder.path()).unwrap();
    let longest = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name().len());
    assert!((150..=255).contains(&longest.max().unwrap()));
}

/// Uses `/proc` as the folder, because even an administrator cannot create a file there.
#[test]
#[cfg(target_os = "linux")]
fn a_folder_in_which_nothing_can_be_created_is_refused_before_measuring() {
    let error = make_folder(Path::new("/proc")).unwrap_err().to_string();
    assert!(error.starts_with("/proc: cannot be written"), "{error}");
}
