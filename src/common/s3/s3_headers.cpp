#include "common/s3/s3_headers.h"

namespace sluice {

HttpHeaders name_headers(const ObjectName& name) {
  HttpHeaders headers;
  headers.emplace_back("content-type", name.content_type);
  for (const auto& [key, value] : name.metadata) {
    headers.emplace_back(std::string(kMetadataPrefix) + key, value);
  }
  return headers;
}

}  // namespace sluice
