#include "common/http/curl_report.h"

#include <algorithm>

namespace sluice {
namespace {

HttpError::Kind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return HttpError::Kind::certificate;
    case CURLE_OPERATION_TIMEDOUT:
      return HttpError::Kind::timeout;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return HttpError::Kind::name;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return HttpError::Kind::malformed;
    default:
      return HttpError::Kind::transport;
  }
}

// What the proxy answered to CONNECT, where that was not a 2xx; else 0.
int refused_connect(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  return status / 100 == 2 ? 0 : static_cast<int>(status);
}

// Of the first certificate of the chain, the server's own.
std::optional<WallTime> certificate_end(CURL* easy) {
  constexpr std::string_view kName = "Expire date:";
  curl_certinfo* chain = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == nullptr ||
      chain->num_of_certs == 0) {
    return std::nullopt;
  }
  for (const curl_slist* line = chain->certinfo[0]; line != nullptr; line = line->next) {
    const std::string_view text = line->data;
    if (text.starts_with(kName)) {
      const std::time_t seconds = curl_getdate(line->data + kName.size(), nullptr);
      return seconds < 0 ? std::nullopt : std::optional(wall_time_of(seconds));
    }
  }
  return std::nullopt;
}

}  // namespace

HttpConnection connection_of(CURL* easy) {
  const auto time = [easy](CURLINFO what) {
    curl_off_t microseconds = 0;
    curl_easy_getinfo(easy, what, &microseconds);
    return std::chrono::microseconds(microseconds);
  };
  HttpConnection connection{.address = {},
                            .resolved = time(CURLINFO_NAMELOOKUP_TIME_T),
                            .connected = time(CURLINFO_CONNECT_TIME_T),
                            .secured = time(CURLINFO_APPCONNECT_TIME_T),
                            .answered = time(CURLINFO_STARTTRANSFER_TIME_T),
                            .certificate_expires_at = certificate_end(easy)};
  connection.secured = std::max(connection.secured, connection.connected);
  const char* address = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != nullptr) {
    connection.address = address;
  }
  return connection;
}

HttpError error_of(CURL* easy, CURLcode code) {
  HttpError error{.kind = kind_of(code), .message = {}};
  if (const int refusal = refused_connect(easy); refusal != 0) {
    error.kind = HttpError::Kind::proxy;
    error.proxy_status = refusal;
  }
  return error;
}

}  // namespace sluice
