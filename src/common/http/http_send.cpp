#include "common/http/http_send.h"

namespace sluice {

Result<HttpResponse> http_send(HttpRequest request, CurlClient::Options options,
                               const std::stop_token& stop) {
  CurlClient client(std::move(options));
  const std::stop_callback wake(stop, [&client] { client.wake(); });
  std::optional<HttpOutcome> outcome;
  client.start(std::move(request), [&outcome](HttpOutcome given) { outcome = std::move(given); });
  while (!outcome) {
    if (stop.stop_requested()) {
      return cancelled();
    }
    client.poll(MonotonicTime::max());
  }
  if (outcome->error) {
    return transient(outcome->error->message);
  }
  return std::move(outcome->response);
}

}  // namespace sluice
