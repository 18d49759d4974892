// Every part of examples/node/keystore.mjs, which lies beside this file when it runs. The library is the one that
// KEYSTORE_LIBRARY names.

import assert from "node:assert/strict";

import { Keystore, KeystoreError, version } from "./keystore.mjs";

const text = (value) => value?.toString();

for (const backend of ["epoch", "rwlock", "dashmap"]) {
  const store = new Keystore({ backend, pool: "arena", initialBuckets: 16, preallocation: 0.5 });
  assert.equal(store.size, 0);
  store.set("key", "Wert: ä").set(Buffer.from([0, 255]), new Uint8Array([1, 0, 2])).set("empty", "");
  assert.equal(text(store.get("key")), "Wert: ä");
  assert.deepEqual([...store.get(Buffer.from([0, 255]))], [1, 0, 2]);
  assert.equal(store.get("empty").length, 0);
  assert.equal(store.get("none"), undefined);
  assert.ok(store.has("key") && !store.has("none"));
  assert.ok(!store.insert("key", "other") && store.insert("new", "value"));
  assert.equal(store.size, 4);
  assert.deepEqual([...store].map(([key]) => text(key)).sort(), ["\0\ufffd", "empty", "key", "new"]);
  assert.ok(store.delete("key") && !store.delete("key"));
  assert.equal(text(store.take("new")), "value");
  assert.equal(store.take("new"), undefined);
  store.clear();
  for (let i = 0; i < 1000; i++) store.set(`key ${i}`, String(i * i));
  assert.equal(new Map([...store].map(([key, value]) => [text(key), text(value)])).get("key 999"), "998001");
  store.close();
  store.close();
  assert.throws(() => store.get("key"), { name: "KeystoreError", code: -40 });
}

const store = new Keystore();
assert.throws(() => store.set("", "v"), { code: -20, message: /a key of 0 bytes: keys have 1 to 65535 bytes/ });
assert.throws(() => store.set(7, "v"), TypeError);
store.close();
assert.throws(() => new Keystore({ initialBuckets: 1000 }), { code: -21, message: /initial_buckets is 1000/ });
assert.throws(() => new Keystore({ backend: "none" }), KeystoreError);
const small = new Keystore({ memoryLimit: 1000 });
assert.throws(() => small.set("k", Buffer.alloc(2000)), { code: -10, message: /memory limit of 1000 bytes/ });
small.close();
const impatient = new Keystore({ backend: "rwlock", lockTimeout: 20 });
assert.equal(text(impatient.set("k", "v").get("k")), "v");
impatient.close();
for (const lockTimeout of [0, -1, 1e10, NaN]) {
  assert.throws(() => new Keystore({ lockTimeout }), { code: -20, message: /lockTimeout is/ });
}
assert.equal(version(), process.env.KEYSTORE_VERSION);
console.log("passed");
