"""keystore for Python: a concurrent key-value store in memory, as a mapping.

    from keystore import Keystore

    with Keystore() as store:
        store["answer"] = "42"
        assert store["answer"] == b"42" and "answer" in store and len(store) == 1
        del store["answer"]

Needs Python 3.8 and libkeystore, and nothing else: copy this file. The library is the one that the environment variable
KEYSTORE_LIBRARY names, or the system's. Keys and values go in as bytes or str (as UTF-8) and come out as bytes. Any
number of threads may use one store; calls run without Python's global lock.
"""

import ctypes
import ctypes.util
import os
from collections.abc import ItemsView, MutableMapping, ValuesView
from ctypes import POINTER, byref, c_bool, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint64, c_void_p

__all__ = ["Keystore", "KeystoreError", "InvalidArgument", "OutOfMemory", "Closed", "Busy", "Unsupported", "version"]


class KeystoreError(Exception):
    """A call that failed: `code` is the number, the text says what was wrong and what the limit is."""

    def __init__(self, message, code=-1):
        super().__init__(message)
        self.code = code


class InvalidArgument(KeystoreError, ValueError):
    """A key, a value or an option outside its limits."""


class OutOfMemory(KeystoreError, MemoryError):
    """The system's memory, or the store's memory limit, is used up. Nothing has changed."""


class Closed(KeystoreError):
    """The store was closed."""


class Busy(KeystoreError):
    """The call came from inside another one and would have to wait for it, or waited as long as `lock_timeout` lets it."""


class Unsupported(KeystoreError):
    """This store cannot do that."""


_KEY_NOT_FOUND, _KEY_EXISTS = -41, -42
_ERRORS = {-10: OutOfMemory, -20: InvalidArgument, -21: InvalidArgument, -30: Busy, -40: Closed, -43: Unsupported}
_BACKENDS = {"rwlock": 1, "epoch": 2, "dashmap": 3}
_POOLS = {"slab": 1, "arena": 2, "system": 3}


class _Options(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t),
        ("backend", c_int32),
        ("pool", c_int32),
        ("initial_buckets", c_size_t),
        ("preallocation", c_double),
        ("memory_limit", c_uint64),
        ("concurrency", c_int32),
        ("counters", c_int32),
        ("lock_timeout_ns", c_uint64),
    ]


class _Bytes(ctypes.Structure):
    _fields_ = [("data", c_char_p), ("len", c_size_t)]


class _Value(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]


_FOR_EACH = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)


def _load():
    library = ctypes.CDLL(os.environ.get("KEYSTORE_LIBRARY") or ctypes.util.find_library("keystore") or "libkeystore.so")
    key = [c_void_p, c_char_p, c_size_t]
    for name, arguments in {
        "ks_options_init": [POINTER(_Options), c_size_t],
        "ks_open": [POINTER(_Options), POINTER(c_void_p)],
        "ks_close": [c_void_p],
        "ks_set": key + [c_char_p, c_size_t],
        "ks_insert": key + [c_char_p, c_size_t],
        "ks_get_owned": key + [POINTER(c_void_p), POINTER(c_size_t)],
        "ks_take": key + [POINTER(c_void_p), POINTER(c_size_t)],
        "ks_delete": key,
        "ks_exists": key + [POINTER(c_bool)],
        "ks_compare_exchange": key
        + [c_char_p, c_size_t, c_char_p, c_size_t, POINTER(c_bool), POINTER(c_void_p), POINTER(c_size_t)],
        "ks_count": [c_void_p, POINTER(c_size_t)],
        "ks_clear": [c_void_p],
        "ks_for_each": [c_void_p, _FOR_EACH, c_void_p],
        "ks_get_many": [c_void_p, POINTER(_Bytes), c_size_t, POINTER(_Value)],
        "ks_set_many": [c_void_p, POINTER(_Bytes), POINTER(_Bytes), c_size_t, POINTER(c_size_t)],
        "ks_delete_many": [c_void_p, POINTER(_Bytes), c_size_t, POINTER(c_size_t)],
    }.items():
        getattr(library, name).argtypes = arguments
        getattr(library, name).restype = c_int
    library.ks_free.argtypes = [c_void_p]
    library.ks_free.restype = None
    for name in ("ks_version", "ks_last_error_message"):
        getattr(library, name).argtypes = []
        getattr(library, name).restype = c_char_p
    return library


_library = _load()


def _failed(code):
    """The exception for a call that answered `code`, which was this thread's last to fail."""
    return _ERRORS.get(code, KeystoreError)(_library.ks_last_error_message().decode(), code)


def _bytes(value):
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"keys and values are bytes or str, not {type(value).__name__}")


def _array(values):
    values = [_bytes(value) for value in values]
    return (_Bytes * len(values))(*((value, len(value)) for value in values))


def version():
    """The version of the library."""
    return _library.ks_version().decode()


class Keystore(MutableMapping):
    """A store: a mapping of bytes to bytes.

    `backend` is "rwlock", "epoch" or "dashmap", `pool` is "slab", "arena" or "system". `memory_limit` is in bytes.
    `lock_timeout` is in seconds: how long a call waits for a lock that others hold, on the backends that have locks.
    """

    def __init__(
        self,
        *,
        backend="rwlock",
        pool="slab",
        initial_buckets=None,
        preallocation=None,
        memory_limit=None,
        lock_timeout=None,
    ):
        self._handle = c_void_p()
        options = _Options()
        self._check(_library.ks_options_init(byref(options), ctypes.sizeof(options)))
        options.backend = self._choice("backend", _BACKENDS, backend)
        options.pool = self._choice("pool", _POOLS, pool)
        for name, value in (
            ("initial_buckets", initial_buckets),
            ("preallocation", preallocation),
            ("memory_limit", memory_limit),
            ("lock_timeout_ns", None if lock_timeout is None else self._nanoseconds("lock_timeout", lock_timeout)),
        ):
            if value is not None:
                setattr(options, name, value)
        self._check(_library.ks_open(byref(options), byref(self._handle)))

    @staticmethod
    def _choice(name, choices, chosen):
        if chosen not in choices:
            raise InvalidArgument(f"{name} is {chosen!r}: it must be one of {', '.join(choices)}", -20)
        return choices[chosen]

    @staticmethod
    def _nanoseconds(name, seconds):
        # 0 would be no time-out at all, and more than 64 bits cannot be passed on.
        if not 1e-9 <= seconds <= 1e10:
            raise InvalidArgument(f"{name} is {seconds!r}: it must be from 1e-9 to 1e10 seconds", -20)
        return round(seconds * 1e9)

    @staticmethod
    def _check(code):
        if code != 0:
            raise _failed(code)

    def _take_or_get(self, function, key):
        """The value that `function` gives for the key; None where there is none."""
        name, value, length = _bytes(key), c_void_p(), c_size_t()
        code = function(self._handle, name, len(name), byref(value), byref(length))
        if code == _KEY_NOT_FOUND:
            return None
        self._check(code)
        try:
            return ctypes.string_at(value, length.value)
        finally:
            _library.ks_free(value)

    def close(self):
        """Gives back the store's memory. Not while another thread is inside a call. Twice is as good as once."""
        handle, self._handle = self._handle, c_void_p()
        if handle:
            self._check(_library.ks_close(handle))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        # Where the interpreter ends, or __init__ failed, there may be nothing left to close.
        if getattr(self, "_handle", None) and _library is not None:
            self.close()

    def __getitem__(self, key):
        value = self._take_or_get(_library.ks_get_owned, key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        key, value = _bytes(key), _bytes(value)
        self._check(_library.ks_set(self._handle, key, len(key), value, len(value)))

    def __delitem__(self, key):
        name = _bytes(key)
        code = _library.ks_delete(self._handle, name, len(name))
        if code == _KEY_NOT_FOUND:
            raise KeyError(key)
        self._check(code)

    def __contains__(self, key):
        name, exists = _bytes(key), c_bool()
        self._check(_library.ks_exists(self._handle, name, len(name), byref(exists)))
        return exists.value

    def __len__(self):
        count = c_size_t()
        self._check(_library.ks_count(self._handle, byref(count)))
        return count.value

    def _entries(self):
        entries = []

        def visit(_, key, key_len, value, value_len):
            entries.append((ctypes.string_at(key, key_len), ctypes.string_at(value, value_len)))
            return 0

        self._check(_library.ks_for_each(self._handle, _FOR_EACH(visit), None))
        return entries

    def __iter__(self):
        """The keys, as they were when the iteration began: the store may change meanwhile."""
        return iter([key for key, _ in self._entries()])

    def items(self):
        """The pairs of key and value; iterating takes them in one pass."""
        return _Items(self)

    def values(self):
        """The values; iterating takes them in one pass."""
        return _Values(self)

    def clear(self):
        self._check(_library.ks_clear(self._handle))

    def insert(self, key, value):
        """Sets the key where it has no value: whether it had none. One step, also among threads."""
        key, value = _bytes(key), _bytes(value)
        code = _library.ks_insert(self._handle, key, len(key), value, len(value))
        if code != _KEY_EXISTS:
            self._check(code)
        return code == 0

    def setdefault(self, key, default=b""):
        """The key's value; where it has none, it gets `default`. A key that is removed meanwhile is set again."""
        while not self.insert(key, default):
            value = self.get(key)
            if value is not None:
                return value
        return _bytes(default)

    _no_default = object()

    def pop(self, key, default=_no_default):
        """Removes the key and returns its value, as one step."""
        value = self._take_or_get(_library.ks_take, key)
        if value is not None:
            return value
        if default is self._no_default:
            raise KeyError(key)
        return default

    def compare_exchange(self, key, expected, new):
        """Changes the key from `expected` to `new`, None being "no value", as one step: whether it was as expected."""
        name, exchanged = _bytes(key), c_bool()
        sides = []
        for side in (expected, new):
            side = None if side is None else _bytes(side)
            sides += [side, 0 if side is None else len(side)]
        self._check(
            _library.ks_compare_exchange(self._handle, name, len(name), *sides, byref(exchanged), None, None)
        )
        return exchanged.value

    def get_many(self, keys):
        """The values of the keys, in order, None where there is none. Faster than one by one."""
        keys = _array(keys)
        values = (_Value * len(keys))()
        self._check(_library.ks_get_many(self._handle, keys, len(keys), values))
        try:
            return [None if value.data is None else ctypes.string_at(value.data, value.len) for value in values]
        finally:
            for value in values:
                _library.ks_free(value.data)

    def set_many(self, entries):
        """Sets each pair of a mapping, or of an iterable: how many of the keys had no value before."""
        entries = list(entries.items() if hasattr(entries, "items") else entries)
        keys, values = _array(key for key, _ in entries), _array(value for _, value in entries)
        created = c_size_t()
        self._check(_library.ks_set_many(self._handle, keys, values, len(keys), byref(created)))
        return created.value

    def delete_many(self, keys):
        """Removes the keys: how many had a value."""
        keys, deleted = _array(keys), c_size_t()
        self._check(_library.ks_delete_many(self._handle, keys, len(keys), byref(deleted)))
        return deleted.value


class _Items(ItemsView):
    def __iter__(self):
        return iter(self._mapping._entries())


class _Values(ValuesView):
    def __iter__(self):
        return iter([value for _, value in self._mapping._entries()])
