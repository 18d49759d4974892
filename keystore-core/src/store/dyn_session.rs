//! Sessions behind `dyn`, for code that knows its store only as `dyn Keystore`.

use std::fmt;

use super::session::Session;
use crate::error::{BatchError, Result};
use crate::keystore::{Change, Exchange, Keystore};
use crate::scan::ScanCursor;
use crate::table::Table;
use crate::update::Update;

/// Defines the trait from the signatures of its methods, and implements it for a session and for a
/// store that has no sessions. Both have methods of these names.
macro_rules! dyn_session {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident as $own:ident $(<$life:lifetime>)? (
            &mut self $(, $argument:ident: $type:ty)*
        ) -> $result:ty;
    )*) => {
        /// A [`Session`] of any store, from [`Keystore::session_dyn`].
        ///
        /// ```
        /// # #[cfg(feature = "epoch")] fn main() -> keystore_core::Result<()> {
        /// use keystore_core::{EpochKeystore, Keystore};
        ///
        /// let store: Box<dyn Keystore> = Box::new(EpochKeystore::default());
        /// let mut session = store.session_dyn()?;
        /// session.set(b"key", b"value")?;
        /// assert_eq!(session.get(b"key")?.as_deref(), Some(&b"value"[..]));
        /// # Ok(()) }
        /// # #[cfg(not(feature = "epoch"))] fn main() {}
        /// ```
        pub trait DynSession: fmt::Debug {
            $(
                $(#[$attribute])*
                ///
                /// # Errors
                /// Returns the errors of the method with the same name of [`Keystore`].
                fn $name $(<$life>)? (&mut self $(, $argument: $type)*) -> $result;
            )*
        }

        impl<T: Table> DynSession for Session<'_, T> {
            $(
                fn $name $(<$life>)? (&mut self $(, $argument: $type)*) -> $result {
                    Session::$own(self $(, $argument)*)
                }
            )*
        }

        impl<K: Keystore + ?Sized> DynSession for NoSession<'_, K> {
            $(
                fn $name $(<$life>)? (&mut self $(, $argument: $type)*) -> $result {
                    self.0.$name($($argument),*)
                }
            )*
        }
    };
}

/// The session of a store that has none: each operation is one of the store.
pub(crate) struct NoSession<'s, K: ?Sized>(pub(crate) &'s K);

impl<K: ?Sized> fmt::Debug for NoSession<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

dyn_session! {
    /// Does the same as [`Keystore::read_dyn`].
    fn read_dyn as read_dyn(&mut self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Does the same as [`Keystore::get`].
    fn get as get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Does the same as [`Keystore::get_into`].
    fn get_into as get_into(&mut self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool>;

    /// Does the same as [`Keystore::contains`].
    fn contains as contains(&mut self, key: &[u8]) -> Result<bool>;

    /// Does the same as [`Keystore::set`].
    fn set as set(&mut self, key: &[u8], value: &[u8]) -> Result<Change>;

    /// Does the same as [`Keystore::insert`].
    fn insert as insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool>;

    /// Does the same as [`Keystore::update_dyn`].
    fn update_dyn as update<'v>(
        &mut self,
        key: &[u8],
        decide: &mut dyn FnMut(Option<&[u8]>) -> Update<'v>
    ) -> Result<Change>;

    /// Does the same as [`Keystore::compare_exchange`].
    fn compare_exchange as compare_exchange(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>
    ) -> Result<Exchange>;

    /// Does the same as [`Keystore::delete`].
    fn delete as delete(&mut self, key: &[u8]) -> Result<bool>;

    /// Does the same as [`Keystore::take`].
    fn take as take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Does the same as [`Keystore::read_many_dyn`].
    fn read_many_dyn as read_many(
        &mut self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<&[u8]>)
    ) -> Result<(), BatchError>;

    /// Does the same as [`Keystore::set_many`].
    fn set_many as set_many(&mut self, entries: &[(&[u8], &[u8])]) -> Result<usize, BatchError>;

    /// Does the same as [`Keystore::insert_many`].
    fn insert_many as insert_many(
        &mut self,
        entries: &[(&[u8], &[u8])]
    ) -> Result<usize, BatchError>;

    /// Does the same as [`Keystore::update_many_dyn`].
    fn update_many_dyn as update_many<'v>(
        &mut self,
        keys: &[&[u8]],
        decide: &mut dyn FnMut(usize, Option<&[u8]>) -> Update<'v>
    ) -> Result<usize, BatchError>;

    /// Does the same as [`Keystore::delete_many`].
    fn delete_many as delete_many(&mut self, keys: &[&[u8]]) -> Result<usize, BatchError>;

    /// Does the same as [`Keystore::take_many_dyn`].
    fn take_many_dyn as take_many(
        &mut self,
        keys: &[&[u8]],
        visit: &mut dyn FnMut(usize, Option<Vec<u8>>)
    ) -> Result<usize, BatchError>;

    /// Does the same as [`Keystore::scan_dyn`].
    fn scan_dyn as scan(
        &mut self,
        cursor: ScanCursor,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8])
    ) -> Result<Option<ScanCursor>>;
}
