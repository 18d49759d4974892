//! Opens stores of every combination with the hasher of a check.

use std::hash::BuildHasher;

use keystore::{
    BackendKind, Config, DashMapKeystore, EpochKeystore, Keystore, LocalKeystore, NodeAllocator,
    RwLockKeystore,
};

use crate::combination::{Combination, Sharing};

/// A store that threads may share.
pub(crate) type SharedStore = Box<dyn Keystore + Send + Sync>;

/// The locked store, with its default lock.
type Locked<A, S> = RwLockKeystore<A, keystore::SharedLock, S>;

/// Opens a store of this combination, which threads may share, with this allocator and hasher.
pub(crate) fn open_shared_hashing<A, S>(
    combination: &Combination,
    config: &Config,
    allocator: A,
    hasher: S,
) -> SharedStore
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    match combination.backend {
        BackendKind::RwLock => {
            Box::new(Locked::with_hasher(config, allocator, hasher).expect("the store opens"))
        }
        BackendKind::Epoch => Box::new(
            EpochKeystore::with_hasher(config, allocator, hasher).expect("the store opens"),
        ),
        BackendKind::DashMap => Box::new(
            DashMapKeystore::with_hasher(config, allocator, hasher).expect("the store opens"),
        ),
        backend => panic!("{backend} is new: name its store here"),
    }
}

/// Opens a store of this combination with this allocator and hasher.
pub(crate) fn open_hashing<A, S>(
    combination: &Combination,
    config: &Config,
    allocator: A,
    hasher: S,
) -> Box<dyn Keystore>
where
    A: NodeAllocator + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    match combination.sharing {
        Sharing::Shared => open_shared_hashing(combination, config, allocator, hasher),
        Sharing::OneThread => Box::new(
            LocalKeystore::with_hasher(config, allocator, hasher).expect("the store opens"),
        ),
    }
}
