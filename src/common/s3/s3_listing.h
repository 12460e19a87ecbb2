// The answers to ListObjectsV2 and ListMultipartUploads: a bounded scan of XML whose form is known,
// without a parser of XML. A document that is cut, badly nested or of another kind gives nothing: a
// half list must not pass for a whole one. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/s3/object_store.h"

namespace sluice {

// Room for a page of the longest keys, every byte of them encoded.
inline constexpr std::size_t kListingBytesMax = 8 * kMiB;

// The query of the request; names sorted, values encoded.
std::string listing_query(const ListRequest& request);
std::string listing_query(const ListUploadsRequest& request);

// Nothing where `body` is not a whole answer of this kind.
std::optional<ObjectPage> parse_object_page(std::string_view body);
std::optional<UploadPage> parse_upload_page(std::string_view body);

// Each element as it ends, with those around it: path.back() is the element itself, path.front()
// the root. `text` is as it stands, entities included; empty where the element has children.
struct XmlElement {
  const std::vector<std::string_view>& path;
  std::string_view text;
};
// False where the document is not well-formed as far as the scan goes, or deeper than eight.
bool scan_xml(std::string_view body, const std::function<void(const XmlElement&)>& on_element);

}  // namespace sluice
