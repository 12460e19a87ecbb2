// One request, waited for: for threads that have nothing else to do.
#pragma once

#include <stop_token>

#include "common/http/curl_client.h"

namespace sluice {

// Blocks until the answer, the request's deadline, or the stop, on a connection of its own. Errors:
// transient where no complete answer came; cancelled at a stop.
Result<HttpResponse> http_send(HttpRequest request, CurlClient::Options options,
                               const std::stop_token& stop);

}  // namespace sluice
