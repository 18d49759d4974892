// Counts the words of a text on several threads, and prints the most frequent ones.
//
//     count_words < text

#include <keystore.hpp>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <thread>

int main() try {
    std::vector<std::string> words{std::istream_iterator<std::string>(std::cin), {}};

    keystore::options options;
    options.initial_buckets = 1024;
    keystore::store counts(options);

    std::vector<std::thread> threads;
    for (std::size_t first = 0; first < 4; first++)
        threads.emplace_back([&, first] {
            for (std::size_t i = first; i < words.size(); i += 4)
                counts.update(words[i], [](std::optional<std::string_view> old) -> std::optional<std::string> {
                    return std::to_string(old ? std::stoul(std::string(*old)) + 1 : 1);
                });
        });
    for (std::thread &thread : threads)
        thread.join();

    std::vector<std::pair<unsigned long, std::string>> ranking;
    counts.for_each([&](std::string_view word, std::string_view count) {
        ranking.emplace_back(std::stoul(std::string(count)), word);
    });
    std::sort(ranking.begin(), ranking.end(), std::greater<>());
    if (ranking.size() > 10)
        ranking.resize(10);
    for (const auto &[count, word] : ranking)
        std::cout << count << ' ' << word << '\n';
} catch (const keystore::error &error) {
    std::cerr << "keystore: " << error.what() << " (" << error.code() << ")\n";
    return 1;
}
