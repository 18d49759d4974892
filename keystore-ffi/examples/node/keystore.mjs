// keystore for Node: a concurrent key-value store in memory.
//
//     import { Keystore } from "./keystore.mjs";
//
//     const store = new Keystore();
//     store.set("answer", "42");
//     console.log(store.get("answer").toString()); // 42
//     store.close();
//
// Needs koffi (npm install koffi) and libkeystore: the one that the environment variable KEYSTORE_LIBRARY names, or the
// system's. Keys and values go in as strings (as UTF-8), Buffers or Uint8Arrays, and values come out as Buffers.

import koffi from "koffi";

const suffix = { darwin: ".dylib", win32: ".dll" }[process.platform] ?? ".so";
const library = koffi.load(process.env.KEYSTORE_LIBRARY || `${process.platform === "win32" ? "" : "lib"}keystore${suffix}`);

koffi.opaque("ks_store");
koffi.struct("ks_options", {
  size: "size_t",
  backend: "int32_t",
  pool: "int32_t",
  initial_buckets: "size_t",
  preallocation: "double",
  memory_limit: "uint64_t",
  concurrency: "int32_t",
  counters: "int32_t",
  lock_timeout_ns: "uint64_t",
});
koffi.proto("int ks_for_each_fn(void *context, void *key, size_t key_len, void *value, size_t value_len)");

const ks = Object.fromEntries(
  [
    "int ks_options_init(_Out_ ks_options *options, size_t size)",
    "int ks_open(const ks_options *options, _Out_ ks_store **store)",
    "int ks_close(ks_store *store)",
    "int ks_set(ks_store *store, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)",
    "int ks_insert(ks_store *store, const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)",
    "int ks_get_owned(ks_store *store, const uint8_t *key, size_t key_len, _Out_ void **value, _Out_ size_t *value_len)",
    "int ks_take(ks_store *store, const uint8_t *key, size_t key_len, _Out_ void **value, _Out_ size_t *value_len)",
    "void ks_free(void *value)",
    "int ks_delete(ks_store *store, const uint8_t *key, size_t key_len)",
    "int ks_exists(ks_store *store, const uint8_t *key, size_t key_len, _Out_ bool *exists)",
    "int ks_count(ks_store *store, _Out_ size_t *count)",
    "int ks_clear(ks_store *store)",
    "int ks_for_each(ks_store *store, ks_for_each_fn *visit, void *context)",
    "const char *ks_last_error_message()",
    "const char *ks_version()",
  ].map((declaration) => [/ks_\w+(?=\()/.exec(declaration)[0], library.func(declaration)]),
);

const KEY_NOT_FOUND = -41;
const KEY_EXISTS = -42;
const BACKENDS = { rwlock: 1, epoch: 2, dashmap: 3 };
const POOLS = { slab: 1, arena: 2, system: 3 };

/** A call that failed: `code` is the number, `message` says what was wrong and what the limit is. */
export class KeystoreError extends Error {
  constructor(code, message = ks.ks_last_error_message()) {
    super(message);
    this.name = "KeystoreError";
    this.code = code;
  }
}

/** Throws where a call failed; true for success, false for the one failure that is an answer. */
function check(code, answer) {
  if (code === answer) return false;
  if (code !== 0) throw new KeystoreError(code);
  return true;
}

/** The bytes of a key or a value. */
function bytes(value) {
  if (typeof value === "string") return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`keys and values are strings, Buffers or Uint8Arrays, not ${typeof value}`);
}

/** A copy of memory of the library's. */
function copy(address, length) {
  return length === 0 ? Buffer.alloc(0) : Buffer.from(koffi.decode(address, koffi.array("uint8_t", length, "Typed")));
}

function choose(name, choices, chosen) {
  if (!Object.hasOwn(choices, chosen)) {
    throw new KeystoreError(-20, `${name} is ${chosen}: it must be one of ${Object.keys(choices).join(", ")}`);
  }
  return choices[chosen];
}

/** Milliseconds as the library has them. 0 would be no time-out at all. */
function nanoseconds(name, milliseconds) {
  if (!(milliseconds >= 1e-6 && milliseconds <= 1e9)) {
    throw new KeystoreError(-20, `${name} is ${milliseconds}: it must be from 1e-6 to 1e9 milliseconds`);
  }
  return Math.round(milliseconds * 1e6);
}

/** The version of the library. */
export const version = () => ks.ks_version();

/** An open store. `for (const [key, value] of store)` shows its entries as they were when the loop began. */
export class Keystore {
  #handle = null;

  /**
   * `backend`: rwlock, epoch or dashmap. `pool`: slab, arena or system. `memoryLimit`: bytes. `lockTimeout`: milliseconds
   * that a call waits for a lock that others hold, on the backends that have locks.
   */
  constructor({ backend = "rwlock", pool = "slab", initialBuckets, preallocation, memoryLimit, lockTimeout } = {}) {
    const options = {};
    check(ks.ks_options_init(options, koffi.sizeof("ks_options")));
    options.backend = choose("backend", BACKENDS, backend);
    options.pool = choose("pool", POOLS, pool);
    options.initial_buckets = initialBuckets ?? options.initial_buckets;
    options.preallocation = preallocation ?? options.preallocation;
    options.memory_limit = memoryLimit ?? options.memory_limit;
    if (lockTimeout !== undefined) options.lock_timeout_ns = nanoseconds("lockTimeout", lockTimeout);
    const handle = [null];
    check(ks.ks_open(options, handle));
    this.#handle = handle[0];
  }

  /** Gives back the store's memory. Twice is as good as once. */
  close() {
    const handle = this.#handle;
    this.#handle = null;
    if (handle !== null) check(ks.ks_close(handle));
  }

  /** Gives the key this value, whether it has one or not. */
  set(key, value) {
    key = bytes(key);
    value = bytes(value);
    check(ks.ks_set(this.#handle, key, key.length, value, value.length));
    return this;
  }

  /** Gives the key this value where it has none: whether it had none. */
  insert(key, value) {
    key = bytes(key);
    value = bytes(value);
    return check(ks.ks_insert(this.#handle, key, key.length, value, value.length), KEY_EXISTS);
  }

  #owned(call, key) {
    key = bytes(key);
    const value = [null];
    const length = [0];
    if (!check(call(this.#handle, key, key.length, value, length), KEY_NOT_FOUND)) return undefined;
    try {
      return copy(value[0], Number(length[0]));
    } finally {
      ks.ks_free(value[0]);
    }
  }

  /** The value of the key, undefined where it has none. */
  get(key) {
    return this.#owned(ks.ks_get_owned, key);
  }

  /** Removes the key and returns its value, as one step; undefined where it has none. */
  take(key) {
    return this.#owned(ks.ks_take, key);
  }

  /** Whether the key has a value. */
  has(key) {
    key = bytes(key);
    const exists = [false];
    check(ks.ks_exists(this.#handle, key, key.length, exists));
    return exists[0];
  }

  /** Removes the key: whether it had a value. */
  delete(key) {
    key = bytes(key);
    return check(ks.ks_delete(this.#handle, key, key.length), KEY_NOT_FOUND);
  }

  /** How many keys there are. */
  get size() {
    const count = [0];
    check(ks.ks_count(this.#handle, count));
    return Number(count[0]);
  }

  clear() {
    check(ks.ks_clear(this.#handle));
  }

  /** The pairs of key and value, as Buffers. */
  *[Symbol.iterator]() {
    const entries = [];
    const visit = (_, key, keyLength, value, valueLength) => {
      entries.push([copy(key, Number(keyLength)), copy(value, Number(valueLength))]);
      return 0;
    };
    check(ks.ks_for_each(this.#handle, visit, null));
    yield* entries;
  }
}

// `using store = new Keystore()`, where JavaScript knows it.
if (Symbol.dispose) {
  Keystore.prototype[Symbol.dispose] = Keystore.prototype.close;
}
