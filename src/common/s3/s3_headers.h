// The headers of S3 requests that are made of settings and of what is stored. Pure.
#pragma once

#include <string_view>

#include "common/http/curl_client.h"
#include "common/s3/object_store.h"

namespace sluice {

inline constexpr std::string_view kMetadataPrefix = "x-amz-meta-";

HttpHeaders name_headers(const ObjectName& name);

}  // namespace sluice
