// What `sluice sign` computes, between the file and the terminal: the rules of Signature Version 4
// applied to a request that somebody wrote or captured. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/units.h"
#include "common/http/raw_request.h"
#include "common/s3/credentials.h"
#include "common/s3/sigv4.h"

namespace sluice {

struct SignRules {
  bool normalize = true;
  bool s3 = false;         // its rules for paths and for the payload's hash
  bool sign_body = false;  // the payload's hash as a signed header, which s3 has always
  bool omit_session_token = false;
  std::chrono::seconds presign{};  // not 0: a URL that is good for so long
  std::size_t chunk_bytes = 0;     // not 0: the body goes in signed chunks of this size
  sigv4::Headers trailers = {};    // behind the chunks
};

struct SignInput {
  RawRequest request;
  SignRules rules;
  sigv4::Scope scope;  // the time is used where the request has none
  Credentials credentials;
};

struct SignedRequest {
  std::string canonical_request;
  std::string string_to_sign;
  std::string authorization;             // empty for a presigned one
  std::string url;                       // of a presigned one
  std::vector<std::string> chunk_lines;  // as they stand in the body, around the chunks' bytes
  std::vector<std::string> comparison;   // with the signature that the request had
  std::vector<std::string> notes;        // what else may be wrong
};

// Rejected, in one sentence, where the request cannot be signed so.
Result<SignedRequest> sign_request(SignInput input);

}  // namespace sluice
