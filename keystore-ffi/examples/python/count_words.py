"""Counts the words of a text and prints the most frequent: python3 count_words.py < text"""

import sys

from keystore import Keystore

with Keystore(initial_buckets=1024) as counts:
    for word in sys.stdin.read().split():
        counts[word] = str(int(counts.get(word, b"0")) + 1)
    ranking = sorted(((int(count), word.decode()) for word, count in counts.items()), reverse=True)
for count, word in ranking[:10]:
    print(count, word)
