// What S3's answers say beside their <Error>: headers, times, and what a missing answer means.
// Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/units.h"
#include "common/http/curl_client.h"
#include "common/s3/object_store.h"

namespace sluice {

// Without the quotation marks around it.
std::string_view unquoted(std::string_view etag);

// The ETag is the MD5 only where the store did not encrypt with a key of its own choice, and only
// if it has the form of one.
bool etag_is_md5(const HttpResponse& response);

// RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<WallTime> parse_http_date(std::string_view text);
// ISO 8601 as S3 writes it: "2009-10-12T17:50:30.000Z"; the fraction is dropped.
std::optional<WallTime> parse_iso_date(std::string_view text);
// Seconds only: the form with a date is not used by stores.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text);

// No complete answer came from `where`.
StoreError transport_error(const HttpError& error, const std::string& where);
// One came, and it is not what the protocol promises.
StoreError unexpected_answer(const HttpResponse& response, std::string message);

}  // namespace sluice
