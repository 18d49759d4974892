/*
 * libkeystore for C++17: a store that closes itself, views in, values out, exceptions for errors.
 *
 *     keystore::store store;
 *     store.set("answer", "42");
 *     if (std::optional<std::string> value = store.get("answer")) std::cout << *value << '\n';
 *
 * Everything is in this header; link with libkeystore. What keystore.h says of threads, signal
 * handlers and callbacks holds here too, but that a callback may throw: the exception ends the
 * call and arrives at its caller. It still must not leave by longjmp, pthread_exit or
 * cancellation. A store that was moved from is as one that was closed: every call throws an error
 * with KS_NOT_INITIALISED. Keys and values are bytes: a std::string_view may hold any. A key that
 * is not there is an answer and not an error: std::nullopt, or false.
 */

#ifndef KEYSTORE_HPP
#define KEYSTORE_HPP

#include "keystore.h"

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace keystore {

/* What a call throws that fails: the code (KS_…), and what was wrong, with its limit. */
class error : public std::runtime_error {
public:
    explicit error(int code) : std::runtime_error(ks_last_error_message()), code_(code) {}

    /* One of KS_…, never KS_OK. */
    int code() const noexcept { return code_; }

private:
    int code_;
};

/* Throws where a call failed. */
inline void check(int status) {
    if (status != KS_OK)
        throw error(status);
}

/* What a store is opened with: the defaults until a field is changed. */
struct options : ks_options {
    options() { check(ks_options_init(this, sizeof(ks_options))); }
};

namespace detail {

/* A callback's function and what it threw: nothing may be thrown through the library. */
template <typename Function> struct guarded {
    Function &function;
    std::exception_ptr thrown = nullptr;

    /* Runs `run`; `otherwise` where it throws. */
    template <typename Run, typename Answer> Answer operator()(Run run, Answer otherwise) noexcept {
        try {
            return run();
        } catch (...) {
            thrown = std::current_exception();
            return otherwise;
        }
    }

    /* Throws on what was thrown, or for the status of the call. */
    void check(int status) const {
        if (thrown)
            std::rethrow_exception(thrown);
        keystore::check(status);
    }
};

inline std::string_view view(const void *data, std::size_t length) {
    return {static_cast<const char *>(data), length};
}

inline ks_bytes bytes(std::string_view view) { return {view.data(), view.size()}; }

/* Gives a value back to the library. */
struct release {
    void operator()(void *value) const noexcept { ks_free(value); }
};

} // namespace detail

/* An open store. Any number of threads may use one at once, but for moving and destroying it. */
class store {
public:
    /* A store with the default options. */
    store() { check(ks_open(nullptr, &handle_)); }

    explicit store(const ks_options &options) { check(ks_open(&options, &handle_)); }

    store(store &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    /*
     * Closes the store that was here. The other one has none from here on, as after the
     * constructor that moves.
     */
    store &operator=(store &&other) noexcept {
        store moved(std::move(other));
        std::swap(handle_, moved.handle_);
        return *this;
    }

    /*
     * Never while another thread is inside a call. A destructor cannot say that closing failed,
     * and the store stays open then: inside a callback of the store, or on another thread than a
     * single-threaded store's own. close() says so.
     */
    ~store() {
        if (handle_ != nullptr)
            ks_close(handle_);
    }

    /*
     * Closes the store. Every call after it, a second close included, throws an error with
     * KS_NOT_INITIALISED.
     */
    void close() {
        check(ks_close(handle_));
        handle_ = nullptr;
    }

    /*
     * The handle, for functions of keystore.h that this class does not have. It stays the
     * store's.
     */
    ks_store *handle() const noexcept { return handle_; }

    /* Gives a key this value, whether it has one or not. */
    void set(std::string_view key, std::string_view value) {
        check(ks_set(handle_, key.data(), key.size(), value.data(), value.size()));
    }

    /* Gives a key this value if it has none. Returns whether it had none. */
    bool insert(std::string_view key, std::string_view value) {
        return unless(KS_KEY_EXISTS, ks_insert(handle_, key.data(), key.size(), value.data(), value.size()));
    }

    /* A copy of the value of a key. */
    std::optional<std::string> get(std::string_view key) const {
        std::optional<std::string> copy;
        read(key, [&](std::string_view value) { copy.emplace(value); });
        return copy;
    }

    /*
     * Shows the value of a key to `visit(std::string_view)` in place. Returns whether there is
     * one.
     */
    template <typename Visit> bool read(std::string_view key, Visit &&visit) const {
        using guarded = detail::guarded<std::remove_reference_t<Visit>>;
        guarded call{visit};
        int status = ks_read(
            handle_, key.data(), key.size(),
            [](void *context, const void *value, std::size_t length) {
                auto &call = *static_cast<guarded *>(context);
                call([&] { return call.function(detail::view(value, length)), 0; }, 0);
            },
            &call);
        if (status == KS_KEY_NOT_FOUND)
            return false;
        call.check(status);
        return true;
    }

    /* Whether a key has a value. */
    bool contains(std::string_view key) const {
        bool exists;
        check(ks_exists(handle_, key.data(), key.size(), &exists));
        return exists;
    }

    /* Removes a key. Returns whether it had a value. */
    bool erase(std::string_view key) {
        return unless(KS_KEY_NOT_FOUND, ks_delete(handle_, key.data(), key.size()));
    }

    /*
     * Removes a key and gives the value that it had, as one step. The value is copied before the
     * key is removed: if there is no memory for it, the key stays.
     */
    std::optional<std::string> take(std::string_view key) {
        std::optional<std::string> taken;
        auto copy = [&](const void *old, std::size_t length) -> int {
            taken.reset();
            if (old == nullptr)
                return KS_UPDATE_KEEP;
            taken.emplace(detail::view(old, length));
            return KS_UPDATE_DELETE;
        };
        using guarded = detail::guarded<decltype(copy)>;
        guarded call{copy};
        int status = ks_update(
            handle_, key.data(), key.size(),
            [](void *context, const void *old, std::size_t length, ks_bytes *) {
                auto &call = *static_cast<guarded *>(context);
                call.thrown = nullptr;
                return call([&] { return call.function(old, length); }, int{KS_UPDATE_KEEP});
            },
            &call);
        call.check(status);
        return taken;
    }

    /*
     * Changes a key from one value to another where it has the first, as one step: whether it
     * had. std::nullopt is "no value", on either side.
     */
    bool compare_exchange(std::string_view key, std::optional<std::string_view> expected,
                          std::optional<std::string_view> desired) {
        bool exchanged;
        ks_bytes from = optional_bytes(expected), to = optional_bytes(desired);
        check(ks_compare_exchange(handle_, key.data(), key.size(), from.data, from.len, to.data, to.len, &exchanged,
                                  nullptr, nullptr));
        return exchanged;
    }

    /*
     * Gives a key the value that `decide(std::optional<std::string_view>)` answers for the one
     * that it has, as one step. It answers a std::optional<std::string>, std::nullopt to remove
     * the key, and may be asked again where another thread changes the key meanwhile. Where it
     * throws, the key stays as it is.
     */
    template <typename Decide> void update(std::string_view key, Decide &&decide) {
        struct guarded : detail::guarded<std::remove_reference_t<Decide>> {
            std::optional<std::string> answer;
        } call{{decide}, std::nullopt};
        int status = ks_update(
            handle_, key.data(), key.size(),
            [](void *context, const void *old, std::size_t length, ks_bytes *value) {
                auto &call = *static_cast<guarded *>(context);
                call.thrown = nullptr;
                return call(
                    [&]() -> int {
                        std::optional<std::string_view> current;
                        if (old != nullptr)
                            current = detail::view(old, length);
                        call.answer = call.function(current);
                        if (!call.answer)
                            return KS_UPDATE_DELETE;
                        *value = detail::bytes(*call.answer);
                        return KS_UPDATE_SET;
                    },
                    int{KS_UPDATE_KEEP});
            },
            &call);
        call.check(status);
    }

    /* How many keys there are. Exact while nobody writes. */
    std::size_t size() const {
        std::size_t count;
        check(ks_count(handle_, &count));
        return count;
    }

    bool empty() const { return size() == 0; }

    void clear() { check(ks_clear(handle_)); }

    /* Makes room for this many more keys. */
    void reserve(std::size_t additional) { check(ks_reserve(handle_, additional)); }

    void shrink_to_fit() { check(ks_shrink(handle_)); }

    /*
     * Shows every entry to `visit(std::string_view key, std::string_view value)`, in no order.
     * Where that answers a bool, false stops.
     */
    template <typename Visit> void for_each(Visit &&visit) const {
        using guarded = detail::guarded<std::remove_reference_t<Visit>>;
        guarded call{visit};
        int status = ks_for_each(
            handle_,
            [](void *context, const void *key, std::size_t key_len, const void *value, std::size_t value_len) {
                auto &call = *static_cast<guarded *>(context);
                return call(
                    [&]() -> int {
                        auto visit = [&] {
                            return call.function(detail::view(key, key_len), detail::view(value, value_len));
                        };
                        if constexpr (std::is_void_v<decltype(visit())>)
                            return visit(), 0;
                        else
                            return !visit();
                    },
                    1);
            },
            &call);
        call.check(status);
    }

    /* get for each key, in order: faster than one by one. */
    std::vector<std::optional<std::string>> get_many(const std::vector<std::string_view> &keys) const {
        std::vector<std::optional<std::string>> values(keys.size());
        auto visit = [&](std::size_t index, std::string_view value) { values[index].emplace(value); };
        using guarded = detail::guarded<decltype(visit)>;
        guarded call{visit};
        std::vector<ks_bytes> raw = all_bytes(keys);
        int status = ks_read_many(
            handle_, raw.data(), raw.size(),
            [](void *context, std::size_t index, const void *value, std::size_t length) {
                auto &call = *static_cast<guarded *>(context);
                if (value != nullptr && !call.thrown)
                    call([&] { return call.function(index, detail::view(value, length)), 0; }, 0);
            },
            &call);
        call.check(status);
        return values;
    }

    /*
     * set for each pair of key and value, in order. Returns the number of keys without a value
     * before.
     */
    std::size_t set_many(const std::vector<std::pair<std::string_view, std::string_view>> &entries) {
        std::vector<ks_bytes> keys, values;
        keys.reserve(entries.size());
        values.reserve(entries.size());
        for (auto [key, value] : entries) {
            keys.push_back(detail::bytes(key));
            values.push_back(detail::bytes(value));
        }
        std::size_t created;
        check(ks_set_many(handle_, keys.data(), values.data(), keys.size(), &created));
        return created;
    }

    /* erase for each key, in order. Returns the number of keys that had one. */
    std::size_t erase_many(const std::vector<std::string_view> &keys) {
        std::vector<ks_bytes> raw = all_bytes(keys);
        std::size_t erased;
        check(ks_delete_many(handle_, raw.data(), raw.size(), &erased));
        return erased;
    }

    /* A picture of the store. It looks at every entry. */
    ks_stats stats() const {
        ks_stats stats;
        check(ks_store_stats(handle_, &stats, sizeof stats));
        return stats;
    }

private:
    ks_store *handle_ = nullptr;

    /* True for success, false for the one failure that is an answer. */
    static bool unless(int answer, int status) {
        if (status == answer)
            return false;
        check(status);
        return true;
    }

    /* NULL is "no value", so the empty value has an address. */
    static ks_bytes optional_bytes(std::optional<std::string_view> value) {
        if (!value)
            return {nullptr, 0};
        return value->data() == nullptr ? ks_bytes{"", 0} : detail::bytes(*value);
    }

    static std::vector<ks_bytes> all_bytes(const std::vector<std::string_view> &views) {
        std::vector<ks_bytes> raw;
        raw.reserve(views.size());
        for (std::string_view view : views)
            raw.push_back(detail::bytes(view));
        return raw;
    }
};

/* What the library that runs calls itself. */
inline std::string_view version() noexcept { return ks_version(); }

} // namespace keystore

#endif
