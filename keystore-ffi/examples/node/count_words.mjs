// Counts the words of a text and prints the most frequent: node count_words.mjs < text

import { readFileSync } from "node:fs";

import { Keystore } from "./keystore.mjs";

const counts = new Keystore({ initialBuckets: 1024 });
try {
  for (const word of readFileSync(0, "utf8").split(/\s+/).filter(Boolean)) {
    counts.set(word, String(Number(counts.get(word) ?? 0) + 1));
  }
  const ranking = [...counts].map(([word, count]) => [Number(count), word.toString()]);
  ranking.sort(([a, first], [b, second]) => b - a || (first < second ? 1 : -1));
  for (const [count, word] of ranking.slice(0, 10)) console.log(count, word);
} finally {
  counts.close();
}
