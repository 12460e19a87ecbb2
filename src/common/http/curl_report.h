// What libcurl says of a transfer that has ended.
#pragma once

#include <curl/curl.h>

#include "common/http/curl_client.h"

namespace sluice {

// Of one that failed, without a message.
HttpError error_of(CURL* easy, CURLcode code);
// Of one that was answered; the certificate's end where CURLOPT_CERTINFO was set.
HttpConnection connection_of(CURL* easy);

}  // namespace sluice
