#include "common/s3/store_probe.h"

#include <memory>
#include <set>

#include "common/s3/store_wait.h"

namespace sluice {
namespace {

constexpr std::string_view kProbeText = "sluice: can this be written?\n";

// Shared with its completions, which may come after the deadline.
class Probing : public std::enable_shared_from_this<Probing> {
 public:
  Probing(ObjectStore& store, const StoreProbe& probe) : store_(store), probe_(probe) {}

  std::vector<PrefixProbe> run() {
    const MonotonicTime until = std::chrono::steady_clock::now() + probe_.deadline;
    for (const std::string& prefix : probe_.prefixes) {
      results_.push_back(
          {.prefix = prefix, .error = no_answer(), .remove_error = {}, .unconditional = false});
      written_.push_back(false);
      repeated_.emplace_back();
      open_ += 1;
      put(results_.size() - 1);
    }
    while (open_ > 0 && std::chrono::steady_clock::now() < until) {
      store_.poll(until);
    }
    return results_;
  }

 private:
  [[nodiscard]] std::string key_of(std::size_t index) const {
    // Prefixes may be equal, and no key is probed by two. An instance has no '~' in its name.
    return probe_.prefixes[index] + ".sluice-probe-" + probe_.instance +
           (index == 0 ? "" : "~" + std::to_string(index));
  }

  void put(std::size_t index) {
    PutRequest request;
    request.name = {.key = key_of(index), .content_type = "text/plain"};
    // Other bytes each time: a store that compares them would find equal ones there.
    request.body.append(std::as_bytes(std::span(kProbeText)).subspan(written_[index] ? 1 : 0),
                        nullptr);
    store_.put(std::move(request),
               [self = shared_from_this(), index](const StoreResult<PutOutcome>& result) {
                 self->on_put(index, result.error);
               });
  }

  void on_put(std::size_t index, const std::optional<StoreError>& error) {
    PrefixProbe& result = results_[index];
    if (error && error->kind == StoreErrorKind::exists) {
      // One that an earlier start left is an answer too: the store looked at the condition, after
      // the rights.
      result.error.reset();
      remove(index);
    } else if (error && worth_repeating(index, *error)) {
      put(index);
    } else if (error && !written_[index]) {
      result.error = error;
      open_ -= 1;
    } else if (!error && !written_[index] && store_.capabilities().conditional_put) {
      result.error.reset();
      written_[index] = true;
      put(index);
    } else {
      result.error.reset();
      result.unconditional = !error;  // a failure of the second says nothing about conditions
      if (result.unconditional) {
        store_.leave_out_conditions();
      }
      remove(index);
    }
  }

  void remove(std::size_t index) {
    store_.remove(key_of(index),
                  [self = shared_from_this(), index](StoreResult<ObjectStore::Nothing> removed) {
                    self->results_[index].remove_error = std::move(removed.error);
                    self->open_ -= 1;
                  });
  }

  // Each kind once: a store may look at the clock, the condition and the signature one after the
  // other, and each answer teaches something.
  bool worth_repeating(std::size_t index, const StoreError& error) {
    const bool teaches = error.kind == StoreErrorKind::clock_skew ||
                         error.kind == StoreErrorKind::conflict ||
                         error.kind == StoreErrorKind::refresh_credentials;
    return teaches && repeated_[index].insert(error.kind).second &&
           (error.kind != StoreErrorKind::refresh_credentials || store_.refresh_credentials());
  }

  ObjectStore& store_;
  const StoreProbe probe_;
  std::vector<PrefixProbe> results_;
  std::vector<bool> written_;  // by the first PUT
  std::vector<std::set<StoreErrorKind>> repeated_;
  std::size_t open_ = 0;
};

}  // namespace

std::vector<PrefixProbe> probe_store(ObjectStore& store, const StoreProbe& probe) {
  return std::make_shared<Probing>(store, probe)->run();
}

}  // namespace sluice
