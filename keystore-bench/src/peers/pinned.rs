//! Implements [`Map`](super::map::Map) for maps that need a pin for every access.

/// Implements [`Map`](super::map::Map) for `$map`. A batch takes one pin. `$update` is the function
/// for an update, which differs from map to map.
macro_rules! pinned_map {
    ($map:ty, $update:path) => {
        impl $crate::peers::map::Map for $map {
            #[inline]
            fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
                self.pin().get(key).map(|value| visit(value))
            }

            fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(usize, Option<&[u8]>)) {
                let map = self.pin();
                for (index, key) in keys.iter().enumerate() {
                    visit(index, map.get(*key).map(|value| &**value));
                }
            }

            fn set_many(&self, entries: &[(&[u8], &[u8])]) -> usize {
                let map = self.pin();
                entries
                    .iter()
                    .filter(|(key, value)| map.insert((*key).into(), (*value).into()).is_none())
                    .count()
            }

            fn remove_many(&self, keys: &[&[u8]]) -> usize {
                let map = self.pin();
                keys.iter().filter(|key| map.remove(**key).is_some()).count()
            }

            #[inline]
            fn set(&self, key: &[u8], value: &[u8]) -> ::keystore::Change {
                match self.pin().insert(key.into(), value.into()) {
                    Some(_) => ::keystore::Change::Replaced,
                    None => ::keystore::Change::Created,
                }
            }

            #[inline]
            fn insert(&self, key: &[u8], value: &[u8]) -> bool {
                self.pin().try_insert(key.into(), value.into()).is_ok()
            }

            #[inline]
            fn update<'v>(
                &self,
                key: &[u8],
                decide: impl FnMut(Option<&[u8]>) -> ::keystore::Update<'v>,
            ) -> ::keystore::Change {
                $update(self, key, decide)
            }

            #[inline]
            fn remove(&self, key: &[u8]) -> bool {
                self.pin().remove(key).is_some()
            }

            fn len(&self) -> usize {
                self.len()
            }

            fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8]) -> ::std::ops::ControlFlow<()>) {
                let _ = self.pin().iter().try_for_each(|(key, value)| visit(key, value));
            }
        }
    };
}

pub(super) use pinned_map;
