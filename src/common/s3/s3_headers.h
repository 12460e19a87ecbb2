// The headers of S3 requests that are made of settings and of what is stored. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/http/curl_client.h"
#include "common/s3/object_store.h"
#include "common/s3/s3_terms.h"

namespace sluice {

inline constexpr std::string_view kMetadataPrefix = "x-amz-meta-";

// Of the requests that begin an object, PUT and CreateMultipartUpload.
HttpHeaders object_headers(const ObjectName& name, const S3Terms& terms);
// Of every request.
HttpHeaders request_headers(const S3Terms& terms);

// "key=value&key=value" with each key and value URL-encoded.
std::string encoded_tags(std::string_view tags);

}  // namespace sluice
