// One request, waited for: for threads that have nothing else to do.
#pragma once

#include <optional>
#include <stop_token>

#include "common/http/curl_client.h"

namespace sluice {

// All block until the answer, the request's deadline, or the stop, on a connection of its own.

// Nothing: it was stopped.
std::optional<HttpOutcome> http_exchange(HttpRequest request, CurlClient::Options options,
                                         const std::stop_token& stop);
// Errors: transient where no complete answer came; cancelled at a stop.
Result<HttpResponse> http_send(HttpRequest request, CurlClient::Options options,
                               const std::stop_token& stop);

}  // namespace sluice
