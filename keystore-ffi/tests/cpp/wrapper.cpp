// Tests every member of keystore.hpp, and callbacks that throw.

#include <keystore.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);          \
            std::exit(1);                                                                        \
        }                                                                                        \
    } while (0)

using namespace std::string_view_literals;

// Returns the code of the error that `call` throws; 0 if it throws none.
template <typename Call> static int code_of(Call call) {
    try {
        call();
        return 0;
    } catch (const keystore::error &error) {
        CHECK(std::strlen(error.what()) > 0);
        return error.code();
    }
}

static void verbs(keystore::store &store) {
    CHECK(store.empty() && store.get("k") == std::nullopt && !store.contains("k"));
    store.set("k", "value");
    CHECK(store.get("k") == "value" && store.contains("k") && store.size() == 1);
    CHECK(!store.insert("k", "other") && store.insert("empty", {}) && store.get("empty") == "");
    store.set("\0\xff"sv, "a\0b"sv);
    CHECK(store.get("\0\xff"sv) == "a\0b"sv);
    std::size_t length = 0;
    CHECK(store.read("k", [&](std::string_view value) { length = value.size(); }) && length == 5);
    CHECK(!store.read("none", [](std::string_view) { std::abort(); }));
    CHECK(store.erase("k") && !store.erase("k"));
    CHECK(store.take("empty") == "" && store.take("empty") == std::nullopt);

    CHECK(store.compare_exchange("k", std::nullopt, "a") && !store.compare_exchange("k", std::nullopt, "b"));
    CHECK(!store.compare_exchange("k", "x", "b") && store.compare_exchange("k", "a", std::string_view()));
    CHECK(store.get("k") == "" && store.compare_exchange("k", std::string_view(), std::nullopt));
    CHECK(!store.contains("k"));

    auto longer = [](std::optional<std::string_view> old) -> std::optional<std::string> {
        return std::string(old.value_or("")) + "+";
    };
    store.update("k", longer);
    store.update("k", longer);
    CHECK(store.get("k") == "++");
    store.update("k", [](std::optional<std::string_view>) { return std::optional<std::string>(); });
    CHECK(!store.contains("k"));
    store.clear();
    CHECK(store.empty());
}

static void many(keystore::store &store) {
    std::map<std::string, std::string> all;
    for (int i = 0; i < 100; i++)
        all["key " + std::to_string(i)] = std::to_string(i * i);
    std::vector<std::pair<std::string_view, std::string_view>> entries(all.begin(), all.end());
    std::vector<std::string_view> keys;
    for (const auto &entry : all)
        keys.push_back(entry.first);
    store.reserve(100);
    CHECK(store.set_many(entries) == 100 && store.set_many(entries) == 0);
    keys.push_back("none");
    auto values = store.get_many(keys);
    CHECK(values.size() == 101 && !values[100] && values[0] == all.begin()->second);

    std::map<std::string, std::string> seen;
    store.for_each([&](std::string_view key, std::string_view value) { seen.emplace(key, value); });
    CHECK(seen == all);
    int calls = 0;
    store.for_each([&](std::string_view, std::string_view) { return ++calls < 7; });
    CHECK(calls == 7);
    CHECK(store.erase_many(keys) == 100 && store.size() == 0);
    store.shrink_to_fit();
    ks_stats stats = store.stats();
    CHECK(stats.entries == 0 && stats.nodes_created >= 100);
}

static void errors(keystore::store &store) {
    keystore::options options;
    options.initial_buckets = 1000;
    CHECK(code_of([&] { keystore::store refused(options); }) == KS_INVALID_CONFIG);
    CHECK(code_of([&] { store.set("", "v"); }) == KS_INVALID_ARGUMENT);
    CHECK(code_of([&] { store.get(""); }) == KS_INVALID_ARGUMENT);

    store.set("k", "v");
    struct mine {};
    int caught = 0;
    auto expect = [&](auto call) {
        try {
            call();
        } catch (const mine &) {
            caught++;
        }
    };
    expect([&] { store.read("k", [](std::string_view) { throw mine(); }); });
    expect([&] { store.for_each([](std::string_view, std::string_view) { throw mine(); }); });
    expect([&] {
        store.update("k", [](std::optional<std::string_view>) -> std::optional<std::string> { throw mine(); });
    });
    CHECK(caught == 3 && store.get("k") == "v");
    store.clear();
}

// Checks that a value that cannot be copied is not taken. `refuse_above` is the size of the largest
// block that operator new allocates.
static std::size_t refuse_above = SIZE_MAX;

// Not inlined, because the compiler would warn that malloc and delete do not match.
__attribute__((noinline)) void *operator new(std::size_t size) {
    void *block = size > refuse_above ? nullptr : std::malloc(size);
    if (block == nullptr)
        throw std::bad_alloc();
    return block;
}

__attribute__((noinline)) void operator delete(void *block) noexcept { std::free(block); }
__attribute__((noinline)) void operator delete(void *block, std::size_t) noexcept { std::free(block); }

[[maybe_unused]] static void take_without_memory(keystore::store &store) {
    store.set("k", std::string(5000, 'v'));
    refuse_above = 1000;
    bool refused = false;
    try {
        store.take("k");
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    refuse_above = SIZE_MAX;
    CHECK(refused && store.take("k") == std::string(5000, 'v') && !store.contains("k"));
}

// Checks that an exception from a callback leaves the store open and usable, also if it comes from
// a nested call.
static void nested(keystore::store &store) {
    store.set("k", "v");
    int code = code_of([&] {
        store.for_each([&](std::string_view, std::string_view) { store.close(); });
    });
    CHECK(code == KS_LOCK_NOT_ACQUIRED && store.get("k") == "v");
    store.clear();
}

static void ownership() {
    keystore::store first;
    first.set("k", "first");
    keystore::store second(std::move(first));
    CHECK(first.handle() == nullptr && second.get("k") == "first");
    CHECK(code_of([&] { first.set("k", "v"); }) == KS_NOT_INITIALISED);
    keystore::store third;
    ks_store *replaced = third.handle();
    third = std::move(second);
    CHECK(third.get("k") == "first");
    // Assigning closes the old store; a store that was moved from refuses calls, so no value gets
    // lost.
    std::size_t count;
    CHECK(ks_count(replaced, &count) == KS_NOT_INITIALISED);
    CHECK(second.handle() == nullptr && code_of([&] { second.set("k", "v"); }) == KS_NOT_INITIALISED);
    keystore::store &same = third;
    third = std::move(same);
    CHECK(third.get("k") == "first");
    third.close();
    CHECK(code_of([&] { third.close(); }) == KS_NOT_INITIALISED);
    CHECK(keystore::version() == KEYSTORE_VERSION);
}

int main() {
    for (ks_backend backend : {KS_BACKEND_RWLOCK, KS_BACKEND_EPOCH, KS_BACKEND_DASHMAP}) {
        keystore::options options;
        options.backend = backend;
        keystore::store store(options);
        verbs(store);
        many(store);
        errors(store);
#ifndef FEW // memcheck has an operator new of its own.
        take_without_memory(store);
#endif
        nested(store);
    }
    ownership();
}
