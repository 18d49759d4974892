"""Every part of examples/python/keystore.py. The library is the one that KEYSTORE_LIBRARY names."""

import os
import threading
import unittest

import keystore
from keystore import Busy, Closed, InvalidArgument, Keystore, KeystoreError, OutOfMemory


class Test(unittest.TestCase):
    def setUp(self):
        self.store = Keystore()
        self.addCleanup(self.store.close)

    def test_it_is_a_mapping(self):
        store = self.store
        self.assertEqual(len(store), 0)
        store["key"] = "Wert: ä"
        store[b"\0\xff"] = b"a\0b"
        store[bytearray(b"empty")] = memoryview(b"")
        self.assertEqual(store[b"key"], "Wert: ä".encode())
        self.assertEqual(store[b"\0\xff"], b"a\0b")
        self.assertEqual(store["empty"], b"")
        self.assertTrue("key" in store and b"none" not in store)
        self.assertEqual(len(store), 3)
        self.assertEqual(sorted(store), [b"\0\xff", b"empty", b"key"])
        self.assertEqual(dict(store.items())[b"empty"], b"")
        self.assertEqual(sorted(store.values()), sorted([b"", "Wert: ä".encode(), b"a\0b"]))
        self.assertEqual(store.get("none"), None)
        del store["key"]
        self.assertEqual(store.pop("empty"), b"")
        self.assertEqual(store.pop("empty", 7), 7)
        self.assertEqual(store.setdefault("new", "1"), b"1")
        self.assertEqual(store.setdefault("new", "2"), b"1")
        store.update({"a": "x", "b": "y"})
        self.assertEqual(store, {b"\0\xff": b"a\0b", b"new": b"1", b"a": b"x", b"b": b"y"})
        store.clear()
        self.assertEqual(len(store), 0)

    def test_a_key_that_is_not_there_is_a_key_error(self):
        for call in (lambda: self.store["none"], lambda: self.store.pop("none"), lambda: self.store.__delitem__("none")):
            with self.assertRaises(KeyError) as caught:
                call()
            self.assertEqual(caught.exception.args, ("none",))

    def test_one_step(self):
        store = self.store
        self.assertTrue(store.insert("k", "a"))
        self.assertFalse(store.insert("k", "b"))
        self.assertFalse(store.compare_exchange("k", None, "c"))
        self.assertTrue(store.compare_exchange("k", "a", ""))
        self.assertTrue(store.compare_exchange("k", b"", None))
        self.assertTrue(store.compare_exchange("k", None, "d"))
        self.assertEqual(store["k"], b"d")

    def test_batches(self):
        store = self.store
        self.assertEqual(store.set_many({str(i): str(i * i) for i in range(100)}), 100)
        self.assertEqual(store.set_many([("7", "x"), ("new", "y")]), 1)
        self.assertEqual(store.get_many(["3", "none", "7"]), [b"9", None, b"x"])
        self.assertEqual(store.delete_many(["3", "none", "7"]), 2)
        self.assertEqual(store.get_many([]), [])
        with self.assertRaises(InvalidArgument) as caught:
            store.get_many(["1", ""])
        self.assertIn("entry 1 of the batch", str(caught.exception))

    def test_errors_are_exceptions(self):
        with self.assertRaises(ValueError) as caught:
            self.store[""] = "v"
        self.assertIsInstance(caught.exception, KeystoreError)
        self.assertEqual(caught.exception.code, -20)
        self.assertIn("a key of 0 bytes: keys have 1 to 65535 bytes", str(caught.exception))
        with self.assertRaises(TypeError):
            self.store[7] = "v"
        with self.assertRaises(InvalidArgument) as caught:
            Keystore(initial_buckets=1000)
        self.assertEqual(caught.exception.code, -21)
        with self.assertRaises(InvalidArgument):
            Keystore(backend="none")
        with Keystore(memory_limit=1000) as small, self.assertRaises(MemoryError) as caught:
            small["k"] = bytes(2000)
        self.assertIsInstance(caught.exception, OutOfMemory)

    def test_a_call_waits_no_longer_than_it_is_told(self):
        for backend, waits in (("epoch", False), ("rwlock", True), ("dashmap", True)):
            with Keystore(backend=backend, lock_timeout=0.02) as store:
                store["k"] = "v"
                held, done = threading.Event(), threading.Event()

                def hold(*_):
                    held.set()
                    done.wait()
                    return 0

                visit = keystore._FOR_EACH(hold)
                walker = threading.Thread(target=lambda: keystore._library.ks_for_each(store._handle, visit, None))
                walker.start()
                held.wait()
                try:
                    if waits:
                        with self.assertRaises(Busy) as caught:
                            store["k"] = "new"
                        self.assertEqual(caught.exception.code, -30)
                        self.assertIn("waited 20ms", str(caught.exception))
                    else:
                        store["k"] = "new"
                finally:
                    done.set()
                    walker.join()
                store["k"] = "newer"
        for wrong in (0, -1, 1e11, float("nan")):
            with self.assertRaises(InvalidArgument) as caught:
                Keystore(lock_timeout=wrong)
            self.assertIn("lock_timeout is", str(caught.exception))

    def test_a_closed_store_says_so(self):
        with Keystore() as store:
            store["k"] = "v"
        store.close()
        for call in (lambda: store["k"], lambda: len(store), lambda: list(store), lambda: store.insert("k", "v")):
            self.assertRaises(Closed, call)

    def test_every_backend_and_pool_from_several_threads(self):
        for backend in ("epoch", "rwlock", "dashmap"):
            for pool in ("slab", "arena", "system"):
                with Keystore(backend=backend, pool=pool, initial_buckets=16, preallocation=0.5) as store:

                    def work(thread):
                        for i in range(200):
                            store[f"{thread} {i}"] = str(i)

                    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
                    self.assertEqual(len(store), 800)
                    self.assertEqual(store["3 199"], b"199")

    def test_the_version_is_the_library_s(self):
        self.assertEqual(keystore.version(), os.environ["KEYSTORE_VERSION"])


if __name__ == "__main__":
    unittest.main()
