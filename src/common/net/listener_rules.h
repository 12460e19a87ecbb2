// ListenerRules: whom a listener lets in, and how. Immutable; a reload swaps them for others, and
// connections that have begun keep theirs.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/net/allow_list.h"
#include "common/net/tls_context.h"
#include "common/net/token_file.h"

namespace sluice {

struct ListenerRules {
  AllowList allow;                        // by the client's address; empty: everyone
  AllowList proxies;                      // peers that begin with a PROXY header; empty: none
  std::shared_ptr<const TlsContext> tls;  // none: plain text
  // With it clients without a certificate begin with a token; over TLS only.
  std::optional<TokenFile> tokens;
};
using ListenerRulesPtr = std::shared_ptr<const ListenerRules>;

// Thread-safe; a lock a connection.
class ListenerRulesHolder {
 public:
  explicit ListenerRulesHolder(ListenerRulesPtr rules) : rules_(std::move(rules)) {}

  [[nodiscard]] ListenerRulesPtr get() const {
    const std::scoped_lock lock(mutex_);
    return rules_;
  }
  void set(ListenerRulesPtr rules) {
    const std::scoped_lock lock(mutex_);
    rules_ = std::move(rules);
  }

 private:
  mutable std::mutex mutex_;
  ListenerRulesPtr rules_;
};

}  // namespace sluice
