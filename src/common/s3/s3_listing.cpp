#include "common/s3/s3_listing.h"

#include <algorithm>
#include <charconv>

#include "common/s3/s3_answers.h"
#include "common/s3/s3_error.h"
#include "common/s3/sigv4.h"

namespace sluice {
namespace {

constexpr std::size_t kDepthMax = 8;
constexpr std::string_view kSpace = " \t\r\n";

// A form's encoding, which S3 uses here: '+' is a space.
std::string form_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint8_t byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 2, byte, 16).ptr == &text[i + 1] + 2) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::string parameter(std::string_view name, std::string_view value) {
  return std::string(name) + "=" + sigv4::uri_encode(value, false);
}

// The text of what was found so far; decoded only at the end, as the word on how may come last.
struct Names {
  bool url_encoded = false;
  [[nodiscard]] std::string decode(std::string_view text) const {
    std::string plain = xml_unescape(text);
    return url_encoded ? form_decode(plain) : plain;
  }
};

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string listing_query(const ListRequest& request) {
  std::string query;
  if (!request.continuation.empty()) {
    query = parameter("continuation-token", request.continuation) + "&";
  }
  query += "encoding-type=url&list-type=2&max-keys=" +
           std::to_string(std::clamp(request.objects_max, 1U, kPageItemsMax));
  if (!request.prefix.empty()) {
    query += "&" + parameter("prefix", request.prefix);
  }
  if (request.continuation.empty() && !request.start_after.empty()) {
    query += "&" + parameter("start-after", request.start_after);
  }
  return query;
}

// Without encoding-type: radosgw then encodes the keys and does not say so. What the scan takes for
// a key is not bound by XML's rules for characters, so that none needs it.
std::string listing_query(const ListUploadsRequest& request) {
  std::string query;
  if (!request.after.key.empty()) {
    query = parameter("key-marker", request.after.key) + "&";
  }
  query += "max-uploads=" + std::to_string(std::clamp(request.uploads_max, 1U, kPageItemsMax));
  if (!request.prefix.empty()) {
    query += "&" + parameter("prefix", request.prefix);
  }
  if (!request.after.upload_id.empty()) {
    query += "&" + parameter("upload-id-marker", request.after.upload_id);
  }
  return query + "&uploads=";
}

bool scan_xml(std::string_view body, const std::function<void(const XmlElement&)>& on_element) {
  std::vector<std::string_view> path;
  bool has_children = false;  // the innermost open element, so far
  bool seen_root = false;
  std::string_view text;
  while (!body.empty()) {
    const std::size_t open = std::min(body.find('<'), body.size());
    text = body.substr(0, open);
    body.remove_prefix(open);
    if (path.empty() && text.find_first_not_of(kSpace) != std::string_view::npos &&
        text != "\xEF\xBB\xBF") {
      return false;
    }
    if (body.empty()) {
      break;
    }
    const std::string_view end = body.starts_with("<!--") ? "-->" : ">";
    const std::size_t close = body.find(end);
    if (close == std::string_view::npos) {
      return false;
    }
    std::string_view tag = body.substr(1, close - 1);
    body.remove_prefix(close + end.size());
    if (tag.starts_with('?') || tag.starts_with('!')) {
      continue;
    }
    if (tag.starts_with('/')) {
      const std::string_view name = tag.substr(1, tag.find_last_not_of(kSpace));
      if (path.empty() || path.back() != name) {
        return false;
      }
      on_element({.path = path, .text = has_children ? std::string_view() : text});
      path.pop_back();
      has_children = true;
      continue;
    }
    const bool empty_element = tag.ends_with('/');
    tag = tag.substr(0, tag.find_first_of(" \t\r\n/"));
    if (tag.empty() || path.size() == kDepthMax || (path.empty() && seen_root)) {
      return false;
    }
    seen_root = true;
    path.push_back(tag);
    has_children = false;
    if (empty_element) {
      on_element({.path = path, .text = {}});
      path.pop_back();
      has_children = true;
    }
  }
  return seen_root && path.empty();
}

std::optional<ObjectPage> parse_object_page(std::string_view body) {
  struct Raw {
    std::string_view key;
    ListedObject object;
  };
  Names names;
  std::vector<Raw> found;
  Raw current;
  std::string_view continuation;
  bool is_listing = false;
  bool is_truncated = false;
  const bool whole = scan_xml(body, [&](const XmlElement& element) {
    const std::string_view name = element.path.back();
    is_listing = element.path.front() == "ListBucketResult";
    if (element.path.size() == 2 && name == "Contents") {
      found.push_back(std::exchange(current, {}));
    } else if (element.path.size() == 2) {
      names.url_encoded = names.url_encoded || (name == "EncodingType" && element.text == "url");
      is_truncated = is_truncated || (name == "IsTruncated" && element.text == "true");
      continuation = name == "NextContinuationToken" ? element.text : continuation;
    } else if (element.path.size() == 3 && element.path[1] == "Contents") {
      if (name == "Key") {
        current.key = element.text;
      } else if (name == "Size") {
        current.object.bytes = number_of(element.text);
      } else if (name == "ETag") {
        current.object.etag = xml_unescape(element.text);
      } else if (name == "LastModified") {
        current.object.modified_at = parse_iso_date(element.text);
      }
    }
  });
  if (!whole || !is_listing || (is_truncated && continuation.empty())) {
    return std::nullopt;
  }
  ObjectPage page;
  for (Raw& raw : found) {
    raw.object.key = names.decode(raw.key);
    page.objects.push_back(std::move(raw.object));
  }
  page.continuation = is_truncated ? xml_unescape(continuation) : std::string();
  return page;
}

std::optional<UploadPage> parse_upload_page(std::string_view body) {
  struct Raw {
    std::string_view key;
    OpenUpload open;
  };
  Names names;
  std::vector<Raw> found;
  Raw current;
  std::string_view next_key;
  std::string_view next_upload;
  bool is_listing = false;
  bool is_truncated = false;
  const bool whole = scan_xml(body, [&](const XmlElement& element) {
    const std::string_view name = element.path.back();
    is_listing = element.path.front() == "ListMultipartUploadsResult";
    if (element.path.size() == 2 && name == "Upload") {
      found.push_back(std::exchange(current, {}));
    } else if (element.path.size() == 2) {
      names.url_encoded = names.url_encoded || (name == "EncodingType" && element.text == "url");
      is_truncated = is_truncated || (name == "IsTruncated" && element.text == "true");
      next_key = name == "NextKeyMarker" ? element.text : next_key;
      next_upload = name == "NextUploadIdMarker" ? element.text : next_upload;
    } else if (element.path.size() == 3 && element.path[1] == "Upload") {
      if (name == "Key") {
        current.key = element.text;
      } else if (name == "UploadId") {
        current.open.upload.upload_id = xml_unescape(element.text);
      } else if (name == "Initiated") {
        current.open.initiated_at = parse_iso_date(element.text);
      }
    }
  });
  if (!whole || !is_listing || (is_truncated && next_key.empty())) {
    return std::nullopt;
  }
  UploadPage page;
  for (Raw& raw : found) {
    raw.open.upload.key = names.decode(raw.key);
    page.uploads.push_back(std::move(raw.open));
  }
  if (is_truncated) {
    page.next = {.key = names.decode(next_key), .upload_id = xml_unescape(next_upload)};
  }
  return page;
}

}  // namespace sluice
