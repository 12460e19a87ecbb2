#include "common/http/http_send.h"

namespace sluice {

std::optional<HttpOutcome> http_exchange(HttpRequest request, CurlClient::Options options,
                                         const std::stop_token& stop) {
  CurlClient client(std::move(options));
  const std::stop_callback wake(stop, [&client] { client.wake(); });
  std::optional<HttpOutcome> outcome;
  client.start(std::move(request), [&outcome](HttpOutcome given) { outcome = std::move(given); });
  while (!outcome && !stop.stop_requested()) {
    client.poll(MonotonicTime::max());
  }
  return outcome;
}

Result<HttpResponse> http_send(HttpRequest request, CurlClient::Options options,
                               const std::stop_token& stop) {
  std::optional<HttpOutcome> outcome = http_exchange(std::move(request), std::move(options), stop);
  if (!outcome) {
    return cancelled();
  }
  if (outcome->error) {
    return transient(outcome->error->message);
  }
  return std::move(outcome->response);
}

}  // namespace sluice
