// What an S3 answer says when it is no success: a bounded scan of the <Error> document that a
// server, or whatever stands in its place, sent. Nothing in it is trusted: text is cut, unescaped
// and made printable; no XML parser is involved.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

struct S3ErrorBody {
  bool is_error = false;  // the root element is <Error>
  std::string code;       // at most 64 of [A-Za-z0-9._-]
  std::string message;    // at most 512 printable bytes
  std::string region;     // at most 64 of [A-Za-z0-9-]
};

// Looks at the first 64 KiB only.
S3ErrorBody scan_s3_error(std::string_view body);

// The text of the first element of this name, unescaped, at most `bytes_max` bytes; empty where
// there is none. For answers whose form is known: UploadId, ETag.
struct ElementName {
  std::string_view name;
  std::size_t bytes_max = 1024;
};
std::string element_text(std::string_view body, ElementName element);

// The name of the root element, behind white space, a byte order mark, a declaration and comments.
std::string_view root_element(std::string_view body);

// `text` with '&', '<', '>', '"' escaped, for what we send.
std::string xml_escape(std::string_view text);
// The inverse, and numeric references; what is neither stays as it is.
std::string xml_unescape(std::string_view text);

}  // namespace sluice
