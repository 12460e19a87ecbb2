// The signature that a request in a file has already, because somebody captured it: taken out of
// the request, and compared with the one that was computed anew. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/raw_request.h"
#include "common/s3/sigv4.h"

namespace sluice {

struct EarlierSignature {
  std::string algorithm = {};
  std::string credential = {};      // key id and scope
  std::string signed_headers = {};  // joined with ';'; empty where it is of another kind
  std::string signature = {};
  bool in_query = false;     // presigned
  std::string date = {};     // of a presigned one; else it is a header
  std::string expires = {};  // of a presigned one

  // Whether it names this header, in any case.
  [[nodiscard]] bool names(std::string_view header) const;
};

// Removes Authorization, or the X-Amz- parameters of a presigned query.
std::optional<EarlierSignature> take_earlier_signature(RawRequest& request);

struct NewSignature {
  const RawRequest& raw;          // without the earlier one
  const sigv4::Request& request;  // as it was signed
  std::string credential;
  std::string signature;
  std::string expires;  // of a presigned one
};

// A line each; nothing of an Authorization that is not of this kind is repeated.
std::vector<std::string> compare(const EarlierSignature& earlier, const NewSignature& now);

}  // namespace sluice
