//! Arguments that several commands share: the store to open, and the limit of an input line.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use keystore::Combination;
use keystore_core::{BackendKind, BoxedKeystore, Config, Error, MAX_KEY_LEN, MAX_VALUE_LEN};
use keystore_pool::PoolKind;
use keystore_text::input::MAX_LINE_LEN;

/// One kind of backend or pool, or all kinds of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OneOrAll<T> {
    One(T),
    All,
}

impl<T: FromStr<Err = Error>> FromStr for OneOrAll<T> {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if name == "all" { Ok(Self::All) } else { name.parse().map(Self::One) }
    }
}

impl<T: PartialEq> OneOrAll<T> {
    pub(crate) fn includes(&self, kind: &T) -> bool {
        match self {
            Self::One(one) => one == kind,
            Self::All => true,
        }
    }
}

/// Returns a parser of these names. In an error, clap lists them.
fn one_of<T>(names: Vec<&'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

fn backend_names() -> impl Iterator<Item = &'static str> {
    BackendKind::ALL.into_iter().map(BackendKind::name)
}

fn pool_names() -> impl Iterator<Item = &'static str> {
    PoolKind::ALL.into_iter().map(PoolKind::name)
}

/// Returns a parser of the name of a backend.
fn backend() -> impl TypedValueParser<Value = BackendKind> {
    one_of(backend_names().collect())
}

/// Returns a parser of the name of a pool.
fn pool() -> impl TypedValueParser<Value = PoolKind> {
    one_of(pool_names().collect())
}

/// Returns a parser of the name of a backend, or of `all`.
pub(crate) fn backend_or_all() -> impl TypedValueParser<Value = OneOrAll<BackendKind>> {
    one_of(backend_names().chain(["all"]).collect())
}

/// Returns a parser of the name of a pool, or of `all`.
pub(crate) fn pool_or_all() -> impl TypedValueParser<Value = OneOrAll<PoolKind>> {
    one_of(pool_names().chain(["all"]).collect())
}

/// Sizes of a new store, for any backend and pool.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Initial number of buckets, a power of two; the table grows from there.
    #[arg(long, value_name = "N", default_value_t = Config::default().initial_buckets, value_parser = buckets)]
    buckets: usize,
    /// Share of the initial buckets for which the pool reserves a node up front, from 0 to 1.
    #[arg(long, value_name = "FACTOR", default_value_t = Config::default().preallocation,
          value_parser = preallocation)]
    preallocation: f64,
}

impl Sizes {
    pub(crate) fn config(&self) -> Config {
        Config {
            initial_buckets: self.buckets,
            preallocation: self.preallocation,
            ..Config::default()
        }
    }
}

/// The store that a command works on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Backend, which finds an entry.
    #[arg(long, default_value = BackendKind::default().name(), value_parser = backend())]
    pub(crate) backend: BackendKind,
    /// Pool, which allocates the memory of an entry.
    #[arg(long, default_value = PoolKind::default().name(), value_parser = pool())]
    pub(crate) pool: PoolKind,
    #[command(flatten)]
    sizes: Sizes,
}

impl StoreArgs {
    /// Opens an empty store.
    pub(crate) fn open(&self) -> Result<BoxedKeystore, Error> {
        Combination { backend: self.backend, pool: self.pool }.open(&self.sizes.config())
    }
}

/// Limit of the length of an input line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LongestLine {
    /// Bytes of the longest input line, without its line end. A CSV record counts as written, with
    /// its quotes, commas and line ends.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_LINE_LEN,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=LONGEST_ENTRY))]
    longest_line: usize,
}

/// Maximum length in bytes of a key, a separator and a value together.
const LONGEST_ENTRY: u64 = MAX_KEY_LEN as u64 + 1 + MAX_VALUE_LEN as u64;

impl LongestLine {
    pub(crate) const fn bytes(self) -> usize {
        self.longest_line
    }
}

fn buckets(text: &str) -> Result<usize, String> {
    let initial_buckets = text.parse().map_err(|error| format!("{error}"))?;
    checked(Config { initial_buckets, ..Config::default() }).map(|config| config.initial_buckets)
}

fn preallocation(text: &str) -> Result<f64, String> {
    let preallocation = text.parse().map_err(|error| format!("{error}"))?;
    checked(Config { preallocation, ..Config::default() }).map(|config| config.preallocation)
}

/// Validates a configuration. The error says only what the value must be, because clap adds the
/// actual value.
fn checked(config: Config) -> Result<Config, String> {
    match config.validate() {
        Ok(()) => Ok(config),
        Err(Error::InvalidConfig { expected, .. }) => Err(format!("it must be {expected}")),
        Err(other) => Err(other.to_string()),
    }
}
