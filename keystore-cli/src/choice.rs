//! Which store to open: the arguments that the commands share.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use keystore::Combination;
use keystore_core::{BackendKind, BoxedKeystore, Config, Error, MAX_KEY_LEN, MAX_VALUE_LEN};
use keystore_pool::PoolKind;
use keystore_text::input::MAX_LINE_LEN;

/// One kind, or each there is.
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

/// Parses one of these names; clap says which there are.
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

/// For an argument that names a backend.
fn backend() -> impl TypedValueParser<Value = BackendKind> {
    one_of(backend_names().collect())
}

/// For an argument that names a pool.
fn pool() -> impl TypedValueParser<Value = PoolKind> {
    one_of(pool_names().collect())
}

/// For an argument that names a backend, or `all`.
pub(crate) fn backend_or_all() -> impl TypedValueParser<Value = OneOrAll<BackendKind>> {
    one_of(backend_names().chain(["all"]).collect())
}

/// For an argument that names a pool, or `all`.
pub(crate) fn pool_or_all() -> impl TypedValueParser<Value = OneOrAll<PoolKind>> {
    one_of(pool_names().chain(["all"]).collect())
}

/// How a store is opened, whatever it is made of.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sizes {
    /// Buckets at the start, a power of two; the table grows from there.
    #[arg(long, value_name = "N", default_value_t = Config::default().initial_buckets, value_parser = buckets)]
    buckets: usize,
    /// The share of those buckets for which the pool reserves a node up front, 0 to 1.
    #[arg(long, value_name = "FACTOR", default_value_t = Config::default().preallocation, value_parser = preallocation)]
    preallocation: f64,
}

impl Sizes {
    pub(crate) fn config(&self) -> Config {
        Config { initial_buckets: self.buckets, preallocation: self.preallocation, ..Config::default() }
    }
}

/// Which store a command works on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Choice {
    /// The backend: what finds an entry.
    #[arg(long, default_value = BackendKind::default().name(), value_parser = backend())]
    pub(crate) backend: BackendKind,
    /// The pool: where an entry's memory comes from.
    #[arg(long, default_value = PoolKind::default().name(), value_parser = pool())]
    pub(crate) pool: PoolKind,
    #[command(flatten)]
    sizes: Sizes,
}

impl Choice {
    /// Opens an empty store.
    pub(crate) fn open(&self) -> Result<BoxedKeystore, Error> {
        Combination { backend: self.backend, pool: self.pool }.open(&self.sizes.config())
    }
}

/// How long a line of a text input may be.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LongestLine {
    /// Bytes of the longest line that is taken, without its end; of the longest CSV record, as it
    /// is written, with its quotes, commas and line ends.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_LINE_LEN,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=LONGEST_ENTRY))]
    longest_line: usize,
}

/// What the longest key and the longest value take, with a character between them.
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

/// The configuration, or what it must be: clap says already what it was.
fn checked(config: Config) -> Result<Config, String> {
    match config.validate() {
        Ok(()) => Ok(config),
        Err(Error::InvalidConfig { expected, .. }) => Err(format!("it must be {expected}")),
        Err(other) => Err(other.to_string()),
    }
}
