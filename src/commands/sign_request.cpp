#include "commands/sign_request.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "commands/earlier_signature.h"

namespace sluice {
namespace {

constexpr std::string_view kDate = "x-amz-date";
constexpr std::string_view kPayloadHash = "x-amz-content-sha256";
constexpr std::string_view kToken = "x-amz-security-token";
constexpr std::string_view kDecodedLength = "x-amz-decoded-content-length";
constexpr std::string_view kTrailerNames = "x-amz-trailer";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// One request on its way: each step adds to `request` what is signed.
class Signing {
 public:
  explicit Signing(SignInput input)
      : raw_(std::move(input.request)),
        rules_(std::move(input.rules)),
        scope_(std::move(input.scope)),
        credentials_(std::move(input.credentials)),
        earlier_(take_earlier_signature(raw_)) {}

  Result<SignedRequest> run();

 private:
  // The trimmed value of a header of the file; empty without one.
  [[nodiscard]] std::string header(std::string_view name) const;
  // What is to be signed whatever the earlier signature named.
  [[nodiscard]] bool is_required(std::string_view name) const;
  void take_headers();
  // Adds the header where the file has none.
  void add_header(std::string_view name, const std::string& value);
  Status set_time();
  Status set_payload();
  void add_chunk_headers();
  // Only where the body's hash is signed: else nobody is misled.
  void note_other_length();
  void set_token();
  void finish();
  void add_chunk_lines(const sigv4::SigningKey& key, std::string signature);
  [[nodiscard]] std::string presigned_url(const std::string& signature) const;

  RawRequest raw_;
  SignRules rules_;
  sigv4::Scope scope_;
  Credentials credentials_;
  std::optional<EarlierSignature> earlier_;
  sigv4::Request request_;
  std::string token_parameter_;  // signed in the query
  SignedRequest signed_;
};

std::string Signing::header(std::string_view name) const {
  const std::string* value = raw_.header(name);
  return value == nullptr ? std::string() : std::string(trimmed(*value));
}

bool Signing::is_required(std::string_view name) const {
  return same_header_name(name, "host") || same_header_name(name, kDate) ||
         same_header_name(name, kToken) ||
         ((rules_.s3 || rules_.sign_body || rules_.chunk_bytes != 0) &&
          same_header_name(name, kPayloadHash));
}

void Signing::take_headers() {
  const bool is_listed = earlier_ && !earlier_->signed_headers.empty();
  for (const auto& [name, value] : raw_.headers) {
    const bool left_out =
        (rules_.presign.count() != 0 && same_header_name(name, kDate)) ||  // it is in the query
        (rules_.omit_session_token && same_header_name(name, kToken));
    if (!left_out && (!is_listed || earlier_->names(name) || is_required(name))) {
      request_.headers.emplace_back(name, value);
    }
  }
}

void Signing::add_header(std::string_view name, const std::string& value) {
  if (raw_.header(name) == nullptr) {
    request_.headers.emplace_back(name, value);
  }
}

Status Signing::set_time() {
  const std::string date = earlier_ && !earlier_->date.empty() ? earlier_->date : header(kDate);
  if (!date.empty()) {
    const auto time = sigv4::parse_amz_date(date);
    if (!time) {
      return rejected("X-Amz-Date of the request must be a time like 20150830T123600Z");
    }
    scope_.time = *time;
  }
  if (rules_.presign.count() == 0) {
    add_header(kDate, sigv4::amz_date(scope_.time));
  }
  return {};
}

void Signing::add_chunk_headers() {
  add_header(kDecodedLength, std::to_string(raw_.body.size()));
  std::string names;
  for (const auto& [name, value] : rules_.trailers) {
    names += (names.empty() ? "" : ",") + name;
  }
  if (!names.empty()) {
    add_header(kTrailerNames, names);
  }
}

void Signing::note_other_length() {
  const std::string length = header("content-length");
  const std::string actual = std::to_string(raw_.body.size());
  if (!length.empty() && length != actual) {
    signed_.notes.push_back("Content-Length is " + length + ", the body in the file has " + actual +
                            " bytes (a line feed that an editor added at its end?)");
  }
}

Status Signing::set_payload() {
  const std::string_view chunked =
      rules_.trailers.empty() ? sigv4::kChunkedPayload : sigv4::kChunkedPayloadTrailer;
  const std::string actual = sigv4::payload_hash(raw_.body);
  request_.payload_hash = header(kPayloadHash);
  if (!request_.payload_hash.empty()) {
    if (rules_.chunk_bytes != 0 && request_.payload_hash != chunked) {
      return rejected("in chunks, x-amz-content-sha256 of the request must be " +
                      std::string(chunked));
    }
    if (request_.payload_hash.size() == actual.size() && request_.payload_hash != actual) {
      signed_.notes.push_back("x-amz-content-sha256 is not the hash of this body, " + actual);
    }
  } else if (rules_.chunk_bytes != 0) {
    request_.payload_hash = chunked;
    add_header(kPayloadHash, request_.payload_hash);
  } else if (rules_.s3 && rules_.presign.count() != 0) {
    request_.payload_hash = sigv4::kUnsignedPayload;
  } else {
    request_.payload_hash = actual;
    if (rules_.s3 || rules_.sign_body) {
      add_header(kPayloadHash, actual);
    }
  }
  if (rules_.chunk_bytes != 0) {
    add_chunk_headers();
  } else if (request_.payload_hash.size() == actual.size()) {
    note_other_length();
  }
  return {};
}

void Signing::set_token() {
  const std::string& token = credentials_.session_token;
  const std::string in_request = header(kToken);
  if (!in_request.empty() && in_request != token) {
    signed_.notes.emplace_back("X-Amz-Security-Token of the request is not AWS_SESSION_TOKEN");
  }
  if (token.empty() || rules_.omit_session_token || !in_request.empty()) {
    return;
  }
  if (rules_.presign.count() != 0) {
    token_parameter_ = token;
  } else {
    add_header(kToken, token);
  }
}

std::string Signing::presigned_url(const std::string& signature) const {
  std::string url = "https://" + header("host");
  for (const char c : raw_.path + "?" + request_.query) {
    const bool is_visible = c > 0x20 && c < 0x7F;
    url += is_visible ? std::string(1, c) : sigv4::uri_encode({&c, 1}, false);
  }
  url += "&X-Amz-Signature=" + signature;
  if (rules_.omit_session_token && !credentials_.session_token.empty()) {
    url += "&X-Amz-Security-Token=" + sigv4::uri_encode(credentials_.session_token, false);
  }
  return url;
}

void Signing::add_chunk_lines(const sigv4::SigningKey& key, std::string signature) {
  std::string_view rest = raw_.body;
  for (bool is_last = false; !is_last;) {
    const std::string_view bytes = rest.substr(0, rules_.chunk_bytes);
    rest.remove_prefix(bytes.size());
    is_last = bytes.empty();
    signature = sigv4::signature(
        key, sigv4::chunk_string_to_sign(scope_, {.signature_before = signature, .bytes = bytes}));
    char size[20];
    (void)std::snprintf(size, sizeof size, "%zx", bytes.size());
    signed_.chunk_lines.push_back(std::string(size) + ";chunk-signature=" + signature);
  }
  if (rules_.trailers.empty()) {
    return;
  }
  for (const auto& [name, value] : rules_.trailers) {
    signed_.chunk_lines.push_back(name);
    signed_.chunk_lines.back().append(":").append(value);
  }
  signature = sigv4::signature(
      key, sigv4::trailer_string_to_sign(
               scope_, {.signature_before = signature, .headers = rules_.trailers}));
  signed_.chunk_lines.push_back("x-amz-trailer-signature:" + signature);
}

void Signing::finish() {
  const auto paths = rules_.s3
                         ? sigv4::PathRules::s3()
                         : sigv4::PathRules{.encode_twice = true, .normalize = rules_.normalize};
  if (rules_.presign.count() != 0) {
    sigv4::add_presign_parameters({.access_key_id = credentials_.access_key_id,
                                   .session_token = token_parameter_,
                                   .scope = scope_,
                                   .expires = rules_.presign},
                                  request_);
  }
  const sigv4::SigningKey key = sigv4::signing_key(credentials_.secret_access_key, scope_);
  signed_.canonical_request = sigv4::canonical_request(request_, paths);
  signed_.string_to_sign = sigv4::string_to_sign(scope_, signed_.canonical_request);
  const std::string signature = sigv4::signature(key, signed_.string_to_sign);
  if (rules_.presign.count() != 0) {
    signed_.url = presigned_url(signature);
  } else {
    signed_.authorization = sigv4::authorization(
        {.access_key_id = credentials_.access_key_id, .key = key, .scope = scope_}, request_,
        paths);
  }
  if (rules_.chunk_bytes != 0) {
    add_chunk_lines(key, signature);
  }
  if (earlier_) {
    signed_.comparison = compare(
        *earlier_,
        {.raw = raw_,
         .request = request_,
         .credential = credentials_.access_key_id + "/" + sigv4::credential_scope(scope_),
         .signature = signature,
         .expires = rules_.presign.count() == 0 ? "" : std::to_string(rules_.presign.count())});
  }
}

Result<SignedRequest> Signing::run() {
  if (header("host").empty()) {
    return rejected("the request has no Host header, and that must be signed");
  }
  if (earlier_ && earlier_->in_query && rules_.presign.count() == 0) {
    return rejected("the request is presigned: give --presign its X-Amz-Expires");
  }
  request_.method = raw_.method;
  request_.path = raw_.path;
  request_.query = raw_.query;
  take_headers();
  if (Status status = set_payload(); !status) {
    return status.error();
  }
  if (Status status = set_time(); !status) {
    return status.error();
  }
  set_token();
  finish();
  return std::move(signed_);
}

}  // namespace

Result<SignedRequest> sign_request(SignInput input) { return Signing(std::move(input)).run(); }

}  // namespace sluice
