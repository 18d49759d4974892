/*
 * libkeystore for C++17: a store that closes itself, views in, values out, exceptions for errors.
 *
 *     keystore::store store;
 *     store.set("answer", "42");
 *     if (std::optional<std::string> value = store.get("answer")) std::cout << *value << '\n';
 *
 * Everything is in this header; link with libkeystore. The rules of keystore.h for threads, signal
 * handlers and callbacks apply here too, with one exception: a callback may throw. The exception
 * ends the call and reaches the caller of the call. A callback still must not leave by longjmp,
 * pthread_exit or cancellation. A store that was moved from behaves like a closed one: every call
 * throws an error with KS_NOT_INITIALISED. Keys and values are bytes: a std::string_view may hold
 * any. An absent key is not an error: the call returns std::nullopt or false.
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

/*
 * The exception of a call that fails: the code (KS_…), and a message with the value and its limit.
 */
class error : public std::runtime_error {
public:
    explicit error(int code) : std::runtime_error(ks_last_error_message()), code_(code) {}

    /* Returns one of KS_…, never KS_OK. */
    int code() const noexcept { return code_; }

private:
    int code_;
};

/* Throws if a call failed. */
inline void check(int status) {
    if (status != KS_OK)
        throw error(status);
}

/* The options that a store is opened with. Each field has its default until it is changed. */
struct options : ks_options {
    options() { check(ks_options_init(this, sizeof(ks_options))); }
};

namespace detail {

/*
 * A callback's function and the exception that it threw. No exception may pass through the library.
 */
template <typename Function> struct guarded {
    Function &function;
    std::exception_ptr thrown = nullptr;

    /* Runs `run` and returns its result, or `otherwise` if it throws. */
    template <typename Run, typename Answer> Answer operator()(Run run, Answer otherwise) noexcept {
        try {
            return run();
        } catch (...) {
            thrown = std::current_exception();
            return otherwise;
        }
    }

    /* Throws the callback's exception again, or throws an error if the call failed. */
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

/* Frees a value that the library returned. */
struct release {
    void operator()(void *value) const noexcept { ks_free(value); }
};

} // namespace detail

/* An open store. Any number of threads may use one at once, except to move or destroy it. */
class store {
public:
    /* Opens a store with the default options. */
    store() { check(ks_open(nullptr, &handle_)); }

    explicit store(const ks_options &options) { check(ks_open(&options, &handle_)); }

    store(store &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    /*
     * Closes the store that was here, and takes over the other one's. The other one is then moved
     * from.
     */
    store &operator=(store &&other) noexcept {
        store moved(std::move(other));
        std::swap(handle_, moved.handle_);
        return *this;
    }

    /*
     * Closes the store. Never destroy it while another thread is inside a call. A destructor cannot
     * report a failure: the store stays open if this runs inside one of its callbacks, or if the
     * store is single-threaded and another thread opened it. close() reports that.
     */
    ~store() {
        if (handle_ != nullptr)
            ks_close(handle_);
    }

    /*
     * Closes the store. Every later call, a second close included, throws an error with
     * KS_NOT_INITIALISED.
     */
    void close() {
        check(ks_close(handle_));
        handle_ = nullptr;
    }

    /*
     * Returns the handle, for functions of keystore.h that this class does not have. This object
     * still owns it.
     */
    ks_store *handle() const noexcept { return handle_; }

    /* Sets the value of a key, whether or not it had one. */
    void set(std::string_view key, std::string_view value) {
        check(ks_set(handle_, key.data(), key.size(), value.data(), value.size()));
    }

    /* Sets the value of a key if it has none. Returns whether it had none. */
    bool insert(std::string_view key, std::string_view value) {
        return unless(KS_KEY_EXISTS, ks_insert(handle_, key.data(), key.size(), value.data(), value.size()));
    }

    /* Returns a copy of the value of a key. */
    std::optional<std::string> get(std::string_view key) const {
        std::optional<std::string> copy;
        read(key, [&](std::string_view value) { copy.emplace(value); });
        return copy;
    }

    /*
     * Shows the value of a key to `visit(std::string_view)` in place. Returns whether the key has
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

    /* Returns whether a key has a value. */
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
     * Removes a key and returns the value that it had, as one atomic step. The value is copied
     * before the key is removed. If there is no memory for the copy, the key stays.
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
     * Changes a key from one value to another, as one atomic step, if it has the first value.
     * Returns whether it had. std::nullopt stands for "no value", on either side.
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
     * Calls `decide(std::optional<std::string_view>)` with the value of a key, and gives the key
     * the value that it returns, as one atomic step. `decide` returns a std::optional<std::string>;
     * std::nullopt removes the key. If another thread changes the key in the meantime, `decide` is
     * called again. If it throws, the key stays as it is.
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

    /* Returns the number of keys. It is exact if no thread writes during the call. */
    std::size_t size() const {
        std::size_t count;
        check(ks_count(handle_, &count));
        return count;
    }

    bool empty() const { return size() == 0; }

    void clear() { check(ks_clear(handle_)); }

    /* Makes the store large enough for this many more keys. */
    void reserve(std::size_t additional) { check(ks_reserve(handle_, additional)); }

    void shrink_to_fit() { check(ks_shrink(handle_)); }

    /*
     * Shows every entry to `visit(std::string_view key, std::string_view value)`, in no particular
     * order. If `visit` returns a bool, false stops.
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

    /* Does what get does for each key, in order. It is faster than single calls. */
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
     * Does what set does for each pair of key and value, in order. Returns the number of keys that
     * had no value before.
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

    /* Does what erase does for each key, in order. Returns the number of keys that had a value. */
    std::size_t erase_many(const std::vector<std::string_view> &keys) {
        std::vector<ks_bytes> raw = all_bytes(keys);
        std::size_t erased;
        check(ks_delete_many(handle_, raw.data(), raw.size(), &erased));
        return erased;
    }

    /* Returns the statistics of the store. It reads every entry. */
    ks_stats stats() const {
        ks_stats stats;
        check(ks_store_stats(handle_, &stats, sizeof stats));
        return stats;
    }

private:
    ks_store *handle_ = nullptr;

    /* Returns true for success, and false for the status `answer`; throws for any other failure. */
    static bool unless(int answer, int status) {
        if (status == answer)
            return false;
        check(status);
        return true;
    }

    /* Returns a pointer and length, with NULL for "no value" and an address for the empty value. */
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

/* Returns the version of the running library. */
inline std::string_view version() noexcept { return ks_version(); }

} // namespace keystore

#endif
